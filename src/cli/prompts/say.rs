//! `cityline prompts say`: one prompt, read by eye and by ear.

use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode};

use miette::IntoDiagnostic;

use super::catalogue::{Shelf, Voice};
use crate::terms::language::Language;

/// Prints the words, says who speaks them, and plays the recording where `aplay` is installed.
///
/// # Errors
/// Where there is no such language or prompt, or standard output is gone.
pub fn run(dir: &Path, language: &str, name: &str, out: &mut impl Write) -> Result<ExitCode, miette::Report> {
    let language: Language = language.parse().map_err(|error: String| miette::miette!("{error}"))?;
    let shelf = Shelf::read(&dir.join(language.as_str())).map_err(|error| miette::miette!("{error}"))?;
    let Some(prompt) = shelf.manifest.prompts.get(name) else {
        let names: Vec<&str> = shelf.manifest.prompts.keys().map(String::as_str).collect();
        miette::bail!("no prompt `{name}` in {language}; there are: {}", names.join(", "));
    };
    let reviewed = prompt.reviewed_by.as_deref().filter(|_| !prompt.needs_review);
    writeln!(out, "{}", prompt.text.get_ref().trim()).into_diagnostic()?;
    writeln!(out, "  voice: {}; reviewed by: {}", shelf.voice(prompt), reviewed.unwrap_or("nobody yet"))
        .into_diagnostic()?;
    if *shelf.voice(prompt) == Voice::None {
        return Ok(ExitCode::SUCCESS);
    }
    let wav = shelf.wav(name);
    if !wav.exists() {
        writeln!(out, "  no recording yet: cityline prompts build --language {language}").into_diagnostic()?;
        return Ok(ExitCode::FAILURE);
    }
    out.flush().into_diagnostic()?;
    let played = Command::new("aplay").arg("--quiet").arg(&wav).status().is_ok_and(|status| status.success());
    if !played {
        writeln!(out, "  recording: {}", wav.display()).into_diagnostic()?;
    }
    Ok(ExitCode::SUCCESS)
}
