//! The rulebook: what the rules folder means, once everything in it has been found to be right.
//!
//! A [`Rulebook`] never changes. A call holds on to the one it began with, so rules never change under a
//! caller's feet; its [`Rulebook::hash`] stands in every call's record. Names are resolved while loading:
//! here a menu's entry points at its menu ([`Ix`]), so nothing can dangle.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::calendar::Calendar;
pub use super::table::{Ix, Table};
use crate::terms::diagnostic::Diagnostic;
use crate::terms::event::Place;
use crate::terms::ids::{LineId, MenuId, QueueId, TopicId};
use crate::terms::key::{Key, Keys};
use crate::terms::language::Language;
use crate::terms::number::Number;
use crate::terms::outcome::Outcome;
use crate::terms::prompt::Spoken;

/// A prompt's name; cheap to hand on.
pub type Phrase = Arc<str>;

/// Everything in the rules folder, resolved and proven.
#[derive(Debug)]
pub struct Rulebook {
    pub(super) hash: String,
    pub(super) numbers: HashMap<Number, Ix<Entry>>,
    pub(super) warnings: Vec<Diagnostic>,
    /// Whose rules these are.
    pub city: City,
    /// The ways in, by the number dialled.
    pub entries: Table<Entry>,
    /// The languages, in the order of the gate.
    pub languages: Table<Tongue>,
    /// The question which language.
    pub gate: Gate,
    /// How long we wait and how often we ask.
    pub pace: Pace,
    /// The hours.
    pub calendars: Table<Calendar>,
    /// The only places a call may be sent to.
    pub lines: Table<Line>,
    /// What calls are about.
    pub topics: Table<Topic>,
    /// What callers are offered.
    pub menus: Table<Menu>,
    /// Where callers wait for a person.
    pub queues: Table<Queue>,
    /// The way to 911.
    pub emergency: Emergency,
    /// The words and keys that are the same everywhere.
    pub says: Says,
    /// Which call goes where, in the order they are asked: by priority, then as written.
    pub rules: Vec<Rule>,
}

impl Rulebook {
    /// The SHA-256 of all files' names and bytes, in hexadecimal: two folders with the same hash are the same.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The first 12 digits of [`Rulebook::hash`]: enough for people to tell two rulebooks apart.
    pub fn short_hash(&self) -> &str {
        self.hash.get(..12).unwrap_or(&self.hash)
    }

    /// What was found that is worth a look, but no error.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The line with this id.
    pub fn line(&self, id: &LineId) -> Option<&Line> {
        self.lines.find(id.as_str()).map(|line| &self.lines[line])
    }

    /// The entry that answers `dialled`, read as the city writes its numbers.
    pub fn entry(&self, dialled: &str) -> Option<&Entry> {
        self.entry_ix(dialled).map(|entry| &self.entries[entry])
    }

    pub(super) fn entry_ix(&self, dialled: &str) -> Option<Ix<Entry>> {
        self.numbers.get(&Number::read(dialled, &self.city.area_code)?).copied()
    }

    /// Every number that is answered, with the id of its entry.
    pub fn numbers(&self) -> impl Iterator<Item = (&Number, &str)> {
        self.numbers.iter().map(|(number, entry)| (number, self.entries[*entry].id.as_ref()))
    }
}

/// Whose rules these are.
#[derive(Debug)]
pub struct City {
    /// Its name.
    pub name: String,
    /// The area code of seven-digit numbers.
    pub area_code: String,
    /// The zone of dates that stand in rules.
    pub zone: TimeZone,
}

/// A way in: some numbers, and what a caller meets behind them.
#[derive(Debug)]
pub struct Entry {
    /// Its id.
    pub id: Arc<str>,
    /// When its open menu is offered.
    pub calendar: Ix<Calendar>,
    /// The menu while open.
    pub open_menu: Ix<Menu>,
    /// The menu while closed.
    pub closed_menu: Ix<Menu>,
    /// What the caller is told once a language is known.
    pub welcome: Phrase,
    /// The language that dialling this number chooses; `None` asks at the gate.
    pub language: Option<Ix<Tongue>>,
    /// The topic that dialling this number chooses (an old hotline, R006).
    pub topic: Option<Ix<Topic>>,
    /// Where it is written.
    pub place: Place,
}

/// A language of the city.
#[derive(Debug)]
pub struct Tongue {
    /// Its code.
    pub code: Language,
    /// Its own name for itself.
    pub name: String,
    /// The key that chooses it at the gate.
    pub key: Option<Keys>,
    /// The language whose recordings its callers hear: itself, or a stated other where no voice speaks it.
    pub voice: Language,
    /// What its callers hear on the way to a person.
    pub wait: Phrase,
    /// The queue to which its callers go at once, where there are no menus for them.
    pub straight_to: Option<Ix<Queue>>,
    /// The code of its written form (`zh-Hant` of `yue`).
    pub text: String,
    /// Where it is written.
    pub place: Place,
}

