//! `cityline sim`: a simulated day of calls, and whether everything held.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use miette::{IntoDiagnostic, miette};

use super::folders::{Folders, prompt_index};
use crate::sim::day::{self, Plan, Report};

/// Play a simulated day of calls and check that nobody is lost
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    folders: Folders,
    /// The seed of all chance: the same seed is the same day
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many days to play, each with the next seed
    #[arg(long, default_value_t = 1)]
    days: u64,
    /// Calls in a day
    #[arg(long, default_value_t = 2000)]
    calls: u64,
    /// When the day begins
    #[arg(long, default_value = "2026-03-03T00:00:00-08:00")]
    at: jiff::Timestamp,
    /// One JSON object a day
    #[arg(long)]
    json: bool,
}

/// Plays the days; exit code 1 where something did not hold.
///
/// # Errors
/// Where the rulebook cannot be loaded.
pub fn run(args: Args) -> Result<ExitCode, miette::Report> {
    let rulebook = args.folders.load_or_report()?;
    let prompts = Arc::new(prompt_index(&args.folders.prompts));
    let mut out = std::io::stdout().lock();
    let mut well = true;
    for seed in args.seed..args.seed.saturating_add(args.days) {
        let plan = Plan { seed, calls: args.calls, begins: args.at, length: Duration::from_secs(24 * 60 * 60) };
        let report = day::run(&plan, &rulebook, &prompts).into_diagnostic()?;
        let held = report.books.violation_count == 0 && report.left_over == 0;
        well &= held;
        let text = if args.json { json(seed, &report) } else { words(seed, &report, args.calls) };
        writeln!(out, "{text}").map_err(|error| miette!("cannot write: {error}"))?;
    }
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn words(seed: u64, report: &Report, calls: u64) -> String {
    let books = &report.books;
    let mut text = format!(
        "seed {seed}: {} calls arrived, {} ended, {} lines of journal, fingerprint {:016x}",
        books.arrived, books.ended, books.lines, books.digest
    );
    for (outcome, count) in &books.outcomes {
        text += &format!("\n  {:<28} {count:>8}  {:>5.1} %", outcome.as_str(), 100.0 * *count as f64 / calls as f64);
    }
    for violation in &books.violations {
        text += &format!("\n  did not hold: {violation}");
    }
    if report.left_over > 0 {
        text += &format!("\n  left over: {} tasks", report.left_over);
    }
    if books.violation_count == 0 && report.left_over == 0 {
        text += "\n  everything held";
    } else {
        text += &format!("\n  to play this day again: cityline sim --seed {seed} --calls {calls}");
    }
    text
}

fn json(seed: u64, report: &Report) -> String {
    let books = &report.books;
    serde_json::json!({
        "seed": seed,
        "arrived": books.arrived,
        "ended": books.ended,
        "lines": books.lines,
        "outcomes": books.outcomes.iter().map(|(outcome, count)| (outcome.as_str(), count)).collect::<std::collections::BTreeMap<_, _>>(),
        "violations": books.violation_count,
        "examples": books.violations,
        "left_over": report.left_over,
        "fingerprint": format!("{:016x}", books.digest),
    })
    .to_string()
}
