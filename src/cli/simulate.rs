//! `cityline simulate`: one call through the rules, step by step, without a telephone. The journey is the one
//! that real calls take; only the caller and the lines are pretended.

mod walk;
mod words;

use std::collections::{HashMap, VecDeque};
use std::io::Write;
use std::process::ExitCode;

use jiff::civil::DateTime;
use jiff::{Timestamp, Zoned};
use miette::{IntoDiagnostic, miette};

use super::folders::{Folders, prompt_index, prompt_texts};
use crate::routing::model::Rulebook;
use crate::routing::route::{Facts, TrunkKind};
use crate::terms::cause::Cause;
use crate::terms::clock::Clock;
use crate::terms::ids::{LineId, TrunkId};
use crate::terms::key::Keys;

/// The call to be walked through.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    folders: Folders,
    /// The number dialled.
    #[arg(long, default_value = "311")]
    dial: String,
    /// When: the wall clock of the city (`2026-12-25T03:00`) or an instant (`2026-12-25T11:00Z`); now, if not said.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// The language that is chosen at the gate. Without it the keys begin at the gate.
    #[arg(long, value_name = "CODE")]
    language: Option<String>,
    /// What is pressed, one question after another; `-` presses nothing. After the last, nothing is pressed.
    #[arg(long, value_name = "KEYS", value_delimiter = ',')]
    keys: Vec<String>,
    /// The kind of trunk: carrier, pbx, psap or internal.
    #[arg(long, default_value = "carrier")]
    trunk: String,
    /// How many agents are there; with 0 nobody answers in a queue.
    #[arg(long, default_value_t = 1)]
    agents: u32,
    /// What a line does, e.g. `pbot_maint=busy`; lines answer unless said otherwise.
    #[arg(long, value_name = "LINE=CAUSE")]
    line: Vec<String>,
    /// One JSON object a line: each step, then the end.
    #[arg(long)]
    json: bool,
}

/// Walks the call and prints it; exit code 1 where the call would be refused.
///
/// # Errors
/// Where the rules cannot be used, an argument names what does not exist, or nothing can be printed.
pub fn run(args: Args) -> Result<ExitCode, miette::Report> {
    let book = args.folders.load_or_report()?;
    let start = instant(&book, args.at.as_deref())?;
    let script = script(&book, &args)?;
    let facts = Facts {
        dialled: args.dial.clone(),
        trunk: TrunkId::from("simulated"),
        trunk_kind: trunk_kind(&args.trunk)?,
        caller: None,
    };
    let prompts = prompt_index(&args.folders.prompts);
    let walk = walk::walk(&book, facts, start.timestamp(), script, &prompts);
    let text = match args.json {
        true => words::as_json(&book, &start, &walk),
        false => words::as_text(&book, &start, &walk, &prompt_texts(&args.folders.prompts)),
    };
    std::io::stdout().lock().write_all(text.as_bytes()).into_diagnostic()?;
    Ok(if walk.refused() { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn instant(book: &Rulebook, at: Option<&str>) -> Result<Zoned, miette::Report> {
    let zone = book.city.zone.clone();
    let Some(at) = at else { return Ok(Clock::system().wall().to_zoned(zone)) };
    if let Ok(instant) = at.parse::<Timestamp>() {
        return Ok(instant.to_zoned(zone));
    }
    let wall: DateTime = at.parse().map_err(|_| miette!("`{at}` is not a time: write e.g. 2026-12-25T03:00"))?;
    wall.to_zoned(zone).map_err(|error| miette!("`{at}` is not a time here: {error}"))
}

fn trunk_kind(word: &str) -> Result<TrunkKind, miette::Report> {
    let words: Vec<_> = TrunkKind::ALL.iter().map(|kind| kind.as_str()).collect();
    let found = TrunkKind::ALL.iter().copied().find(|kind| kind.as_str() == word);
    found.ok_or_else(|| miette!("`{word}` is no kind of trunk: one of {} is meant", words.join(", ")))
}

fn script(book: &Rulebook, args: &Args) -> Result<walk::Script, miette::Report> {
    let mut keys: VecDeque<Option<Keys>> = VecDeque::new();
    if let Some(code) = &args.language {
        let tongue = book.languages.find(code).map(|tongue| &book.languages[tongue]);
        let tongue = tongue.ok_or_else(|| miette!("the rules know no language `{code}`"))?;
        let asked = book.entry(&args.dial).is_some_and(|entry| entry.language.is_none());
        if asked {
            keys.push_back(tongue.key.clone());
        }
    }
    for run in &args.keys {
        keys.push_back(match run.trim() {
            "-" | "" => None,
            run => Some(run.parse().map_err(|error: String| miette!("{error}"))?),
        });
    }
    let mut failing = HashMap::new();
    for line in &args.line {
        let (id, word) =
            line.split_once('=').ok_or_else(|| miette!("`{line}`: write LINE=CAUSE, e.g. pbot_maint=busy"))?;
        let id = LineId::from(id.trim());
        book.line(&id).ok_or_else(|| miette!("the rules know no line `{id}`"))?;
        let cause = Cause::ALL.iter().copied().find(|cause| cause.as_str() == word.trim());
        failing.insert(
            id,
            cause.ok_or_else(|| miette!("`{word}` is no cause: busy, no_answer and unreachable are usual"))?,
        );
    }
    Ok(walk::Script { keys, failing, agents: args.agents })
}
