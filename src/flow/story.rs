//! The story of one call, from arrival to its one outcome.

use std::sync::Arc;
use std::time::Duration;

use super::visit::{Left, Visit};
use super::{close, collect, say, transfer};
use crate::call::leg::Command;
use crate::routing::journey::Journey;
use crate::routing::model::Rulebook;
use crate::routing::route::Facts;
use crate::routing::step::{Exit, Step};
use crate::terms::cause::Cause;
use crate::terms::event::{Event, Side};
use crate::terms::outcome::Outcome;

/// What the city decides about stories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A caller who leaves the line for a person within this time is a short abandon (domain §3.1).
    pub short_abandon: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { short_abandon: Duration::from_secs(5) }
    }
}

/// How a story ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ending {
    outcome: Outcome,
    by: Side,
    cause: Cause,
}

/// Tells the story of one call. `arrived` is its first line; `rulebook` stays the same to the end, whatever is
/// edited meanwhile. However the caller leaves, the last line is written exactly once.
pub async fn tell(mut visit: Visit, arrived: Event, rulebook: Arc<Rulebook>, facts: Facts, settings: Settings) {
    visit.note(arrived);
    let mut journey = Journey::begin(rulebook, facts);
    let ending = match travel(&mut visit, &mut journey).await {
        Ok(ending) => ending,
        Err(left) => {
            let outcome = visit.outcome_of_leaving(left, journey.if_caller_leaves(), settings.short_abandon);
            Ending { outcome, by: left.by, cause: left.cause }
        }
    };
    visit.end(ending.outcome, ending.by, ending.cause);
}

/// Asks for step after step and performs each, until one has nothing after it.
async fn travel(visit: &mut Visit, journey: &mut Journey) -> Result<Ending, Left> {
    let mut exit: Option<Exit> = None;
    let mut answered = false;
    loop {
        let step = journey.next(visit.wall(), exit.take());
        for event in journey.take_events() {
            visit.note(event);
        }
        if !answered && !matches!(step, Step::Refuse { .. }) {
            visit.answer().await?;
            answered = true;
        }
        exit = Some(match step {
            Step::Say { prompts, barge_in } => say::perform(visit, &prompts, barge_in).await?,
            Step::Collect(asked) => collect::perform(visit, &asked).await?,
            Step::Transfer(asked) => transfer::perform(visit, &asked).await?,
            Step::Close { prompts, outcome } => {
                close::perform(visit, &prompts).await?;
                return Ok(Ending { outcome, by: Side::Us, cause: Cause::Normal });
            }
            Step::Refuse { cause } => {
                visit.command(Command::Reject { cause }).await?;
                return Ok(Ending { outcome: Outcome::Refused, by: Side::Us, cause });
            }
        });
    }
}
