//! What becomes of the record when the database, the disk or the process fails.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Executor, SqliteConnection};

use super::examples::{Day, lines, pothole, rulebook};
use super::recovery::{NOTE, NOTE_ROW_ONLY};
use super::{BATCH_MAX, CallRecord, Journal, Stats, Store, StoreError, journal, open, spool, sqlite};
use crate::terms::clock::Instant;
use crate::terms::event::{Entry, Event};
use crate::terms::outcome::Outcome;

/// Waits until `done` says so of the journal.
async fn until(journal: &Journal, done: impl Fn(&Stats) -> bool) -> Stats {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let stats = journal.stats();
        if done(&stats) {
            return stats;
        }
        assert!(Instant::now() < deadline, "{stats:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn someone_locks(data: &Path) -> SqliteConnection {
    let mut other = SqliteConnectOptions::new().filename(data.join(sqlite::FILE)).connect().await.unwrap();
    other.execute("BEGIN EXCLUSIVE").await.unwrap();
    other
}

/// Ten calls at a time, told event by event: some are always in the middle.
fn busy_day() -> impl Iterator<Item = Entry> {
    let mut day = Day::new(42);
    let tens = std::iter::from_fn(move || Some((0..10).map(|_| day.short_call()).collect::<Vec<_>>()));
    tens.flat_map(|calls| (0..3).flat_map(move |at| calls.iter().map(|call| call[at].clone()).collect::<Vec<_>>()))
}

async fn assert_sound(store: &Store, entries: &[Entry]) {
    for entry in entries {
        let events = store.events(entry.call).await.unwrap();
        assert_eq!(events.iter().filter(|known| **known == *entry).count(), 1, "{entry:?}");
        assert_eq!(store.call(entry.call).await.unwrap(), CallRecord::fold(&events));
    }
}

#[tokio::test]
async fn while_the_database_is_locked_lines_go_to_the_spool_and_come_back_in_order() {
    let data = tempfile::tempdir().unwrap();
    let (store, journal, ..) = open(data.path()).await.unwrap();
    let entries = pothole();
    entries[..5].iter().cloned().for_each(|entry| journal.record(entry));
    journal.flush().await;
    let lock = someone_locks(data.path()).await;
    entries[5..9].iter().cloned().for_each(|entry| journal.record(entry));
    journal.keep_rulebook(rulebook());
    journal.flush().await;
    let stats = journal.stats();
    assert!(stats.spooling && stats.spooled == 5 && stats.spool_bytes > 0 && stats.alarms == 1, "{stats:?}");
    assert_eq!(spool::waiting_bytes(data.path()), stats.spool_bytes);
    drop(lock);
    entries[9..].iter().cloned().for_each(|entry| journal.record(entry));
    let stats = until(&journal, |stats| !stats.spooling && stats.waiting == 0).await;
    assert_eq!((stats.stored, stats.repeated, stats.lost), (entries.len() as u64, 0, 0), "{stats:?}");
    assert_eq!((stats.drained, stats.spool_bytes, stats.alarms), (stats.spooled, 0, 1), "{stats:?}");
    assert_eq!(store.events(entries[0].call).await.unwrap(), entries);
    assert_eq!(store.rulebook(&rulebook().hash).await.unwrap(), Some(rulebook()));
}

#[tokio::test]
async fn a_database_that_is_moved_away_gets_its_lines_when_it_is_back() {
    let data = tempfile::tempdir().unwrap();
    let (store, journal, ..) = open(data.path()).await.unwrap();
    let (here, away) = (data.path().join(sqlite::FILE), data.path().join("away.db"));
    std::fs::rename(&here, &away).unwrap();
    let entries: Vec<Entry> = busy_day().take(600).collect();
    entries.iter().cloned().for_each(|entry| journal.record(entry));
    journal.flush().await;
    assert!(journal.stats().spooling && !here.exists(), "no new database is made in its place");
    std::fs::rename(&away, &here).unwrap();
    let stats = until(&journal, |stats| !stats.spooling).await;
    assert_eq!((stats.stored, stats.lost), (600, 0), "{stats:?}");
    assert_sound(&store, &entries).await;
}

#[tokio::test]
async fn without_database_and_spool_lines_wait_in_memory() {
    let data = tempfile::tempdir().unwrap();
    let (store, journal, ..) = open(data.path()).await.unwrap();
    let lock = someone_locks(data.path()).await;
    std::fs::remove_dir_all(spool::folder(data.path())).unwrap();
    let entries = pothole();
    entries.iter().cloned().for_each(|entry| journal.record(entry));
    until(&journal, |stats| stats.alarms >= 2).await;
    drop(lock);
    journal.flush().await;
    let stats = until(&journal, |stats| stats.stored == entries.len() as u64).await;
    assert_eq!(stats.lost, 0);
    assert_eq!(store.events(entries[0].call).await.unwrap(), entries);
}

#[tokio::test]
async fn a_queue_that_is_full_is_emptied_into_the_spool_and_nothing_is_lost() {
    let data = tempfile::tempdir().unwrap();
    let (store, journal, ..) = open(data.path()).await.unwrap();
    let entries: Vec<Entry> = busy_day().take(journal::QUEUE_MAX + 300).collect();
    entries.iter().cloned().for_each(|entry| journal.record(entry));
    assert_eq!(journal.stats().spooled, 0, "that is the writer's work");
    let stats = until(&journal, |stats| stats.stored == entries.len() as u64 && !stats.spooling).await;
    assert_eq!((stats.lost, stats.repeated, stats.spool_bytes), (0, 0, 0), "{stats:?}");
    assert_eq!(stats.drained, stats.spooled);
    assert!(stats.spooled > 0, "{stats:?}");
    assert_sound(&store, &entries[entries.len() - 60..]).await;
}

#[tokio::test]
async fn what_comes_after_closing_is_in_the_record_at_the_next_start() {
    let data = tempfile::tempdir().unwrap();
    let (store, journal, ..) = open(data.path()).await.unwrap();
    let entries = pothole();
    entries[..9].iter().cloned().for_each(|entry| journal.record(entry));
    journal.close().await;
    assert_eq!(journal.stats().stored, 9);
    entries[9..].iter().cloned().for_each(|entry| journal.record(entry));
    journal.flush().await;
    drop((store, journal));
    let (store, _journal, recovered) = reopen(data.path()).await;
    assert_eq!(recovered.from_spool, entries.len() as u64 - 9);
    assert_eq!(recovered.calls_ended, 0, "its end was in the spool");
    assert_eq!(store.events(entries[0].call).await.unwrap(), entries);
}

#[tokio::test]
async fn whoever_closes_second_waits_as_long_as_the_first() {
    let data = tempfile::tempdir().unwrap();
    let (_store, journal, ..) = open(data.path()).await.unwrap();
    let _lock = someone_locks(data.path()).await;
    let entries = pothole();
    entries.iter().cloned().for_each(|entry| journal.record(entry));
    let first = tokio::spawn({
        let journal = journal.clone();
        async move { journal.close().await }
    });
    until(&journal, |stats| stats.waiting == 0).await;
    journal.close().await;
    let stats = journal.stats();
    assert_eq!((stats.spooled, stats.lost), (entries.len() as u64, 0), "the last batch is kept: {stats:?}");
    first.await.unwrap();
}

#[test]
fn what_the_writer_has_in_hand_when_the_runtime_ends_is_in_the_spool() {
    let data = tempfile::tempdir().unwrap();
    let entries = pothole();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let held = runtime.block_on(async {
        let (_store, journal, ..) = open(data.path()).await.unwrap();
        let lock = someone_locks(data.path()).await;
        entries.iter().cloned().for_each(|entry| journal.record(entry));
        until(&journal, |stats| stats.waiting == 0).await;
        (journal, lock)
    });
    drop(runtime);
    let spool = spool::Spool::open(spool::folder(data.path())).unwrap();
    let file = spool.oldest().unwrap().expect("the batch in hand was kept");
    assert!(spool.read(&file).unwrap().lines.starts_with(&lines(&entries)));
    assert_eq!(held.0.stats().lost, 0);
}

/// The folder is free once the writer has let go of it.
async fn reopen(data: &Path) -> (Store, Journal, super::Recovered) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match open(data).await {
            Err(StoreError::InUse(_)) if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(5)).await
            }
            other => return other.unwrap(),
        }
    }
}

