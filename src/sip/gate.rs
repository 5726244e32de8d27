//! The gate: whether a call is let in, decided before anything is remembered of it.
//!
//! A refusal is an answer made of the request alone: no transaction, no dialog, no timer. What belongs to a
//! call that is up (and every CANCEL and BYE) never comes by here.

use std::time::Duration;

use super::agent::Limits;
use super::trunk::Trunk;
use crate::terms::clock::Instant;
use crate::terms::dice::Dice;

/// Why a new call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// We are going down.
    Draining,
    /// Messages wait too long before we see them.
    Lagging,
    /// As many calls as there may be, in all or on this trunk.
    Calls,
    /// Too many new calls this second, in all or on this trunk.
    Rate,
    /// The transaction tables are full.
    Transactions,
}

/// How much was refused, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// Requests from unknown sources.
    pub strangers: u64,
    /// Messages that could not be read (400, 505, 513, or silence).
    pub malformed: u64,
    /// Requests we do not serve or cannot (405, 415, 416, 420, 422, 481, 482, 483, 500, 501).
    pub unserved: u64,
    /// 503: going down.
    pub draining: u64,
    /// 503: messages waited too long.
    pub lagging: u64,
    /// 503: too many calls.
    pub calls: u64,
    /// 503: too many new calls a second.
    pub rate: u64,
    /// 503: the transaction tables were full.
    pub transactions: u64,
    /// Responses that belong to nothing.
    pub stray_responses: u64,
}

/// The gate's own memory: as large as the list of trunks.
#[derive(Debug)]
pub struct Gate {
    whole: Post,
    callers: usize,
    callers_max: usize,
    trunks: Vec<Post>,
    draining: bool,
    lag: Duration,
    lag_max: Duration,
    /// What was refused.
    pub refusals: Refusals,
}

/// One place where calls are counted.
#[derive(Debug)]
struct Post {
    calls: usize,
    calls_max: Option<usize>,
    bucket: Option<Bucket>,
}

/// A token bucket: `rate` a second, and a burst of one second's worth.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    rate: f64,
    tokens: f64,
    filled: Option<Instant>,
}

impl Gate {
    /// A gate nobody has come through yet.
    pub fn new(limits: &Limits, trunks: &[Trunk]) -> Self {
        Self {
            whole: Post::new(Some(limits.calls), Some(limits.calls_per_s)),
            callers: 0,
            callers_max: limits.callers,
            trunks: trunks.iter().map(|trunk| Post::new(trunk.calls_max, trunk.calls_per_s)).collect(),
            draining: false,
            lag: Duration::ZERO,
            lag_max: limits.lag,
            refusals: Refusals::default(),
        }
    }

    /// May a new call come in over this trunk? What is refused is counted here; a call that is let in is
    /// counted by [`Gate::enter`].
    ///
    /// # Errors
    /// The reason why not: 503.
    pub fn admit(&mut self, now: Instant, trunk: usize) -> Result<(), Refused> {
        self.open().and_then(|()| self.take_token(now, trunk)).inspect_err(|refused| self.count(*refused))
    }

    /// Could a new call come in at this moment, as far as can be told without one (OPTIONS)?
    ///
    /// # Errors
    /// The reason why not.
    pub fn open(&self) -> Result<(), Refused> {
        if self.draining {
            Err(Refused::Draining)
        } else if self.lag > self.lag_max {
            Err(Refused::Lagging)
        } else if self.whole.is_full() || self.callers >= self.callers_max {
            Err(Refused::Calls)
        } else {
            Ok(())
        }
    }

    /// Counts a refusal that was decided elsewhere.
    pub fn count(&mut self, refused: Refused) {
        let counter = match refused {
            Refused::Draining => &mut self.refusals.draining,
            Refused::Lagging => &mut self.refusals.lagging,
            Refused::Calls => &mut self.refusals.calls,
            Refused::Rate => &mut self.refusals.rate,
            Refused::Transactions => &mut self.refusals.transactions,
        };
        *counter += 1;
    }

    fn take_token(&mut self, now: Instant, trunk: usize) -> Result<(), Refused> {
        let Some(post) = self.trunks.get_mut(trunk) else { return Err(Refused::Calls) };
        if post.is_full() {
            return Err(Refused::Calls);
        }
        if !post.has_token(now) || !self.whole.has_token(now) {
            return Err(Refused::Rate);
        }
        post.spend();
        self.whole.spend();
        Ok(())
    }

    /// Is there room for a call of our own?
    pub fn has_room(&self) -> bool {
        !self.whole.is_full()
    }

