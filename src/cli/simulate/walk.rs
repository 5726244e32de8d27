//! The pretended caller and lines: presses the given keys, waits where nothing is left to press.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::routing::journey::Journey;
use crate::routing::keys::{Collector, Progress, Typed};
use crate::routing::model::Rulebook;
use crate::routing::route::Facts;
use crate::routing::step::{Collect, Exit, Step, Transfer};
use crate::terms::cause::Cause;
use crate::terms::event::Event;
use crate::terms::ids::LineId;
use crate::terms::key::Keys;
use crate::terms::prompt::{PromptIndex, Spoken};

/// How long the caller and a line that answered speak.
const TALK: Duration = Duration::from_secs(60);

/// What the caller and the lines do.
#[derive(Debug)]
pub(super) struct Script {
    /// The keys for one question after another; `None` presses nothing.
    pub(super) keys: VecDeque<Option<Keys>>,
    /// The lines that do not take the call, and why.
    pub(super) failing: HashMap<LineId, Cause>,
    /// With none, nobody answers in a queue.
    pub(super) agents: u32,
}

/// One step as it went.
#[derive(Debug)]
pub(super) struct Stage {
    /// What was decided on the way to it.
    pub(super) decided: Vec<Event>,
    /// When it began.
    pub(super) at: Timestamp,
    /// The step.
    pub(super) step: Step,
    /// How it ended; `None` for the last.
    pub(super) exit: Option<Exit>,
}

/// A call from its arrival to its end.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) facts: Facts,
    pub(super) stages: Vec<Stage>,
}

impl Walk {
    /// Whether the call was refused.
    pub(super) fn refused(&self) -> bool {
        self.stages.last().is_some_and(|stage| matches!(stage.step, Step::Refuse { .. }))
    }
}

/// Leads a call with `facts` from `now` to its end.
pub(super) fn walk(
    book: &Arc<Rulebook>,
    facts: Facts,
    mut now: Timestamp,
    mut script: Script,
    prompts: &PromptIndex,
) -> Walk {
    let mut journey = Journey::begin(book.clone(), facts.clone());
    let mut typed = Typed::default();
    let mut stages = Vec::new();
    let mut last = None;
    loop {
        let step = journey.next(now, last.take());
        let decided = journey.take_events();
        let (exit, took) = match &step {
            Step::Say { prompts: said, .. } => (Some(Exit::Done), length(said, prompts)),
            Step::Collect(collect) => {
                let (exit, took) = collected(collect, &mut script, &mut typed, prompts);
                (Some(exit), took)
            }
            Step::Transfer(transfer) => {
                let (exit, took) = transferred(transfer, &script);
                (Some(exit), length(&transfer.announce, prompts) + took)
            }
            Step::Close { .. } | Step::Refuse { .. } => (None, Duration::ZERO),
        };
        stages.push(Stage { decided, at: now, step, exit: exit.clone() });
        now = now.checked_add(took).unwrap_or(now);
        match exit {
            Some(exit) => last = Some(exit),
            None => return Walk { facts, stages },
        }
    }
}

/// The next keys of the script, through the same collector as a real call's.
fn collected(collect: &Collect, script: &mut Script, typed: &mut Typed, prompts: &PromptIndex) -> (Exit, Duration) {
    let mut collector = Collector::new(collect, std::mem::take(typed));
    let mut progress = collector.progress();
    let mut took = Duration::ZERO;
    if progress == Progress::First {
        let run = script.keys.pop_front().flatten().unwrap_or_default();
        for (position, key) in run.0.iter().enumerate() {
            progress = collector.push(*key);
            if let Progress::Ended(exit) = progress {
                // The rest of the run was pressed all the same: it is type-ahead.
                *typed = collector.into_typed();
                run.0.iter().skip(position + 1).for_each(|key| {
                    typed.push(*key);
                });
                return (exit, took);
            }
        }
    }
    let exit = loop {
        match progress {
            Progress::Ended(exit) => break exit,
            Progress::First => took += length(&collect.prompts, prompts) + collect.first,
            Progress::Next => took += collector.patience(),
        }
        progress = collector.timeout();
    };
    *typed = collector.into_typed();
    (exit, took)
}

