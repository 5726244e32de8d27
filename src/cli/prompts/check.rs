//! What is wrong with the prompts: the language × prompt matrix, every fault at once, each with its file and line.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::audio::{self, LEVEL_DBFS, LEVEL_TOLERANCE_DB, PEAK_DBFS, RATE_HZ};
use super::catalogue::{self, Prompt, Shelf, Voice};

/// The emergency notice before anything else: a caller in danger hears it within this (R034).
pub const GREETING_MS_MAX: u32 = 5_000;
/// The welcome in the caller's language.
pub const WELCOME_MS_MAX: u32 = 8_000;
/// All choices of the language gate, one after the other.
pub const GATE_MS_MAX: u32 = 15_000;
/// Nobody listens longer than this to one prompt.
pub const PROMPT_MS_MAX: u32 = 45_000;
/// Silence at either end beyond this is heard as a line gone dead.
const SILENCE_MS_MAX: u32 = 400;

/// What was found, and the matrix it was found in.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Every fault, in order of file and line.
    pub findings: Vec<Finding>,
    /// One row a language.
    pub languages: Vec<Row>,
    /// How long the whole language gate lasts, in milliseconds.
    pub gate_ms: u32,
}

/// One language of the matrix.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Its code.
    pub language: String,
    /// What its speakers call it.
    pub name: String,
    /// How many prompts have words.
    pub texts: usize,
    /// How many prompts have a recording that says those words.
    pub recordings: usize,
    /// How many wait for a native speaker.
    pub needs_review: usize,
    /// How long all recordings last together, in milliseconds.
    pub total_ms: u64,
}

/// One fault.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The manifest it is to be mended in.
    pub file: PathBuf,
    /// The line there, from 1.
    pub line: usize,
    /// Whether a caller would notice.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub remedy: String,
}

/// How bad a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A caller would notice; the check fails.
    Error,
    /// Worth knowing.
    Warning,
}

impl Report {
    /// True where no fault is an error.
    pub fn is_well(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity != Severity::Error)
    }
}

/// Checks every language under `dir`.
///
/// # Errors
/// Where there is no catalogue at all.
pub fn check(dir: &Path) -> Result<Report, String> {
    let mut report = Report::default();
    let mut shelves = Vec::new();
    for read in catalogue::read(dir)? {
        match read {
            Ok(shelf) => shelves.push(shelf),
            Err(error) => report.findings.push(Finding {
                remedy: "mend that line; nothing else of this language was looked at".to_owned(),
                file: error.file,
                line: error.line,
                severity: Severity::Error,
                message: error.message,
            }),
        }
    }
    let everywhere: BTreeMap<&str, &Shelf> = shelves
        .iter()
        .rev()
        .flat_map(|shelf| shelf.manifest.prompts.iter().map(move |(name, prompt)| (name, prompt, shelf)))
        .filter(|(_, prompt, _)| !prompt.only_here)
        .map(|(name, _, shelf)| (name.as_str(), shelf))
        .collect();
    for shelf in &shelves {
        let row = Bench { shelf, findings: &mut report.findings, gate_ms: &mut report.gate_ms }.check(&everywhere);
        report.languages.push(row);
    }
    if report.gate_ms > GATE_MS_MAX {
        let shelf = shelves.iter().find(|shelf| shelf.manifest.prompts.contains_key("gate"));
        report.findings.extend(shelf.map(|shelf| Finding {
            file: shelf.manifest_file(),
            line: shelf.manifest.prompts.get("gate").map_or(1, |prompt| shelf.line(prompt)),
            severity: Severity::Error,
            message: format!("the whole language gate lasts {} ms, more than {GATE_MS_MAX} ms", report.gate_ms),
            remedy: "shorten the `gate` prompts, or raise their `speed`".to_owned(),
        }));
    }
    report.findings.sort();
    Ok(report)
}

/// One language being checked.
struct Bench<'a> {
    shelf: &'a Shelf,
    findings: &'a mut Vec<Finding>,
    gate_ms: &'a mut u32,
}