    /// A call begins; None where it is one of ours.
    pub fn enter(&mut self, trunk: Option<usize>) {
        self.whole.calls += 1;
        self.callers += usize::from(trunk.is_some());
        if let Some(post) = trunk.and_then(|trunk| self.trunks.get_mut(trunk)) {
            post.calls += 1;
        }
    }

    /// A call has ended.
    pub fn leave(&mut self, trunk: Option<usize>) {
        self.whole.calls = self.whole.calls.saturating_sub(1);
        self.callers = self.callers.saturating_sub(usize::from(trunk.is_some()));
        if let Some(post) = trunk.and_then(|trunk| self.trunks.get_mut(trunk)) {
            post.calls = post.calls.saturating_sub(1);
        }
    }

    /// Calls in progress.
    pub fn calls(&self) -> usize {
        self.whole.calls
    }

    /// Take no new calls, or take them again.
    pub fn drain(&mut self, draining: bool) {
        self.draining = draining;
    }

    /// How long messages wait before they are handed in.
    pub fn lag(&mut self, lag: Duration) {
        self.lag = lag;
    }
}

/// A short Retry-After with jitter, 1 to 4 seconds: nobody is sent away for minutes, and not all come back at once.
pub fn retry_after_s(dice: &mut Dice) -> u32 {
    1 + u32::try_from(dice.below(4)).unwrap_or(0)
}

impl Post {
    fn new(calls_max: Option<usize>, rate: Option<f64>) -> Self {
        let bucket = rate.map(|rate| Bucket { rate, tokens: rate.max(1.0), filled: None });
        Self { calls: 0, calls_max, bucket }
    }

    fn is_full(&self) -> bool {
        self.calls_max.is_some_and(|max| self.calls >= max)
    }

    fn has_token(&mut self, now: Instant) -> bool {
        let Some(bucket) = &mut self.bucket else { return true };
        if let Some(filled) = bucket.filled {
            let gained = now.saturating_duration_since(filled).as_secs_f64() * bucket.rate;
            bucket.tokens = (bucket.tokens + gained).min(bucket.rate.max(1.0));
        }
        bucket.filled = Some(now);
        bucket.tokens >= 1.0
    }

    fn spend(&mut self) {
        if let Some(bucket) = &mut self.bucket {
            bucket.tokens -= 1.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(calls: usize, calls_per_s: f64) -> Gate {
        let mut psap = Trunk::new("psap", Vec::new(), true);
        psap.calls_max = Some(1);
        Gate::new(&Limits { calls, calls_per_s, ..Limits::default() }, &[Trunk::new("carrier", Vec::new(), true), psap])
    }

    #[test]
    fn the_rate_is_held_and_a_second_brings_a_seconds_worth() {
        let (mut gate, now) = (gate(100, 10.0), Instant::now());
        let let_in = |gate: &mut Gate, at| (0..50).filter(|_| gate.admit(at, 0).is_ok()).count();
        assert_eq!(let_in(&mut gate, now), 10);
        assert_eq!(let_in(&mut gate, now + Duration::from_millis(550)), 5);
        assert_eq!(let_in(&mut gate, now + Duration::from_secs(60)), 10);
        assert_eq!(gate.refusals.rate, 40 + 45 + 40);
    }

    #[test]
    fn a_full_trunk_leaves_the_others_alone_and_a_call_that_ends_makes_room() {
        let (mut gate, now) = (gate(2, 100.0), Instant::now());
        assert_eq!(gate.admit(now, 1), Ok(()));
        gate.enter(Some(1));
        assert_eq!(gate.admit(now, 1), Err(Refused::Calls));
        assert_eq!(gate.admit(now, 0), Ok(()));
        gate.enter(Some(0));
        assert_eq!(gate.open(), Err(Refused::Calls), "as many as there may be");
        gate.leave(Some(1));
        assert_eq!(gate.admit(now, 1), Ok(()));
    }

    #[test]
    fn draining_and_lag_close_it_and_it_opens_again() {
        let (mut gate, now) = (gate(10, 100.0), Instant::now());
        gate.drain(true);
        assert_eq!(gate.admit(now, 0), Err(Refused::Draining));
        gate.drain(false);
        gate.lag(Duration::from_secs(1));
        assert_eq!(gate.admit(now, 0), Err(Refused::Lagging));
        gate.lag(Duration::ZERO);
        assert_eq!(gate.admit(now, 0), Ok(()));
        assert_eq!((gate.refusals.draining, gate.refusals.lagging), (1, 1));
    }

    #[test]
    fn nobody_is_sent_away_for_long() {
        let mut dice = Dice::from_seed(1);
        let waits: Vec<u32> = (0..100).map(|_| retry_after_s(&mut dice)).collect();
        assert!((1..=4).all(|wait| waits.contains(&wait)) && waits.iter().all(|wait| (1..=4).contains(wait)));
    }
}
