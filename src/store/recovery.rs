//! Opening the record for a server: what an earlier process left unfinished is finished first.
//!
//! 1. The data folder is locked: two servers in one folder would end each other's calls.
//! 2. The database is opened and its tables brought up to date.
//! 3. What waits in the spool goes into the database.
//! 4. Every call that has no end gets one: `technical_failure`, with a note, at the last time known of it.
//!
//! So every call has exactly one outcome, also after `kill -9`.

use std::path::Path;

use super::record::Fold;
use super::spool::{self, Spool};
use super::sqlite::Sqlite;
use super::{BATCH_MAX, Journal, Line, Store, StoreError};
use crate::terms::cause::Cause;
use crate::terms::event::{Entry, Event, Side};
use crate::terms::outcome::Outcome;

/// The note on a call whose end nobody saw.
pub const NOTE: &str = "the server stopped while this call was in progress; its end was added at the next start";

/// What was found at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Entries that came from the spool.
    pub from_spool: u64,
    /// Spooled lines that could not be read and were set aside.
    pub unreadable: u64,
    /// Calls that got an end.
    pub calls_ended: u64,
}

/// Opens the record in the folder `data` for a server, finishes what an earlier one left, and starts the journal.
///
/// # Errors
/// The folder is in use by another server, or the record cannot be opened or written.
pub async fn open(data: &Path) -> Result<(Store, Journal, Recovered), StoreError> {
    let store = Store::Sqlite(Sqlite::open(data).await?);
    let mut recovered = drain(&store, &spool::folder(data)).await?;
    recovered.calls_ended = end_what_is_open(&store).await?;
    let journal = Journal::start(store.clone(), Some(spool::folder(data)))?;
    Ok((store, journal, recovered))
}

/// Brings everything in the spool into the store.
async fn drain(store: &Store, folder: &Path) -> Result<Recovered, StoreError> {
    let mut recovered = Recovered::default();
    let spool = Spool::open(folder.to_owned())?;
    while let Some(path) = spool.oldest().map_err(StoreError::file(folder))? {
        let read = spool.read(&path).map_err(StoreError::file(&path))?;
        for batch in read.lines.chunks(BATCH_MAX) {
            recovered.from_spool += store.append(batch).await?.stored;
        }
        spool.set_aside(&read.unreadable).map_err(StoreError::file(folder))?;
        recovered.unreadable += read.unreadable.len() as u64;
        spool.remove(&path).map_err(StoreError::file(&path))?;
    }
    Ok(recovered)
}

/// Ends every call that has no end.
async fn end_what_is_open(store: &Store) -> Result<u64, StoreError> {
    let mut ended = 0;
    loop {
        let open = store.unended(BATCH_MAX as u32 / 2).await?;
        if open.is_empty() {
            return Ok(ended);
        }
        let mut lines = Vec::with_capacity(open.len() * 2);
        for call in &open {
            lines.extend(Fold::of(&store.events(*call).await?).map(|fold| last_lines(&fold)).into_iter().flatten());
        }
        if lines.is_empty() {
            return Err(StoreError::Unreadable(format!("{} calls have a row and no events", open.len())));
        }
        store.append(&lines).await?;
        ended += open.len() as u64;
    }
}

/// The note and the end of a call that stopped in the middle.
fn last_lines(fold: &Fold) -> [Line; 2] {
    let ms = fold.last_at_ms();
    let line = |after: u32, event: Event| {
        Line::Entry(Entry {
            call: fold.record().call,
            seq: fold.next_seq().saturating_add(after),
            unix_ms: fold.last_unix_ms(),
            at_ms: ms,
            event,
        })
    };
    let end = Event::Ended { outcome: Outcome::TechnicalFailure, by: Side::Us, cause: Cause::Internal, ms };
    [line(0, Event::Noted { text: NOTE.to_owned() }), line(1, end)]
}
