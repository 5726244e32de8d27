//! Opening the record for a server: what an earlier process left unfinished is finished first.
//!
//! 1. The data folder is locked: two servers in one folder would end each other's calls.
//! 2. The database is opened and its tables brought up to date.
//! 3. What waits in the spool goes into the database.
//! 4. Every call that has no end gets one: `technical_failure`, with a note, at the last time known of it.
//!
//! So every call has exactly one outcome, also after `kill -9`. A call that cannot be understood is left as it is,
//! with an alarm: for the sake of one call the server does not refuse all others.

use std::collections::BTreeSet;
use std::path::Path;

use super::record::{CallRecord, Fold};
use super::spool::{self, Spool};
use super::sqlite::Sqlite;
use super::{BATCH_MAX, Journal, Line, Store, StoreError};
use crate::terms::cause::Cause;
use crate::terms::event::{Entry, Event, Side};
use crate::terms::ids::CallId;
use crate::terms::outcome::Outcome;

/// The note on a call whose end nobody saw.
pub const NOTE: &str = "the server stopped while this call was in progress; its end was added at the next start";

/// The note on a call of which only the row is left.
pub const NOTE_ROW_ONLY: &str = "the events of this call are missing; what its row says was taken at the next start";

/// Most calls that are ended in one transaction.
const PAGE: u32 = BATCH_MAX as u32 / 3;

/// What was found at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Entries that came from the spool.
    pub from_spool: u64,
    /// Spooled lines that could not be read and were set aside.
    pub unreadable: u64,
    /// Calls that got an end.
    pub calls_ended: u64,
    /// Calls without an end that cannot be understood: they stay as they are.
    pub set_aside: u64,
}

/// Opens the record in the folder `data` for a server, finishes what an earlier one left, and starts the journal.
///
/// # Errors
/// The folder is in use by another server, or the record cannot be opened or written.
pub async fn open(data: &Path) -> Result<(Store, Journal, Recovered), StoreError> {
    let store = Store::Sqlite(Sqlite::open(data).await?);
    let mut recovered = drain(&store, &spool::folder(data)).await?;
    (recovered.calls_ended, recovered.set_aside) = end_what_is_open(&store).await?;
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

/// Ends every call that has no end; how many it ended, and how many it could not understand.
async fn end_what_is_open(store: &Store) -> Result<(u64, u64), StoreError> {
    let (mut ended, mut set_aside) = (0, BTreeSet::new());
    loop {
        let mut open = store.unended(PAGE.saturating_add(set_aside.len() as u32)).await?;
        open.retain(|call| !set_aside.contains(call));
        if open.is_empty() {
            return Ok((ended, set_aside.len() as u64));
        }
        let mut lines = Vec::with_capacity(open.len() * 2);
        for call in open {
            match last_lines(store, call).await {
                Ok(last) => {
                    lines.extend(last.into_iter().map(Line::Entry));
                    ended += 1;
                }
                Err(StoreError::Unreadable(why)) => {
                    tracing::error!(%call, why, "ALARM: a call cannot be understood and stays without an end");
                    set_aside.insert(call);
                }
                Err(error) => return Err(error),
            }
        }
        store.append(&lines).await?;
    }
}

/// What a call that stopped in the middle lacks: a note and its end.
async fn last_lines(store: &Store, call: CallId) -> Result<Vec<Entry>, StoreError> {
    if let Some(fold) = Fold::of(&store.events(call).await?) {
        let at = (fold.last_unix_ms(), fold.last_at_ms());
        return Ok(numbered(call, fold.next_seq(), at, last_words(NOTE, at.1)));
    }
    let row = store.call(call).await?;
    let row = row.ok_or_else(|| StoreError::Unreadable("it has neither a row nor events".to_owned()))?;
    let at = (row.started_unix_ms, 0);
    let events = arrival(row).into_iter().chain(last_words(NOTE_ROW_ONLY, 0));
    Ok(numbered(call, 0, at, events))
}

/// The arrival as the row tells it; `None` where it does not say how the call came.
fn arrival(row: CallRecord) -> Option<Event> {
    Some(Event::Arrived {
        trunk: row.trunk?,
        dialled: row.dialled?,
        caller: row.caller,
        diverted_by: vec![],
        sip_call_id: row.sip_call_id?,
        rulebook: row.rulebook?,
    })
}

fn last_words(note: &str, ms: u64) -> [Event; 2] {
    let end = Event::Ended { outcome: Outcome::TechnicalFailure, by: Side::Us, cause: Cause::Internal, ms };
    [Event::Noted { text: note.to_owned() }, end]
}

/// The events as entries from `seq` on, all of the same moment.
fn numbered(
    call: CallId,
    seq: u32,
    (unix_ms, at_ms): (u64, u64),
    events: impl IntoIterator<Item = Event>,
) -> Vec<Entry> {
    let entry = |(after, event)| Entry { call, seq: seq.saturating_add(after), unix_ms, at_ms, event };
    (0..).zip(events).map(entry).collect()
}
