//! `cityline calls`: recent calls and how they ended.

use std::path::PathBuf;
use std::process::ExitCode;

use jiff::tz::TimeZone;
use miette::{IntoDiagnostic, Report};

use super::reading;
use crate::store::{CallRecord, Store};
use crate::terms::number::Pii;

/// Shows recent calls and how they ended, newest first.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many calls.
    #[arg(long, value_name = "N", default_value_t = 20)]
    last: u32,
    /// One JSON object a line, for programs.
    #[arg(long)]
    json: bool,
    /// The server's data folder; the server may be running.
    #[arg(long, value_name = "DIR", env = "CITYLINE_DATA", default_value = "var")]
    data: PathBuf,
    /// Show callers' numbers whole: personal data.
    #[arg(long)]
    show_numbers: bool,
}

/// Runs the verb.
///
/// # Errors
/// There is no record, or it cannot be read.
pub fn run(args: Args) -> Result<ExitCode, Report> {
    let text = reading::wait_for(async {
        let store = reading::open(&args.data).await?;
        let calls = store.calls(args.last).await.into_diagnostic()?;
        if args.json { lines(calls, args.show_numbers) } else { page(&store, &calls, args.show_numbers).await }
    })?;
    reading::print(&text);
    reading::warn_of_spool(&args.data);
    Ok(ExitCode::SUCCESS)
}

/// One JSON object a line.
fn lines(calls: Vec<CallRecord>, whole: bool) -> Result<String, Report> {
    let mut text = String::new();
    for mut call in calls {
        call.caller = call.caller.map(|number| Pii::new(reading::shown(&number, whole)));
        text += &serde_json::to_string(&call).into_diagnostic()?;
        text.push('\n');
    }
    Ok(text)
}

async fn page(store: &Store, calls: &[CallRecord], whole: bool) -> Result<String, Report> {
    let rulebook = match calls.iter().find_map(|call| call.rulebook.as_deref()) {
        Some(hash) => store.rulebook(hash).await.into_diagnostic()?,
        None => None,
    };
    Ok(table(calls, &reading::zone(rulebook.as_ref()), whole))
}

const HEAD: [&str; 9] = ["WHEN", "CALL", "CALLER", "DIALLED", "LANGUAGE", "TOPIC", "WHERE TO", "OUTCOME", "LENGTH"];

/// The calls as a table whose columns are as wide as what stands in them.
fn table(calls: &[CallRecord], zone: &TimeZone, whole: bool) -> String {
    if calls.is_empty() {
        return "No calls yet.\n".to_owned();
    }
    let head = HEAD.map(str::to_owned);
    let rows: Vec<[String; 9]> = std::iter::once(head).chain(calls.iter().map(|call| row(call, zone, whole))).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 9] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
    }
    text
}

fn row(call: &CallRecord, zone: &TimeZone, whole: bool) -> [String; 9] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        reading::at(call.started_unix_ms, zone, "%Y-%m-%d %H:%M:%S"),
        call.call.to_string(),
        or_dash(call.caller.as_ref().map(|number| reading::shown(number, whole))),
        or_dash(call.dialled.clone()),
        or_dash(call.language.map(|language| language.to_string())),
        or_dash(call.topic.as_ref().map(ToString::to_string)),
        or_dash(call.line.as_ref().map(ToString::to_string)),
        call.outcome.map_or_else(|| "(in progress)".to_owned(), |outcome| outcome.to_string()),
        or_dash(call.ms.map(|ms| format!("{}:{:02}", ms / 60_000, ms / 1_000 % 60))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::examples::{Day, pothole, rulebook};

    fn calls() -> Vec<CallRecord> {
        let mut day = Day::new(1);
        let open = day.short_call();
        [&pothole()[..], &open[..1]].iter().map(|entries| CallRecord::fold(entries).unwrap()).collect()
    }

    #[test]
    fn the_table_reads_well_and_hides_numbers() {
        let zone = reading::zone(Some(&rulebook()));
        insta::assert_snapshot!(table(&calls(), &zone, false));
        assert!(table(&calls(), &zone, true).contains("+15035550123"));
        assert_eq!(table(&[], &zone, false), "No calls yet.\n");
    }

    #[test]
    fn json_lines_are_records_without_numbers() {
        let text = lines(calls(), false).unwrap();
        assert!(!text.contains("5550123") && text.contains(r#""caller":"…23""#), "{text}");
        let back: Vec<CallRecord> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(back[0].outcome, calls()[0].outcome);
        assert!(lines(calls(), true).unwrap().contains("+15035550123"));
    }
}
