//! `cityline why CALL-ID`: one page that tells what was decided on a call, by which rule line, and what the
//! caller heard.

mod story;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;

use miette::{IntoDiagnostic, Report};

use super::reading;
use crate::store::{CallRecord, RulebookText, Store};
use crate::terms::event::{Entry, Event};
use crate::terms::ids::CallId;
use crate::terms::number::Pii;

/// Tells the story of one call on one page: what was decided, by which rule line, and what the caller heard.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The call's id as `cityline calls` shows it; its beginning will do where it is the only one.
    #[arg(value_name = "CALL-ID")]
    call: String,
    /// One JSON object: the call's row and its events.
    #[arg(long)]
    json: bool,
    /// The server's data folder; the server may be running.
    #[arg(long, value_name = "DIR", env = "CITYLINE_DATA", default_value = "var")]
    data: PathBuf,
    /// Show callers' numbers whole: personal data.
    #[arg(long)]
    show_numbers: bool,
}

/// Most calls that are named where a beginning fits several.
const NAMED_MAX: u32 = 5;

/// A call with all that is needed to tell it.
#[derive(Debug)]
struct Told {
    record: CallRecord,
    entries: Vec<Entry>,
    rulebook: Option<RulebookText>,
}

/// Runs the verb. Exits with 1 where no call, or more than one, is meant.
///
/// # Errors
/// There is no record, or it cannot be read.
pub fn run(args: Args) -> Result<ExitCode, Report> {
    let found = reading::wait_for(async {
        let store = reading::open(&args.data).await?;
        match find(&store, &args.call).await? {
            Ok(call) => tell(&store, call).await.map(Ok),
            Err(complaint) => Ok(Err(complaint)),
        }
    })?;
    reading::warn_of_spool(&args.data);
    match found {
        Ok(told) if args.json => reading::print(&json(told, args.show_numbers)?),
        Ok(told) => reading::print(&story::page(&told, args.show_numbers)),
        Err(complaint) => {
            reading::complain(&complaint);
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The one call that is meant; else what to tell the user.
async fn find(store: &Store, written: &str) -> Result<Result<CallId, String>, Report> {
    let found = store.beginning_with(&as_read_aloud(written), NAMED_MAX + 1).await.into_diagnostic()?;
    Ok(match found.as_slice() {
        [call] => Ok(*call),
        [] => Err(format!("no call `{}` in the record; `cityline calls` lists the recent ones", written.trim())),
        several => {
            let named = several.iter().take(NAMED_MAX as usize).map(|call| format!("\n  {call}"));
            let more = if several.len() > NAMED_MAX as usize { "\n  …" } else { "" };
            Err(format!("`{}` begins more than one call:{}{more}", written.trim(), named.collect::<String>()))
        }
    })
}

/// An id may come over the telephone: Crockford's base 32 has no O, I and L, so they can only mean 0 and 1.
fn as_read_aloud(written: &str) -> String {
    let sign = |sign: char| match sign.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    written.chars().filter(|sign| !sign.is_whitespace()).map(sign).collect()
}

async fn tell(store: &Store, call: CallId) -> Result<Told, Report> {
    let entries = store.events(call).await.into_diagnostic()?;
    let record =
        CallRecord::fold(&entries).ok_or_else(|| Report::msg(format!("call {call} has a row and no events")))?;
    let rulebook = match &record.rulebook {
        Some(hash) => store.rulebook(hash).await.into_diagnostic()?,
        None => None,
    };
    Ok(Told { record, entries, rulebook })
}

fn json(told: Told, whole: bool) -> Result<String, Report> {
    let Told { mut record, mut entries, .. } = told;
    let show = |number: &mut Pii<String>| *number = Pii::new(reading::shown(number, whole));
    record.caller.iter_mut().for_each(show);
    for entry in &mut entries {
        if let Event::Arrived { caller, diverted_by, .. } = &mut entry.event {
            caller.iter_mut().chain(diverted_by).for_each(show);
        }
    }
    let object = serde_json::json!({ "call": record, "events": entries });
    Ok(format!("{object}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Line;
    use crate::store::examples::{Day, lines, pothole, rulebook};

    async fn store() -> Store {
        let store = Store::memory();
        let mut all = lines(&pothole());
        all.extend(lines(&Day::new(77).short_call()));
        all.push(Line::Rulebook(rulebook()));
        store.append(&all).await.unwrap();
        store
    }

    #[tokio::test]
    async fn a_call_is_found_by_its_id_or_its_beginning_as_read_aloud() {
        let (store, call) = (store().await, pothole()[0].call);
        let id = call.to_string();
        assert_eq!(find(&store, &id).await.unwrap(), Ok(call));
        assert_eq!(find(&store, &format!(" {} ", &id.to_lowercase()[..20])).await.unwrap(), Ok(call));
        assert_eq!(find(&store, &id.replace('0', "o").replace('1', "l")).await.unwrap(), Ok(call));
    }

    #[tokio::test]
    async fn an_unknown_or_ambiguous_id_is_explained() {
        let (store, id) = (store().await, pothole()[0].call.to_string());
        let unknown = find(&store, "7ZZZ").await.unwrap().unwrap_err();
        assert!(unknown.contains("no call `7ZZZ`"), "{unknown}");
        let ambiguous = find(&store, &id[..6]).await.unwrap().unwrap_err();
        assert!(ambiguous.contains("more than one") && ambiguous.contains(&id), "{ambiguous}");
    }

    #[tokio::test]
    async fn json_hides_numbers_unless_asked() {
        let (store, call) = (store().await, pothole()[0].call);
        let hidden = json(tell(&store, call).await.unwrap(), false).unwrap();
        assert!(!hidden.contains("5550123") && hidden.contains("…23"), "{hidden}");
        let whole = json(tell(&store, call).await.unwrap(), true).unwrap();
        assert_eq!(whole.matches("+15035550123").count(), 2);
        assert_eq!(whole.lines().count(), 1);
    }
}