impl Bench<'_> {
    fn check(mut self, everywhere: &BTreeMap<&str, &Shelf>) -> Row {
        let shelf = self.shelf;
        self.check_head();
        if shelf.manifest.voice != Voice::None {
            for (name, other) in everywhere.iter().filter(|(name, _)| !shelf.manifest.prompts.contains_key(**name)) {
                let message = format!("no words for `{name}`, which `{}` has", other.manifest.language);
                self.error(1, message, "add them, or mark the other `only_here = true`".to_owned());
            }
        }
        let mut row = Row {
            language: shelf.manifest.language.to_string(),
            name: shelf.manifest.name.clone(),
            texts: shelf.manifest.prompts.len(),
            recordings: 0,
            needs_review: 0,
            total_ms: 0,
        };
        for (name, prompt) in &shelf.manifest.prompts {
            row.needs_review += usize::from(prompt.needs_review);
            self.check_words(name, prompt);
            if *shelf.voice(prompt) != Voice::None
                && let Some(ms) = self.check_recording(name, prompt)
            {
                row.recordings += 1;
                row.total_ms += u64::from(ms);
            }
        }
        self.check_strangers();
        row
    }

    fn check_head(&mut self) {
        let manifest = &self.shelf.manifest;
        let code = manifest.language.as_str();
        if self.shelf.folder.file_name().is_none_or(|folder| folder != code) {
            let message = format!("`language = \"{code}\"` in the folder {}", self.shelf.folder.display());
            self.error(1, message, "name the folder as the language".to_owned());
        }
        if manifest.voice == Voice::None && manifest.note.is_none() {
            let message = "`voice = \"none\"` and no reason".to_owned();
            self.error(1, message, "say why nobody speaks it: `note = \"…\"`".to_owned());
        }
    }

    fn check_words(&mut self, name: &str, prompt: &Prompt) {
        let line = self.shelf.line(prompt);
        if prompt.text.get_ref().trim().is_empty() {
            self.error(line, format!("`{name}` has no words"), "write them".to_owned());
        }
        if !prompt.lines_agree() {
            let message = format!("`spoken` of `{name}` has not as many lines as its `text`");
            self.error(line, message, "each line of the text needs its own line in `spoken`".to_owned());
        }
        if !prompt.needs_review && prompt.reviewed_by.is_none() {
            let message = format!("`{name}` is said to be reviewed, but not by whom");
            self.error(line, message, "add `reviewed_by = \"name, date\"`, or `needs_review = true`".to_owned());
        }
    }

    /// How long the recording lasts, where there is one that says the words.
    fn check_recording(&mut self, name: &str, prompt: &Prompt) -> Option<u32> {
        let (shelf, line) = (self.shelf, self.shelf.line(prompt));
        let wav = shelf.wav(name);
        let build = || format!("cityline prompts build --language {}", shelf.manifest.language);
        let Some(made) = shelf.built.prompts.get(name).filter(|_| wav.exists()) else {
            self.error(line, format!("`{name}` has no recording"), build());
            return None;
        };
        if made.from != shelf.fingerprint(name, prompt) {
            let message = format!("the recording of `{name}` is stale: the words or the voice changed since");
            self.error(line, message, build());
            return None;
        }
        if catalogue::fingerprint_of(&wav).as_ref() != Some(&made.wav) {
            let message = format!("the recording of `{name}` was replaced by hand");
            let remedy = format!(
                "put it at {} with `voice = \"person <name>\"`, and build; or build with --force",
                shelf.recording(name).display()
            );
            self.error(line, message, remedy);
        }
        self.check_sound(name, line, &wav)
    }

    fn check_sound(&mut self, name: &str, line: usize, wav: &Path) -> Option<u32> {
        let force = format!("cityline prompts build --force --language {}", self.shelf.manifest.language);
        let samples = match samples(wav) {
            Ok(samples) => samples,
            Err(message) => {
                self.error(line, format!("`{name}`: {message}"), force);
                return None;
            }
        };
        let heard = audio::measure(&samples);
        let longest = match name {
            "greeting" => GREETING_MS_MAX,
            "welcome" => WELCOME_MS_MAX,
            _ => PROMPT_MS_MAX,
        };
        if heard.ms > longest {
            let message = format!("`{name}` lasts {} ms, more than {longest} ms", heard.ms);
            self.error(line, message, "shorten the words, or raise `speed`".to_owned());
        }
        if !((heard.level_dbfs - LEVEL_DBFS).abs() <= LEVEL_TOLERANCE_DB) {
            let message = format!(
                "`{name}` is at {:.1} dBFS, not at {LEVEL_DBFS:.0} ± {LEVEL_TOLERANCE_DB:.0}",
                heard.level_dbfs
            );
            self.error(line, message, force.clone());
        }
        if heard.peak_dbfs > PEAK_DBFS + 0.1 {
            let message = format!("`{name}` peaks at {:.1} dBFS, above {PEAK_DBFS:.0}: it clips", heard.peak_dbfs);
            self.error(line, message, force.clone());
        }
        if heard.lead_ms.max(heard.tail_ms) > SILENCE_MS_MAX {
            let message =
                format!("`{name}` begins with {} ms of silence and ends with {} ms", heard.lead_ms, heard.tail_ms);
            self.error(line, message, force);
        }
        if name == "gate" || name.starts_with("gate.") {
            *self.gate_ms += heard.ms;
        }
        Some(heard.ms)
    }

    /// Recordings that no prompt names.
    fn check_strangers(&mut self) {
        let known: BTreeSet<PathBuf> = self.shelf.manifest.prompts.keys().map(|name| self.shelf.wav(name)).collect();
        let Ok(entries) = std::fs::read_dir(&self.shelf.folder) else { return };
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort();
        for file in
            files.iter().filter(|file| file.extension().is_some_and(|end| end == "wav") && !known.contains(*file))
        {
            let message = format!("{} belongs to no prompt", file.display());
            let remedy = "write its words in the manifest, or remove it".to_owned();
            self.find(Severity::Warning, 1, message, remedy);
        }
    }

    fn error(&mut self, line: usize, message: String, remedy: String) {
        self.find(Severity::Error, line, message, remedy);
    }

    fn find(&mut self, severity: Severity, line: usize, message: String, remedy: String) {
        self.findings.push(Finding { file: self.shelf.manifest_file(), line, severity, message, remedy });
    }
}

/// The samples of a finished prompt; refused where it is not what a telephone carries.
fn samples(wav: &Path) -> Result<Vec<i16>, String> {
    let mut reader = hound::WavReader::open(wav).map_err(|error| format!("not a readable WAV file: {error}"))?;
    let spec = reader.spec();
    let right = spec.channels == 1
        && spec.sample_rate == RATE_HZ
        && spec.bits_per_sample == 16
        && spec.sample_format == hound::SampleFormat::Int;
    if !right {
        return Err(format!(
            "{} Hz, {} channels, {} bits; a prompt is {RATE_HZ} Hz, mono, 16 bits",
            spec.sample_rate, spec.channels, spec.bits_per_sample
        ));
    }
    reader.samples::<i16>().collect::<Result<_, _>>().map_err(|error| format!("the WAV file is damaged: {error}"))
}