/// The question which language.
#[derive(Debug)]
pub struct Gate {
    /// The greeting and then each language's own line.
    pub prompts: Vec<Spoken>,
    /// How many of `prompts` are the greeting: it is not said again when the gate is.
    pub greeting: usize,
    /// The keys that count at the gate.
    pub accept: Arc<[Keys]>,
    /// How long silence lasts until it chooses.
    pub wait: Duration,
    /// The language that silence chooses.
    pub silence: Ix<Tongue>,
}

/// How long we wait and how often we ask.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// For the first key, after a menu was said.
    pub first_key: Duration,
    /// For a further key, where one is possible (the `1` after the `9` of 9-1-1).
    pub next_key: Duration,
    /// For a further key, once two keys of the emergency number were pressed.
    pub emergency_key: Duration,
    /// So many wrong keys one after another lead to a person.
    pub wrong_keys_max: u32,
    /// So many steps in one call lead to the closing: nothing goes round for ever.
    pub steps_max: u32,
}

/// The words and keys that are the same everywhere.
#[derive(Debug)]
pub struct Says {
    /// After a key that the menu does not have.
    pub retry: Phrase,
    /// A line is busy.
    pub line_busy: Phrase,
    /// A line did not answer.
    pub line_no_answer: Phrase,
    /// A line is closed by its calendar.
    pub line_closed: Phrase,
    /// A line could not be reached.
    pub line_failed: Phrase,
    /// Another way follows.
    pub fallback_next: Phrase,
    /// Before a line is rung, where the rule says nothing of its own.
    pub connecting: Phrase,
    /// The last words after a line has hung up.
    pub goodbye: Phrase,
    /// `0`: a person, from anywhere.
    pub person_key: Keys,
    /// `*`: back.
    pub back_key: Keys,
}

impl Says {
    /// The names of the prompts, in every voice language there must be each.
    pub const NAMES: [&str; 8] = [
        "retry",
        "line.busy",
        "line.no_answer",
        "line.closed",
        "line.failed",
        "fallback.next",
        "connecting",
        "goodbye",
    ];
}

impl Default for Says {
    fn default() -> Self {
        let [retry, busy, no_answer, closed, failed, next, connecting, goodbye] = Self::NAMES.map(Phrase::from);
        Self {
            retry,
            line_busy: busy,
            line_no_answer: no_answer,
            line_closed: closed,
            line_failed: failed,
            fallback_next: next,
            connecting,
            goodbye,
            person_key: Keys(Key::from_char('0').into_iter().collect()),
            back_key: Keys(Key::from_char('*').into_iter().collect()),
        }
    }
}

/// A bureau line: the only kind of place a call may be sent to.
#[derive(Debug)]
pub struct Line {
    /// Its id.
    pub id: LineId,
    /// What people call it.
    pub name: String,
    /// Whose it is.
    pub bureau: String,
    /// Of the city, or of someone else (R048).
    pub jurisdiction: Jurisdiction,
    /// The public number, for display only: it is never dialled.
    pub display: Vec<String>,
    /// Where it is reached: SIP URIs in order of preference.
    pub targets: Vec<String>,
    /// When it answers.
    pub calendar: Ix<Calendar>,
    /// How long it may ring.
    pub ring: Duration,
    /// How the call ends that it answers.
    pub outcome: Outcome,
    /// Where it is written.
    pub place: Place,
}

/// Whose business something is (R035, R048).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Jurisdiction {
    /// The city's own.
    City,
    /// The county's.
    County,
    /// The region's or the state's.
    Region,
    /// A partner's: 211, a relay, an interpreter.
    Partner,
}

/// What a call is about.
#[derive(Debug)]
pub struct Topic {
    /// Its id.
    pub id: TopicId,
    /// What people call it.
    pub label: String,
    /// What 311 does with it.
    pub class: Class,
    /// What the caller wants to do.
    pub function: Function,
    /// Who owns it.
    pub bureau: String,
    /// Not to be recorded, and out of open data (R080).
    pub confidential: bool,
    /// Where it is written.
    pub place: Place,
}

/// What 311 does with a topic (R030).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Resolves it.
    Resolve,
    /// Explains, and sends the caller on.
    Refer,
    /// Sends it to a dispatch line, day and night.
    Urgent,
    /// Sends it to 911.
    Emergency,
    /// Answers it with a recording.
    SelfService,
}

