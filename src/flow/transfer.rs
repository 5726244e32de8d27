//! Connect the caller to a line: dial it, let the caller hear that it rings, join the two.

use std::time::Duration;

use super::visit::{Happening, Left, Visit};
use crate::call::leg::{self, Command, Dial, Leg};
use crate::routing::keys::Overheard;
use crate::routing::step::{Exit, Transfer};
use crate::terms::cause::Cause;
use crate::terms::clock::Instant;
use crate::terms::event::{Event, Side};
use crate::terms::ids::LineId;
use crate::terms::key::{Key, Keys};

/// How much longer than its ring time a line gets to say anything at all before we give it up.
const GRACE: Duration = Duration::from_secs(3);
/// A line that breaks sooner than this after its answer spoke with nobody.
const SPOKEN_MIN: Duration = Duration::from_secs(2);

/// Tries the line. The caller may leave at any moment; the line's leg is then let go with the function. A wait
/// for a person begins with its announcement.
pub(super) async fn perform(visit: &mut Visit, transfer: &Transfer) -> Result<Exit, Left> {
    let entered = visit.now();
    visit.set_waiting(transfer.queue.is_some());
    let reached = reach(visit, transfer).await;
    note_queue_left(visit, transfer, entered, matches!(reached, Ok(Reached::Line { .. })));
    let reached = reached?;
    visit.set_waiting(false);
    match reached {
        Reached::Line { line, dialled } => talk(visit, transfer, line, dialled).await,
        Reached::Nobody(cause) => Ok(Exit::LineFailed(cause)),
        Reached::CalledOff(keys) => Ok(Exit::Keys(keys)),
    }
}

/// How far the attempt got.
#[derive(Debug)]
enum Reached {
    /// The line answered.
    Line { line: Leg, dialled: Instant },
    /// It did not, for this cause.
    Nobody(Cause),
    /// The caller wants something else.
    CalledOff(Keys),
}

/// Says the announcement and rings the line, with an ear for the keys that call it off.
async fn reach(visit: &mut Visit, transfer: &Transfer) -> Result<Reached, Left> {
    let mut ear = Ear { keys: Overheard::new(transfer.accept.clone()), until: None };
    if let Some(keys) = ear.take_typed(visit) {
        return Ok(Reached::CalledOff(keys));
    }
    if let Some(keys) = announce(visit, transfer, &mut ear).await? {
        return Ok(Reached::CalledOff(keys));
    }
    let dialled = visit.now();
    visit.note(Event::LineTried { line: transfer.line.clone(), place: transfer.place.clone() });
    let (reached, cause) = match ring(visit, transfer, &mut ear).await? {
        Rung::Answered(line) => return Ok(Reached::Line { line, dialled }),
        Rung::Failed(cause) => (Reached::Nobody(cause), cause),
        Rung::CalledOff(keys) => (Reached::CalledOff(keys), Cause::Cancelled),
    };
    let ms = ms_since(visit, dialled);
    visit.note(Event::LineFailed { line: transfer.line.clone(), cause, ms });
    Ok(reached)
}

/// Says the announcement to its end, or until the caller calls the attempt off.
async fn announce(visit: &mut Visit, transfer: &Transfer, ear: &mut Ear) -> Result<Option<Keys>, Left> {
    if transfer.announce.is_empty() {
        return Ok(None);
    }
    visit.play(&transfer.announce, false).await?;
    loop {
        match ear.listen(visit).await? {
            Noticed::Keys(keys) => {
                visit.interrupt().await?;
                return Ok(Some(keys));
            }
            Noticed::PlayedOut => return Ok(None),
            Noticed::Nothing => {}
        }
    }
}

/// How the ringing ended.
#[derive(Debug)]
enum Rung {
    /// With an answer.
    Answered(Leg),
    /// Without one.
    Failed(Cause),
    /// By the caller's keys.
    CalledOff(Keys),
}

/// Dials and waits for the answer.
async fn ring(visit: &mut Visit, transfer: &Transfer, ear: &mut Ear) -> Result<Rung, Left> {
    let (mut line, far_end) = visit.new_leg();
    let dial =
        Dial { line: transfer.line.clone(), targets: transfer.targets.clone(), ring: transfer.ring, leg: far_end };
    visit.command(Command::Dial(dial)).await?;
    if transfer.hold.is_empty() {
        visit.ringback().await?;
    } else {
        visit.play(&transfer.hold, true).await?;
    }
    let deadline = visit.now() + transfer.ring + GRACE;
    loop {
        tokio::select! {
            biased;
            noticed = ear.listen(visit) => match noticed? {
                Noticed::Keys(keys) => {
                    visit.interrupt().await?;
                    return Ok(Rung::CalledOff(keys));
                }
                Noticed::PlayedOut | Noticed::Nothing => {}
            },
            event = line.events.recv() => match event {
                Some(leg::Event::Answered) => return Ok(Rung::Answered(line)),
                Some(leg::Event::Ended { cause, .. }) => return Ok(Rung::Failed(cause)),
                Some(_) => {}
                None => return Ok(Rung::Failed(Cause::Internal)),
            },
            () = tokio::time::sleep_until(deadline) => return Ok(Rung::Failed(Cause::NoAnswer)),
        }
    }
}

