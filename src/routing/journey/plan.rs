//! A rule's list, from one line to the next, and the wait for a person. What cannot be reached is said and
//! passed over, so a rule ends only where a caller is connected, offered a menu or told where else to turn.

use std::sync::Arc;

use jiff::Timestamp;

use super::super::calendar::Because;
use super::super::model::{Act, Deed, Ix, Line, Menu, Phrase, Queue, Rulebook, Topic};
use super::super::route::{Question, route};
use super::super::step::{Exit, Step, Transfer};
use super::emergency::Back;
use super::{At, Journey, accept};
use crate::terms::cause::Cause;
use crate::terms::event::Event;

/// How far a rule's list has been followed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    rule: usize,
    next: usize,
}

impl Plan {
    /// What has just been tried comes again.
    fn again(self) -> Self {
        Self { next: self.next.saturating_sub(1), ..self }
    }
}

impl Journey {
    pub(super) fn topic_chosen(&mut self, book: &Rulebook, now: Timestamp, topic: Ix<Topic>) -> Step {
        self.topic = Some(topic);
        let (id, place) = (book.topics[topic].id.clone(), book.topics[topic].place.clone());
        self.events.push(Event::TopicChosen { topic: id, place });
        match self.matching_rule(book, now) {
            Some(plan) => self.follow(book, now, plan),
            None => self.person(book, now, book.emergency.queue),
        }
    }

    /// The rule for what is known now.
    pub(super) fn matching_rule(&mut self, book: &Rulebook, now: Timestamp) -> Option<Plan> {
        let (trunk, language, topic) = (self.facts.trunk_kind, self.tongue, self.topic);
        let (rule, found) = route(book, Question { entry: self.entry?, trunk, language, topic, now })?;
        self.events.push(Event::RuleMatched { rule: found.id.clone(), place: found.place.clone() });
        Some(Plan { rule, next: 0 })
    }

    /// Goes on with a rule's list.
    pub(super) fn follow(&mut self, book: &Rulebook, now: Timestamp, plan: Plan) -> Step {
        let acts = book.rules.get(plan.rule).map_or(&[][..], |rule| &rule.then);
        for (position, act) in acts.iter().enumerate().skip(plan.next) {
            let rest = Plan { rule: plan.rule, next: position + 1 };
            match &act.what {
                Deed::Say(words) => {
                    let prompts = self.say([words]);
                    self.stand(At::Saying(rest));
                    return Step::Say { prompts, barge_in: true };
                }
                Deed::Transfer { line, .. } => {
                    let because = book.calendars[book.lines[*line].calendar].because(now);
                    if because.is_open() {
                        return self.transfer(book, *line, act, rest);
                    }
                    self.skip(book, *line, because);
                }
                Deed::Queue(queue) => return self.person(book, now, *queue),
                Deed::Menu(menu) => return self.offer_by_rule(book, *menu),
                Deed::Close(words) => {
                    let outcome = self.untaken();
                    return self.close(words, outcome);
                }
            }
        }
        self.closing(book, book.emergency.queue)
    }

    fn offer_by_rule(&mut self, book: &Rulebook, menu: Ix<Menu>) -> Step {
        self.trail.clear();
        self.enter_menu(book, menu)
    }

    /// Passes over a line that is closed now.
    fn skip(&mut self, book: &Rulebook, line: Ix<Line>, because: Because<'_>) {
        let line = book.lines[line].id.clone();
        self.events.push(Event::LineSkipped { line, because: format!("closed now: {because}") });
        self.sorry(&book.says.line_closed);
    }

    /// Says why it did not work and that another way follows.
    fn sorry(&mut self, why: &Phrase) {
        if self.before.last() != Some(why) {
            self.before.push(why.clone());
        }
        self.again = true;
    }

