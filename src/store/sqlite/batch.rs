//! One batch, one transaction: the events, and the rows of the calls they belong to.
//!
//! A statement takes many rows at once, in powers of two, so that a few prepared statements serve every batch:
//! a statement per row would cost more than the row. Calls in progress are folded in memory; where a batch does
//! not simply go on from there (a replay, a gap, a second end), the call is folded again from the database.
//!
//! A call's row is written when it arrives and when it ends. Whoever reads the row of a call in progress through
//! [`super::Sqlite`] gets the fold of its events so far.

use std::collections::{BTreeSet, HashMap};

use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

use super::rows;
use crate::store::record::{CallRecord, Fold};
use crate::store::{Appended, Line, RulebookText, StoreError, detail};
use crate::terms::event::{Entry, Event};
use crate::terms::ids::CallId;

/// Most calls in progress whose folds are kept in memory. Past it they are forgotten and read again when needed.
const FOLDS_MAX: usize = 100_000;

const EVENT_COLUMNS: &[&str] = &["call", "seq", "unix_ms", "at_ms", "word", "detail"];

/// Most rows in one statement: 512 × 6 and 64 × 20 values, well below SQLite's 32,766.
const EVENT_ROWS_MAX: usize = 512;
const CALL_ROWS_MAX: usize = 64;

/// Keeps `lines` in one transaction.
pub(super) async fn append(
    connection: &mut SqliteConnection,
    folds: &mut HashMap<CallId, Fold>,
    lines: &[Line],
) -> Result<Appended, StoreError> {
    let mut entries = Vec::with_capacity(lines.len());
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let connection: &mut SqliteConnection = &mut transaction;
    for line in lines {
        match line {
            Line::Entry(entry) => entries.push(entry),
            Line::Rulebook(rulebook) => insert_rulebook(connection, rulebook).await?,
        }
    }
    let stored = insert_events(connection, &entries).await?;
    let all_new = stored == entries.len() as u64;
    let (mut due, refold) = go_on(folds, &entries, all_new);
    let mut refused_ends = 0;
    for call in refold {
        let known = events(connection, call).await?;
        refused_ends += refused(&known, entries.iter().copied().filter(|entry| entry.call == call));
        if let Some(fold) = Fold::of(&known) {
            folds.insert(call, fold);
            due.insert(call);
        }
    }
    let records: Vec<&CallRecord> = due.iter().filter_map(|call| folds.get(call)).map(Fold::record).collect();
    upsert_calls(connection, &records).await?;
    transaction.commit().await?;
    forget(folds, &due);
    let repeated = (entries.len() as u64).saturating_sub(stored + refused_ends);
    Ok(Appended { stored, repeated, refused_ends })
}

/// The call's journal, in order.
pub(super) async fn events(connection: &mut SqliteConnection, call: CallId) -> Result<Vec<Entry>, StoreError> {
    let query = sqlx::query("SELECT call, seq, unix_ms, at_ms, word, detail FROM event WHERE call = $1 ORDER BY seq");
    query.bind(call.to_string()).fetch_all(connection).await?.iter().map(rows::entry).collect()
}

/// Folds the entries that go on where the folds in memory stand: the calls whose row is due, and those that must be
/// folded from the database. A row is due when its call arrives and when it ends; to write it at every event would
/// cost more than the events.
fn go_on(folds: &mut HashMap<CallId, Fold>, entries: &[&Entry], all_new: bool) -> (BTreeSet<CallId>, BTreeSet<CallId>) {
    let (mut due, mut refold) = (BTreeSet::new(), BTreeSet::new());
    for entry in entries {
        let call = entry.call;
        if !all_new || refold.contains(&call) {
            refold.insert(call);
            continue;
        }
        match folds.get_mut(&call) {
            Some(fold) if fold.next_seq() == entry.seq => {
                fold.apply(entry);
                if fold.record().ended() {
                    due.insert(call);
                }
            }
            None if entry.seq == 0 => {
                folds.insert(call, Fold::begin(entry));
                due.insert(call);
            }
            Some(_) | None => {
                refold.insert(call);
            }
        }
    }
    (due, refold)
}