/// What a caller wants to do (the Plan's service framework, R030).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Function {
    /// Find something out.
    Find,
    /// Report something, or ask for something to be done.
    Report,
    /// Apply or register.
    Apply,
    /// Pay.
    Pay,
    /// Have someone sent at once.
    Dispatch,
}

/// What callers are offered, and by which key.
#[derive(Debug)]
pub struct Menu {
    /// Its id.
    pub id: MenuId,
    /// What is said.
    pub prompt: Phrase,
    /// How often it is said again when no key comes.
    pub repeats: u32,
    /// What follows when still no key comes, or only wrong ones.
    pub silence: Target,
    /// What each key does.
    pub options: Vec<Choice>,
    /// The keys that mean something: those of the options and 9-1-1.
    pub accept: Arc<[Keys]>,
    /// Where it is written.
    pub place: Place,
}

/// A menu's key and what it does.
#[derive(Debug)]
pub struct Choice {
    /// The key.
    pub keys: Keys,
    /// What the caller wants, in words.
    pub label: String,
    /// What follows.
    pub target: Target,
    /// Where it is written.
    pub place: Place,
}

/// What follows a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Another menu.
    Menu(Ix<Menu>),
    /// The call is about this; the rules say what follows.
    Topic(Ix<Topic>),
    /// A person.
    Queue(Ix<Queue>),
    /// The last words.
    Close(Phrase),
    /// The same again.
    Repeat,
    /// Where the caller came from.
    Back,
}

/// Where callers wait for a person.
#[derive(Debug)]
pub struct Queue {
    /// Its id.
    pub id: QueueId,
    /// The line that stands for its people; its calendar says when they are there.
    pub line: Ix<Line>,
    /// What the caller hears before it rings, after the language's own words.
    pub hold: Phrase,
    /// What the caller hears while nobody is there by the calendar.
    pub closed_menu: Ix<Menu>,
    /// The last words where nobody took the call.
    pub closing: Phrase,
    /// Where it is written.
    pub place: Place,
}

/// The way to 911.
#[derive(Debug)]
pub struct Emergency {
    /// The line, matched by this one name and in no other way.
    pub line: Ix<Line>,
    /// The keys that ask for it.
    pub keys: Keys,
    /// The question, asked once.
    pub confirm: Phrase,
    /// What counts as an answer to it.
    pub accept: Arc<[Keys]>,
    /// What is said on the way.
    pub connecting: Phrase,
    /// What is said when the line did not take the call.
    pub failed: Phrase,
    /// Where the caller goes then.
    pub queue: Ix<Queue>,
    /// Where it is written.
    pub place: Place,
}

/// Which calls go where.
#[derive(Debug)]
pub struct Rule {
    /// Its id.
    pub id: String,
    /// Rules with a higher one are asked first.
    pub priority: i64,
    /// Which calls it is for.
    pub when: When,
    /// What happens, one after another until the caller is connected.
    pub then: Vec<Act>,
    /// Where it is written.
    pub place: Place,
}

/// Which calls a rule is for: all that is said must hold.
#[derive(Debug, Default)]
pub struct When {
    /// The way in.
    pub entries: Vec<Ix<Entry>>,
    /// The kind of trunk.
    pub trunks: Vec<super::route::TrunkKind>,
    /// The language.
    pub languages: Vec<Ix<Tongue>>,
    /// The topic; a rule that names none is asked when the call arrives, before any menu.
    pub topics: Vec<TopicPattern>,
    /// While this calendar is open.
    pub open: Option<Ix<Calendar>>,
    /// While this calendar is closed.
    pub closed: Option<Ix<Calendar>>,
    /// From this day on, in the city's zone.
    pub from: Option<Date>,
    /// Until this day, which still counts.
    pub until: Option<Date>,
}

/// Which topics: one, or all below a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicPattern {
    /// This one.
    One(Ix<Topic>),
    /// Every topic whose id begins so: `street.` for `street.*`, empty for `*`.
    Below(String),
}

/// One thing a rule does.
#[derive(Debug)]
pub struct Act {
    /// What.
    pub what: Deed,
    /// Where it is written.
    pub place: Place,
}

/// What a rule does.
#[derive(Debug)]
pub enum Deed {
    /// Says something.
    Say(Phrase),
    /// Connects a line; where it is closed or does not take the call, the next deed follows.
    Transfer {
        /// Which.
        line: Ix<Line>,
        /// What the caller hears first.
        say: Phrase,
        /// How long it may ring, where that is other than the line's own.
        ring: Option<Duration>,
    },
    /// Waits for a person.
    Queue(Ix<Queue>),
    /// Offers a menu.
    Menu(Ix<Menu>),
    /// Says the last words.
    Close(Phrase),
}