    fn transfer(&mut self, book: &Rulebook, at: Ix<Line>, act: &Act, rest: Plan) -> Step {
        let line = &book.lines[at];
        let (ring, announce) = match &act.what {
            Deed::Transfer { ring, say, .. } => (ring.unwrap_or(line.ring), self.say([say])),
            Deed::Say(_) | Deed::Queue(_) | Deed::Menu(_) | Deed::Close(_) => (line.ring, self.say([])),
        };
        // `0` and 9-1-1 are there while it rings, except where 911 itself is rung.
        let live = [&book.says.person_key, &book.emergency.keys];
        let live: Arc<[_]> = live.into_iter().filter(|_| at != book.emergency.line).cloned().collect();
        self.stand(At::Line(at, rest));
        Step::Transfer(Transfer {
            line: line.id.clone(),
            targets: line.targets.clone(),
            ring,
            announce,
            hold: Vec::new(),
            accept: accept(book, live),
            outcome: line.outcome,
            queue: None,
            place: act.place.clone(),
        })
    }

    pub(super) fn line_ended(
        &mut self,
        book: &Rulebook,
        now: Timestamp,
        (line, plan): (Ix<Line>, Plan),
        exit: Option<Exit>,
    ) -> Step {
        match &exit {
            Some(Exit::LineEnded) => return self.close(&book.says.goodbye, book.lines[line].outcome),
            Some(Exit::Keys(keys)) if *keys == book.emergency.keys => {
                return self.ask_emergency(book, Back::Rule(plan.again()));
            }
            Some(Exit::Keys(keys)) if *keys == book.says.person_key => {
                self.note(format!("{keys} was pressed before line {} answered: a person", book.lines[line].id));
                return self.person(book, now, book.emergency.queue);
            }
            Some(Exit::LineFailed(_) | Exit::Done | Exit::Keys(_) | Exit::NoInput) | None => {}
        }
        self.line_failed = true;
        let cause = failure(exit);
        let why = if cause == Cause::Busy {
            &book.says.line_busy
        } else if cause == Cause::NoAnswer {
            &book.says.line_no_answer
        } else {
            &book.says.line_failed
        };
        self.sorry(why);
        self.follow(book, now, plan)
    }

    /// Waits for a person at `queue`; while nobody is there by the calendar, its closed menu is offered.
    pub(super) fn person(&mut self, book: &Rulebook, now: Timestamp, at: Ix<Queue>) -> Step {
        let queue = &book.queues[at];
        let line = &book.lines[queue.line];
        if !self.ask_hours(book, now, line.calendar) {
            self.trail.clear();
            return self.enter_menu(book, queue.closed_menu);
        }
        let tongue = self.tongue.unwrap_or(book.gate.silence);
        let announce = self.say([&book.languages[tongue].wait, &queue.hold]);
        self.events.push(Event::QueueEntered { queue: queue.id.clone() });
        self.stand(At::Person(at));
        Step::Transfer(Transfer {
            line: line.id.clone(),
            targets: line.targets.clone(),
            ring: line.ring,
            announce,
            hold: Vec::new(),
            accept: accept(book, Arc::from([])),
            outcome: line.outcome,
            queue: Some(queue.id.clone()),
            place: queue.place.clone(),
        })
    }

    pub(super) fn person_ended(&mut self, book: &Rulebook, queue: Ix<Queue>, exit: Option<Exit>) -> Step {
        match exit {
            Some(Exit::LineEnded) => self.close(&book.says.goodbye, book.lines[book.queues[queue].line].outcome),
            Some(Exit::LineFailed(_) | Exit::Done | Exit::Keys(_) | Exit::NoInput) | None => {
                // Open, and yet nobody took the call: that is not a caller told when we are open.
                self.line_failed = true;
                self.closing(book, queue)
            }
        }
    }
}

/// Why a line did not take the call; an exit that no transfer can have is our own mistake.
fn failure(exit: Option<Exit>) -> Cause {
    match exit {
        Some(Exit::LineFailed(cause)) => cause,
        Some(Exit::Done | Exit::Keys(_) | Exit::NoInput | Exit::LineEnded) | None => Cause::Internal,
    }
}
