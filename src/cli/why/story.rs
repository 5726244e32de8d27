//! The page itself: a pure function of a call's journal and the rules it followed.

use crate::terms::event::{Entry, Event, Place};

use super::words;
use super::{RulebookText, Told};
use crate::cli::reading;

/// Most lines of a rule that are quoted.
const QUOTED_MAX: usize = 10;

/// Where the text of a line begins, after the time: what is quoted stands under it.
const INDENT: &str = "           ";

/// The page of a call. Numbers are shown only where `whole` says so.
pub(super) fn page(told: &Told, whole: bool) -> String {
    let mut page = head(told, whole);
    page += "\nWhat happened, by time since arrival (minutes:seconds)\n\n";
    for (at, entry) in told.entries.iter().enumerate() {
        let Some(sentence) = sentence(entry, &told.entries[at + 1..], &told.entries[..at], whole) else { continue };
        page += &format!("{:>9}  {sentence}\n", words::since(entry.at_ms));
        page += &quote(&entry.event, told.rulebook.as_ref());
    }
    page += "\n";
    page += &ending(told);
    page
}

fn head(told: &Told, whole: bool) -> String {
    let record = &told.record;
    let zone = reading::zone(told.rulebook.as_ref());
    let or_unknown = |text: Option<&str>| text.unwrap_or("not recorded").to_owned();
    let caller = record.caller.as_ref().map_or_else(|| "number withheld".to_owned(), |number| shown(number, whole));
    let rules = match (&record.rulebook, &told.rulebook) {
        (Some(hash), Some(_)) => hash.clone(),
        (Some(hash), None) => format!("{hash} (its text is not in the record, so its lines cannot be quoted)"),
        (None, _) => "not recorded".to_owned(),
    };
    let length = match (record.ms, record.bridged_ms) {
        (Some(ms), 0) => words::duration(ms),
        (Some(ms), bridged) => {
            format!("{}, of it {} connected to a line", words::duration(ms), words::duration(bridged))
        }
        (None, _) => "still in progress".to_owned(),
    };
    let trunk = or_unknown(record.trunk.as_ref().map(|trunk| trunk.as_str()));
    let rows = [
        ("When", reading::at(record.started_unix_ms, &zone, "%A %-d %B %Y, %H:%M:%S %Z")),
        ("Caller", caller),
        ("Dialled", format!("{}, by trunk {trunk}", or_unknown(record.dialled.as_deref()))),
        ("Language", record.language.map_or_else(|| "not chosen".to_owned(), words::language)),
        ("Length", length),
        ("Rules", rules),
        ("SIP id", or_unknown(record.sip_call_id.as_deref())),
    ];
    let rows: String = rows.iter().map(|(name, value)| format!("  {name:<10}{value}\n")).collect();
    format!("Call {}\n\n{rows}", record.call)
}

fn shown(number: &crate::terms::number::Pii<String>, whole: bool) -> String {
    let hidden = if whole { "" } else { " (hidden; --show-numbers shows it)" };
    format!("{}{hidden}", reading::shown(number, whole))
}

fn ending(told: &Told) -> String {
    let record = &told.record;
    let mut ending = match (record.outcome, record.ended_by, record.cause) {
        (Some(outcome), Some(by), Some(cause)) => {
            format!("Outcome: {outcome}\n  {} At the end, {}.\n", words::outcome(outcome), words::ended(by, cause))
        }
        _ => {
            "Outcome: none yet\n  The call is in progress, or the server stopped during it and has not started since.\n"
                .to_owned()
        }
    };
    if !record.flaws.is_empty() {
        let flaws: Vec<&str> = record.flaws.iter().map(|flaw| flaw.as_str()).collect();
        ending += &format!("\nThis call's journal is not sound: {} (see docs/record.md).\n", flaws.join(", "));
    }
    ending
}

