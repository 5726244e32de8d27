//! A call and an event as rows.

use sqlx::Row;
use sqlx::sqlite::{SqliteArguments, SqliteRow};

use crate::store::record::{CallRecord, Flaw};
use crate::store::{StoreError, detail};
use crate::terms::cause::Cause;
use crate::terms::event::{Entry, Side};
use crate::terms::ids::CallId;
use crate::terms::number::Pii;
use crate::terms::outcome::Outcome;

/// The columns of `call`, the key first.
pub(super) const CALL_COLUMNS: &[&str] = &[
    "call",
    "started_unix_ms",
    "ended_unix_ms",
    "trunk",
    "dialled",
    "caller",
    "language",
    "topic",
    "menu",
    "line",
    "answered_ms",
    "bridged_ms",
    "keys",
    "outcome",
    "ended_by",
    "cause",
    "ms",
    "rulebook",
    "sip_call_id",
    "flaws",
];

type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, SqliteArguments>;

/// Binds a row in the order of [`CALL_COLUMNS`].
pub(super) fn bind<'q>(query: Query<'q>, record: &CallRecord) -> Query<'q> {
    let flaws: Vec<&str> = record.flaws.iter().map(|flaw| flaw.as_str()).collect();
    query
        .bind(record.call.to_string())
        .bind(signed(record.started_unix_ms))
        .bind(record.ended_unix_ms.map(signed))
        .bind(record.trunk.as_ref().map(|trunk| trunk.as_str().to_owned()))
        .bind(record.dialled.clone())
        .bind(record.caller.as_ref().map(|caller| caller.reveal().clone()))
        .bind(record.language.map(|language| language.as_str().to_owned()))
        .bind(record.topic.as_ref().map(|topic| topic.as_str().to_owned()))
        .bind(record.menu.as_ref().map(|menu| menu.as_str().to_owned()))
        .bind(record.line.as_ref().map(|line| line.as_str().to_owned()))
        .bind(record.answered_ms.map(signed))
        .bind(signed(record.bridged_ms))
        .bind(record.keys)
        .bind(record.outcome.map(Outcome::as_str))
        .bind(record.ended_by.map(side))
        .bind(record.cause.map(Cause::as_str))
        .bind(record.ms.map(signed))
        .bind(record.rulebook.clone())
        .bind(record.sip_call_id.clone())
        .bind(flaws.join(","))
}

/// Reads a row of `call`.
pub(super) fn record(row: &SqliteRow) -> Result<CallRecord, StoreError> {
    let text = |name: &str| row.try_get::<Option<String>, _>(name);
    Ok(CallRecord {
        call: call(row)?,
        started_unix_ms: number(row, "started_unix_ms")?,
        ended_unix_ms: optional(row, "ended_unix_ms")?,
        trunk: text("trunk")?.map(|name| name.as_str().into()),
        dialled: text("dialled")?,
        caller: text("caller")?.map(Pii::new),
        language: text("language")?.map(|code| code.parse()).transpose().map_err(StoreError::Unreadable)?,
        topic: text("topic")?.map(|name| name.as_str().into()),
        menu: text("menu")?.map(|name| name.as_str().into()),
        line: text("line")?.map(|name| name.as_str().into()),
        answered_ms: optional(row, "answered_ms")?,
        bridged_ms: number(row, "bridged_ms")?,
        keys: row.try_get("keys")?,
        outcome: outcome(row)?,
        ended_by: word(text("ended_by")?, &[Side::Caller, Side::FarEnd, Side::Us], side)?,
        cause: word(text("cause")?, Cause::ALL, Cause::as_str)?,
        ms: optional(row, "ms")?,
        rulebook: text("rulebook")?,
        sip_call_id: text("sip_call_id")?,
        flaws: flaws(row.try_get("flaws")?)?,
    })
}

/// Reads a row of `event`.
pub(super) fn entry(row: &SqliteRow) -> Result<Entry, StoreError> {
    Ok(Entry {
        call: call(row)?,
        seq: row.try_get("seq")?,
        unix_ms: number(row, "unix_ms")?,
        at_ms: number(row, "at_ms")?,
        event: detail::event(row.try_get("word")?, row.try_get("detail")?)?,
    })
}

/// Reads the column `call`.
pub(super) fn call(row: &SqliteRow) -> Result<CallId, StoreError> {
    row.try_get::<&str, _>("call")?.parse().map_err(StoreError::Unreadable)
}

/// Reads a row of `outcome, calls`.
pub(super) fn tally(row: &SqliteRow) -> Result<(Option<Outcome>, u64), StoreError> {
    Ok((outcome(row)?, number(row, "calls")?))
}

/// Reads a number that is never negative.
pub(super) fn number(row: &SqliteRow, name: &str) -> Result<u64, StoreError> {
    optional(row, name)?.ok_or_else(|| StoreError::Unreadable(format!("{name} is empty")))
}

/// A number as SQLite keeps it. Times beyond its range do not occur; they would be cut off.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn optional(row: &SqliteRow, name: &str) -> Result<Option<u64>, StoreError> {
    let number: Option<i64> = row.try_get(name)?;
    let unsigned = |number: i64| u64::try_from(number).map_err(|_| format!("{name} is negative: {number}"));
    number.map(unsigned).transpose().map_err(StoreError::Unreadable)
}

fn outcome(row: &SqliteRow) -> Result<Option<Outcome>, StoreError> {
    word(row.try_get("outcome")?, Outcome::ALL, Outcome::as_str)
}

fn flaws(text: &str) -> Result<Vec<Flaw>, StoreError> {
    let words = text.split(',').filter(|flaw| !flaw.is_empty());
    words.filter_map(|flaw| word(Some(flaw.to_owned()), Flaw::ALL, Flaw::as_str).transpose()).collect()
}

/// The one of `all` whose word is `text`.
fn word<T: Copy>(text: Option<String>, all: &[T], word: fn(T) -> &'static str) -> Result<Option<T>, StoreError> {
    let Some(text) = text else { return Ok(None) };
    let found = all.iter().copied().find(|one| word(*one) == text);
    found.map(Some).ok_or_else(|| StoreError::Unreadable(format!("`{text}` is not a known word")))
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Caller => "caller",
        Side::FarEnd => "far_end",
        Side::Us => "us",
    }
}
