//! `cityline check`: every problem of the rules at once, each with its place and its remedy.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use miette::IntoDiagnostic;
use serde_json::json;

use super::folders::Folders;
use crate::config::diagnostic::{self, Diagnostic, Severity};
use crate::routing::model::Rulebook;

/// What to check.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    folders: Folders,
    /// One JSON object a line: each problem, then the sum.
    #[arg(long)]
    json: bool,
}

/// Reads the rules and prints what is wrong with them; exit code 1 where they may not be used.
///
/// # Errors
/// Where nothing can be printed.
pub fn run(args: Args) -> Result<ExitCode, miette::Report> {
    let out = std::io::stdout();
    let colour = out.is_terminal();
    let mut out = out.lock();
    let loaded = args.folders.load();
    let problems = match &loaded {
        Ok(book) => book.warnings(),
        Err(problems) => problems,
    };
    let report = if args.json { as_json(&loaded, problems) } else { as_text(&args, &loaded, problems, colour) };
    out.write_all(report.as_bytes()).into_diagnostic()?;
    let failed = problems.iter().any(|problem| problem.severity == Severity::Error);
    Ok(if failed { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

type Loaded = Result<std::sync::Arc<Rulebook>, Vec<Diagnostic>>;

fn as_json(loaded: &Loaded, problems: &[Diagnostic]) -> String {
    let sum = match loaded {
        Ok(book) => {
            json!({ "ok": true, "rulebook": book.hash(), "counts": counts(book).into_iter().collect::<std::collections::BTreeMap<_, _>>() })
        }
        Err(problems) => json!({ "ok": false, "problems": problems.len() }),
    };
    let mut lines: Vec<String> = problems.iter().map(diagnostic::json).collect();
    lines.push(sum.to_string());
    lines.join("\n") + "\n"
}

fn as_text(args: &Args, loaded: &Loaded, problems: &[Diagnostic], colour: bool) -> String {
    let mut text: String = problems.iter().map(|problem| diagnostic::render(problem, colour)).collect();
    let folder = args.folders.rules.display();
    if !args.folders.prompts.is_dir() {
        text += &format!("There is no folder `{}`: prompts were not checked.\n", args.folders.prompts.display());
    }
    match loaded {
        Ok(book) => {
            let counts: Vec<String> = counts(book).iter().map(|(what, count)| format!("{count} {what}")).collect();
            text += &format!("{folder}: well. {}.\n", counts.join(", "));
            if !problems.is_empty() {
                text += &format!("{} above, worth a look.\n", diagnostic::tally(problems));
            }
            text += &format!("Rulebook {} ({})\n", book.short_hash(), book.city.name);
        }
        Err(problems) => {
            text += &format!("{folder}: {}. These rules would not be taken.\n", diagnostic::tally(problems));
        }
    }
    text
}

fn counts(book: &Rulebook) -> Vec<(&'static str, usize)> {
    [
        ("numbers", book.numbers().count()),
        ("entries", book.entries.len()),
        ("languages", book.languages.len()),
        ("calendars", book.calendars.len()),
        ("lines", book.lines.len()),
        ("topics", book.topics.len()),
        ("menus", book.menus.len()),
        ("queues", book.queues.len()),
        ("rules", book.rules.len()),
    ]
    .into()
}