fn transferred(transfer: &Transfer, script: &Script) -> (Exit, Duration) {
    if let Some(cause) = script.failing.get(&transfer.line) {
        let rang = if *cause == Cause::NoAnswer { transfer.ring } else { Duration::from_secs(1) };
        return (Exit::LineFailed(*cause), rang);
    }
    if transfer.queue.is_some() && script.agents == 0 {
        return (Exit::LineFailed(Cause::NoAnswer), transfer.ring);
    }
    (Exit::LineEnded, TALK)
}

fn length(said: &[Spoken], prompts: &PromptIndex) -> Duration {
    let ms = said.iter().filter_map(|spoken| prompts.ms(spoken.language, &spoken.name)).map(u64::from).sum();
    Duration::from_millis(ms)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::routing::route::TrunkKind;
    use crate::terms::ids::TrunkId;

    fn walked(at: &str, keys: &[&str], failing: &[(&str, Cause)], agents: u32) -> Walk {
        let book = Rulebook::load_unheard(Path::new("routing-rules")).unwrap();
        let facts =
            Facts { dialled: "311".into(), trunk: TrunkId::from("t"), trunk_kind: TrunkKind::Carrier, caller: None };
        let script = Script {
            keys: keys.iter().map(|run| run.parse().ok().filter(|run: &Keys| !run.0.is_empty())).collect(),
            failing: failing.iter().map(|(line, cause)| (LineId::from(*line), *cause)).collect(),
            agents,
        };
        walk(&book, facts, at.parse().unwrap(), script, &PromptIndex::default())
    }

    /// The lines rung, and the end.
    fn way(walk: &Walk) -> Vec<String> {
        let word = |stage: &Stage| match &stage.step {
            Step::Transfer(transfer) => Some(transfer.line.to_string()),
            Step::Close { outcome, .. } => Some(outcome.to_string()),
            Step::Refuse { cause } => Some(cause.to_string()),
            Step::Say { .. } | Step::Collect(_) => None,
        };
        walk.stages.iter().filter_map(word).collect()
    }

    const OPEN: &str = "2026-11-18T10:00-08:00";
    const NIGHT: &str = "2026-12-25T03:00-08:00";

    #[test]
    fn keys_pressed_in_one_go_answer_one_question_after_another() {
        let one_by_one = walked(NIGHT, &["3", "1", "3"], &[], 1);
        let in_one_go = walked(NIGHT, &["313"], &[], 1);
        assert_eq!(way(&one_by_one), ["water_emergency", "transferred_answered"]);
        assert_eq!(way(&in_one_go), way(&one_by_one));
    }

    #[test]
    fn lines_fail_as_told_and_no_agents_means_no_answer() {
        let walk =
            walked(OPEN, &["1", "1", "1"], &[("pbot_maint", Cause::Busy), ("psap_nonemergency", Cause::Busy)], 0);
        assert_eq!(way(&walk), ["pbot_maint", "psap_nonemergency", "agents_311", "transferred_failed"]);
    }

    #[test]
    fn a_caller_who_presses_nothing_gets_a_person_and_time_passes() {
        let walk = walked(OPEN, &[], &[], 1);
        assert_eq!(way(&walk), ["agents_311", "answered_by_agent"]);
        let (first, last) = (walk.stages.first().unwrap().at, walk.stages.last().unwrap().at);
        assert!(last.duration_since(first).as_secs() >= 3 + 5 + 5 + 60);
    }

    #[test]
    fn nine_one_one_in_the_middle_of_a_run_is_heard() {
        assert_eq!(way(&walked(NIGHT, &["1", "911", ""], &[], 1)), ["psap_emergency", "to_911"]);
    }
}