/// One event as a sentence; `None` where another line tells it.
fn sentence(entry: &Entry, later: &[Entry], earlier: &[Entry], whole: bool) -> Option<String> {
    let with_prompt = prompt(entry, later, earlier);
    Some(match &entry.event {
        Event::PromptStarted { .. } | Event::PromptEnded { .. } => return with_prompt,
        Event::Arrived { dialled, trunk, diverted_by, .. } => {
            let by: Vec<String> = diverted_by.iter().map(|number| reading::shown(number, whole)).collect();
            let by = if by.is_empty() { String::new() } else { format!(", sent on by {}", by.join(", then ")) };
            format!("A call for {dialled} arrived by trunk {trunk}{by}.")
        }
        Event::Answered => "Cityline answered.".to_owned(),
        Event::AudioHeard => "The caller's audio was received for the first time.".to_owned(),
        Event::KeyPressed { .. }
        | Event::LanguageChosen { .. }
        | Event::MenuEntered { .. }
        | Event::MenuChosen { .. }
        | Event::NoInput { .. }
        | Event::WrongKey { .. } => choice(&entry.event)?,
        Event::TopicChosen { topic, place } => format!("The topic is {topic} ({place})."),
        Event::HoursAsked { calendar, open, because } => {
            format!("Is {calendar} open? {}: {because}.", if *open { "Yes" } else { "No" })
        }
        Event::RuleMatched { rule, place } => format!("Rule {rule} decides where the call goes ({place})."),
        Event::QueueEntered { queue } => format!("The caller began to wait for a person in queue {queue}."),
        Event::QueueLeft { queue, waited_ms, answered } => {
            let end = if *answered { "a person took the call" } else { "nobody took the call" };
            format!("The wait in queue {queue} ended after {}: {end}.", words::duration(*waited_ms))
        }
        Event::LineSkipped { .. }
        | Event::LineTried { .. }
        | Event::LineFailed { .. }
        | Event::Bridged { .. }
        | Event::Unbridged { .. } => line(&entry.event)?,
        Event::HoldChanged { on_hold: true } => "The caller put us on hold.".to_owned(),
        Event::HoldChanged { on_hold: false } => "The caller took us off hold.".to_owned(),
        Event::AudioLost { side } => format!("No audio came from {} for a while.", words::side(*side)),
        Event::Noted { text } => format!("Note: {text}."),
        Event::Ended { by, cause, .. } => format!("The call ended: {}.", words::ended(*by, *cause)),
    })
}

/// A prompt is told once, where it began, with how it ended; where one of the two is missing, with the other.
fn prompt(entry: &Entry, later: &[Entry], earlier: &[Entry]) -> Option<String> {
    let begins = |entry: &&Entry, of: &_| matches!(&entry.event, Event::PromptStarted { prompt } if prompt == of);
    let ends = |entry: &&Entry, of: &_| matches!(&entry.event, Event::PromptEnded { prompt, .. } if prompt == of);
    match &entry.event {
        Event::PromptStarted { prompt } => {
            let named = format!("“{}” in {}", prompt.name, words::language(prompt.language));
            let end = later.iter().take_while(|entry| !begins(entry, prompt)).find(|entry| ends(entry, prompt));
            Some(match end.map(|end| &end.event) {
                Some(Event::PromptEnded { heard, ms, .. }) => {
                    format!("Played {named}: {}, {}.", words::heard(*heard), words::duration(u64::from(*ms)))
                }
                _ => format!("Began to play {named}; how it ended is not recorded."),
            })
        }
        Event::PromptEnded { prompt, heard, ms } => {
            let since_end = earlier.iter().rev().take_while(|entry| !ends(entry, prompt));
            if since_end.into_iter().any(|entry| begins(&entry, prompt)) {
                return None;
            }
            let (heard, ms) = (words::heard(*heard), words::duration(u64::from(*ms)));
            Some(format!("Played “{}” in {}: {heard}, {ms}.", prompt.name, words::language(prompt.language)))
        }
        _ => None,
    }
}

/// What the caller chose.
fn choice(event: &Event) -> Option<String> {
    Some(match event {
        Event::KeyPressed { key: Some(key), source } => format!("The caller pressed {key}{}.", words::came_by(*source)),
        Event::KeyPressed { key: None, source } => {
            format!("The caller pressed a key{}; which one is not kept.", words::came_by(*source))
        }
        Event::LanguageChosen { language, key: Some(keys) } => {
            format!("From here on in {}, by key {keys}.", words::language(*language))
        }
        Event::LanguageChosen { language, key: None } => {
            format!("From here on in {}: no key was pressed for another.", words::language(*language))
        }
        Event::MenuEntered { menu, place } => format!("Menu {menu} was offered ({place})."),
        Event::MenuChosen { menu, keys, place } => format!("In menu {menu}, {keys} was chosen ({place})."),
        Event::NoInput { menu } => format!("No key was pressed in menu {menu}."),
        Event::WrongKey { menu, keys } => format!("Menu {menu} has no {keys}."),
        _ => return None,
    })
}

