//! What every store promises: one suite, run on each of them.

use tempfile::TempDir;

use super::examples::{Day, RULEBOOK, lines, pothole, rulebook};
use super::sqlite::Sqlite;
use super::{Appended, CallRecord, Flaw, Line, Store};
use crate::terms::cause::Cause;
use crate::terms::event::{Entry, Event, Side};
use crate::terms::outcome::Outcome;

/// Runs a promise on every store there is.
macro_rules! every_store {
    ($($name:ident,)+) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                let folder = tempfile::tempdir().unwrap();
                super::$name(super::in_sqlite(&folder).await).await;
            })+
        }
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Store::memory()).await;
            })+
        }
    };
}

every_store! {
    a_call_comes_back_as_it_was_told,
    a_replay_changes_nothing,
    a_batch_may_be_told_in_any_order_and_in_pieces,
    a_second_end_is_refused_and_the_first_stays,
    calls_interleave_in_one_batch,
    the_latest_calls_come_first,
    an_id_is_found_by_its_beginning,
    calls_in_progress_are_known_and_counted,
    a_rulebook_is_kept_once_with_its_text,
    nothing_is_found_in_an_empty_store,
    a_late_line_shows_as_a_flaw,
}

async fn in_sqlite(folder: &TempDir) -> Store {
    Store::Sqlite(Sqlite::open(folder.path()).await.unwrap())
}

fn stored(stored: u64) -> Appended {
    Appended { stored, ..Appended::default() }
}

async fn a_call_comes_back_as_it_was_told(store: Store) {
    let entries = pothole();
    assert_eq!(store.append(&lines(&entries)).await.unwrap(), stored(entries.len() as u64));
    assert_eq!(store.events(entries[0].call).await.unwrap(), entries);
    assert_eq!(store.call(entries[0].call).await.unwrap(), CallRecord::fold(&entries));
}

async fn a_replay_changes_nothing(store: Store) {
    let entries = pothole();
    store.append(&lines(&entries)).await.unwrap();
    for part in [&entries[..], &entries[..1], &entries[5..9], &entries[entries.len() - 1..]] {
        let repeated = Appended { repeated: part.len() as u64, ..Appended::default() };
        assert_eq!(store.append(&lines(part)).await.unwrap(), repeated);
        assert_eq!(store.call(entries[0].call).await.unwrap(), CallRecord::fold(&entries));
    }
    assert_eq!(store.events(entries[0].call).await.unwrap(), entries);
    assert_eq!(store.tally().await.unwrap(), [(Some(Outcome::TransferredAnswered), 1)].into());
}

async fn a_batch_may_be_told_in_any_order_and_in_pieces(store: Store) {
    let entries = pothole();
    let (early, late) = entries.split_at(7);
    store.append(&lines(late)).await.unwrap();
    let partial = store.call(entries[0].call).await.unwrap().unwrap();
    assert_eq!(partial.flaws, [Flaw::NoArrival, Flaw::Gap]);
    let mut backwards = lines(early);
    backwards.reverse();
    store.append(&backwards).await.unwrap();
    assert_eq!(store.call(entries[0].call).await.unwrap(), CallRecord::fold(&entries));
    let mut day = Day::new(9);
    let one_by_one = day.short_call();
    for entry in &one_by_one {
        store.append(&lines(std::slice::from_ref(entry))).await.unwrap();
    }
    assert_eq!(store.call(one_by_one[0].call).await.unwrap(), CallRecord::fold(&one_by_one));
}

async fn a_second_end_is_refused_and_the_first_stays(store: Store) {
    let entries = Day::new(3).short_call();
    let last = entries.last().unwrap();
    let event = Event::Ended { outcome: Outcome::Test, by: Side::Us, cause: Cause::Internal, ms: 1 };
    let second = Entry { seq: last.seq + 1, event, ..last.clone() };
    store.append(&lines(&entries)).await.unwrap();
    let refused = Appended { refused_ends: 1, ..Appended::default() };
    assert_eq!(store.append(&lines(std::slice::from_ref(&second))).await.unwrap(), refused);
    assert_eq!(store.call(last.call).await.unwrap(), CallRecord::fold(&entries));
    assert_eq!(store.events(last.call).await.unwrap(), entries);

    let mut both = Day::new(4).short_call();
    let last = both.last().unwrap().clone();
    both.push(Entry { seq: last.seq + 1, ..second.clone() });
    both.last_mut().unwrap().call = last.call;
    let appended = store.append(&lines(&both)).await.unwrap();
    assert_eq!(appended, Appended { stored: 3, repeated: 0, refused_ends: 1 }, "also within one batch");
    assert_eq!(store.tally().await.unwrap(), [(Some(Outcome::AbandonedIvr), 2)].into());
}

