//! What several commands need: the rulebook and the prompts from their folders, and problems well shown.

use std::path::Path;
use std::sync::Arc;

use miette::miette;

use crate::media::bank::PromptBank;
use crate::routing::model::Rulebook;
use crate::terms::diagnostic::Diagnostic;
use crate::terms::prompt::PromptIndex;

/// The rulebook of `rules`, and how long the prompts of `prompts` last.
pub(super) fn load(rules: &Path, prompts: &Path) -> Result<(Arc<Rulebook>, PromptIndex), miette::Report> {
    let (_, index) = bank(prompts)?;
    let rulebook = Rulebook::load(rules, &index).map_err(|problems| report(&problems))?;
    Ok((rulebook, index))
}

/// The rulebook of `rules`, and the prompts of `prompts` ready to be played.
pub(super) fn load_with_bank(rules: &Path, prompts: &Path) -> Result<(Arc<Rulebook>, PromptBank), miette::Report> {
    let (bank, index) = bank(prompts)?;
    let rulebook = Rulebook::load(rules, &index).map_err(|problems| report(&problems))?;
    Ok((rulebook, bank))
}

/// Problems as one report, each at its place.
pub(super) fn report(problems: &[Diagnostic]) -> miette::Report {
    let mut text = String::new();
    for problem in problems {
        text += &format!("{problem}\n");
    }
    miette!("{text}{} problems: nothing was started", problems.len())
}

fn bank(prompts: &Path) -> Result<(PromptBank, PromptIndex), miette::Report> {
    PromptBank::load(prompts).map_err(|problems| {
        miette!(
            help = "`cityline prompts check` says more; `cityline prompts build` makes what is missing",
            "the prompts cannot be used:\n{}",
            problems.join("\n")
        )
    })
}
