//! Timers: RFC 3261's three base values, and one queue of deadlines for a whole agent.
//!
//! Every machine (transaction, dialog) knows its own next deadline; the queue only says whose turn it is.
//! An owner has at most one entry that counts, the earliest; a deadline that moves away leaves its entry
//! where it is and is put right when that comes up. So nothing is ever searched for, and a wake-up costs
//! one heap operation however many calls are up.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::terms::clock::Instant;

/// RFC 3261's base values (§17.1.1.1, table 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The round-trip time estimate.
    pub t1: Duration,
    /// The longest interval between two non-INVITE requests or INVITE responses.
    pub t2: Duration,
    /// How long a message may linger in the network.
    pub t4: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { t1: Duration::from_millis(500), t2: Duration::from_secs(4), t4: Duration::from_secs(5) }
    }
}

impl Pace {
    /// 64·T1, when everyone gives up (timers B, F, H, J, L and M): 32 s.
    pub const fn give_up(&self) -> Duration {
        self.t1.saturating_mul(64)
    }
}

/// A message that is sent again and again: the interval doubles up to a cap (timers A, E, G; RFC 3262 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Again {
    /// When it is due.
    pub at: Instant,
    interval: Duration,
    cap: Duration,
}

impl Again {
    /// First due `interval` from now.
    pub fn new(now: Instant, interval: Duration, cap: Duration) -> Self {
        Self { at: now + interval, interval, cap }
    }

    /// The same time, but from then on at this interval.
    pub fn then_every(self, interval: Duration) -> Self {
        Self { at: self.at, interval, cap: interval }
    }

    /// It was sent again: the next one.
    pub fn next(self, now: Instant) -> Self {
        Self::new(now, self.interval.saturating_mul(2).min(self.cap), self.cap)
    }
}

/// How far ahead an entry may lie; whoever waits longer is asked again then.
pub const HORIZON: Duration = Duration::from_secs(32);

/// The deadlines of a whole agent, by owner.
///
/// Bounded: an owner adds an entry only when its deadline moves nearer than the one it has in the queue, and
/// owners are bounded by the agent's tables. Entries of the departed fall out when their time comes, and no
/// entry lies further ahead than [`HORIZON`], so that a half-hour's session timer leaves nothing behind.
#[derive(Debug)]
pub struct Timers<K> {
    heap: BinaryHeap<Reverse<Entry<K>>>,
    sequence: u64,
}

#[derive(Debug)]
struct Entry<K> {
    at: Instant,
    sequence: u64,
    owner: K,
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), sequence: 0 }
    }
}

/// An owner's side: which of its entries counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Armed(Option<(Instant, u64)>);

impl<K> Timers<K> {
    /// Sees that `owner` is woken no later than `deadline`.
    pub fn arm(&mut self, now: Instant, armed: &mut Armed, deadline: Option<Instant>, owner: impl FnOnce() -> K) {
        let Some(at) = deadline.map(|at| at.min(now + HORIZON)) else { return };
        if armed.0.is_some_and(|(earlier, _)| earlier <= at) {
            return;
        }
        self.sequence += 1;
        armed.0 = Some((at, self.sequence));
        self.heap.push(Reverse(Entry { at, sequence: self.sequence, owner: owner() }));
    }

    /// The earliest entry's time.
    pub fn deadline(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }

    /// The next owner whose time has come, with the entry's number for [`Armed::rang`].
    pub fn pop(&mut self, now: Instant) -> Option<(K, u64)> {
        if self.deadline()? > now {
            return None;
        }
        let Reverse(entry) = self.heap.pop()?;
        Some((entry.owner, entry.sequence))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

impl Armed {
    /// Entry `sequence` came up: is it the one that counts? If so, the owner is to be armed anew.
    pub fn rang(&mut self, sequence: u64) -> bool {
        let counts = self.0.is_some_and(|(_, mine)| mine == sequence);
        if counts {
            self.0 = None;
        }
        counts
    }
}

impl<K> PartialEq for Entry<K> {
    fn eq(&self, other: &Self) -> bool {
        self.sequence == other.sequence
    }
}
impl<K> Eq for Entry<K> {}
impl<K> PartialOrd for Entry<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Entry<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn owners_are_woken_in_order_of_their_deadlines() {
        let (now, mut timers) = (Instant::now(), Timers::default());
        let (mut a, mut b) = (Armed::default(), Armed::default());
        timers.arm(now, &mut a, Some(now + S * 2), || 'a');
        timers.arm(now, &mut b, Some(now + S), || 'b');
        assert_eq!(timers.pop(now), None);
        assert_eq!(timers.pop(now + S * 2).map(|(owner, _)| owner), Some('b'));
        assert_eq!(timers.pop(now + S * 2).map(|(owner, _)| owner), Some('a'));
        assert!(timers.is_empty());
    }

    #[test]
    fn a_deadline_that_moves_away_adds_no_entry_and_one_that_moves_near_outdates_the_old() {
        let (now, mut timers, mut armed) = (Instant::now(), Timers::default(), Armed::default());
        timers.arm(now, &mut armed, Some(now + S), || 1);
        for later in 2..100 {
            timers.arm(now, &mut armed, Some(now + S * later), || 1);
        }
        assert_eq!(timers.len(), 1);
        timers.arm(now, &mut armed, Some(now), || 1);
        let (_, first) = timers.pop(now).unwrap();
        assert!(armed.rang(first));
        let (_, stale) = timers.pop(now + S).unwrap();
        assert!(!armed.rang(stale), "the entry that was overtaken no longer counts");
    }

    #[test]
    fn intervals_double_up_to_the_cap() {
        let now = Instant::now();
        let mut again = Again::new(now, S, S * 3);
        let mut waits = Vec::new();
        for _ in 0..4 {
            waits.push((again.at - now).as_secs());
            again = again.next(now);
        }
        assert_eq!(waits, [1, 2, 3, 3]);
    }
}