async fn calls_interleave_in_one_batch(store: Store) {
    let mut day = Day::new(5);
    let calls: Vec<Vec<Entry>> = (0..300).map(|_| day.short_call()).collect();
    for at in 0..3 {
        let batch: Vec<Entry> = calls.iter().map(|call| call[at].clone()).collect();
        assert_eq!(store.append(&lines(&batch)).await.unwrap(), stored(300));
    }
    for call in &calls {
        assert_eq!(store.call(call[0].call).await.unwrap(), CallRecord::fold(call));
    }
    assert_eq!(store.tally().await.unwrap(), [(Some(Outcome::AbandonedIvr), 300)].into());
}

async fn the_latest_calls_come_first(store: Store) {
    let mut day = Day::new(6);
    let calls: Vec<Vec<Entry>> = (0..5).map(|_| day.short_call()).collect();
    store.append(&lines(&calls.concat())).await.unwrap();
    let latest = store.calls(2).await.unwrap();
    assert_eq!(latest, [CallRecord::fold(&calls[4]).unwrap(), CallRecord::fold(&calls[3]).unwrap()]);
}

async fn an_id_is_found_by_its_beginning(store: Store) {
    let mut day = Day::new(7);
    let (first, second) = (day.short_call(), day.short_call());
    store.append(&lines(&[first.clone(), second.clone()].concat())).await.unwrap();
    let id = first[0].call.to_string();
    assert_eq!(store.beginning_with(&id.to_lowercase()[..20], 2).await.unwrap(), [first[0].call]);
    assert_eq!(store.beginning_with(&id[..5], 9).await.unwrap(), [second[0].call, first[0].call]);
    assert_eq!(store.beginning_with(&id[..5], 1).await.unwrap(), [second[0].call]);
    assert_eq!(store.beginning_with("ZZ", 2).await.unwrap(), []);
}

async fn calls_in_progress_are_known_and_counted(store: Store) {
    let mut day = Day::new(8);
    let (over, open) = (day.short_call(), day.short_call());
    store.append(&lines(&over)).await.unwrap();
    store.append(&lines(&open[..2])).await.unwrap();
    assert_eq!(store.unended(9).await.unwrap(), [open[0].call]);
    assert_eq!(store.tally().await.unwrap(), [(None, 1), (Some(Outcome::AbandonedIvr), 1)].into());
    store.append(&lines(&open[2..])).await.unwrap();
    assert_eq!(store.unended(9).await.unwrap(), []);
    assert_eq!(store.tally().await.unwrap(), [(Some(Outcome::AbandonedIvr), 2)].into());
}

async fn a_rulebook_is_kept_once_with_its_text(store: Store) {
    let first = rulebook();
    let later = super::RulebookText { first_seen_unix_ms: first.first_seen_unix_ms + 5, ..first.clone() };
    store.append(&[Line::Rulebook(first.clone()), Line::Rulebook(later)]).await.unwrap();
    assert_eq!(store.rulebook(RULEBOOK).await.unwrap(), Some(first));
    assert_eq!(store.rulebook("other").await.unwrap(), None);
}

async fn nothing_is_found_in_an_empty_store(store: Store) {
    let call = pothole()[0].call;
    assert_eq!(store.append(&[]).await.unwrap(), Appended::default());
    assert_eq!((store.call(call).await.unwrap(), store.events(call).await.unwrap()), (None, vec![]));
    assert_eq!((store.calls(20).await.unwrap(), store.unended(5).await.unwrap()), (vec![], vec![]));
    assert!(store.tally().await.unwrap().is_empty());
}

async fn a_late_line_shows_as_a_flaw(store: Store) {
    let entries = Day::new(10).short_call();
    let last = entries.last().unwrap();
    store.append(&lines(&entries)).await.unwrap();
    let late = Entry { seq: last.seq + 1, event: Event::AudioHeard, ..last.clone() };
    assert_eq!(store.append(&lines(std::slice::from_ref(&late))).await.unwrap(), stored(1));
    assert_eq!(store.call(last.call).await.unwrap().unwrap().flaws, [Flaw::AfterEnd]);
}
