//! The prompts themselves, as they are committed, and the making of them with a synthesiser that always says the same.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cityline::cli::prompts::audio;
use cityline::cli::prompts::build::{self, Tally};
use cityline::cli::prompts::catalogue::Shelf;
use cityline::cli::prompts::check::{self, Report};
use cityline::cli::prompts::synthesise::Engines;
use cityline::terms::diagnostic::Severity;
use indicatif::ProgressBar;

fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("prompts")
}

fn messages(report: &Report) -> Vec<String> {
    report.findings.iter().map(|found| format!("{found}")).collect()
}

#[test]
fn every_committed_prompt_is_there_fresh_levelled_and_within_its_limits() {
    let report = check::check(&committed()).unwrap();
    assert_eq!(messages(&report), Vec::<String>::new());
    assert!(report.gate_ms > 5_000 && report.gate_ms <= check::GATE_MS_MAX);
    let spoken: Vec<&str> =
        report.languages.iter().filter(|row| row.recordings > 0).map(|row| row.language.as_str()).collect();
    assert_eq!(spoken, ["cmn", "en", "es", "ru", "uk", "vi", "yue"]);
}

#[test]
fn nobody_is_told_that_a_machine_translation_was_reviewed() {
    for row in check::check(&committed()).unwrap().languages {
        assert!(row.needs_review <= row.texts);
        let shelf = Shelf::read(&committed().join(&row.language)).unwrap();
        for (name, prompt) in &shelf.manifest.prompts {
            assert!(prompt.needs_review || prompt.reviewed_by.is_some(), "{} {name}", row.language);
        }
    }
}

#[test]
fn the_emergency_number_is_spoken_in_every_greeting() {
    let digits =
        [("en", "nine one one"), ("es", "nueve uno uno"), ("vi", "chín một một"), ("yue", "九一一"), ("cmn", "九一一")];
    let more = [("ru", "девять один один"), ("uk", "дев’ять один один"), ("so", "sagaal kow kow")];
    for (language, number) in digits.into_iter().chain(more) {
        let shelf = Shelf::read(&committed().join(language)).unwrap();
        for name in ["greeting", "welcome"] {
            let text = shelf.manifest.prompts[name].text.get_ref();
            assert!(text.contains(number), "{language} {name}: {text}");
        }
    }
}

/// A catalogue of one prompt in one language, and a synthesiser that says a tone whatever it is asked.
struct Workshop {
    folder: tempfile::TempDir,
}

impl Workshop {
    fn new(prompts: &str) -> Self {
        let workshop = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(workshop.language()).unwrap();
        workshop.write(prompts);
        let tone: Vec<i16> = (0..8_000)
            .map(|n| (9_000.0 * (f64::from(n) * 0.45).sin() * f64::from(n % 2_000) / 2_000.0) as i16)
            .collect();
        audio::write(&workshop.path("tone.wav"), &tone).unwrap();
        workshop.script("espeak-ng", "-w");
        workshop.script("flite", "-o");
        workshop
    }

    fn write(&self, prompts: &str) {
        let head = "language = \"xx\"\nname = \"Test\"\ntext_code = \"xx\"\nvoice = \"espeak-ng xx\"\n";
        std::fs::write(self.language().join("manifest.toml"), format!("{head}{prompts}")).unwrap();
    }