#[tokio::test]
async fn two_servers_do_not_share_a_folder() {
    let data = tempfile::tempdir().unwrap();
    let _first = open(data.path()).await.unwrap();
    assert!(matches!(open(data.path()).await, Err(StoreError::InUse(_))));
    assert!(Store::read_only(data.path()).await.is_ok(), "readers are welcome");
}

#[tokio::test(start_paused = true)]
async fn a_line_is_kept_within_the_window_though_nobody_flushes() {
    let (journal, store) = Journal::in_memory();
    let entries = pothole();
    entries.iter().cloned().for_each(|entry| journal.record(entry));
    tokio::time::sleep(journal::BATCH_WINDOW + Duration::from_millis(1)).await;
    assert_eq!(store.events(entries[0].call).await.unwrap(), entries);
    assert_eq!(journal.stats().batches, 1);
    let many: Vec<Entry> = busy_day().take(BATCH_MAX + 1).collect();
    many.iter().cloned().for_each(|entry| journal.record(entry));
    journal.close().await;
    assert_eq!(journal.stats().stored, (entries.len() + BATCH_MAX + 1) as u64);
}

#[tokio::test]
async fn a_call_cut_off_by_a_crash_gets_one_end_once() {
    let data = tempfile::tempdir().unwrap();
    let entries = pothole();
    let cut = sqlite::Sqlite::open(data.path()).await.map(Store::Sqlite).unwrap();
    cut.append(&lines(&entries[..9])).await.unwrap();
    drop(cut);
    for (start, ended) in [(1, 1), (2, 0)] {
        let (store, journal, recovered) = reopen(data.path()).await;
        assert_eq!(recovered.calls_ended, ended, "start {start}");
        let events = store.events(entries[0].call).await.unwrap();
        assert_eq!(events[9].event, Event::Noted { text: NOTE.to_owned() });
        assert_eq!(events.len(), 11);
        let record = store.call(entries[0].call).await.unwrap().unwrap();
        assert_eq!((record.outcome, record.ms), (Some(Outcome::TechnicalFailure), Some(entries[8].at_ms)));
        assert_eq!(record.flaws, []);
        journal.close().await;
    }
}

