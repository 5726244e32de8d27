//! SIP on a bad wire: two agents, thousands of calls drawn by lot, virtual time.
//!
//! Whatever the wire does: every call ends, its end is told once, both sides agree about it, and nothing is left.
//! A failing seed is printed with the line that replays it.

#[path = "wire/plan.rs"]
mod plan;
#[path = "wire/world.rs"]
mod world;

use std::time::Duration;

use cityline::sip::agent::{Census, SessionTimes};
use cityline::terms::cause::Cause;
use plan::Plan;
use world::{Wire, World};

const CLEAN: Wire = Wire { loss: 0.0, twice: 0.0, delay_ms: 5, jitter_ms: 0 };
const BAD: Wire = Wire { loss: 0.15, twice: 0.05, delay_ms: 10, jitter_ms: 200 };
const AWFUL: Wire = Wire { loss: 0.30, twice: 0.10, delay_ms: 20, jitter_ms: 600 };
/// The session timers of the simulation: a call nobody ends is found out within these.
const SESSION: SessionTimes = SessionTimes { expires: Duration::from_secs(120), min: Duration::from_secs(90) };
/// 64·T1, and 32 s more for the timer queue to empty.
const SETTLED: Duration = Duration::from_secs(64 + 32);

fn seeds() -> impl Iterator<Item = u64> {
    let one = std::env::var("WIRE_SEED").ok().and_then(|seed| seed.parse().ok());
    let count = std::env::var("WIRE_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(12);
    one.map_or(0..count, |seed| seed..seed + 1)
}

fn replay(seed: u64, test: &str, what: &str) -> String {
    format!("{what}; replay: WIRE_SEED={seed} cargo test --test wire_sim {test}")
}

/// The invariants, once all is over.
fn check(world: &World, seed: u64, test: &str, apart_max: Duration) {
    for (call, plan) in world.plans.iter().enumerate() {
        let sides: Vec<_> =
            world.nodes.iter().map(|node| node.records.values().filter(|one| one.call == call)).collect();
        let mut ends = Vec::new();
        for record in sides.into_iter().flatten() {
            assert_eq!(
                record.ends,
                1,
                "{}",
                replay(seed, test, &format!("call {call} ended {} times: {plan:?}", record.ends))
            );
            assert_eq!(record.after_end, 0, "{}", replay(seed, test, &format!("call {call}: events after its end")));
            ends.extend(record.ended);
        }
        assert!(!ends.is_empty(), "{}", replay(seed, test, "a call without a record"));
        let (first, last) = (ends.iter().min().unwrap().0, ends.iter().max().unwrap().0);
        let apart = last - first;
        assert!(apart <= apart_max, "{}", replay(seed, test, &format!("call {call}: ends {apart:?} apart: {plan:?}")));
    }
    for node in &world.nodes {
        assert_eq!(node.agent.census(), Census::default(), "{}", replay(seed, test, "something is left"));
        assert_eq!(node.agent.calls(), 0, "{}", replay(seed, test, "calls are still counted"));
    }
}

fn any_story(wire: Wire, calls: u64, test: &str) {
    for seed in seeds() {
        let mut world = World::new(seed, wire, SESSION);
        for call in 0..calls {
            world.plan(Duration::from_millis(call * 50), Plan::by_lot);
        }
        world.run(Duration::from_secs(3600));
        check(&world, seed, test, Duration::from_secs(64 + 120));
        assert!(world.census_max.timers < calls as usize * 12, "{}", replay(seed, test, "the timer queue grows"));
    }
}

#[test]
fn calls_on_a_clean_wire_all_end_as_planned() {
    let test = "calls_on_a_clean_wire_all_end_as_planned";
    any_story(CLEAN, 300, test);
}

#[test]
fn calls_on_a_bad_wire_all_end_and_leave_nothing() {
    any_story(BAD, 300, "calls_on_a_bad_wire_all_end_and_leave_nothing");
}

#[test]
fn calls_on_an_awful_wire_all_end_and_leave_nothing() {
    any_story(AWFUL, 300, "calls_on_an_awful_wire_all_end_and_leave_nothing");
}

#[test]
fn on_a_clean_wire_an_answered_call_is_answered_on_both_sides_and_ends_within_a_second_on_both() {
    let test = "on_a_clean_wire_an_answered_call_is_answered_on_both_sides_and_ends_within_a_second_on_both";
    for seed in seeds() {
        let mut world = World::new(seed, CLEAN, SESSION);
        for call in 0..200 {
            world.plan(Duration::from_millis(call * 50), |dice| Plan {
                cancel_after: None,
                reliable: false,
                ..Plan::by_lot(dice)
            });
        }
        world.run(Duration::from_secs(3600));
        check(&world, seed, test, Duration::from_secs(1));
        for call in 0..world.plans.len() {
            let answered = world.nodes.iter().flat_map(|node| node.records.values()).filter(|one| one.call == call);
            let answered: Vec<bool> = answered.map(|one| one.answered.is_some()).collect();
            assert!(answered.len() == 2 && answered[0] == answered[1], "{}", replay(seed, test, "one side is not up"));
        }
    }
}

#[test]
fn a_call_outlives_its_session_timer_by_refreshes_and_a_peer_that_went_deaf_is_found_out() {
    let test = "a_call_outlives_its_session_timer_by_refreshes_and_a_peer_that_went_deaf_is_found_out";
    for seed in seeds() {
        let mut world = World::new(seed, Wire { loss: 0.05, ..BAD }, SESSION);
        for call in 0..20 {
            world.plan(Duration::from_millis(call * 50), Plan::lasting);
        }
        let deaf_at = Duration::from_secs(1000);
        world.deaf(1, deaf_at, Duration::from_secs(1400));
        world.run(Duration::from_secs(900));
        let ended = |world: &World| {
            let all = world.nodes.iter().flat_map(|node| node.records.values());
            all.filter(|one| one.ends > 0 && one.answered.is_some()).count()
        };
        assert_eq!(ended(&world), 0, "{}", replay(seed, test, "a call ended though both sides were there"));
        world.run(deaf_at + SESSION.expires + SETTLED);
        check(&world, seed, test, SESSION.expires + SETTLED);
        let causes = world.nodes.iter().flat_map(|node| node.records.values()).filter_map(|one| one.ended);
        for (_, cause) in causes {
            let fits = matches!(cause, Cause::SessionExpired | Cause::Unreachable);
            assert!(fits, "{}", replay(seed, test, &format!("ended by {cause}")));
        }
    }
}