    /// A program that copies the tone to the file named after `flag`.
    fn script(&self, name: &str, flag: &str) {
        let tone = self.path("tone.wav");
        let text = format!(
            "#!/bin/sh\nwhile [ $# -gt 0 ]; do\n  if [ \"$1\" = {flag} ]; then cp '{}' \"$2\"; fi\n  shift\ndone\n",
            tone.display()
        );
        std::fs::write(self.path(name), text).unwrap();
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn build(&self, force: bool) -> Tally {
        self.build_with(self.path("espeak-ng"), force)
    }

    fn build_with(&self, espeak_ng: PathBuf, force: bool) -> Tally {
        let engines = Engines { espeak_ng, flite: self.path("flite") };
        let mut shelf = Shelf::read(&self.language()).unwrap();
        let mut tally = Tally::default();
        build::build(&mut shelf, &engines, force, &mut tally, &ProgressBar::hidden());
        tally
    }

    fn check(&self) -> Vec<String> {
        let report = check::check(self.folder.path()).unwrap();
        assert_eq!(report.is_well(), report.findings.iter().all(|found| found.severity == Severity::Warning));
        report.findings.into_iter().map(|found| format!("{}: {}", found.line, found.message)).collect()
    }

    fn language(&self) -> PathBuf {
        self.path("xx")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

const ONE: &str = "[prompts.hold]\ntext = \"Please hold.\"\nneeds_review = true\n";

#[test]
fn a_build_makes_the_same_file_every_time_and_only_what_is_missing_or_stale() {
    let workshop = Workshop::new(ONE);
    assert_eq!(workshop.check(), ["6: `hold` has no recording"]);
    assert_eq!((workshop.build(false).made, workshop.build(false).kept), (1, 1));
    assert_eq!(workshop.check(), Vec::<String>::new());

    let first = std::fs::read(workshop.language().join("hold.wav")).unwrap();
    assert_eq!(workshop.build(true).made, 1);
    assert_eq!(std::fs::read(workshop.language().join("hold.wav")).unwrap(), first);

    workshop.write(&ONE.replace("Please hold", "Hold, please"));
    assert_eq!(workshop.check(), ["6: the recording of `hold` is stale: the words or the voice changed since"]);
    assert_eq!(workshop.build(false).made, 1);
    assert_eq!(workshop.check(), Vec::<String>::new());
    let left: Vec<_> =
        std::fs::read_dir(workshop.language()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "no scratch is left behind: {left:?}");
}

#[test]
fn a_synthesiser_that_is_not_installed_is_named_with_its_debian_package() {
    let workshop = Workshop::new(ONE);
    let tally = workshop.build_with("/nowhere/espeak-ng".into(), false);
    assert_eq!(tally.failures.len(), 1);
    assert!(tally.failures[0].contains("manifest.toml:6: `hold`"), "{:?}", tally.failures);
    assert!(tally.failures[0].contains("apt-get install espeak-ng"), "{:?}", tally.failures);
}

#[test]
fn a_recording_replaced_by_hand_is_noticed() {
    let workshop = Workshop::new(ONE);
    workshop.build(false);
    audio::write(&workshop.language().join("hold.wav"), &[900; 8_000]).unwrap();
    let found = workshop.check();
    assert!(found.iter().any(|message| message.contains("replaced by hand")), "{found:?}");
    assert!(found.iter().any(|message| message.contains("dBFS")), "too faint as well: {found:?}");
}

#[test]
fn a_person_takes_over_from_the_synthesiser() {
    let workshop = Workshop::new(&format!("{ONE}voice = \"person Ana Ruiz\"\n"));
    assert!(workshop.build(false).failures[0].contains("recordings/hold.wav"));
    std::fs::create_dir(workshop.language().join("recordings")).unwrap();
    std::fs::copy(workshop.path("tone.wav"), workshop.language().join("recordings/hold.wav")).unwrap();
    assert_eq!(workshop.build(false).made, 1);
    assert_eq!(workshop.check(), Vec::<String>::new());

    // A new recording of the same words is taken up too.
    audio::write(&workshop.language().join("recordings/hold.wav"), &[900, 900, -900, -900].repeat(4_000)).unwrap();
    assert_eq!(workshop.build(false).made, 1);
}

#[test]
fn all_faults_are_found_at_once() {
    let workshop = Workshop::new(&format!(
        "{ONE}[prompts.greeting]\ntext = \"\"\nneeds_review = false\n\
         [prompts.retry]\ntext = \"One.\\nTwo.\"\nspoken = \"One.\"\nneeds_review = true\n"
    ));
    workshop.build(false);
    std::fs::write(workshop.language().join("stranger.wav"), "").unwrap();
    let found = workshop.check();
    let expected = [
        "1: ",
        "9: `greeting` has no recording",
        "9: `greeting` has no words",
        "9: `greeting` is said to be reviewed, but not by whom",
        "12: `spoken` of `retry` has not as many lines as its `text`",
    ];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}");
    }
}

#[test]
fn a_prompt_that_one_language_lacks_is_missed_unless_it_is_only_here() {
    let workshop = Workshop::new(ONE);
    workshop.build(false);
    let other = workshop.path("yy");
    std::fs::create_dir(&other).unwrap();
    let head = "language = \"yy\"\nname = \"Other\"\ntext_code = \"yy\"\nvoice = \"flite yy\"\n";
    std::fs::write(
        other.join("manifest.toml"),
        format!("{head}[prompts.desk]\ntext = \"Desk.\"\nneeds_review = true\nonly_here = true\n"),
    )
    .unwrap();
    let found = workshop.check();
    assert_eq!(found, ["1: no words for `hold`, which `xx` has", "6: `desk` has no recording"]);
}
