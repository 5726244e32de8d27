//! The handle through which calls write the record.
//!
//! [`Journal::record`] puts a line into a bounded queue in memory and returns: no file, no waiting, no failure.
//! One writer takes the queue at most every [`BATCH_WINDOW`], or at once when [`BATCH_MAX`] lines wait or someone
//! flushes. Past [`QUEUE_MAX`] it gives up on the database for a while and empties the queue into the spool. Only
//! when a disk that hangs keeps it from that too, and the queue has grown to [`WAITING_MAX`], is a line lost:
//! counted, and an alarm. The calls go on.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot, watch};

use super::spool::Spool;
use super::{BATCH_MAX, Line, RulebookText, Store, StoreError, writer};
use crate::terms::event::Entry;

/// Most lines that wait in memory for the database; past it the writer takes them to the spool. At 200 calls a
/// second with twelve events each, this is 27 seconds of a database that does not answer.
pub const QUEUE_MAX: usize = 65_536;

/// Most lines that wait in memory at all: some 100 MB, and nearly two minutes of a disk that does not answer.
/// Past it lines are lost, counted, and an alarm is raised.
pub const WAITING_MAX: usize = 4 * QUEUE_MAX;

/// Longest that a line waits in memory for others to share a transaction with.
pub const BATCH_WINDOW: Duration = Duration::from_millis(50);

/// The record's way in. Cheap to clone; when the last one is dropped the writer keeps what it has and ends.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Inner>);

#[derive(Debug)]
struct Inner(Arc<Shared>);

/// What the handles share with the writer.
#[derive(Debug)]
pub(super) struct Shared {
    queue: Mutex<Queue>,
    /// Told when the queue is no longer empty.
    pub(super) something: Notify,
    /// Told when the writer should not wait for more.
    pub(super) hurry: Notify,
    /// Becomes true when the writer has gone and all it had is kept.
    pub(super) finished: watch::Sender<bool>,
    pub(super) spool: Option<Spool>,
    pub(super) counters: Counters,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) lines: VecDeque<Line>,
    pub(super) waiters: Vec<oneshot::Sender<()>>,
    pub(super) state: QueueState,
}

/// Whether lines are still taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum QueueState {
    /// They are.
    #[default]
    Open,
    /// They are; the writer takes what is in the queue once more and ends.
    Closing,
    /// The writer has gone; lines go to the spool file.
    Closed,
}

/// What the journal has done since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Lines given to it.
    pub recorded: u64,
    /// Entries it put into the store that were not there before, from the queue or the spool.
    pub stored: u64,
    /// Transactions it took for that.
    pub batches: u64,
    /// Entries that the store had already.
    pub repeated: u64,
    /// Second ends of a call that were refused: the first stays.
    pub refused_ends: u64,
    /// Lines that went to the spool file.
    pub spooled: u64,
    /// Lines that came back from it.
    pub drained: u64,
    /// Spooled lines that could not be read back (torn by a crash); set aside, not deleted.
    pub unreadable: u64,
    /// Lines that could be kept nowhere.
    pub lost: u64,
    /// Times an alarm was raised.
    pub alarms: u64,
    /// Whether the store cannot take lines at present, or the spool is not yet drained.
    pub spooling: bool,
    /// Bytes in the spool.
    pub spool_bytes: u64,
    /// Lines in the queue.
    pub waiting: usize,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) recorded: AtomicU64,
    pub(super) stored: AtomicU64,
    pub(super) batches: AtomicU64,
    pub(super) repeated: AtomicU64,
    pub(super) refused_ends: AtomicU64,
    pub(super) spooled: AtomicU64,
    pub(super) drained: AtomicU64,
    pub(super) unreadable: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) alarms: AtomicU64,
    pub(super) spooling: AtomicU64,
}

impl Journal {
    /// Starts the writer of `store` on the current runtime. What the store cannot take goes to the folder
    /// `spool`; without one (a simulation) it waits in the queue.
    ///
    /// # Errors
    /// The spool folder cannot be used.
    pub fn start(store: Store, spool: Option<PathBuf>) -> Result<Self, StoreError> {
        let spool = spool.map(Spool::open).transpose()?;
        Ok(Self::with(store, spool))
    }

    /// A journal into a new store in memory, for simulations and tests.
    pub fn in_memory() -> (Self, Store) {
        let store = Store::memory();
        (Self::with(store.clone(), None), store)
    }

    fn with(store: Store, spool: Option<Spool>) -> Self {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            something: Notify::new(),
            hurry: Notify::new(),
            finished: watch::Sender::new(false),
            spool,
            counters: Counters::default(),
        });
        writer::start(Arc::clone(&shared), store);
        Self(Arc::new(Inner(shared)))
    }

    /// Records what happened on a call. Never waits, never fails.
    pub fn record(&self, entry: Entry) {
        self.0.0.put(Line::Entry(entry));
    }

    /// Keeps the text of a rulebook that comes into force, in order with the entries. Known ones cost little.
    pub fn keep_rulebook(&self, rulebook: RulebookText) {
        self.0.0.put(Line::Rulebook(rulebook));
    }

    /// Waits until everything recorded so far is durable: in the database or in the spool file, and synced.
    /// The writer begins at once, so many who flush share one transaction.
    pub async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        if self.0.0.wait_with(done) {
            let _ = wait.await;
        }
    }

    /// Ends the writer, and waits until it has gone and all it had is kept; whoever asks, and however often.
    /// What is recorded later goes to the spool file and into the store at the next start.
    pub async fn close(&self) {
        self.0.0.begin_closing();
        // The sender lives as long as this handle does.
        let _ = self.0.0.finished.subscribe().wait_for(|finished| *finished).await;
    }

    /// What it has done, and how it stands.
    pub fn stats(&self) -> Stats {
        self.0.0.stats()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.0.begin_closing();
    }
}