/// What became of a line.
fn line(event: &Event) -> Option<String> {
    Some(match event {
        Event::LineSkipped { line, because } => format!("Line {line} was passed over: {because}."),
        Event::LineTried { line, place } => format!("Line {line} was dialled ({place})."),
        Event::LineFailed { line, cause, ms } => {
            format!("Line {line} {}, after {}.", words::failed(*cause), words::duration(*ms))
        }
        Event::Bridged { line, ring_ms } => {
            let rang = words::duration(*ring_ms);
            format!("Line {line} answered after {rang}; caller and line were connected.")
        }
        Event::Unbridged { line, ms, by } => {
            let (ms, by) = (words::duration(*ms), words::side(*by));
            format!("Caller and line {line} were parted after {ms}, by {by}.")
        }
        _ => return None,
    })
}

/// The lines of the rules that decided, as they were written; none where they are not kept.
fn quote(event: &Event, rulebook: Option<&RulebookText>) -> String {
    let (place, whole_rule) = match event {
        Event::RuleMatched { place, .. } => (place, true),
        Event::MenuChosen { place, .. } | Event::TopicChosen { place, .. } => (place, false),
        _ => return String::new(),
    };
    let Some(text) = rulebook.and_then(|rulebook| rulebook.files.get(&*place.file)) else { return String::new() };
    let lines: Vec<&str> = text.lines().collect();
    let range = if whole_rule { rule(&lines, place) } else { only(place) };
    let quoted = lines.get(range).unwrap_or_default();
    quoted.iter().map(|line| format!("{}\n", format!("{INDENT}| {line}").trim_end())).collect()
}

fn only(place: &Place) -> std::ops::Range<usize> {
    let line = (place.line as usize).saturating_sub(1);
    line..line + 1
}

/// The table that the place stands in, from its header to the next one, without the empty lines at its end.
fn rule(lines: &[&str], place: &Place) -> std::ops::Range<usize> {
    let is_header = |line: &str| line.trim_start().starts_with("[");
    let at = (place.line as usize).saturating_sub(1).min(lines.len().saturating_sub(1));
    let first = (0..=at).rev().find(|line| lines.get(*line).is_some_and(|line| is_header(line))).unwrap_or(at);
    let after = (first + 1..lines.len()).find(|line| is_header(lines[*line])).unwrap_or(lines.len());
    let filled = (first..after).rev().find(|line| {
        let text = lines[*line].trim();
        !text.is_empty() && !text.starts_with('#')
    });
    first..filled.map_or(after, |last| last + 1).min(first + QUOTED_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::CallRecord;
    use crate::store::examples::{Day, every_event, pothole, rulebook};

    fn told(entries: Vec<Entry>, rulebook: Option<RulebookText>) -> Told {
        Told { record: CallRecord::fold(&entries).unwrap(), entries, rulebook }
    }

    #[test]
    fn the_page_reads_well_to_a_council_office() {
        insta::assert_snapshot!(page(&told(pothole(), Some(rulebook())), false));
    }

    #[test]
    fn a_call_in_progress_and_one_without_its_rules_are_told_too() {
        let text = page(&told(pothole()[..9].to_vec(), None), false);
        assert!(text.contains("still in progress") && text.contains("Outcome: none yet"), "{text}");
        assert!(text.contains("its text is not in the record") && !text.contains("| "), "{text}");
    }

    #[test]
    fn every_event_is_told_and_no_number_shows() {
        let mut day = Day::new(2);
        let every = every_event();
        let entries = day.call((0..).map(|at| at * 100).zip(every.clone()).collect());
        let text = page(&told(entries, None), false);
        assert!(!text.contains("5035550") && text.contains("sent on by …00"), "{text}");
        assert!(text.contains("not sound: arrived_twice"), "{text}");
        for event in &every {
            let alone = day.call(vec![(0, event.clone())]);
            assert!(sentence(&alone[0], &[], &[], false).is_some_and(|text| text.ends_with('.')), "{event:?}");
        }
    }

    #[test]
    fn a_place_outside_the_rules_quotes_nothing() {
        let matched =
            |file: &str, line| Event::RuleMatched { rule: "r".to_owned(), place: Place { file: file.into(), line } };
        assert_eq!(quote(&matched("gone.toml", 1), Some(&rulebook())), "");
        assert_eq!(quote(&matched("rules.toml", 0), Some(&rulebook())).lines().count(), 5);
        assert!(quote(&matched("rules.toml", 9_999), Some(&rulebook())).contains("pothole"));
    }
}