/// How many of a call's new ends the database refused, because another stands there.
fn refused<'a>(known: &[Entry], given: impl Iterator<Item = &'a Entry>) -> u64 {
    let is_end = |entry: &Entry| matches!(entry.event, Event::Ended { .. });
    let end = known.iter().find(|entry| is_end(entry));
    let mut refused = 0;
    for entry in given.filter(|entry| is_end(entry) && Some(*entry) != end) {
        refused += 1;
        tracing::warn!(call = %entry.call, seq = entry.seq, "a second end of the call was refused; the first stays");
    }
    refused
}

/// Lets go of calls that are over; and of all, if there are too many.
fn forget(folds: &mut HashMap<CallId, Fold>, written: &BTreeSet<CallId>) {
    for call in written {
        if folds.get(call).is_some_and(|fold| fold.record().ended()) {
            folds.remove(call);
        }
    }
    if folds.len() > FOLDS_MAX {
        folds.clear();
    }
}

async fn insert_rulebook(connection: &mut SqliteConnection, rulebook: &RulebookText) -> Result<(), StoreError> {
    let files = serde_json::to_string(&rulebook.files).map_err(|error| StoreError::Unreadable(error.to_string()))?;
    sqlx::query("INSERT INTO rulebook (hash, first_seen_unix_ms, files) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
        .bind(&rulebook.hash)
        .bind(rows::signed(rulebook.first_seen_unix_ms))
        .bind(files)
        .execute(connection)
        .await?;
    Ok(())
}

/// Inserts what is not there yet; how many that were.
async fn insert_events(connection: &mut SqliteConnection, entries: &[&Entry]) -> Result<u64, StoreError> {
    let mut inserted = 0;
    for rows in powers_of_two(entries, EVENT_ROWS_MAX) {
        let mut query = sqlx::query(statement("event", EVENT_COLUMNS, rows.len(), "ON CONFLICT DO NOTHING"));
        for entry in rows {
            query = query
                .bind(entry.call.to_string())
                .bind(entry.seq)
                .bind(rows::signed(entry.unix_ms))
                .bind(rows::signed(entry.at_ms))
                .bind(entry.event.word())
                .bind(detail::of(&entry.event)?);
        }
        inserted += query.execute(&mut *connection).await?.rows_affected();
    }
    Ok(inserted)
}

async fn upsert_calls(connection: &mut SqliteConnection, records: &[&CallRecord]) -> Result<(), StoreError> {
    let updates: Vec<String> = rows::CALL_COLUMNS[1..].iter().map(|name| format!("{name} = excluded.{name}")).collect();
    let conflict = format!("ON CONFLICT (call) DO UPDATE SET {}", updates.join(", "));
    for chunk in powers_of_two(records, CALL_ROWS_MAX) {
        let mut query = sqlx::query(statement("call", rows::CALL_COLUMNS, chunk.len(), &conflict));
        for record in chunk {
            query = rows::bind(query, record);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// `INSERT INTO table (…) VALUES (?, …), … conflict` for `rows` rows. Made of constants only. Bare question marks:
/// SQLite looks numbered ones up by name, one after another, which is quadratic in thousands of them.
fn statement(table: &str, columns: &[&str], rows: usize, conflict: &str) -> AssertSqlSafe<String> {
    let row = format!("({})", vec!["?"; columns.len()].join(","));
    let values = vec![row.as_str(); rows].join(",");
    AssertSqlSafe(format!("INSERT INTO {table} ({}) VALUES {values} {conflict}", columns.join(", ")))
}

/// Cuts a slice into pieces of 2ⁿ, largest first, none above `max` (itself a power of two).
fn powers_of_two<T>(slice: &[T], max: usize) -> Vec<&[T]> {
    let (mut pieces, mut rest) = (Vec::new(), slice);
    while let Some(exponent) = rest.len().checked_ilog2() {
        let (piece, after) = rest.split_at((1 << exponent).min(max));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_powers_of_two_and_make_the_whole() {
        let numbers: Vec<usize> = (0..1_711).collect();
        for length in [0, 1, 2, 3, 511, 512, 513, 1_711] {
            let pieces = powers_of_two(&numbers[..length], 512);
            assert!(pieces.iter().all(|piece| piece.len().is_power_of_two() && piece.len() <= 512));
            assert_eq!(pieces.concat(), numbers[..length]);
        }
    }
}
