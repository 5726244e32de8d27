//! A day of calls.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::caller::{Caller, Manner};
use super::ledger::{Books, Ledger};
use crate::call::journal::{CallJournal, Record};
use crate::call::leg;
use crate::flow::story;
use crate::flow::visit::{LegIds, Visit};
use crate::routing::model::Rulebook;
use crate::routing::route::{Facts, TrunkKind};
use crate::terms::clock::Clock;
use crate::terms::dice::Dice;
use crate::terms::event::Event;
use crate::terms::ids::{CallId, TrunkId};
use crate::terms::prompt::PromptIndex;

/// How long after the last arrival the day is given to come to rest.
const REST: Duration = Duration::from_secs(4 * 60 * 60);

/// What day to play.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed of all chance.
    pub seed: u64,
    /// How many calls.
    pub calls: u64,
    /// When the day begins.
    pub begins: jiff::Timestamp,
    /// Over how long the calls arrive.
    pub length: Duration,
}

/// What became of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The books, closed.
    pub books: Books,
    /// Tasks of the simulation that did not come to rest.
    pub left_over: usize,
}

/// Plays a day on this thread, under a virtual clock. Returns when every call has ended or the rest is over.
///
/// # Errors
/// Where the runtime cannot be built.
pub fn run(plan: &Plan, rulebook: &Arc<Rulebook>, prompts: &Arc<PromptIndex>) -> std::io::Result<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let report = runtime.block_on(play(plan.clone(), Arc::clone(rulebook), Arc::clone(prompts)));
    Ok(report)
}

async fn play(plan: Plan, rulebook: Arc<Rulebook>, prompts: Arc<PromptIndex>) -> Report {
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let clock = Clock::starting_at(plan.begins);
    let mut dice = Dice::from_seed(plan.seed);
    let legs = LegIds::default();
    let mean = plan.length.as_micros() as u64 / plan.calls.max(1);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..plan.calls {
        clock.sleep(Duration::from_micros(dice.below(2 * mean + 1))).await;
        let world = World { clock: clock.clone(), ledger: Arc::clone(&ledger), legs: legs.clone() };
        world.admit(&mut tasks, &mut dice, Arc::clone(&rulebook), Arc::clone(&prompts));
        while tasks.try_join_next().is_some() {}
    }
    let end = clock.now() + REST;
    loop {
        tokio::select! {
            biased;
            done = tasks.join_next() => if done.is_none() { break },
            () = tokio::time::sleep_until(end) => break,
        }
    }
    let left_over = tasks.len();
    drop(tasks);
    let ledger = std::mem::take(&mut *lock(&ledger));
    Report { books: ledger.close(), left_over }
}

struct World {
    clock: Clock,
    ledger: Arc<Mutex<Ledger>>,
    legs: LegIds,
}

impl World {
    /// One more caller: a task for the person, a task for the call.
    fn admit(
        self,
        tasks: &mut tokio::task::JoinSet<()>,
        dice: &mut Dice,
        rulebook: Arc<Rulebook>,
        prompts: Arc<PromptIndex>,
    ) {
        let call = CallId::new(self.clock.unix_ms(), dice);
        let manner = Manner::draw(dice);
        lock(&self.ledger).expect(call, manner);
        let (leg, far_end) = leg::leg(self.legs.next());
        let caller = Caller::new(far_end, manner, dice.split(), self.clock.clone(), prompts);
        let facts = facts(dice);
        let arrived = arrived(&facts, &rulebook);

        let books = Arc::clone(&self.ledger);
        let record: Record = Arc::new(move |entry| lock(&books).take(&entry));
        let visit = Visit::new(leg, self.legs, CallJournal::open(call, self.clock, record));
        tasks.spawn(story::tell(visit, arrived, rulebook, facts, story::Settings::default()));
        tasks.spawn(async move {
            if let Err(endless) = caller.live().await {
                tracing::error!(%call, endless, "the simulation stopped a call");
            }
        });
    }
}

fn facts(dice: &mut Dice) -> Facts {
    const DIALLED: &[&str] = &["311", "311", "311", "311", "9311", "+15038234000", "5038234000", "8234000", "5550100"];
    let dialled = DIALLED[dice.below(DIALLED.len() as u64) as usize];
    let trunk_kind = if dice.chance(0.02) { TrunkKind::Psap } else { TrunkKind::Carrier };
    Facts { dialled: dialled.to_owned(), trunk: TrunkId::from("sim"), trunk_kind, caller: None }
}

fn arrived(facts: &Facts, rulebook: &Rulebook) -> Event {
    Event::Arrived {
        trunk: facts.trunk.clone(),
        dialled: facts.dialled.clone(),
        caller: None,
        diverted_by: Vec::new(),
        sip_call_id: String::new(),
        rulebook: rulebook.hash().to_owned(),
    }
}

fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}
