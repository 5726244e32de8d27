//! What is wrong with the prompts: the language × prompt matrix, every fault at once, each with its file and line.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::audio::{self, LEVEL_DBFS, LEVEL_TOLERANCE_DB, PEAK_DBFS, RATE_HZ};
use super::catalogue::{self, Prompt, Shelf, Voice};
use crate::terms::diagnostic::{Diagnostic, Severity};

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
    pub findings: Vec<Diagnostic>,
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
            Err(fault) => report.findings.push(*fault),
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
        report.findings.extend(shelf.map(|shelf| {
            shelf
                .fault("gate-too-long", shelf.manifest.prompts.get("gate"))
                .message(format!("the whole language gate lasts {} ms, more than {GATE_MS_MAX} ms", report.gate_ms))
                .remedy("shorten the `gate` prompts, or raise their `speed`")
        }));
    }
    report.findings.sort_by(|a, b| (&a.file, a.line, &a.message).cmp(&(&b.file, b.line, &b.message)));
    Ok(report)
}

/// One language being checked.
struct Bench<'a> {
    shelf: &'a Shelf,
    findings: &'a mut Vec<Diagnostic>,
    gate_ms: &'a mut u32,
}

impl Bench<'_> {
    fn check(mut self, everywhere: &BTreeMap<&str, &Shelf>) -> Row {
        let shelf = self.shelf;
        self.check_head();
        if shelf.manifest.voice != Voice::None {
            for (name, other) in everywhere.iter().filter(|(name, _)| !shelf.manifest.prompts.contains_key(**name)) {
                let message = format!("no words for `{name}`, which `{}` has", other.manifest.language);
                self.fault("missing-text", None, &message, "add them, or mark the other `only_here = true`");
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
            self.fault("folder-name", None, &message, "name the folder as the language");
        }
        if manifest.voice == Voice::None && manifest.note.is_none() {
            let message = "`voice = \"none\"` and no reason";
            self.fault("silent-language", None, message, "say why nobody speaks it: `note = \"…\"`");
        }
    }

    fn check_words(&mut self, name: &str, prompt: &Prompt) {
        if prompt.text.get_ref().trim().is_empty() {
            self.fault("empty-text", Some(prompt), &format!("`{name}` has no words"), "write them");
        }
        if !prompt.lines_agree() {
            let message = format!("`spoken` of `{name}` has not as many lines as its `text`");
            self.fault("lines-differ", Some(prompt), &message, "give each line of the text its line in `spoken`");
        }
        if !prompt.needs_review && prompt.reviewed_by.is_none() {
            let message = format!("`{name}` is said to be reviewed, but not by whom");
            let remedy = "add `reviewed_by = \"name, date\"`, or `needs_review = true`";
            self.fault("unnamed-reviewer", Some(prompt), &message, remedy);
        }
    }

    /// How long the recording lasts, where there is one that says the words.
    fn check_recording(&mut self, name: &str, prompt: &Prompt) -> Option<u32> {
        let shelf = self.shelf;
        let wav = shelf.wav(name);
        let build = format!("cityline prompts build --language {}", shelf.manifest.language);
        let Some(made) = shelf.built.prompts.get(name).filter(|_| wav.exists()) else {
            self.fault("missing-recording", Some(prompt), &format!("`{name}` has no recording"), &build);
            return None;
        };
        if made.from != shelf.fingerprint(name, prompt) {
            let message = format!("the recording of `{name}` is stale: the words or the voice changed since");
            self.fault("stale-recording", Some(prompt), &message, &build);
            return None;
        }
        if catalogue::fingerprint_of(&wav).as_ref() != Some(&made.wav) {
            let message = format!("the recording of `{name}` was replaced by hand");
            let remedy = format!(
                "put it at {} with `voice = \"person <name>\"`, and build; or build with --force",
                shelf.recording(name).display()
            );
            self.fault("foreign-recording", Some(prompt), &message, &remedy);
        }
        self.check_sound(name, prompt, &wav)
    }

    fn check_sound(&mut self, name: &str, prompt: &Prompt, wav: &Path) -> Option<u32> {
        let at = Some(prompt);
        let force = format!("cityline prompts build --force --language {}", self.shelf.manifest.language);
        let samples = match samples(wav) {
            Ok(samples) => samples,
            Err(reason) => {
                self.fault("bad-recording", at, &format!("`{name}`: {reason}"), &force);
                return None;
            }
        };
        let heard = audio::measure(&samples);
        let (ms, level, peak) = (heard.ms, heard.level_dbfs, heard.peak_dbfs);
        let longest = match name {
            "greeting" => GREETING_MS_MAX,
            "welcome" => WELCOME_MS_MAX,
            _ => PROMPT_MS_MAX,
        };
        if ms > longest {
            let message = format!("`{name}` lasts {ms} ms, more than {longest} ms");
            self.fault("too-long", at, &message, "shorten the words, or raise `speed`");
        }
        // Silence has a level of −∞ and an empty file none at all: neither is within anything.
        let levelled = (level - LEVEL_DBFS).abs() <= LEVEL_TOLERANCE_DB;
        if !levelled {
            let message = format!("`{name}` is at {level:.1} dBFS, not at {LEVEL_DBFS:.0} ± {LEVEL_TOLERANCE_DB:.0}");
            self.fault("off-level", at, &message, &force);
        }
        if peak > PEAK_DBFS + 0.1 {
            let message = format!("`{name}` peaks at {peak:.1} dBFS, above {PEAK_DBFS:.0}: it clips");
            self.fault("clipping", at, &message, &force);
        }
        if heard.lead_ms.max(heard.tail_ms) > SILENCE_MS_MAX {
            let message =
                format!("`{name}` begins with {} ms of silence and ends with {} ms", heard.lead_ms, heard.tail_ms);
            self.fault("silent-end", at, &message, &force);
        }
        if name == "gate" || name.starts_with("gate.") {
            *self.gate_ms += ms;
        }
        Some(ms)
    }

    /// Recordings that no prompt names.
    fn check_strangers(&mut self) {
        let known: BTreeSet<PathBuf> = self.shelf.manifest.prompts.keys().map(|name| self.shelf.wav(name)).collect();
        let Ok(entries) = std::fs::read_dir(&self.shelf.folder) else { return };
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort();
        for file in files.iter().filter(|file| file.extension().is_some_and(|end| end == "wav")) {
            if !known.contains(file) {
                let stranger = self.shelf.fault("stranger", None).warning();
                let stranger = stranger.message(format!("{} belongs to no prompt", file.display()));
                self.findings.push(stranger.remedy("write its words in the manifest, or remove it"));
            }
        }
    }

    fn fault(&mut self, code: &'static str, at: Option<&Prompt>, message: &str, remedy: &str) {
        self.findings.push(self.shelf.fault(code, at).message(message).remedy(remedy));
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
