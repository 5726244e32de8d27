//! What must never be written: work left for later, a machine's own paths, a registry's host, a number or a
//! host that could be dialled for real, a command that does not exist.

use super::{Finding, Source};

/// Marks of unfinished work. Written in two parts, so that this file does not find itself.
const UNFINISHED: &[(&str, &str)] =
    &[("TO", "DO"), ("FIX", "ME"), ("XX", "X"), ("todo", "!("), ("unimplemented", "!(")];

/// Paths that exist on one machine only, and hosts that packages come from.
const PLACES: &[(&str, &str)] = &[
    ("/wo", "rk/"),
    ("/ho", "me/"),
    ("/ro", "ot/"),
    ("/Use", "rs/"),
    ("crates", ".io/api"),
    ("index.crates", ".io"),
    ("static.crates", ".io"),
    ("deb.debian", ".org"),
    ("registry.npmjs", ".org"),
    ("pypi", ".org"),
];

/// Marks of unfinished work in `source`.
pub(super) fn unfinished(source: &Source) -> Vec<Finding> {
    find(source, UNFINISHED, "finish it, or open an issue and take the mark out")
}

/// Machine paths and registry hosts in `source`.
pub(super) fn places(source: &Source) -> Vec<Finding> {
    find(source, PLACES, "works on one machine only: use a path from the root, or the package's name")
}

fn find(source: &Source, words: &[(&str, &str)], mend: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, text) in source.lines() {
        for (head, tail) in words {
            let word = format!("{head}{tail}");
            if contains_word(text, &word) {
                findings.push(source.finding(line, format!("`{word}`: {mend}")));
            }
        }
    }
    findings
}

/// Whether `text` has `word`, not as a part of a longer one (`555-01XX` is no mark).
fn contains_word(text: &str, word: &str) -> bool {
    let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '-');
    text.match_indices(word).any(|(at, _)| {
        let starts = word.starts_with('/') || !joins(text[..at].chars().next_back());
        let ends = !word.ends_with(char::is_alphabetic) || !joins(text[at + word.len()..].chars().next());
        starts && ends
    })
}

/// SIP and telephone targets in `source` that could reach somebody.
pub(super) fn dial_targets(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, text) in source.lines() {
        for target in uris(text) {
            if !is_harmless(&target) {
                findings.push(source.finding(
                    line,
                    format!(
                        "`{target}` could be dialled: use loopback, a name under `.invalid` or `.example`, or a 555-01xx number; a \
                         real number is display text only"
                    ),
                ));
            }
        }
    }
    findings
}

/// The `sip:`, `sips:` and `tel:` URIs of a line, as far as they are literal.
fn uris(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for scheme in ["sip:", "sips:", "tel:"] {
        for (at, _) in text.match_indices(scheme) {
            if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '-' || c == '_') {
                continue;
            }
            let end = text[at..].find(|c: char| c.is_whitespace() || "\"'`<>,)\\".contains(c));
            let uri = &text[at..at + end.unwrap_or(text.len() - at)];
            if uri.len() > scheme.len() {
                found.push(uri.trim_end_matches(['.', ';', '?']).to_owned());
            }
        }
    }
    found
}

fn is_harmless(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else { return true };
    // Filled in when it runs (`[remote_ip]` of SIPp, `{address}` of format!, `…` of prose).
    if rest.contains(['[', '{', '$', '…', '*', '|']) && !rest.contains("[::") {
        return true;
    }
    if scheme == "tel" {
        return is_fictitious(rest);
    }
    let host = rest.rsplit('@').next().unwrap_or_default();
    let host = host.split([';', '?', '/']).next().unwrap_or_default();
    let name = if host.starts_with("[::1]") { "::1" } else { host.split(':').next().unwrap_or_default() };
    name == "localhost"
        || name == "::1"
        || name.starts_with("127.")
        || name == "invalid"
        || name.ends_with(".invalid")
        || name.ends_with(".example")
        || !name.contains('.') && !name.contains(|c: char| c.is_ascii_digit()) && !rest.contains('@')
}

/// Whether a number is one of 555-0100 to 555-0199, which nobody has.
fn is_fictitious(number: &str) -> bool {
    let digits: String = number.split(';').next().unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
    digits.len() >= 7 && digits[digits.len() - 7..].starts_with("55501")
}

/// `./dev VERB` and `cityline VERB` that a page names and that do not exist.
pub(super) fn commands(source: &Source, dev: &str, verbs: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, text) in source.lines() {
        for verb in words_after(text, "./dev ") {
            if !dev.contains(&format!("\n./dev {verb}")) {
                findings.push(source.finding(line, format!("`./dev {verb}` does not exist")));
            }
        }
        let shell = text.trim_start().starts_with("cityline ")
            || ["`cityline ", "/cityline "].iter().any(|lead| text.contains(lead));
        for verb in words_after(text, "cityline ").into_iter().filter(|_| shell) {
            if !verbs.iter().any(|file| file.trim_end_matches(".rs") == verb) {
                findings.push(source.finding(line, format!("`cityline {verb}` does not exist")));
            }
        }
    }
    findings
}

/// The lower-case words that follow `lead` where it stands at the start of a line or in back-quotes.
fn words_after<'a>(text: &'a str, lead: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices(lead) {
        let begins = text[..at].trim().is_empty()
            || ["`", "$ ", "target/release/"].iter().any(|lead| text[..at].ends_with(lead));
        let word = text[at + lead.len()..].split(|c: char| !c.is_ascii_lowercase()).next().unwrap_or_default();
        if begins && !word.is_empty() {
            found.push(word);
        }
    }
    found
}

#[test]
fn targets_that_reach_nobody_are_told_from_those_that_could() {
    for harmless in [
        "sip:311@127.0.0.1:5060",
        "sip:311@[::1]:5060;transport=tcp",
        "sip:desk@pbot.example.invalid",
        "tel:+15035550123",
        "sip:[service]@[remote_ip]",
    ] {
        assert!(is_harmless(harmless), "{harmless}");
    }
    for real in ["sip:a@example.com", "tel:+15038234000", "sip:311@192.0.2.1", "sips:x@sip.carrier.net:5061"] {
        assert!(!is_harmless(real), "{real}");
    }
}

#[test]
fn marks_are_words_and_not_parts_of_them() {
    let mark = concat!("XX", "X");
    assert!(contains_word(&format!("// {mark}: later"), mark));
    assert!(!contains_word(&format!("503-555-01{mark}"), mark) && !contains_word(&format!("a{mark}b"), mark));
}

#[test]
fn commands_are_found_where_they_are_code() {
    let page = Source { path: "README.md".to_owned(), text: "run `./dev fly` or\n./dev run\n".to_owned() };
    let found = commands(&page, "\n./dev run [ARGS]", &[]);
    assert_eq!(found.len(), 1, "{}", found[0].message);
}
