//! The house rules that a machine can hold: who imports whom, how long a file and a function may be, what a
//! file must begin with, and what must never be written. Each message says how to mend.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

#[path = "tidy/functions.rs"]
mod functions;
#[path = "tidy/imports.rs"]
mod imports;
#[path = "tidy/words.rs"]
mod words;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The wall for a file, in lines.
const FILE_LINES_MAX: usize = 500;

/// Files that may be longer, each with its reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// A file of the tree.
struct Source {
    /// Its path from the root, with `/`.
    path: String,
    /// Its text.
    text: String,
}

/// Something to mend.
struct Finding {
    path: String,
    line: usize,
    message: String,
}

#[test]
fn files_stay_short_enough_to_read() {
    let mut findings = Vec::new();
    for source in rust_files() {
        let lines = source.text.lines().count();
        let excused = LONG_FILES.iter().any(|(path, _)| *path == source.path);
        if lines > FILE_LINES_MAX && !excused {
            findings.push(source.finding(
                FILE_LINES_MAX + 1,
                format!(
                    "{lines} lines, and the wall is {FILE_LINES_MAX}: split it where its story has a chapter \
                     (name.rs beside name/part.rs), or name it in LONG_FILES with a reason"
                ),
            ));
        }
        if lines <= FILE_LINES_MAX && excused {
            findings.push(source.finding(1, "is short again: take it out of LONG_FILES".to_owned()));
        }
    }
    assert_tidy(findings);
}

#[test]
fn functions_fit_the_eye() {
    assert_tidy(rust_files().iter().flat_map(functions::findings).collect());
}

#[test]
fn every_file_begins_with_what_it_is_about() {
    let findings = rust_files()
        .iter()
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| source.finding(1, "begin with `//! ` and one sentence on what this file is about".to_owned()))
        .collect();
    assert_tidy(findings);
}

#[test]
fn modules_import_only_what_the_table_allows() {
    assert_tidy(rust_files().iter().flat_map(imports::findings).collect());
}

#[test]
fn every_module_has_its_row_in_the_import_table() {
    let mut findings = Vec::new();
    for entry in std::fs::read_dir(root().join("src")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.trim_end_matches(".rs");
        if !["main", "lib"].contains(&module) && !imports::knows(module) {
            findings.push(Finding {
                path: format!("src/{name}"),
                line: 1,
                message: "has no row in tests/tidy/imports.rs: say there what it may import".to_owned(),
            });
        }
    }
    assert_tidy(findings);
}

#[test]
fn nothing_is_left_for_later() {
    let sources = files(&["src", "tests", "benches", "fuzz", "routing-rules", "deploy", "docs"], &TEXT);
    assert_tidy(sources.iter().flat_map(words::unfinished).collect());
}

#[test]
fn no_file_names_a_machine_or_a_registry() {
    let sources = files(&["."], &TEXT);
    assert_tidy(sources.iter().flat_map(words::places).collect());
}

#[test]
fn nothing_here_can_dial_a_real_number_or_host() {
    // The rule's own examples of what is not allowed stand in tests/tidy.
    let sources = files(&["routing-rules", "deploy", "tests"], &TEXT);
    let sources = sources.iter().filter(|source| !source.path.starts_with("tests/tidy/"));
    assert_tidy(sources.flat_map(words::dial_targets).collect());
}

#[test]
fn the_licences_stand_at_the_root() {
    for (file, words) in [("LICENSE-APACHE", "Apache License"), ("LICENSE-MIT", "MIT License")] {
        let text = std::fs::read_to_string(root().join(file)).unwrap_or_default();
        assert!(text.contains(words), "{file} is missing or is another text");
    }
}

#[test]
fn every_command_the_readme_names_exists() {
    let dev = std::fs::read_to_string(root().join("dev")).unwrap();
    let verbs = std::fs::read_dir(root().join("src/cli")).unwrap();
    let verbs: Vec<String> = verbs.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let mut findings = Vec::new();
    for source in files(&["."], &["md"]) {
        findings.extend(words::commands(&source, &dev, &verbs));
    }
    assert_tidy(findings);
}

/// Endings of the files that people read.
const TEXT: [&str; 9] = ["rs", "toml", "md", "sh", "xml", "yml", "json", "ts", "sql"];

/// Fails with every finding, one a line, as `path:line: message`.
fn assert_tidy(findings: Vec<Finding>) {
    let mut text = String::new();
    for Finding { path, line, message } in &findings {
        writeln!(text, "  {path}:{line}: {message}").unwrap();
    }
    assert!(findings.is_empty(), "{} to mend:\n{text}", findings.len());
}

/// Every Rust file that we wrote.
fn rust_files() -> Vec<Source> {
    files(&["src", "tests", "benches", "fuzz"], &["rs"])
}

/// The files under `folders` with one of the `endings`, without what was built or fetched, sorted by path.
fn files(folders: &[&str], endings: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    for folder in folders {
        walk(&root().join(folder), endings, &mut found);
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn walk(folder: &Path, endings: &[&str], found: &mut Vec<Source>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let skipped = name.starts_with('.') || ["target", "var", "node_modules", "seeds"].contains(&name);
        if skipped || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            walk(&path, endings, found);
        } else if is_text(&path, endings)
            && let Ok(text) = std::fs::read_to_string(&path)
        {
            let path = path.strip_prefix(root()).unwrap_or(&path).to_string_lossy().replace("./", "");
            found.push(Source { path, text });
        }
    }
}

fn is_text(path: &Path, endings: &[&str]) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| endings.contains(&ending))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

impl Source {
    fn finding(&self, line: usize, message: String) -> Finding {
        Finding { path: self.path.clone(), line, message }
    }

    /// Its lines, numbered from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}
