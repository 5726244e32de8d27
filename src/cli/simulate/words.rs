//! A walked call in plain words, or as JSON.

use std::collections::HashMap;
use std::fmt::Write;

use jiff::{Timestamp, Zoned};
use serde_json::{Value, json};

use super::walk::{Stage, Walk};
use crate::routing::model::Rulebook;
use crate::routing::step::{Exit, Step};
use crate::terms::event::{Event, Place};
use crate::terms::prompt::Spoken;

/// The call as a story: what is heard, what is pressed, what is decided and where that is written.
pub(super) fn as_text(book: &Rulebook, start: &Zoned, walk: &Walk, texts: &HashMap<Spoken, String>) -> String {
    let mut text = String::new();
    let when = start.strftime("%A, %-d %B %Y, %H:%M %Z");
    let (dialled, kind) = (&walk.facts.dialled, walk.facts.trunk_kind.as_str());
    let _ = writeln!(text, "{when}: a call to {dialled} by a {kind} trunk, rulebook {}", book.short_hash());
    for (number, stage) in walk.stages.iter().enumerate() {
        for event in &stage.decided {
            let _ = writeln!(text, "       {}", decided(event));
        }
        let clock = wall(book, stage.at).strftime("%H:%M:%S").to_string();
        let _ = writeln!(text, "\n{:>3}. {clock}  {}", number + 1, headline(book, &stage.step));
        for spoken in said(&stage.step) {
            let words = texts.get(spoken).map(|words| format!("  “{words}”")).unwrap_or_default();
            let _ = writeln!(text, "       {:<24}{words}", spoken.to_string());
        }
        if let Some(exit) = &stage.exit {
            let _ = writeln!(text, "     → {}", ended(exit));
        }
    }
    text
}

/// The call as one JSON object a line.
pub(super) fn as_json(book: &Rulebook, start: &Zoned, walk: &Walk) -> String {
    let mut lines = vec![json!({
        "dialled": walk.facts.dialled,
        "trunk": walk.facts.trunk_kind.as_str(),
        "at": start.timestamp().to_string(),
        "rulebook": book.hash(),
    })];
    lines.extend(walk.stages.iter().enumerate().map(|(number, stage)| step_json(number + 1, stage)));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn step_json(number: usize, stage: &Stage) -> Value {
    let said: Vec<String> = said(&stage.step).iter().map(ToString::to_string).collect();
    let (kind, more) = match &stage.step {
        Step::Say { .. } => ("say", json!({})),
        Step::Collect(collect) => ("collect", json!({ "accept": collect.accept.runs })),
        Step::Transfer(transfer) => (
            "transfer",
            json!({
                "line": transfer.line,
                "queue": transfer.queue,
                "outcome": transfer.outcome,
                "place": transfer.place.to_string(),
            }),
        ),
        Step::Close { outcome, .. } => ("close", json!({ "outcome": outcome })),
        Step::Refuse { cause } => ("refuse", json!({ "cause": cause })),
    };
    json!({
        "step": number,
        "at": stage.at.to_string(),
        "decided": stage.decided,
        "does": kind,
        "said": said,
        "with": more,
        "ended": stage.exit.as_ref().map(exit_word),
    })
}

fn said(step: &Step) -> &[Spoken] {
    match step {
        Step::Say { prompts, .. } | Step::Close { prompts, .. } => prompts,
        Step::Collect(collect) => &collect.prompts,
        Step::Transfer(transfer) => &transfer.announce,
        Step::Refuse { .. } => &[],
    }
}

fn headline(book: &Rulebook, step: &Step) -> String {
    match step {
        Step::Say { .. } => "The caller hears:".to_owned(),
        Step::Collect(_) => "The caller is asked (keys count from the first moment):".to_owned(),
        Step::Transfer(transfer) => {
            let line = book.line(&transfer.line);
            let name = line.map_or("", |line| line.name.as_str());
            let display = line.and_then(|line| line.display.first()).map(|number| format!(", {number}"));
            let seconds = transfer.ring.as_secs();
            let (id, place) = (&transfer.line, &transfer.place);
            format!("The line {id} ({name}{}) is rung for up to {seconds} s [{place}]:", display.unwrap_or_default())
        }
        Step::Close { outcome, .. } => format!("The call ends: {outcome}."),
        Step::Refuse { cause } => format!("The call is refused: {cause} (SIP {}).", cause.sip_status()),
    }
}

fn ended(exit: &Exit) -> String {
    match exit {
        Exit::Done => "said".to_owned(),
        Exit::Keys(keys) => format!("presses {keys}"),
        Exit::NoInput => "presses nothing".to_owned(),
        Exit::LineEnded => "it answers, they speak, and the line hangs up".to_owned(),
        Exit::LineFailed(cause) => format!("it does not take the call: {cause}"),
    }
}

fn exit_word(exit: &Exit) -> String {
    match exit {
        Exit::Done => "done".to_owned(),
        Exit::Keys(keys) => format!("keys {keys}"),
        Exit::NoInput => "no_input".to_owned(),
        Exit::LineEnded => "line_ended".to_owned(),
        Exit::LineFailed(cause) => format!("line_failed {cause}"),
    }
}

/// A decision in words, with the place where it is written.
fn decided(event: &Event) -> String {
    let at = |place: &Place| format!("[{place}]");
    match event {
        Event::LanguageChosen { language, key: Some(_) } => format!("language: {language}"),
        Event::LanguageChosen { language, key: None } => format!("language: {language}, nobody having chosen"),
        Event::MenuEntered { menu, place } => format!("menu: {menu} {}", at(place)),
        Event::MenuChosen { menu, keys, place } => format!("key {keys} of the menu {menu} {}", at(place)),
        Event::NoInput { menu } => format!("silence in the menu {menu}"),
        Event::WrongKey { menu, keys } => format!("the menu {menu} has no key {keys}"),
        Event::TopicChosen { topic, place } => format!("topic: {topic} {}", at(place)),
        Event::HoursAsked { calendar, open, because } => {
            format!("hours: {calendar} is {} – {because}", if *open { "open" } else { "closed" })
        }
        Event::RuleMatched { rule, place } => format!("rule: {rule} {}", at(place)),
        Event::LineSkipped { line, because } => format!("line {line} is passed over – {because}"),
        Event::QueueEntered { queue } => format!("queue: {queue}"),
        Event::Noted { text } => text.clone(),
        other => other.word().to_owned(),
    }
}

fn wall(book: &Rulebook, at: Timestamp) -> Zoned {
    at.to_zoned(book.city.zone.clone())
}
