//! One call's way through the rulebook: a pure machine from "how did the last step end" to "what comes next".
//!
//! ```text
//!  number dialled ─ unknown ─▶ refuse
//!        │  a rule for arrivals (e.g. the 911 centre's trunk) ─────────────┐
//!        ▼                                                                 │
//!      gate ──▶ welcome ──▶ open? ──▶ menus ──▶ topic ──▶ rule ──▶ line ───┤
//!        │                              │                  │   next line ◀─┘ closed, busy, no answer
//!        └── 9-1-1 ──▶ asked once ──▶ 911      0, silence ─┴──▶ person ──▶ closing
//! ```
//!
//! `0` and 9-1-1 lead there from every menu, and while a bureau's line rings.
//!
//! There is no clock, no chance and no input or output here, so what `check`, `simulate` and the tests walk is
//! what callers get. It ends for every sequence of exits: each rule's list is finite, and a call of more than
//! [`Pace::steps_max`](super::model::Pace) steps is led to the closing.

mod emergency;
mod gate;
mod menu;
mod plan;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::Timestamp;

use super::model::{Entry, Ix, Line, Menu, Phrase, Queue, Rulebook, Tongue, Topic};
use super::route::Facts;
use super::step::{Accept, Exit, Step};
use crate::terms::cause::Cause;
use crate::terms::event::Event;
use crate::terms::key::Keys;
use crate::terms::language::Language;
use crate::terms::outcome::Outcome;
use crate::terms::prompt::Spoken;

/// One call's way through the rulebook.
#[derive(Debug)]
pub struct Journey {
    book: Arc<Rulebook>,
    facts: Facts,
    at: At,
    entry: Option<Ix<Entry>>,
    tongue: Option<Ix<Tongue>>,
    topic: Option<Ix<Topic>>,
    /// The menus above this one, for `*`.
    trail: Vec<Ix<Menu>>,
    /// What is still to be said, before whatever comes next is.
    before: Vec<Phrase>,
    /// Whether what comes next is another attempt at what just failed.
    again: bool,
    wrong_keys: u32,
    silences: u32,
    steps: u32,
    /// Whether a line was tried in vain: a bureau's, 911 or the one for a person.
    line_failed: bool,
    events: Vec<Event>,
}

/// Where a call stands: the step that is being performed.
#[derive(Clone, Copy, Debug)]
enum At {
    /// Nothing has been done yet.
    Start,
    /// The language is asked.
    Gate,
    /// A menu is offered.
    Menu(Ix<Menu>),
    /// It is asked whether 9-1-1 was meant.
    Confirm(emergency::Asked),
    /// The 911 line is tried.
    Emergency,
    /// A rule says something.
    Saying(plan::Plan),
    /// A bureau line is tried.
    Line(Ix<Line>, plan::Plan),
    /// A person is waited for.
    Person(Ix<Queue>),
    /// The last words were given out.
    Closed(Ending),
    /// The call was refused.
    Refused(Cause),
}

/// How a call ends whose last words are being said.
#[derive(Clone, Copy, Debug)]
struct Ending {
    /// Where they are heard to their end.
    heard: Outcome,
    /// Where the caller leaves before.
    left: Outcome,
}

impl Journey {
    /// The way of a call with these facts through `book`, which it keeps to its end.
    pub fn begin(book: Arc<Rulebook>, facts: Facts) -> Self {
        Self {
            book,
            facts,
            at: At::Start,
            entry: None,
            tongue: None,
            topic: None,
            trail: Vec::new(),
            before: Vec::new(),
            again: false,
            wrong_keys: 0,
            silences: 0,
            steps: 0,
            line_failed: false,
            events: Vec::with_capacity(8),
        }
    }

    /// What comes next, at `now`, the last step having ended with `exit` (`None` at the beginning). After
    /// [`Step::Close`] and [`Step::Refuse`] nothing comes but the same again, without words. An exit that does
    /// not belong to the step (keys that a transfer does not take) counts as silence or as a failure of the line.
    pub fn next(&mut self, now: Timestamp, exit: Option<Exit>) -> Step {
        let book = self.book.clone();
        let book = &*book;
        let under_way = !matches!(self.at, At::Start | At::Closed(_) | At::Refused(_));
        if under_way && self.steps >= book.pace.steps_max {
            self.note(format!("the call took {} steps: closing", self.steps));
            return self.closing(book, book.emergency.queue);
        }
        match self.at {
            At::Closed(ending) => Step::Close { prompts: Vec::new(), outcome: ending.heard },
            At::Refused(cause) => Step::Refuse { cause },
            At::Start => self.arrive(book, now),
            At::Gate => self.gate_ended(book, now, exit),
            At::Menu(menu) => self.menu_ended(book, now, menu, exit),
            At::Confirm(asked) => self.confirm_ended(book, now, asked, exit),
            At::Emergency => self.emergency_ended(book, now, exit),
            At::Saying(plan) => self.follow(book, now, plan),
            At::Line(line, plan) => self.line_ended(book, now, (line, plan), exit),
            At::Person(queue) => self.person_ended(book, queue, exit),
        }
    }