impl Shared {
    /// The queue; a panic elsewhere does not spoil it, since every change to it is whole.
    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, line: Line) {
        self.counters.recorded.fetch_add(1, Relaxed);
        let mut queue = self.queue();
        if queue.state == QueueState::Closed {
            drop(queue);
            return self.put_late(&line);
        }
        if queue.lines.len() >= WAITING_MAX {
            drop(queue);
            return self.lose(1, "the queue is full: neither the database nor the spool takes the record");
        }
        queue.lines.push_back(line);
        let waiting = queue.lines.len();
        drop(queue);
        if waiting == 1 {
            self.something.notify_one();
        } else if waiting == BATCH_MAX {
            self.hurry.notify_one();
        }
    }

    /// The writer has gone, and with it the server's calls: straight to the spool file, unsynced.
    fn put_late(&self, line: &Line) {
        let kept = self.spool.as_ref().is_some_and(|spool| spool.write(std::slice::from_ref(line)).is_ok());
        if kept {
            self.counters.spooled.fetch_add(1, Relaxed);
        } else {
            self.lose(1, "the writer has gone and there is no spool that takes it");
        }
    }

    /// Counts lines that could be kept nowhere, and says so the first time.
    pub(super) fn lose(&self, lines: u64, why: &str) {
        if self.counters.lost.fetch_add(lines, Relaxed) == 0 {
            self.counters.alarms.fetch_add(1, Relaxed);
            tracing::error!(why, "ALARM: lines of the record are being lost");
        }
    }

    /// Asks to be told when all that is in the queue is durable; `false` where the writer has gone.
    fn wait_with(&self, done: oneshot::Sender<()>) -> bool {
        let mut queue = self.queue();
        if queue.state == QueueState::Closed {
            return false;
        }
        queue.waiters.push(done);
        drop(queue);
        self.something.notify_one();
        self.hurry.notify_one();
        true
    }

    fn begin_closing(&self) {
        let mut queue = self.queue();
        if queue.state == QueueState::Open {
            queue.state = QueueState::Closing;
        }
        drop(queue);
        self.something.notify_one();
        self.hurry.notify_one();
    }

    fn stats(&self) -> Stats {
        let counters = &self.counters;
        Stats {
            recorded: counters.recorded.load(Relaxed),
            stored: counters.stored.load(Relaxed),
            batches: counters.batches.load(Relaxed),
            repeated: counters.repeated.load(Relaxed),
            refused_ends: counters.refused_ends.load(Relaxed),
            spooled: counters.spooled.load(Relaxed),
            drained: counters.drained.load(Relaxed),
            unreadable: counters.unreadable.load(Relaxed),
            lost: counters.lost.load(Relaxed),
            alarms: counters.alarms.load(Relaxed),
            spooling: counters.spooling.load(Relaxed) != 0,
            spool_bytes: self.spool.as_ref().map_or(0, Spool::bytes),
            waiting: self.queue().lines.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::examples::Day;
    use super::*;

    fn entries(count: usize) -> impl Iterator<Item = Entry> {
        let mut day = Day::new(7);
        std::iter::repeat_with(move || day.short_call()).flatten().take(count)
    }

    #[tokio::test]
    async fn a_disk_that_hangs_holds_up_no_call_and_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::start(Store::memory(), Some(folder.path().to_owned())).unwrap();
        let many = QUEUE_MAX + 300;
        let hung = journal.0.0.spool.as_ref().unwrap().hang();
        let (told, hear) = std::sync::mpsc::channel();
        let calls = journal.clone();
        std::thread::spawn(move || {
            entries(many).for_each(|entry| calls.record(entry));
            let _ = told.send(calls.stats());
        });
        let stats = hear.recv_timeout(Duration::from_secs(30)).expect("no call waits for the disk");
        assert_eq!((stats.waiting, stats.spooled, stats.lost), (many, 0, 0), "{stats:?}");
        drop(hung);
        journal.flush().await;
        let stats = journal.stats();
        assert_eq!((stats.waiting, stats.spooled, stats.lost), (0, many as u64, 0), "{stats:?}");
    }

    #[tokio::test]
    async fn past_the_last_bound_lines_are_lost_counted_and_one_alarm_is_raised() {
        let (journal, _store) = Journal::in_memory();
        entries(WAITING_MAX + 2).for_each(|entry| journal.record(entry));
        let stats = journal.stats();
        assert_eq!((stats.waiting, stats.lost, stats.alarms), (WAITING_MAX, 2, 1), "{stats:?}");
    }
}
