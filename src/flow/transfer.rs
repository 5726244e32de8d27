//! Connect the caller to a line: dial it, let the caller hear that it rings, join the two.

use std::time::Duration;

use super::say;
use super::visit::{Left, Visit};
use crate::call::leg::{self, Command, Dial, Leg};
use crate::routing::step::{Exit, Transfer};
use crate::terms::cause::Cause;
use crate::terms::clock::Instant;
use crate::terms::event::{Event, Side};
use crate::terms::ids::LineId;

/// How much longer than its ring time a line gets to say anything at all before we give it up.
const GRACE: Duration = Duration::from_secs(3);

/// Tries the line. The caller may leave at any moment; the line's leg is then let go with the function.
pub(super) async fn perform(visit: &mut Visit, transfer: &Transfer) -> Result<Exit, Left> {
    say::perform(visit, &transfer.announce, false).await?;
    visit.flush_kept();
    visit.set_waiting(transfer.queue.is_some());
    let begun = visit.now();
    visit.note(Event::LineTried { line: transfer.line.clone(), place: transfer.place.clone() });

    let rung = ring(visit, transfer).await;
    note_queue_left(visit, transfer, begun, matches!(rung, Ok(Ok(_))));
    match rung? {
        Ok(line) => {
            visit.set_waiting(false);
            let ring_ms = ms_since(visit, begun);
            talk(visit, transfer, line, ring_ms).await
        }
        Err(cause) => {
            visit.set_waiting(false);
            let ms = ms_since(visit, begun);
            visit.note(Event::LineFailed { line: transfer.line.clone(), cause, ms });
            Ok(Exit::LineFailed(cause))
        }
    }
}

/// Dials and waits for the answer: the line's leg, or why there is none.
async fn ring(visit: &mut Visit, transfer: &Transfer) -> Result<Result<Leg, Cause>, Left> {
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
            happening = visit.next() => { happening?; }
            event = line.events.recv() => match event {
                Some(leg::Event::Answered) => return Ok(Ok(line)),
                Some(leg::Event::Ended { cause, .. }) => return Ok(Err(cause)),
                Some(_) => {}
                None => return Ok(Err(Cause::Internal)),
            },
            () = tokio::time::sleep_until(deadline) => return Ok(Err(Cause::NoAnswer)),
        }
    }
}

/// Joins the two until one of them hangs up.
async fn talk(visit: &mut Visit, transfer: &Transfer, mut line: Leg, ring_ms: u64) -> Result<Exit, Left> {
    visit.playback_replaced();
    visit.command(Command::Bridge { peer: line.id }).await?;
    let begun = visit.now();
    visit.note(Event::Bridged { line: transfer.line.clone(), ring_ms });
    visit.set_talking(Some(transfer.outcome));
    let parted = converse(visit, &transfer.line, &mut line).await;
    let ms = ms_since(visit, begun);
    let by = match &parted {
        Ok(()) => Side::FarEnd,
        Err(left) => left.by,
    };
    visit.note(Event::Unbridged { line: transfer.line.clone(), ms, by });
    parted?;
    visit.set_talking(None);
    visit.flush_kept();
    visit.command(Command::Unbridge).await?;
    Ok(Exit::LineEnded)
}

/// Follows both legs; `Ok` when the line hung up.
async fn converse(visit: &mut Visit, name: &LineId, line: &mut Leg) -> Result<(), Left> {
    loop {
        tokio::select! {
            biased;
            happening = visit.next() => { happening?; }
            event = line.events.recv() => match event {
                Some(leg::Event::Ended { .. }) | None => return Ok(()),
                Some(leg::Event::Silent) => {
                    tracing::warn!(line = %name, leg = visit.leg_id().0, "no audio from the line");
                    visit.note(Event::AudioLost { side: Side::FarEnd });
                }
                Some(_) => {}
            },
        }
    }
}

fn note_queue_left(visit: &mut Visit, transfer: &Transfer, begun: Instant, answered: bool) {
    if let Some(queue) = transfer.queue.clone() {
        let waited_ms = ms_since(visit, begun);
        visit.note(Event::QueueLeft { queue, waited_ms, answered });
    }
}

fn ms_since(visit: &Visit, begun: Instant) -> u64 {
    u64::try_from(visit.now().saturating_duration_since(begun).as_millis()).unwrap_or(u64::MAX)
}
