//! What is going on now: how many calls are up. Counted by guards, so it cannot drift.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of calls, shared by everything that shows or limits them.
#[derive(Clone, Debug, Default)]
pub struct Live(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    arrived: AtomicU64,
    ended: AtomicU64,
}

impl Live {
    /// Notes a call for as long as the guard is held.
    pub fn enter(&self) -> Guard {
        self.0.arrived.fetch_add(1, Ordering::Relaxed);
        Guard(self.clone())
    }

    /// Calls since the server started.
    pub fn arrived(&self) -> u64 {
        self.0.arrived.load(Ordering::Relaxed)
    }

    /// Calls that have ended since the server started.
    pub fn ended(&self) -> u64 {
        self.0.ended.load(Ordering::Relaxed)
    }

    /// Calls that are up now.
    pub fn in_progress(&self) -> u64 {
        // `ended` first: a call that ends between the two reads must not make the difference negative.
        let ended = self.ended();
        self.arrived().saturating_sub(ended)
    }
}

/// One call that is up.
#[derive(Debug)]
pub struct Guard(Live);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_counts_as_long_as_its_guard_is_held() {
        let live = Live::default();
        let (first, second) = (live.enter(), live.enter());
        assert_eq!(live.in_progress(), 2);
        drop(first);
        assert_eq!((live.arrived(), live.ended(), live.in_progress()), (2, 1, 1));
        drop(second);
        assert_eq!(live.in_progress(), 0);
    }
}
