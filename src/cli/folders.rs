//! What the commands share about rules: where they and the prompts are, reading them, keeping their text.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::diagnostic::{self, Diagnostic};
use crate::media::bank::PromptBank;
use crate::routing::model::Rulebook;
use crate::store::{Journal, RulebookText};
use crate::terms::clock::Clock;
use crate::terms::language::Language;
use crate::terms::prompt::{PromptIndex, Spoken};

/// Where the rules and the prompts are.
#[derive(Clone, Debug, clap::Args)]
pub struct Folders {
    /// The folder that holds the rules.
    #[arg(value_name = "RULES", default_value = "routing-rules")]
    pub rules: PathBuf,
    /// The folder that holds the prompts, by language.
    #[arg(long, value_name = "DIR", default_value = "prompts")]
    pub prompts: PathBuf,
}

impl Folders {
    /// The rulebook. Where there is no prompts folder, nothing is said about prompts.
    ///
    /// # Errors
    /// Everything that is wrong with the rules.
    pub fn load(&self) -> Result<Arc<Rulebook>, Vec<Diagnostic>> {
        if !self.prompts.is_dir() {
            return Rulebook::load_unheard(&self.rules);
        }
        Rulebook::load(&self.rules, &prompt_index(&self.prompts))
    }

    /// The rulebook, or every problem as one report.
    ///
    /// # Errors
    /// The problems, rendered.
    pub fn load_or_report(&self) -> Result<Arc<Rulebook>, miette::Report> {
        self.load().map_err(|problems| report("the rules", &problems))
    }
}

/// Every problem as one report.
pub fn report(of: &str, problems: &[Diagnostic]) -> miette::Report {
    let reports: String = problems.iter().map(|problem| diagnostic::render(problem, false)).collect();
    miette::miette!("{} in {of}:\n{reports}", diagnostic::tally(problems))
}

/// A rulebook, the prompts it may name ready to be played, and which there are.
pub type Heard = (Arc<Rulebook>, PromptBank, Arc<PromptIndex>);

/// The rulebook of `rules`, and the prompts of `prompts` ready to be played.
///
/// # Errors
/// Everything that is wrong with the prompts, or else with the rules.
pub fn load_with_bank(rules: &Path, prompts: &Path) -> Result<Heard, miette::Report> {
    let (bank, index) = PromptBank::load(prompts).map_err(|problems| {
        miette::miette!(
            help = "`cityline prompts check` says more; `cityline prompts build` makes what is missing",
            "the prompts cannot be used:\n{}",
            problems.join("\n")
        )
    })?;
    let rulebook = Rulebook::load(rules, &index).map_err(|problems| report("the rules", &problems))?;
    Ok((rulebook, bank, Arc::new(index)))
}

/// Keeps the rulebook's text in the record, so that `why` can quote the line that decided.
pub fn keep(journal: &Journal, rulebook: &Rulebook, rules: &Path, clock: &Clock) {
    let texts = files(rules).filter(|path| path.extension().is_some_and(|ending| ending == "toml"));
    let texts =
        texts.filter_map(|path| Some((path.file_name()?.to_str()?.to_owned(), std::fs::read_to_string(&path).ok()?)));
    journal.keep_rulebook(RulebookText {
        hash: rulebook.hash().to_owned(),
        first_seen_unix_ms: clock.unix_ms(),
        files: texts.collect(),
    });
}

/// The recordings under `folder`: `<language>/<name>.wav`, with how long each lasts. What is no WAV file, or in
/// no folder named like a language, does not count.
pub fn prompt_index(folder: &Path) -> PromptIndex {
    let mut index = PromptIndex::default();
    for (language, dir) in languages(folder) {
        for path in files(&dir).filter(|path| path.extension().is_some_and(|ending| ending == "wav")) {
            let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
            let Ok(recording) = hound::WavReader::open(&path) else { continue };
            let ms = u64::from(recording.duration()) * 1000 / u64::from(recording.spec().sample_rate.max(1));
            index.add(language, name, u32::try_from(ms).unwrap_or(u32::MAX));
        }
    }
    index
}

/// The words of every prompt, from the manifests under `folder`; empty where there are none.
pub fn prompt_texts(folder: &Path) -> HashMap<Spoken, String> {
    let mut texts = HashMap::new();
    for (language, dir) in languages(folder) {
        let Ok(manifest) = std::fs::read_to_string(dir.join("manifest.toml")) else { continue };
        let Ok(manifest) = manifest.parse::<toml::Table>() else { continue };
        let Some(prompts) = manifest.get("prompts").and_then(toml::Value::as_table) else { continue };
        for (name, prompt) in prompts {
            if let Some(text) = prompt.get("text").and_then(toml::Value::as_str) {
                let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
                texts.insert(Spoken::new(language, name), words);
            }
        }
    }
    texts
}

fn languages(folder: &Path) -> impl Iterator<Item = (Language, PathBuf)> {
    files(folder).filter_map(|path| Some((path.file_name()?.to_str()?.parse().ok()?, path)))
}

fn files(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths.into_iter()
}