/// Listens for the caller's keys while a line is tried.
#[derive(Debug)]
struct Ear {
    keys: Overheard,
    /// Until when the next key of a run that is begun may come.
    until: Option<Instant>,
}

/// What there was at the caller's leg.
#[derive(Debug)]
enum Noticed {
    /// An accepted run of keys.
    Keys(Keys),
    /// Everything was played.
    PlayedOut,
    /// Nothing that matters here.
    Nothing,
}

impl Ear {
    /// Hears the keys pressed ahead.
    fn take_typed(&mut self, visit: &mut Visit) -> Option<Keys> {
        let mut typed = visit.take_typed();
        std::iter::from_fn(|| typed.pop()).find_map(|key| self.hear(visit, key))
    }

    /// Waits for the next thing at the caller's leg. May be dropped at its await: nothing is lost.
    async fn listen(&mut self, visit: &mut Visit) -> Result<Noticed, Left> {
        let found = match visit.next_until(self.until).await? {
            Some(Happening::Key(key)) => self.hear(visit, key),
            Some(Happening::PlayedOut) => return Ok(Noticed::PlayedOut),
            Some(Happening::Noted) => return Ok(Noticed::Nothing),
            None => {
                self.until = None;
                self.keys.timeout()
            }
        };
        Ok(found.map_or(Noticed::Nothing, Noticed::Keys))
    }

    fn hear(&mut self, visit: &Visit, key: Key) -> Option<Keys> {
        let found = self.keys.push(key);
        self.until = self.keys.patience().map(|patience| visit.now() + patience);
        found
    }
}

/// Joins the two until one of them hangs up, or the line breaks: then it did not take the call after all, and
/// the caller who is still there is led on.
async fn talk(visit: &mut Visit, transfer: &Transfer, mut line: Leg, dialled: Instant) -> Result<Exit, Left> {
    visit.playback_replaced();
    visit.command(Command::Bridge { peer: line.id }).await?;
    let begun = visit.now();
    visit.note(Event::Bridged { line: transfer.line.clone(), ring_ms: ms_since(visit, dialled) });
    visit.set_talking(Some(transfer.outcome));
    let parted = converse(visit, &transfer.line, &mut line).await;
    let (spoken, ms) = (visit.now().saturating_duration_since(begun), ms_since(visit, begun));
    let by = match &parted {
        Ok(end) => end.by,
        Err(left) => left.by,
    };
    visit.note(Event::Unbridged { line: transfer.line.clone(), ms, by });
    let end = parted?;
    let broke = end.broke(spoken);
    if broke {
        visit.set_talking(None);
        let ms = ms_since(visit, dialled);
        visit.note(Event::LineFailed { line: transfer.line.clone(), cause: end.cause, ms });
    }
    visit.flush_kept();
    visit.command(Command::Unbridge).await?;
    visit.set_talking(None);
    Ok(if broke { Exit::LineFailed(end.cause) } else { Exit::LineEnded })
}

/// How a line that had answered was over.
#[derive(Clone, Copy, Debug)]
struct LineEnd {
    /// The line, or we.
    by: Side,
    /// Why.
    cause: Cause,
}

impl LineEnd {
    /// As the line's leg tells it, where the party itself is called the caller.
    fn told(by: Side, cause: Cause) -> Self {
        let by = match by {
            Side::Caller | Side::FarEnd => Side::FarEnd,
            Side::Us => Side::Us,
        };
        Self { by, cause }
    }

    /// Whether it broke rather than hung up: by a failure of ours, or by one of its own before anybody spoke.
    fn broke(self, spoken: Duration) -> bool {
        self.cause != Cause::Normal && (self.by == Side::Us || spoken < SPOKEN_MIN)
    }
}

/// Follows both legs; `Ok` when the line is over.
async fn converse(visit: &mut Visit, name: &LineId, line: &mut Leg) -> Result<LineEnd, Left> {
    loop {
        tokio::select! {
            biased;
            happening = visit.next() => { happening?; }
            event = line.events.recv() => match event {
                Some(leg::Event::Ended { by, cause }) => return Ok(LineEnd::told(by, cause)),
                None => return Ok(LineEnd { by: Side::Us, cause: Cause::Internal }),
                Some(leg::Event::Silent) => {
                    tracing::warn!(line = %name, leg = visit.leg_id().0, "no audio from the line");
                    visit.note(Event::AudioLost { side: Side::FarEnd });
                }
                Some(leg::Event::Held { on_hold }) => {
                    let did = if on_hold { "put the caller on hold" } else { "took the caller off hold" };
                    visit.note(Event::Noted { text: format!("line {name} {did}") });
                }
                Some(_) => {}
            },
        }
    }
}

fn note_queue_left(visit: &mut Visit, transfer: &Transfer, entered: Instant, answered: bool) {
    if let Some(queue) = transfer.queue.clone() {
        let waited_ms = ms_since(visit, entered);
        visit.note(Event::QueueLeft { queue, waited_ms, answered });
    }
}

fn ms_since(visit: &Visit, begun: Instant) -> u64 {
    u64::try_from(visit.now().saturating_duration_since(begun).as_millis()).unwrap_or(u64::MAX)
}
