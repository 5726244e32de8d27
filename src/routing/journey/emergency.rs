//! 9-1-1, keyed anywhere: asked once, then connected before anything else. If that fails the caller is told to
//! dial 911 from a telephone, and then given a person.

use std::sync::Arc;

use jiff::Timestamp;

use super::super::model::{Ix, Menu, Rulebook};
use super::super::step::{Collect, Exit, Step, Transfer, TypeAhead};
use super::gate::Greeting;
use super::plan::Plan;
use super::{At, Journey, accept};

/// The question that is being asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    back: Back,
    /// Whether it was said again because of a key that answers nothing.
    twice: bool,
}

/// Where the caller pressed 9-1-1.
#[derive(Clone, Copy, Debug)]
pub(super) enum Back {
    /// At the language gate.
    Gate,
    /// In a menu.
    Menu(Ix<Menu>),
    /// While a rule's line was rung: it is rung again.
    Rule(Plan),
}

impl Journey {
    pub(super) fn ask_emergency(&mut self, book: &Rulebook, back: Back) -> Step {
        self.note("9-1-1 was keyed: the caller is asked once");
        self.confirm(book, Asked { back, twice: false })
    }

    fn confirm(&mut self, book: &Rulebook, asked: Asked) -> Step {
        self.before.clear();
        let prompts = self.say([&book.emergency.confirm]);
        self.stand(At::Confirm(asked));
        Step::Collect(Collect {
            prompts,
            accept: accept(book, book.emergency.accept.clone()),
            first: book.pace.first_key,
            type_ahead: TypeAhead::Flush,
        })
    }

    /// Silence, `1` and 9-1-1 again connect; `*` goes back; another key asks once more and then connects,
    /// since whoever keys 9-1-1 and cannot find the right key is better off there than here.
    pub(super) fn confirm_ended(&mut self, book: &Rulebook, now: Timestamp, asked: Asked, exit: Option<Exit>) -> Step {
        let Some(Exit::Keys(keys)) = exit else { return self.connect_emergency(book) };
        if keys == book.says.back_key {
            self.note("the caller went back: 9-1-1 was not meant");
            return match asked.back {
                Back::Gate => self.ask_language(book, Greeting::Skipped),
                Back::Menu(menu) => self.enter_menu(book, menu),
                Back::Rule(plan) => self.follow(book, now, plan),
            };
        }
        if keys == book.says.person_key {
            return self.person(book, now, book.emergency.queue);
        }
        let answered = book.emergency.accept.contains(&keys);
        if answered || asked.twice {
            return self.connect_emergency(book);
        }
        self.confirm(book, Asked { twice: true, ..asked })
    }

    fn connect_emergency(&mut self, book: &Rulebook) -> Step {
        let line = &book.lines[book.emergency.line];
        let announce = self.say([&book.emergency.connecting]);
        self.stand(At::Emergency);
        Step::Transfer(Transfer {
            line: line.id.clone(),
            targets: line.targets.clone(),
            ring: line.ring,
            announce,
            hold: Vec::new(),
            accept: accept(book, Arc::from([])),
            outcome: line.outcome,
            queue: None,
            place: book.emergency.place.clone(),
        })
    }

    pub(super) fn emergency_ended(&mut self, book: &Rulebook, now: Timestamp, exit: Option<Exit>) -> Step {
        match exit {
            Some(Exit::LineEnded) => {
                let outcome = book.lines[book.emergency.line].outcome;
                self.close(&book.says.goodbye, outcome)
            }
            Some(Exit::LineFailed(_) | Exit::Done | Exit::Keys(_) | Exit::NoInput) | None => {
                self.line_failed = true;
                self.before.push(book.emergency.failed.clone());
                self.person(book, now, book.emergency.queue)
            }
        }
    }
}
