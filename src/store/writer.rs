//! The one writer: takes the queue in batches into the store, or into the spool while the store cannot.
//!
//! ```text
//!        append fails or stalls, or the queue is full: alarm
//!   Direct ───────────────────────────────────────▶ Spooling
//!   queue → store                                   queue → spool, synced
//!          ◀───────────────────────────────────────  every second: spool → store, oldest first
//!                 the spool is empty
//! ```
//!
//! A batch leaves the queue for the writer's hand, and the hand only when it is durable somewhere; nothing leaves
//! the spool before it is in the store. However the writer ends, what is in its hand and in the queue goes to the
//! spool. What is written twice on the way counts once: the store sees to that.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::journal::{BATCH_WINDOW, QUEUE_MAX, QueueState, Shared};
use super::spool::{Read, Spool};
use super::{Appended, BATCH_MAX, Line, Store, StoreError};
use crate::terms::clock::Instant;

/// Longest that one transaction may take before the store counts as away. The queue outlasts it.
pub(super) const STALL_MAX: Duration = Duration::from_secs(5);

/// How often a store that is away is tried again.
pub(super) const RETRY: Duration = Duration::from_secs(1);

/// Times that neither store nor spool may refuse the last lines at closing before they are given up.
const CLOSING_TRIES_MAX: u32 = 3;

struct Writer {
    shared: Arc<Shared>,
    store: Store,
    /// Whether the spool is in use; then all goes through it, so that order is kept.
    spooling: bool,
    closing: bool,
    retry_at: Option<Instant>,
    /// The batch that is being kept; empty when it is.
    in_hand: Arc<[Line]>,
    /// Those who are told when what they wait for is durable.
    waiters: Vec<oneshot::Sender<()>>,
}

/// Starts the writer on the current runtime; it writes until the last handle is gone or closed.
pub(super) fn start(shared: Arc<Shared>, store: Store) {
    let (in_hand, waiters) = (Arc::default(), Vec::new());
    let writer = Writer { shared, store, spooling: false, closing: false, retry_at: None, in_hand, waiters };
    tokio::spawn(writer.run());
}

impl Writer {
    async fn run(mut self) {
        while !self.closing {
            self.wait().await;
            self.turn().await;
        }
    }

    /// Waits for something to do: lines and then a moment for more of them, or the time to try the store again.
    async fn wait(&self) {
        let shared = &self.shared;
        let away = self.spooling || shared.spool.as_ref().is_some_and(|spool| spool.bytes() > 0);
        let waiting = shared.queue().lines.len();
        if waiting >= BATCH_MAX {
            return;
        }
        // What came during the last turn may have found others before it, and told nobody.
        if waiting == 0 {
            tokio::select! {
                biased;
                () = shared.something.notified() => {}
                () = sleep(RETRY), if away => return,
            }
        }
        tokio::select! {
            biased;
            () = shared.hurry.notified() => {}
            () = sleep(BATCH_WINDOW) => {}
        }
    }

    /// Takes what is in the queue, makes it durable and tells those who wait for it.
    async fn turn(&mut self) {
        let mut due = {
            let mut queue = self.shared.queue();
            self.closing = queue.state != QueueState::Open;
            self.waiters.append(&mut queue.waiters);
            queue.lines.len()
        };
        if self.left_over() {
            self.begin_spooling("it holds lines already");
        }
        while due > 0 {
            if self.crowded() {
                self.begin_spooling("the queue is full");
            }
            due -= self.take(due);
            self.keep().await;
            self.in_hand = Arc::default();
        }
        if self.spooling {
            self.sync().await;
        }
        for waiter in self.waiters.drain(..) {
            let _ = waiter.send(());
        }
        // At closing nobody waits for the spool: the next start begins with it.
        if self.spooling && !self.closing && self.retry_at.is_none_or(|at| Instant::now() >= at) {
            self.drain().await;
        }
    }

    /// Takes a batch of the `due` lines in hand; how many it is.
    fn take(&mut self, due: usize) -> usize {
        let mut queue = self.shared.queue();
        let size = due.min(queue.lines.len()).min(BATCH_MAX);
        self.in_hand = queue.lines.drain(..size).collect();
        if queue.lines.is_empty() {
            queue.lines.shrink_to(BATCH_MAX);
        }
        size
    }

    /// Keeps the batch in hand in the store, else in the spool, else tries again until one of them takes it.
    async fn keep(&mut self) {
        let batch = Arc::clone(&self.in_hand);
        let mut tries = 0;
        loop {
            if !self.spooling {
                match self.append(&batch).await {
                    Ok(()) => return,
                    Err(error) => self.begin_spooling(&error.to_string()),
                }
            }
            let Err(error) = self.spool(&batch).await else { return };
            tries += 1;
            if self.closing && tries >= CLOSING_TRIES_MAX {
                return self.shared.lose(batch.len() as u64, &error);
            }
            if tries == 1 {
                self.alarm(&format!("neither the store nor the spool takes the record: {error}"));
            }
            // Where there is no spool, only the store can help.
            self.spooling = self.shared.spool.is_some() && tries % 2 == 1;
            sleep(RETRY).await;
        }
    }

    async fn append(&self, batch: &[Line]) -> Result<(), StoreError> {
        let Appended { stored, repeated, refused_ends } =
            timeout(STALL_MAX, self.store.append(batch)).await.map_err(|_| StoreError::Stalled)??;
        let counters = &self.shared.counters;
        counters.batches.fetch_add(1, Relaxed);
        counters.stored.fetch_add(stored, Relaxed);
        counters.repeated.fetch_add(repeated, Relaxed);
        counters.refused_ends.fetch_add(refused_ends, Relaxed);
        Ok(())
    }

