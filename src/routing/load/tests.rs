//! The loader, on Portland's rules and on broken ones.

use std::path::Path;

use super::*;

#[test]
fn portland_loads_without_a_word() {
    let book = Rulebook::load_unheard(Path::new("routing-rules")).unwrap_or_else(|problems| {
        panic!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    });
    assert_eq!(book.warnings(), []);
    assert_eq!((book.lines.len(), book.topics.len(), book.languages.len()), (32, 101, 9));
    for alias in ["311", "9311", "+15038234000", "5038234000", "8234000"] {
        assert_eq!(book.entry(alias).map(|entry| entry.id.as_ref()), Some("main"), "{alias}");
    }
    assert!(book.entry("911").is_none() && book.entry("8234001").is_none());
}

/// Portland's rules with some files changed, in a folder of their own.
fn edited(edits: &[(&str, &str, &str)]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir("routing-rules").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            std::fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    for (file, from, to) in edits {
        let path = dir.path().join(file);
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(text.contains(from), "{file} has no {from:?}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
    }
    let problems = Rulebook::load_unheard(dir.path()).err().unwrap_or_default();
    problems.iter().map(|problem| told(problem, dir.path())).collect()
}

/// A problem as `file:line:col code: message | remedy`.
fn told(problem: &Diagnostic, dir: &Path) -> String {
    let file = problem.file.strip_prefix(&*dir.to_string_lossy()).unwrap_or(&problem.file).trim_start_matches('/');
    let (line, col, code) = (problem.line, problem.col, problem.code);
    format!("{file}:{line}:{col} {code}: {} | {}", problem.message, problem.remedy.as_deref().unwrap_or("-"))
}

fn line_of(file: &str, text: &str) -> (usize, usize) {
    let all = std::fs::read_to_string(Path::new("routing-rules").join(file)).unwrap();
    let line = all.lines().position(|line| line.contains(text)).unwrap_or_else(|| panic!("{text}"));
    let col = all.lines().nth(line).unwrap().split(text).next().unwrap().chars().count();
    (line + 1, col + 1)
}

/// Each mistake an administrator may make: what it is changed to, where it is told (the text that stands at
/// the column), what kind it is and what is said.
#[test]
fn every_mistake_is_told_where_it_is_and_how_to_mend_it() {
    let cases = [
        ("rules.toml", "priority = 1000\n", "prioritty = 1000\n", "unknown-key", "did you mean `priority`?"),
        ("rules.toml", "\"pbot_maint\", say", "\"pbot_maintt\", say", "unknown-name", "did you mean `pbot_maint`?"),
        ("rules.toml", "[\"urgent.tree\"]", "[\"urgent.treee\"]", "unknown-name", "did you mean `urgent.tree`?"),
        (
            "rules.toml",
            "closed = \"pdx311_plan\"",
            "closed = \"pdx311plan\"",
            "unknown-name",
            "did you mean `pdx311_plan`?",
        ),
        ("rules.toml", "[\"psap\"]", "[\"pasp\"]", "wrong-value", "did you mean `psap`?"),
        ("rules.toml", "[\"street.*\"]", "[\"streets.*\"]", "unknown-name", "write e.g. `street.*`"),
        ("rules.toml", "id = \"lien\"", "id = \"animals\"", "duplicate-id", "give it another name"),
        ("menus.toml", "menu = \"urgent\"", "menu = \"urgnt\"", "unknown-name", "did you mean `urgent`?"),
        ("menus.toml", "{ queue = \"311\" }", "{ queue = \"312\" }", "unknown-name", "did you mean `311`?"),
        ("menus.toml", "{ key = \"5\"", "{ key = \"4\"", "duplicate-key", "give each option its own key"),
        ("menus.toml", "{ key = \"2\"", "{ key = \"X\"", "bad-key", "one of `0`–`9`"),
        ("menus.toml", "action = \"repeat\"", "action = \"repeet\"", "wrong-value", "did you mean `repeat`?"),
        (
            "menus.toml",
            "label = \"A person\", queue = \"311\"",
            "label = \"A person\", menu = \"street\"",
            "no-person",
            "0 is a person",
        ),
        ("hours.toml", "America/Los_Angeles", "America/Los_Angelos", "bad-zone", "did you mean `America/Los_Angeles`?"),
        ("hours.toml", "open = \"08:00\"", "open = \"8:00\"", "bad-time", "08:00"),
        ("hours.toml", "close = \"18:00\"", "close = \"18:60\"", "bad-time", "17:30"),
        ("hours.toml", "days = \"mon-fri\"", "days = \"mo-fr\"", "bad-day", "mon-fri"),
        ("hours.toml", "\"federal\"", "\"fedral\"", "wrong-value", "did you mean `federal`?"),
        ("lines.toml", "sip:psap-emergency@", "tel:psap-emergency@", "bad-target", "sip:"),
        ("lines.toml", "503-823-2525", "823-PLAY", "duplicate-number", "letters are read by the keypad"),
        ("lines.toml", "ring_s = 45", "ring_s = 450", "out-of-range", "30 is usual"),
        ("lines.toml", "outcome = \"to_911\"", "outcome = \"to911\"", "wrong-value", "did you mean `to_911`?"),
        ("numbers.toml", "\"9311\"", "\"8234000\"", "duplicate-number", "keep one of the two"),
        ("numbers.toml", "\"9311\"", "\"911\"", "emergency-number", "take it out"),
        ("numbers.toml", "first_key_s = 5", "first_key_s = 0", "out-of-range", "-"),
        ("languages.toml", "code = \"vi\"", "code = \"VI\"", "bad-language", "lower-case"),
        ("languages.toml", "key = \"2\"", "key = \"1\"", "duplicate-key", "its own key"),
        ("languages.toml", "voice = \"en\"", "voice = \"eng\"", "unknown-name", "did you mean `en`?"),
        ("topics.toml", "class = \"urgent\"", "class = \"urgnet\"", "wrong-value", "did you mean `urgent`?"),
    ];
    for (file, from, to, code, remedy) in cases {
        let problems = edited(&[(file, from, to)]);
        let found = problems.iter().find(|problem| problem.contains(&format!(" {code}: ")));
        let found = found.unwrap_or_else(|| panic!("{to}: {problems:#?}"));
        assert!(found.split('|').nth(1).unwrap().contains(remedy), "{found}");
        let (line, _) = line_of(file, from.trim_end());
        let lines_off =
            if code == "duplicate-key" || code == "duplicate-number" || code == "duplicate-id" { 120 } else { 0 };
        let told_line: usize = found.split(':').nth(1).unwrap().parse().unwrap();
        assert!(told_line >= line && told_line <= line + lines_off, "{found}: not line {line}");
    }
}

#[test]
fn line_and_column_are_exact() {
    let (line, col) = line_of("rules.toml", "priority = 1000");
    let problems = edited(&[("rules.toml", "priority = 1000\n", "prioritty = 1000\n")]);
    assert_eq!(
        problems,
        [format!("rules.toml:{line}:{col} unknown-key: there is no key `prioritty` here | did you mean `priority`?")]
    );
    let (line, col) = line_of("rules.toml", "\"tree_emergency\"");
    let problems = edited(&[("rules.toml", "\"tree_emergency\"", "\"tree_emergincy\"")]);
    assert_eq!(
        problems,
        [format!(
            "rules.toml:{line}:{col} unknown-name: there is no line `tree_emergincy` | did you mean `tree_emergency`?"
        )]
    );
}

#[test]
fn many_mistakes_are_told_at_once() {
    let problems = edited(&[
        ("hours.toml", "America/Los_Angeles", "Mars/Olympus"),
        ("hours.toml", "close = \"18:00\"", "close = \"late\""),
        ("menus.toml", "prompt = \"menu.main\"", "promt = \"menu.main\""),
        ("rules.toml", "priority = 100\n", "prio = 100\nwen = 3\n"),
        ("lines.toml", "ring_s = 45", "ring_s = \"long\""),
        ("topics.toml", "[[topic]]", "[[topik]]"),
    ]);
    let codes: Vec<&str> = problems.iter().map(|problem| problem.split([' ', ':']).nth(3).unwrap()).collect();
    for code in ["bad-zone", "bad-time", "missing-key", "unknown-key", "wrong-value"] {
        assert!(codes.contains(&code), "{code}: {problems:#?}");
    }
    assert!(codes.iter().filter(|code| **code == "unknown-key").count() >= 4, "{problems:#?}");
}

#[test]
fn rules_that_lead_nowhere_or_too_far_are_refused() {
    for (file, from, to, code) in [
        (
            "rules.toml",
            "then = [{ transfer = \"liens\", say = \"howto.lien\" }, { queue = \"311\" }]",
            "then = [{ transfer = \"liens\", say = \"howto.lien\" }]",
            "dead-end",
        ),
        (
            "rules.toml",
            "then = [{ transfer = \"info211\", say = \"howto.social\" }, { queue = \"311\" }]",
            "then = [{ queue = \"311\" }, { transfer = \"info211\" }, { queue = \"311\" }]",
            "never-reached",
        ),
        ("rules.toml", "when = { topic = [\"*\"] }", "when = { topic = [\"*\"], open = \"pdx311_plan\" }", "no-rule"),
        (
            "rules.toml",
            "when = { topic = [\"emergency\"] }",
            "when = { topic = [\"emergency\", \"urgent.*\"] }",
            "emergency-by-pattern",
        ),
        ("menus.toml", "silence = { close = \"queue.closing\" }", "silence = { queue = \"311\" }", "endless-silence"),
        (
            "menus.toml",
            "silence = { queue = \"311\" }",
            "silence = { queue = \"311\", close = \"goodbye\" }",
            "wrong-shape",
        ),
        ("menus.toml", "    { key = \"0\", label = \"A person\", queue = \"311\" },\n", "", "no-person"),
        (
            "hours.toml",
            "always = true\n",
            "always = true\nclosed = [{ date = \"2026-12-25\", because = \"x\" }]\n",
            "emergency-closed",
        ),
        ("hours.toml", "observe = \"observed\"\n", "", "missing-key"),
        ("queues.toml", "[[queue]]", "[queue]", "not-toml"),
        ("numbers.toml", "[pace]", "[paces]", "missing-table"),
    ] {
        let problems = edited(&[(file, from, to)]);
        assert!(problems.iter().any(|problem| problem.contains(&format!(" {code}: "))), "{code}: {problems:#?}");
    }
}

#[test]
fn a_prompt_that_is_missing_in_a_language_is_named() {
    let book = Rulebook::load_unheard(Path::new("routing-rules")).unwrap();
    let mut index = PromptIndex::default();
    let english: crate::terms::language::Language = "en".parse().unwrap();
    index.add(english, "menu.main", 9000);
    let problems = Rulebook::load(Path::new("routing-rules"), &index).unwrap_err();
    let main = problems.iter().find(|problem| problem.message.contains("`menu.main`")).unwrap();
    assert_eq!(main.message, "the prompt `menu.main` is not recorded in es, vi, yue, cmn, ru, uk");
    assert!(problems.iter().any(|problem| problem.message.contains("there is no prompt `menu.urgent`")));
    assert!(problems.iter().any(|problem| problem.message.contains("`so.wait` in en")));
    assert_eq!(book.short_hash().len(), 12);
}

#[test]
fn the_hash_follows_every_byte() {
    let hash = |edit: Option<&str>| {
        let dir = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir("routing-rules").unwrap() {
            let path = entry.unwrap().path();
            let mut text = std::fs::read_to_string(&path).unwrap();
            if path.ends_with("queues.toml") {
                text += edit.unwrap_or_default();
            }
            std::fs::write(dir.path().join(path.file_name().unwrap()), text).unwrap();
        }
        Rulebook::load_unheard(dir.path()).unwrap().hash().to_owned()
    };
    assert_eq!(hash(None), hash(None));
    assert_ne!(hash(None), hash(Some("# a word\n")));
}

/// Nobody's real desk may ring from what is shipped (domain §2).
#[test]
fn no_shipped_target_can_reach_a_real_telephone() {
    let book = Rulebook::load_unheard(Path::new("routing-rules")).unwrap();
    for line in book.lines.iter() {
        for target in &line.targets {
            let host = target.rsplit('@').next().unwrap();
            assert!(host.ends_with(".invalid"), "{}: {target}", line.id);
        }
    }
}

/// A file that was cut off while it was being copied: refused wherever the cut can be seen.
#[test]
fn files_cut_off_anywhere_never_bring_the_loader_down() {
    let dir = tempfile::tempdir().unwrap();
    let names =
        ["hours.toml", "languages.toml", "lines.toml", "menus.toml", "numbers.toml", "queues.toml", "rules.toml"];
    let read = |name: &str| std::fs::read(Path::new("routing-rules").join(name)).unwrap();
    for name in names.into_iter().chain(["topics.toml"]) {
        std::fs::write(dir.path().join(name), read(name)).unwrap();
    }
    let mut refused = 0;
    for name in names {
        let whole = read(name);
        for part in 0..10 {
            std::fs::write(dir.path().join(name), &whole[..whole.len() * part / 10]).unwrap();
            refused += usize::from(Rulebook::load_unheard(dir.path()).is_err());
        }
        std::fs::write(dir.path().join(name), whole).unwrap();
    }
    // A cut between two tables leaves whole tables: that is for the eye, not for the loader.
    assert!((60..70).contains(&refused), "{refused} of 70 refused");
    std::fs::write(dir.path().join("junk.toml"), [0xff, 0xfe, 0x00]).unwrap();
    assert_eq!(Rulebook::load_unheard(dir.path()).unwrap_err().len(), 1, "not text");
}
