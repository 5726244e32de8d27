//! The record: every event of every call, and one row per call, kept durably.
//!
//! Calls write through a [`Journal`]: a cheap handle that never blocks and never fails a call. Behind it one
//! writer keeps the entries in a [`Store`] in batches, or in the [`spool`] while the store cannot take them.
//! Reading goes to the store directly. The stores are siblings behind one port and pass one suite of tests:
//! [`sqlite`] for a server, [`memory`] for simulations.
//!
//! `docs/record.md` describes the tables for those who read them with other tools.

pub mod detail;
pub mod journal;
mod lock;
pub mod memory;
pub mod record;
pub mod recovery;
pub mod spool;
pub mod sqlite;
mod writer;

#[cfg(test)]
pub(crate) mod examples;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod suite;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

pub use self::journal::{Journal, Stats};
pub use self::record::{CallRecord, Flaw};
pub use self::recovery::{Recovered, open};

use self::memory::Memory;
use self::sqlite::Sqlite;
use crate::terms::event::Entry;
use crate::terms::ids::CallId;
use crate::terms::outcome::Outcome;

/// Most lines that go into a store in one transaction.
pub const BATCH_MAX: usize = 512;

/// Where the record is kept. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Store {
    /// One file, `<data>/cityline.db`.
    Sqlite(Sqlite),
    /// The process's own memory: gone when it ends.
    Memory(Memory),
}

/// One line on its way into the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// Something happened on a call.
    Entry(Entry),
    /// A rulebook came into force.
    Rulebook(RulebookText),
}

/// A rulebook as it was written, so that `why` can quote the line that decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulebookText {
    /// The hash by which calls name it.
    pub hash: String,
    /// When it first came into force: milliseconds since 1970 (UTC).
    pub first_seen_unix_ms: u64,
    /// Its files by name relative to the rules folder, as [`crate::terms::event::Place::file`].
    pub files: BTreeMap<String, String>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// Entries that are in the store now and were not before.
    pub stored: u64,
    /// Entries that were there already: the spool may be replayed without harm.
    pub repeated: u64,
    /// Second ends that were refused: the first stays.
    pub refused_ends: u64,
}

/// Why a store cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database answered with an error, or did not answer.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// The database did not answer within five seconds.
    #[error("the database did not answer in time")]
    Stalled,
    /// The database's tables cannot be brought up to date.
    #[error("the database's tables cannot be brought up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A file or folder cannot be used.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// The database's file was moved or replaced while we had it open.
    #[error("the database file {0} was moved or replaced")]
    Moved(String),
    /// There is no record there.
    #[error("there is no record in {0}: no server has kept one there yet")]
    Missing(String),
    /// Another server keeps its record there.
    #[error("another cityline keeps its record in {0}")]
    InUse(String),
    /// It was opened for reading only.
    #[error("the record was opened for reading only")]
    ReadOnly,
    /// A row that cannot be understood.
    #[error("a row of the record cannot be read: {0}")]
    Unreadable(String),
}

impl StoreError {
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |error| Self::File { path: path.display().to_string(), error }
    }
}

impl Store {
    /// A store in memory, empty.
    pub fn memory() -> Self {
        Self::Memory(Memory::default())
    }

    /// Opens the record in the folder `data` for reading only; the server may be running.
    ///
    /// # Errors
    /// There is none, or it cannot be opened.
    pub async fn read_only(data: &Path) -> Result<Self, StoreError> {
        Sqlite::read_only(data).await.map(Self::Sqlite)
    }

    /// Keeps `lines`, all or none; durable when this returns. Lines that are there already change nothing.
    ///
    /// # Errors
    /// Nothing was kept, or it is not known whether: the same lines may be given again.
    pub async fn append(&self, lines: &[Line]) -> Result<Appended, StoreError> {
        match self {
            Self::Sqlite(store) => store.append(lines).await,
            Self::Memory(store) => Ok(store.append(lines)),
        }
    }

    /// The call's row.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn call(&self, call: CallId) -> Result<Option<CallRecord>, StoreError> {
        match self {
            Self::Sqlite(store) => store.call(call).await,
            Self::Memory(store) => Ok(store.call(call)),
        }
    }

    /// The latest calls by arrival, newest first; at most `last`.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn calls(&self, last: u32) -> Result<Vec<CallRecord>, StoreError> {
        match self {
            Self::Sqlite(store) => store.calls(last).await,
            Self::Memory(store) => Ok(store.calls(last)),
        }
    }

    /// The calls whose id begins with `prefix` (in any case), newest first; at most `limit`.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn beginning_with(&self, prefix: &str, limit: u32) -> Result<Vec<CallId>, StoreError> {
        let prefix = prefix.trim().to_ascii_uppercase();
        match self {
            Self::Sqlite(store) => store.beginning_with(&prefix, limit).await,
            Self::Memory(store) => Ok(store.beginning_with(&prefix, limit)),
        }
    }

    /// The call's journal, in order.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn events(&self, call: CallId) -> Result<Vec<Entry>, StoreError> {
        match self {
            Self::Sqlite(store) => store.events(call).await,
            Self::Memory(store) => Ok(store.events(call)),
        }
    }

    /// The calls that have not ended, oldest first; at most `limit`.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn unended(&self, limit: u32) -> Result<Vec<CallId>, StoreError> {
        match self {
            Self::Sqlite(store) => store.unended(limit).await,
            Self::Memory(store) => Ok(store.unended(limit)),
        }
    }

    /// How many calls there are by outcome; `None` counts those in progress. Their sum is every call that
    /// ever arrived (conservation: in = out + in progress).
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn tally(&self) -> Result<BTreeMap<Option<Outcome>, u64>, StoreError> {
        match self {
            Self::Sqlite(store) => store.tally().await,
            Self::Memory(store) => Ok(store.tally()),
        }
    }

    /// The rulebook of that hash.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn rulebook(&self, hash: &str) -> Result<Option<RulebookText>, StoreError> {
        match self {
            Self::Sqlite(store) => store.rulebook(hash).await,
            Self::Memory(store) => Ok(store.rulebook(hash)),
        }
    }
}
