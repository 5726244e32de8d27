//! Menus. Slow callers are asked again and then given a person; wrong keys likewise; nobody is hung up on.

use jiff::Timestamp;

use super::super::calendar::Calendar;
use super::super::model::{Ix, Menu, Rulebook, Target};
use super::super::step::{Collect, Exit, Step, TypeAhead};
use super::gate::Greeting;
use super::{At, Journey, accept};
use crate::terms::event::Event;

impl Journey {
    /// Offers `menu` anew.
    pub(super) fn enter_menu(&mut self, book: &Rulebook, menu: Ix<Menu>) -> Step {
        (self.wrong_keys, self.silences) = (0, 0);
        let (id, place) = (book.menus[menu].id.clone(), book.menus[menu].place.clone());
        self.events.push(Event::MenuEntered { menu: id, place });
        self.offer(book, menu, TypeAhead::Keep)
    }

    /// Says `menu` and takes keys.
    fn offer(&mut self, book: &Rulebook, menu: Ix<Menu>, type_ahead: TypeAhead) -> Step {
        self.stand(At::Menu(menu));
        let menu = &book.menus[menu];
        Step::Collect(Collect {
            prompts: self.say([&menu.prompt]),
            accept: accept(book, menu.accept.clone()),
            first: book.pace.first_key,
            type_ahead,
        })
    }

    pub(super) fn menu_ended(&mut self, book: &Rulebook, now: Timestamp, menu: Ix<Menu>, exit: Option<Exit>) -> Step {
        let here = &book.menus[menu];
        let Some(Exit::Keys(keys)) = exit else {
            self.events.push(Event::NoInput { menu: here.id.clone() });
            self.silences += 1;
            if self.silences <= here.repeats {
                return self.offer(book, menu, TypeAhead::Keep);
            }
            return self.go(book, now, menu, &here.silence);
        };
        if keys == book.emergency.keys {
            return self.ask_emergency(book, super::emergency::Back::Menu(menu));
        }
        if let Some(choice) = here.options.iter().find(|choice| choice.keys == keys) {
            let place = choice.place.clone();
            self.events.push(Event::MenuChosen { menu: here.id.clone(), keys, place });
            (self.wrong_keys, self.silences) = (0, 0);
            return self.go(book, now, menu, &choice.target);
        }
        self.events.push(Event::WrongKey { menu: here.id.clone(), keys });
        self.wrong_keys += 1;
        if self.wrong_keys >= book.pace.wrong_keys_max {
            return self.go(book, now, menu, &here.silence);
        }
        self.before.push(book.says.retry.clone());
        // What else was pressed was pressed by mistake too.
        self.offer(book, menu, TypeAhead::Flush)
    }

    fn go(&mut self, book: &Rulebook, now: Timestamp, menu: Ix<Menu>, target: &Target) -> Step {
        match target {
            Target::Menu(next) => {
                self.trail.push(menu);
                self.enter_menu(book, *next)
            }
            Target::Topic(topic) => self.topic_chosen(book, now, *topic),
            Target::Queue(queue) => self.person(book, now, *queue),
            Target::Close(words) => {
                let outcome = self.untaken();
                self.close(words, outcome)
            }
            Target::Repeat => self.offer(book, menu, TypeAhead::Keep),
            Target::Back => self.back(book, menu),
        }
    }

    /// One menu up; above the first one stands the gate, where there was one.
    fn back(&mut self, book: &Rulebook, menu: Ix<Menu>) -> Step {
        if let Some(above) = self.trail.pop() {
            return self.enter_menu(book, above);
        }
        let gated = self.entry.is_some_and(|entry| book.entries[entry].language.is_none());
        if gated { self.ask_language(book, Greeting::Skipped) } else { self.offer(book, menu, TypeAhead::Keep) }
    }

    /// Whether `calendar` is open, noted in the record.
    pub(super) fn ask_hours(&mut self, book: &Rulebook, now: Timestamp, calendar: Ix<Calendar>) -> bool {
        let calendar = &book.calendars[calendar];
        let because = calendar.because(now);
        let open = because.is_open();
        self.events.push(Event::HoursAsked { calendar: calendar.id.clone(), open, because: because.to_string() });
        open
    }
}
