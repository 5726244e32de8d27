//! Reading the rules folder: every TOML file in it, every problem at once.
//!
//! Three steps: [`source`] reads what was written, [`resolve`] turns names into what they mean, [`lint`]
//! asks what no single line can answer. A rulebook comes out only where no step found an error.

mod hours;
mod lint;
mod numbers;
mod resolve;
mod rules;
mod source;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use super::model::Rulebook;
use crate::terms::diagnostic::{Diagnostic, Severity};
use crate::terms::prompt::PromptIndex;

impl Rulebook {
    /// Reads every `*.toml` in `dir` and resolves it; every prompt it names must be in `prompts`.
    ///
    /// # Errors
    /// Everything that is wrong, at once, in the order of files and lines.
    pub fn load(dir: &Path, prompts: &PromptIndex) -> Result<Arc<Self>, Vec<Diagnostic>> {
        read(dir, Some(prompts))
    }

    /// The same without asking whether the prompts exist: where nothing is said aloud.
    ///
    /// # Errors
    /// As [`Rulebook::load`].
    pub fn load_unheard(dir: &Path) -> Result<Arc<Self>, Vec<Diagnostic>> {
        read(dir, None)
    }
}

fn read(dir: &Path, prompts: Option<&PromptIndex>) -> Result<Arc<Rulebook>, Vec<Diagnostic>> {
    let sources = source::read_folder(dir).map_err(|problem| vec![*problem])?;
    let mut problems = Vec::new();
    let written = source::Written::parse(&sources, &mut problems);
    let mut resolver = resolve::Resolver::new(&sources, prompts, problems);
    let book = resolver.rulebook(&written, source::hash(&sources));
    let mut problems = resolver.into_problems();
    if let Some(book) = &book {
        lint::lint(book, &written, &sources, &mut problems);
    }
    problems.sort_by(|a, b| (&a.file, a.span.start).cmp(&(&b.file, b.span.start)));
    problems.dedup();
    match book {
        Some(mut book) if problems.iter().all(|problem| problem.severity == Severity::Warning) => {
            book.warnings = problems;
            Ok(Arc::new(book))
        }
        Some(_) | None => Err(problems),
    }
}
