//! A call's own journal: numbers its lines, times them, and makes sure that the last one is written.

use std::fmt;
use std::sync::Arc;

use crate::terms::cause::Cause;
use crate::terms::clock::{Clock, Instant};
use crate::terms::event::{Entry, Event, Side};
use crate::terms::ids::CallId;
use crate::terms::outcome::Outcome;

/// Where journal lines go. Must not block.
pub type Record = Arc<dyn Fn(Entry) + Send + Sync>;

/// The journal of one call. Whatever happens to the call's task, [`Event::Ended`] is written exactly once:
/// by [`CallJournal::end`], or, where the task was dropped or panicked, by `Drop` with the outcome
/// `technical_failure` (R070).
pub struct CallJournal {
    call: CallId,
    arrived: Instant,
    clock: Clock,
    next: u32,
    record: Record,
    ended: bool,
}

impl CallJournal {
    /// The journal of `call`, which arrives now.
    pub fn open(call: CallId, clock: Clock, record: Record) -> Self {
        Self { call, arrived: clock.now(), clock, next: 0, record, ended: false }
    }

    /// The call's id.
    pub fn call(&self) -> CallId {
        self.call
    }

    /// The clock it is timed by.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Writes a line. Lines after the end are refused: the end is the end.
    pub fn note(&mut self, event: Event) {
        debug_assert!(!self.ended, "a line after the end: {event:?}");
        if self.ended {
            return;
        }
        let at_ms = self.elapsed_ms();
        (self.record)(Entry { call: self.call, seq: self.next, unix_ms: self.clock.unix_ms(), at_ms, event });
        self.next += 1;
    }

    /// Writes the last line.
    pub fn end(mut self, outcome: Outcome, by: Side, cause: Cause) {
        self.write_end(outcome, by, cause);
    }

    fn write_end(&mut self, outcome: Outcome, by: Side, cause: Cause) {
        let ms = self.elapsed_ms();
        self.note(Event::Ended { outcome, by, cause, ms });
        self.ended = true;
    }

    fn elapsed_ms(&self) -> u64 {
        let elapsed = self.clock.now().saturating_duration_since(self.arrived);
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    }
}

impl Drop for CallJournal {
    fn drop(&mut self) {
        if !self.ended {
            tracing::error!(call = %self.call, "the call's task ended before its story did");
            self.write_end(Outcome::TechnicalFailure, Side::Us, Cause::Internal);
        }
    }
}

impl fmt::Debug for CallJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallJournal").field("call", &self.call).field("next", &self.next).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;
    use crate::terms::dice::Dice;

    fn journal() -> (CallJournal, Arc<Mutex<Vec<Entry>>>) {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let record: Record = Arc::new(move |entry| sink.lock().unwrap().push(entry));
        let clock = Clock::starting_at("2026-03-03T18:00:00Z".parse().unwrap());
        (CallJournal::open(CallId::new(0, &mut Dice::from_seed(1)), clock, record), lines)
    }

    #[tokio::test(start_paused = true)]
    async fn lines_are_numbered_and_timed() {
        let (mut journal, lines) = journal();
        journal.note(Event::Answered);
        tokio::time::advance(Duration::from_millis(1500)).await;
        journal.end(Outcome::AbandonedIvr, Side::Caller, Cause::Normal);
        let lines = lines.lock().unwrap();
        assert_eq!(lines.iter().map(|l| (l.seq, l.at_ms)).collect::<Vec<_>>(), [(0, 0), (1, 1500)]);
        assert_eq!(lines[1].unix_ms - lines[0].unix_ms, 1500);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_call_still_ends_once() {
        let (mut journal, lines) = journal();
        journal.note(Event::Answered);
        drop(journal);
        let lines = lines.lock().unwrap();
        assert!(matches!(lines[1].event, Event::Ended { outcome: Outcome::TechnicalFailure, by: Side::Us, .. }));
        assert_eq!(lines.len(), 2);
    }
}
