//! Who may import whom. Every module may import `terms` besides.

use super::{Finding, Source};

/// A module, and what it may import of ours. An entry with `::` opens that part alone.
const TABLE: &[(&str, &[&str])] = &[
    ("terms", &[]),
    ("routing", &[]),
    ("queue", &[]),
    ("sip", &[]),
    ("media", &[]),
    ("store", &[]),
    ("report", &[]),
    ("call", &[]),
    ("line", &["call", "sip", "media"]),
    ("flow", &["call", "queue", "routing"]),
    ("sim", &["call", "flow", "queue", "routing", "store::memory"]),
    ("web", &["call::live", "queue", "routing", "report", "store"]),
    // Of everyone, what settings are made of and no machinery: see `SETTINGS`.
    ("config", &["routing", "queue", "sip", "media", "store", "report", "call", "line", "flow", "web"]),
    ("cli", EVERYONE),
    ("main", EVERYONE),
    ("lib", EVERYONE),
];

const EVERYONE: &[&str] =
    &["routing", "queue", "sip", "media", "store", "report", "call", "line", "flow", "sim", "web", "config", "cli"];

/// The types that settings are made of, besides those whose name ends in `Settings`.
const SETTINGS: &[&str] = &[
    "routing::route::TrunkKind",
    "sip::agent::Limits",
    "sip::agent::SessionTimes",
    "sip::agent::Strangers",
    "sip::agent::Transport",
    "sip::trunk::Network",
    "sip::trunk::Trunk",
];

/// Whether `module` has a row.
pub(super) fn knows(module: &str) -> bool {
    TABLE.iter().any(|(name, _)| *name == module)
}

/// The imports of `source` that the table does not allow.
pub(super) fn findings(source: &Source) -> Vec<Finding> {
    let Some(module) = module_of(&source.path) else { return Vec::new() };
    let allowed = TABLE.iter().find(|(name, _)| *name == module).map_or(EVERYONE, |(_, allowed)| allowed);
    let mut findings = Vec::new();
    for (line, path) in paths(&source.text) {
        let target = path.split("::").next().unwrap_or_default();
        if target == module || target == "terms" || !knows(target) {
            continue;
        }
        if !allowed.iter().any(|open| covers(open, &path)) {
            findings.push(source.finding(
                line,
                format!(
                    "`{module}` may not import `{path}` (tests/tidy/imports.rs): move the shared word to `terms`, or \
                     put the port on the side that needs it and let `cli` join the two"
                ),
            ));
        } else if module == "config" && !takes_settings_only(&path) {
            findings.push(
                source
                    .finding(line, format!("`config` takes the `Settings` type of a module and no more, not `{path}`")),
            );
        }
    }
    findings
}

/// The module a file belongs to, where it is one of `src/`.
fn module_of(path: &str) -> Option<&str> {
    path.strip_prefix("src/")?.split('/').next().map(|name| name.trim_end_matches(".rs"))
}

fn covers(open: &str, path: &str) -> bool {
    path == open || path.strip_prefix(open).is_some_and(|rest| rest.starts_with("::"))
}

fn takes_settings_only(path: &str) -> bool {
    path.ends_with("Settings") || SETTINGS.iter().any(|word| covers(word, path))
}

/// Every path into our own crate, with its line: `use crate::a::{b, c::d};` gives `a::b` and `a::c::d`.
fn paths(text: &str) -> Vec<(usize, String)> {
    let code = without_comments(text);
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let part_of_a_word = code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$');
        if part_of_a_word {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        expand("", &code[at + "crate::".len()..], &mut |path| found.push((line, path)));
    }
    found
}

/// Walks one use-tree at the head of `text`, reports its leaves, returns what is left of the text.
fn expand<'a>(prefix: &str, text: &'a str, leaf: &mut impl FnMut(String)) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = rest.trim_start();
            match rest.chars().next() {
                Some(',') => rest = &rest[1..],
                Some('}') => return &rest[1..],
                None => return rest,
                Some(_) => {
                    let before = rest.len();
                    rest = expand(prefix, rest, leaf);
                    if rest.len() == before {
                        return rest;
                    }
                }
            }
        }
    }
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}::{name}") };
    match rest.strip_prefix("::") {
        Some(deeper) if deeper.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '{') => {
            expand(&path, deeper, leaf)
        }
        Some(deeper) => {
            leaf(path);
            deeper.strip_prefix('*').unwrap_or(deeper)
        }
        None => {
            leaf(path);
            let renamed = rest.trim_start().strip_prefix("as ").map(str::trim_start);
            renamed.map_or(rest, |rest| rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_'))
        }
    }
}

/// The text with `//` comments blanked, line for line, so that prose may name any module.
fn without_comments(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

#[test]
fn use_trees_are_read_leaf_by_leaf() {
    let text =
        "use crate::terms::{ids::CallId, cause::*};\nfn f() { crate::sip::gate::Gate::new() }\n// crate::media\n";
    let found: Vec<String> = paths(text).into_iter().map(|(line, path)| format!("{line} {path}")).collect();
    assert_eq!(found, ["1 terms::ids::CallId", "1 terms::cause", "2 sip::gate::Gate::new"]);
}

#[test]
fn a_forbidden_import_is_found_and_an_allowed_one_is_not() {
    let file = |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
    assert_eq!(findings(&file("src/sip/agent.rs", "use crate::media::Engine;\n")).len(), 1);
    assert_eq!(findings(&file("src/line/phone.rs", "use crate::media::Engine;\n")).len(), 0);
    assert_eq!(findings(&file("src/sim/day.rs", "use crate::store::{memory::Memory, sqlite::Sqlite};\n")).len(), 1);
    assert_eq!(findings(&file("src/config/file.rs", "use crate::sip::stack::{Settings, Stack};\n")).len(), 1);
}
