//! Facts → rule: which rule a call meets, and why.
//!
//! The first rule whose conditions all hold, by priority and then by order in the files. A rule that names a
//! topic is asked when the topic is known; one that names none is asked once, when the call arrives.

use jiff::Timestamp;

use super::model::{Entry, Ix, Rule, Rulebook, Tongue, Topic, TopicPattern, When};
use crate::terms::ids::TrunkId;
use crate::terms::number::{Number, Pii};

/// What is known about a call when it arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The number as dialled.
    pub dialled: String,
    /// The trunk it came by.
    pub trunk: TrunkId,
    /// What kind of trunk that is.
    pub trunk_kind: TrunkKind,
    /// The caller's number, where a trusted source gave one.
    pub caller: Option<Pii<Number>>,
}

/// Kinds of trunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrunkKind {
    /// The public telephone network.
    Carrier,
    /// The city's own telephone system.
    Pbx,
    /// The 911 centre (R050).
    Psap,
    /// City employees (R044).
    Internal,
}

impl TrunkKind {
    /// Every kind there is.
    pub const ALL: &[Self] = &[Self::Carrier, Self::Pbx, Self::Psap, Self::Internal];

    /// The word for it in rules and settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Carrier => "carrier",
            Self::Pbx => "pbx",
            Self::Psap => "psap",
            Self::Internal => "internal",
        }
    }
}

/// What rules are asked about.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// The way in.
    pub entry: Ix<Entry>,
    /// The kind of trunk.
    pub trunk: TrunkKind,
    /// The language, once known.
    pub language: Option<Ix<Tongue>>,
    /// The topic, once known.
    pub topic: Option<Ix<Topic>>,
    /// When.
    pub now: Timestamp,
}

/// The rule that `question` meets; `None` where none does.
pub fn route(book: &Rulebook, question: Question) -> Option<(usize, &Rule)> {
    book.rules.iter().enumerate().find(|(_, rule)| holds(book, &rule.when, question))
}

fn holds(book: &Rulebook, when: &When, question: Question) -> bool {
    fn any<T: PartialEq>(wanted: &[T], found: T) -> bool {
        wanted.is_empty() || wanted.contains(&found)
    }
    any(&when.entries, question.entry)
        && any(&when.trunks, question.trunk)
        && (when.languages.is_empty() || question.language.is_some_and(|known| when.languages.contains(&known)))
        && topic_holds(book, &when.topics, question.topic)
        && when.open.is_none_or(|calendar| book.calendars[calendar].because(question.now).is_open())
        && when.closed.is_none_or(|calendar| !book.calendars[calendar].because(question.now).is_open())
        && date_holds(book, when, question.now)
}

fn topic_holds(book: &Rulebook, wanted: &[TopicPattern], topic: Option<Ix<Topic>>) -> bool {
    match topic {
        None => wanted.is_empty(),
        Some(topic) => wanted.iter().any(|pattern| match pattern {
            TopicPattern::One(one) => *one == topic,
            TopicPattern::Below(stem) => book.topics[topic].id.as_str().starts_with(stem),
        }),
    }
}

fn date_holds(book: &Rulebook, when: &When, now: Timestamp) -> bool {
    if when.from.is_none() && when.until.is_none() {
        return true;
    }
    let today = book.city.zone.to_datetime(now).date();
    when.from.is_none_or(|from| from <= today) && when.until.is_none_or(|until| today <= until)
}
