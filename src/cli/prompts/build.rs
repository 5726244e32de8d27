//! `cityline prompts build`: makes what is missing or stale, and nothing else.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use miette::IntoDiagnostic;

use super::audio;
use super::catalogue::{self, Made, Shelf, Voice};
use super::synthesise::{self, Engines};
use crate::terms::language::Language;

/// What to build.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Make every prompt again, stale or not
    #[arg(long)]
    force: bool,
    /// Only this language, by code
    #[arg(long)]
    language: Option<Language>,
    /// The program espeak-ng
    #[arg(long, default_value = "espeak-ng", env = "CITYLINE_ESPEAK_NG")]
    espeak_ng: PathBuf,
    /// The program flite
    #[arg(long, default_value = "flite", env = "CITYLINE_FLITE")]
    flite: PathBuf,
}

/// What became of a build.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Recordings made.
    pub made: usize,
    /// Recordings that were right already.
    pub kept: usize,
    /// What could not be made, each with its file, line and reason.
    pub failures: Vec<String>,
}

/// Builds, and says what was done.
///
/// # Errors
/// Where there is no catalogue, no such language, or standard output is gone.
pub fn run(dir: &Path, args: &Args, out: &mut impl Write) -> Result<ExitCode, miette::Report> {
    let mut shelves = Vec::new();
    for shelf in catalogue::read(dir).map_err(|error| miette::miette!("{error}"))? {
        let shelf = shelf.map_err(|error| miette::miette!("{error}"))?;
        if args.language.is_none_or(|wanted| wanted == shelf.manifest.language) {
            shelves.push(shelf);
        }
    }
    if let (Some(wanted), true) = (args.language, shelves.is_empty()) {
        miette::bail!("no language `{wanted}` in {}", dir.display());
    }
    let engines = Engines { espeak_ng: args.espeak_ng.clone(), flite: args.flite.clone() };
    let progress = progress(shelves.iter().map(|shelf| shelf.manifest.prompts.len()).sum());
    let mut tally = Tally::default();
    for shelf in &mut shelves {
        build(shelf, &engines, args.force, &mut tally, &progress);
    }
    progress.finish_and_clear();
    for failure in &tally.failures {
        writeln!(out, "{failure}").into_diagnostic()?;
    }
    writeln!(out, "{} made, {} as they were, {} failed", tally.made, tally.kept, tally.failures.len())
        .into_diagnostic()?;
    Ok(if tally.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds one language.
pub fn build(shelf: &mut Shelf, engines: &Engines, force: bool, tally: &mut Tally, progress: &ProgressBar) {
    let manifest = shelf.manifest.clone();
    shelf.built.prompts.retain(|name, _| manifest.prompts.contains_key(name));
    for (name, prompt) in &manifest.prompts {
        progress.set_message(format!("{} {name}", manifest.language));
        progress.inc(1);
        if *shelf.voice(prompt) == Voice::None {
            continue;
        }
        let from = shelf.fingerprint(name, prompt);
        let wav = shelf.wav(name);
        let fresh = wav.exists() && shelf.built.prompts.get(name).is_some_and(|made| made.from == from);
        if fresh && !force {
            tally.kept += 1;
            continue;
        }
        let made = synthesise::make(engines, shelf, name, prompt).and_then(|samples| audio::write(&wav, &samples));
        match (made, catalogue::fingerprint_of(&wav)) {
            (Ok(()), Some(wav)) => {
                shelf.built.prompts.insert(name.clone(), Made { from, wav });
                tally.made += 1;
            }
            (made, _) => {
                let reason = made.err().unwrap_or_else(|| "the recording vanished".to_owned());
                let place = shelf.place(prompt);
                tally.failures.push(format!("{place}: `{name}`: {reason}"));
            }
        }
    }
    if manifest.prompts.values().all(|prompt| *shelf.voice(prompt) == Voice::None) {
        return;
    }
    if let Err(error) = shelf.write_built() {
        tally.failures.push(error);
    }
}

/// A bar on a terminal, nothing elsewhere.
fn progress(total: usize) -> ProgressBar {
    let bar = ProgressBar::new(total as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    bar
}
