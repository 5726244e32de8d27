//! The gate: which language. Each choice is spoken in its own voice, keys count from the first millisecond,
//! and silence chooses too, so nobody is stuck here.

use jiff::Timestamp;

use super::super::model::{Entry, Ix, Rulebook, Tongue};
use super::super::step::{Collect, Exit, Step, TypeAhead};
use super::{At, Journey, accept};
use crate::terms::event::Event;
use crate::terms::key::Keys;

/// Whether the greeting comes before the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Greeting {
    /// The first time.
    First,
    /// When it is asked again.
    Skipped,
}

impl Journey {
    pub(super) fn ask_language(&mut self, book: &Rulebook, greeting: Greeting) -> Step {
        let gate = &book.gate;
        let from = match greeting {
            Greeting::First => 0,
            Greeting::Skipped => gate.greeting,
        };
        let mut prompts = self.say([]);
        prompts.extend(gate.prompts.iter().skip(from).cloned());
        self.tongue = None;
        self.stand(At::Gate);
        Step::Collect(Collect {
            prompts,
            accept: accept(book, gate.accept.clone()),
            first: gate.wait,
            type_ahead: TypeAhead::Keep,
        })
    }

    pub(super) fn gate_ended(&mut self, book: &Rulebook, now: Timestamp, exit: Option<Exit>) -> Step {
        let silence = book.gate.silence;
        let Some(Exit::Keys(keys)) = exit else {
            return self.language_chosen(book, now, silence, None);
        };
        if keys == book.emergency.keys {
            return self.ask_emergency(book, super::emergency::Back::Gate);
        }
        if let Some(tongue) = speaker_of(book, &keys) {
            return self.language_chosen(book, now, tongue, Some(keys));
        }
        self.wrong_keys += 1;
        let person = keys == book.says.person_key;
        if person || self.wrong_keys >= book.pace.wrong_keys_max {
            // `0`, or one who cannot use the gate: a person, in the language that silence chooses.
            self.choose(book, silence, None);
            return self.person(book, now, book.emergency.queue);
        }
        self.ask_language(book, Greeting::Skipped)
    }

    pub(super) fn language_chosen(
        &mut self,
        book: &Rulebook,
        now: Timestamp,
        tongue: Ix<Tongue>,
        keys: Option<Keys>,
    ) -> Step {
        self.choose(book, tongue, keys);
        let Some(entry) = self.entry else { return self.closing(book, book.emergency.queue) };
        let entry: &Entry = &book.entries[entry];
        self.before.push(entry.welcome.clone());
        if let Some(topic) = entry.topic {
            return self.topic_chosen(book, now, topic);
        }
        if let Some(queue) = book.languages[tongue].straight_to {
            self.before.clear();
            return self.person(book, now, queue);
        }
        let open = self.ask_hours(book, now, entry.calendar);
        self.trail.clear();
        self.enter_menu(book, if open { entry.open_menu } else { entry.closed_menu })
    }

    fn choose(&mut self, book: &Rulebook, tongue: Ix<Tongue>, key: Option<Keys>) {
        self.wrong_keys = 0;
        self.tongue = Some(tongue);
        self.events.push(Event::LanguageChosen { language: book.languages[tongue].code, key });
    }
}

fn speaker_of(book: &Rulebook, keys: &Keys) -> Option<Ix<Tongue>> {
    let tongue = book.languages.iter().find(|tongue| tongue.key.as_ref() == Some(keys))?;
    book.languages.find(tongue.code.as_str())
}