    async fn spool(&self, batch: &Arc<[Line]>) -> Result<(), String> {
        if self.shared.spool.is_none() {
            return Err("there is no spool".to_owned());
        }
        let lines = Arc::clone(batch);
        self.with_spool(move |spool| spool.write(&lines)).await?;
        self.shared.counters.spooled.fetch_add(batch.len() as u64, Relaxed);
        Ok(())
    }

    /// Syncs the spool; until it can be synced, those who flush wait.
    async fn sync(&self) {
        let mut tries = 0;
        while let Err(error) = self.with_spool(Spool::sync).await {
            self.alarm(&format!("the spool cannot be synced: {error}"));
            tries += 1;
            if tries >= CLOSING_TRIES_MAX {
                return;
            }
            sleep(RETRY).await;
        }
    }

    /// Brings the spool into the store, oldest first, until it is empty, fails or the queue fills.
    async fn drain(&mut self) {
        loop {
            match self.drain_oldest().await {
                Ok(true) => {}
                Ok(false) => {
                    self.spooling = false;
                    self.retry_at = None;
                    self.shared.counters.spooling.store(0, Relaxed);
                    tracing::info!("the record is whole again: the spool has been drained");
                    return;
                }
                Err(error) => {
                    tracing::debug!(error, "the store is still away");
                    self.retry_at = Some(Instant::now() + RETRY);
                    return;
                }
            }
            if self.shared.queue().lines.len() > QUEUE_MAX / 4 {
                return;
            }
        }
    }

    /// Brings one file of the spool into the store; whether there was one.
    async fn drain_oldest(&self) -> Result<bool, String> {
        if self.shared.spool.is_none() {
            return Ok(false);
        }
        let found = self.with_spool(|spool| {
            let Some(path) = spool.oldest()? else { return Ok(None) };
            let read = spool.read(&path)?;
            Ok(Some((path, read)))
        });
        let Some((path, Read { lines, unreadable })) = found.await? else {
            return Ok(false);
        };
        for batch in lines.chunks(BATCH_MAX) {
            self.append(batch).await.map_err(|error| error.to_string())?;
        }
        let (drained, torn) = (lines.len() as u64, unreadable.len() as u64);
        self.with_spool(move |spool| finish(spool, &path, &unreadable)).await?;
        self.shared.counters.drained.fetch_add(drained, Relaxed);
        if torn > 0 {
            self.shared.counters.unreadable.fetch_add(torn, Relaxed);
            self.alarm("lines of the spool could not be read back and were set aside");
        }
        Ok(true)
    }

    /// File work, off the runtime's threads.
    async fn with_spool<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Spool) -> io::Result<T> + Send + 'static,
    ) -> Result<T, String> {
        let shared = Arc::clone(&self.shared);
        let missing = || io::Error::other("there is no spool");
        let done = tokio::task::spawn_blocking(move || work(shared.spool.as_ref().ok_or_else(missing)?)).await;
        done.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(|error| error.to_string())
    }

    /// Whether the spool holds lines that were not put there since the store was last taken for away.
    fn left_over(&self) -> bool {
        !self.spooling && self.shared.spool.as_ref().is_some_and(|spool| spool.bytes() > 0)
    }

    /// Whether more waits than the store should be left to take: the spool is quicker.
    fn crowded(&self) -> bool {
        !self.spooling && self.shared.spool.is_some() && self.shared.queue().lines.len() > QUEUE_MAX
    }

    /// Puts what is left into the spool, on whatever thread the writer ends.
    fn keep_last(&self, left: &[Line]) {
        let kept = self.shared.spool.as_ref().is_some_and(|spool| spool.write(left).is_ok() && spool.sync().is_ok());
        if kept {
            self.shared.counters.spooled.fetch_add(left.len() as u64, Relaxed);
        } else {
            self.shared.lose(left.len() as u64, "the writer ended and there is no spool that takes what was left");
        }
    }

    fn begin_spooling(&mut self, why: &str) {
        self.spooling = true;
        self.retry_at = Some(Instant::now() + RETRY);
        if self.shared.counters.spooling.swap(1, Relaxed) == 0 {
            self.alarm(&format!("the record goes to the spool: {why}"));
        }
    }

    fn alarm(&self, what: &str) {
        self.shared.counters.alarms.fetch_add(1, Relaxed);
        tracing::error!("ALARM: {what}");
    }
}

/// Sets aside what could not be read and deletes the file.
fn finish(spool: &Spool, path: &Path, unreadable: &[String]) -> io::Result<()> {
    spool.set_aside(unreadable)?;
    spool.remove(path)
}

impl Drop for Writer {
    /// The writer is closed, or its runtime ends before it: what is left goes to the spool, for the next start.
    fn drop(&mut self) {
        let mut left = self.in_hand.to_vec();
        {
            let mut queue = self.shared.queue();
            queue.state = QueueState::Closed;
            left.extend(std::mem::take(&mut queue.lines));
            self.waiters.append(&mut queue.waiters);
        }
        if !left.is_empty() {
            self.keep_last(&left);
        }
        for waiter in self.waiters.drain(..) {
            let _ = waiter.send(());
        }
        self.shared.finished.send_replace(true);
    }
}
