//! `cityline prompts`: the language × prompt matrix; synthesise what is missing; read one out.

pub mod audio;
pub mod build;
pub mod catalogue;
pub mod check;
pub mod say;
pub mod synthesise;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use miette::IntoDiagnostic;

use crate::terms::diagnostic::Severity;

/// `cityline prompts check | build | say`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
    /// The folder of all prompts
    #[arg(long, global = true, default_value = "prompts", env = "CITYLINE_PROMPTS")]
    dir: PathBuf,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Finds every prompt that is missing, stale, too long, too loud, too faint or badly written, all at once
    Check {
        /// One JSON object a line: first each language, then each fault
        #[arg(long)]
        json: bool,
    },
    /// Synthesises what is missing or stale; makes people's recordings fit for the telephone
    Build(build::Args),
    /// Prints the words of one prompt and plays it
    Say {
        /// Code of the language, e.g. `es`
        language: String,
        /// Name of the prompt, e.g. `greeting`
        name: String,
    },
}

/// Runs the verb.
///
/// # Errors
/// Where there is no catalogue, or standard output is gone.
pub fn run(args: Args) -> Result<ExitCode, miette::Report> {
    let mut out = std::io::stdout().lock();
    match args.verb {
        Verb::Check { json } => {
            let report = check::check(&args.dir).map_err(|error| miette::miette!("{error}"))?;
            let text = if json { as_json(&report)? } else { as_text(&report) };
            out.write_all(text.as_bytes()).into_diagnostic()?;
            Ok(if report.is_well() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Verb::Build(wanted) => build::run(&args.dir, &wanted, &mut out),
        Verb::Say { language, name } => say::run(&args.dir, &language, &name, &mut out),
    }
}

fn as_json(report: &check::Report) -> Result<String, miette::Report> {
    let mut lines = Vec::new();
    for row in &report.languages {
        lines.push(serde_json::to_string(row).into_diagnostic()?);
    }
    for finding in &report.findings {
        lines.push(serde_json::to_string(finding).into_diagnostic()?);
    }
    Ok(lines.join("\n") + "\n")
}

fn as_text(report: &check::Report) -> String {
    let mut text = String::from("language          texts  recordings  minutes  to be reviewed\n");
    for row in &report.languages {
        let minutes = row.total_ms as f64 / 60_000.0;
        // Names are padded by hand: a Chinese character is two columns wide.
        let wide: usize = row.name.chars().map(|letter| if letter >= '\u{2e80}' { 2 } else { 1 }).sum();
        let gap = " ".repeat(12_usize.saturating_sub(wide));
        text.push_str(&format!(
            "{:<4} {}{gap} {:>5}  {:>10}  {minutes:>7.1}  {:>14}\n",
            row.language, row.name, row.texts, row.recordings, row.needs_review
        ));
    }
    text.push_str(&format!(
        "The language gate lasts {:.1} s of {} s.\n",
        f64::from(report.gate_ms) / 1e3,
        check::GATE_MS_MAX / 1_000
    ));
    for finding in &report.findings {
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        text.push_str(&format!("\n{}:{}: {severity}: {}\n", finding.file, finding.line, finding.message));
        if let Some(remedy) = &finding.remedy {
            text.push_str(&format!("  remedy: {remedy}\n"));
        }
    }
    let errors = report.findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    let warnings = report.findings.len() - errors;
    text.push_str(&format!("\n{errors} errors, {warnings} warnings\n"));
    text
}
