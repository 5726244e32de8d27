//! Say something and take keys.

use super::visit::{Happening, Left, Visit};
use crate::routing::keys::{Collector, Progress};
use crate::routing::step::{Collect, Exit};
use crate::terms::clock::Instant;

/// Says the prompts and takes keys, from the first millisecond; the first key cuts what is said. Keys pressed
/// earlier count or are dropped as the step says; where they are an answer already, nothing is said.
pub(super) async fn perform(visit: &mut Visit, asked: &Collect) -> Result<Exit, Left> {
    let mut collector = Collector::new(asked, visit.take_typed());
    let result = gather(visit, asked, &mut collector).await;
    visit.keep_typed(collector.into_typed());
    result
}

async fn gather(visit: &mut Visit, asked: &Collect, collector: &mut Collector) -> Result<Exit, Left> {
    let mut deadline = match collector.progress() {
        Progress::Ended(exit) => return Ok(exit),
        Progress::Next => Some(visit.now() + collector.patience()),
        Progress::First if asked.prompts.is_empty() => Some(visit.now() + asked.first),
        Progress::First => {
            visit.play(&asked.prompts, false).await?;
            None
        }
    };
    loop {
        match visit.next_until(deadline).await? {
            Some(Happening::Key(key)) => {
                visit.interrupt().await?;
                match collector.push(key) {
                    Progress::Ended(exit) => return Ok(exit),
                    Progress::First => deadline = Some(visit.now() + asked.first),
                    Progress::Next => deadline = Some(visit.now() + collector.patience()),
                }
            }
            Some(Happening::PlayedOut) => deadline = deadline.or(Some(after(visit, asked))),
            Some(Happening::Noted) => {}
            None => match collector.timeout() {
                Progress::Ended(exit) => return Ok(exit),
                Progress::First | Progress::Next => deadline = Some(after(visit, asked)),
            },
        }
    }
}

fn after(visit: &Visit, asked: &Collect) -> Instant {
    visit.now() + asked.first
}