    /// The decisions made since this was last asked, in order: rules matched, menus entered, hours asked.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// The caller's language: chosen, or English until then.
    pub fn language(&self) -> Language {
        self.tongue.map_or(Language::ENGLISH, |tongue| self.book.languages[tongue].code)
    }

    /// What the call is about, once that is known.
    pub fn topic(&self) -> Option<&Topic> {
        self.topic.map(|topic| &self.book.topics[topic])
    }

    /// The rulebook this call follows to its end.
    pub fn rulebook(&self) -> &Arc<Rulebook> {
        &self.book
    }

    /// How the call ends if the caller hangs up during the step that is being performed. (While the caller
    /// speaks with a line that answered, it ends with that transfer's own outcome.) The closing informs only whoever
    /// hears it to its end; who leaves before has left where they were.
    pub fn if_caller_leaves(&self) -> Outcome {
        match self.at {
            At::Start | At::Gate | At::Menu(_) | At::Confirm(_) | At::Emergency | At::Saying(_) | At::Line(..) => {
                Outcome::AbandonedIvr
            }
            At::Person(_) => Outcome::AbandonedQueue,
            At::Closed(ending) => ending.left,
            At::Refused(_) => Outcome::Refused,
        }
    }

    fn arrive(&mut self, book: &Rulebook, now: Timestamp) -> Step {
        let Some(entry) = book.entry_ix(&self.facts.dialled) else {
            self.at = At::Refused(Cause::UnknownNumber);
            return Step::Refuse { cause: Cause::UnknownNumber };
        };
        self.entry = Some(entry);
        let preset = book.entries[entry].language;
        self.tongue = preset;
        if let Some(plan) = self.matching_rule(book, now) {
            return self.follow(book, now, plan);
        }
        match preset {
            Some(tongue) => self.language_chosen(book, now, tongue, None),
            None => self.ask_language(book, gate::Greeting::First),
        }
    }

    /// Counts a step and notes where the call stands while it is performed.
    fn stand(&mut self, at: At) {
        self.at = at;
        self.steps += 1;
    }

    /// The last words, and how the call ends.
    fn close(&mut self, words: &Phrase, outcome: Outcome) -> Step {
        self.again = false;
        let prompts = self.say([words]);
        let left = if outcome == Outcome::ClosedInformed { self.if_caller_leaves() } else { outcome };
        self.stand(At::Closed(Ending { heard: outcome, left }));
        Step::Close { prompts, outcome }
    }

    /// The stated closing of `queue`: nobody could take the call.
    fn closing(&mut self, book: &Rulebook, queue: Ix<Queue>) -> Step {
        let outcome = self.untaken();
        self.close(&book.queues[queue].closing, outcome)
    }

    /// How a call ends that nobody took.
    fn untaken(&self) -> Outcome {
        if self.line_failed { Outcome::TransferredFailed } else { Outcome::ClosedInformed }
    }

    /// What is still to be said and then `phrases`, in the caller's language.
    fn say<'a>(&mut self, phrases: impl IntoIterator<Item = &'a Phrase>) -> Vec<Spoken> {
        let tongue = self.tongue.unwrap_or(self.book.gate.silence);
        let language = self.book.languages[tongue].voice;
        let again = std::mem::take(&mut self.again).then(|| self.book.says.fallback_next.clone());
        let before = self.before.drain(..).chain(again);
        before.chain(phrases.into_iter().cloned()).map(|name| Spoken { language, name }).collect()
    }

    fn note(&mut self, text: impl Into<String>) {
        self.events.push(Event::Noted { text: text.into() });
    }
}

/// These runs, told from one another at the book's pace.
fn accept(book: &Rulebook, runs: Arc<[Keys]>) -> Accept {
    Accept {
        runs,
        between: book.pace.next_key,
        emergency: book.emergency.keys.clone(),
        between_emergency: book.pace.emergency_key,
    }
}