#[tokio::test]
async fn a_call_that_is_damaged_stops_neither_the_start_nor_the_ends_of_others() {
    let data = tempfile::tempdir().unwrap();
    let mut day = Day::new(9);
    let calls = [day.short_call(), day.short_call(), day.short_call()];
    let cut = sqlite::Sqlite::open(data.path()).await.map(Store::Sqlite).unwrap();
    for call in &calls {
        cut.append(&lines(&call[..2])).await.unwrap();
    }
    drop(cut);
    let [row_only, garbled, sound] = calls.map(|call| call[0].call);
    let mut other = SqliteConnectOptions::new().filename(data.path().join(sqlite::FILE)).connect().await.unwrap();
    let damage = ["DELETE FROM event WHERE call = ", "UPDATE event SET word = 'torn' WHERE call = "];
    for (statement, call) in damage.into_iter().zip([row_only, garbled]) {
        other.execute(sqlx::AssertSqlSafe(format!("{statement}'{call}'"))).await.unwrap();
    }
    let (store, _journal, recovered) = reopen(data.path()).await;
    assert_eq!((recovered.calls_ended, recovered.set_aside), (2, 1));
    for call in [row_only, sound] {
        let record = store.call(call).await.unwrap().unwrap();
        assert_eq!((record.outcome, record.flaws), (Some(Outcome::TechnicalFailure), vec![]));
        assert_eq!(record.dialled.as_deref(), Some("311"), "what its row said of it stays");
    }
    let noted = Event::Noted { text: NOTE_ROW_ONLY.to_owned() };
    assert!(store.events(row_only).await.unwrap().iter().any(|entry| entry.event == noted));
    assert_eq!(store.tally().await.unwrap().get(&None), Some(&1), "the garbled one stays as it is");
}

#[tokio::test]
async fn after_kill_9_all_that_was_flushed_is_there_and_every_call_has_one_outcome() {
    let data = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["store::outage::child_that_is_killed", "--exact", "--ignored", "--nocapture"])
        .env("CITYLINE_CRASH_DATA", data.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap()).lines();
    let flushed = output.filter_map(|line| line.unwrap().strip_prefix("flushed ")?.parse::<usize>().ok()).nth(40);
    child.kill().unwrap();
    child.wait().unwrap();
    let flushed = flushed.expect("the child flushes");
    let (store, _journal, recovered) = open(data.path()).await.unwrap();
    let entries: Vec<Entry> = busy_day().take(flushed).collect();
    assert_sound(&store, &entries).await;
    let tally = store.tally().await.unwrap();
    assert_eq!(tally.get(&None), None, "nothing is left open: {tally:?}");
    assert_eq!(tally.get(&Some(Outcome::TechnicalFailure)).copied().unwrap_or(0), recovered.calls_ended);
    assert!(recovered.calls_ended >= 1, "some were in the middle");
    for record in store.calls(100_000).await.unwrap() {
        let events = store.events(record.call).await.unwrap();
        assert_eq!(events.iter().filter(|entry| matches!(entry.event, Event::Ended { .. })).count(), 1);
        assert_eq!(record.flaws, [], "{}", record.call);
    }
}

#[tokio::test]
#[ignore = "run and killed by the test above"]
async fn child_that_is_killed() {
    let Some(data) = std::env::var_os("CITYLINE_CRASH_DATA") else { return };
    let (_store, journal, ..) = open(Path::new(&data)).await.unwrap();
    for (number, entry) in (1..).zip(busy_day()) {
        journal.record(entry);
        // Never at the end of ten calls: some are always in the middle.
        if number % 37 == 0 {
            journal.flush().await;
            writeln!(std::io::stdout(), "\nflushed {number}").unwrap();
        }
    }
}
