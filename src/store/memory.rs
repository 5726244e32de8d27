//! The record in memory: for simulations and tests. It keeps the same promises as the databases.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::record::CallRecord;
use super::{Appended, Line, RulebookText};
use crate::terms::event::{Entry, Event};
use crate::terms::ids::CallId;
use crate::terms::outcome::Outcome;

/// Most calls that are kept. Past it the oldest ended ones are forgotten; [`Memory::tally`] still counts them.
pub const CALLS_MAX: usize = 100_000;

/// Most rulebooks that are kept.
const RULEBOOKS_MAX: usize = 1_000;

/// A record in memory. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<Tables>>);

#[derive(Debug, Default)]
struct Tables {
    calls: BTreeMap<CallId, BTreeMap<u32, Entry>>,
    unended: BTreeSet<CallId>,
    rulebooks: BTreeMap<String, RulebookText>,
    tally: BTreeMap<Outcome, u64>,
}

impl Memory {
    pub(super) fn append(&self, lines: &[Line]) -> Appended {
        let mut tables = self.tables();
        let mut appended = Appended::default();
        for line in lines {
            match line {
                Line::Entry(entry) => tables.add(entry, &mut appended),
                Line::Rulebook(rulebook) => tables.add_rulebook(rulebook),
            }
        }
        tables.forget_oldest();
        appended
    }

    pub(super) fn call(&self, call: CallId) -> Option<CallRecord> {
        CallRecord::fold(&self.events(call))
    }

    pub(super) fn calls(&self, last: u32) -> Vec<CallRecord> {
        let tables = self.tables();
        let newest = tables.calls.values().rev().take(last as usize);
        newest.filter_map(|entries| CallRecord::fold(&in_order(entries))).collect()
    }

    pub(super) fn beginning_with(&self, prefix: &str, limit: u32) -> Vec<CallId> {
        let tables = self.tables();
        let found = tables.calls.keys().rev().filter(|call| call.to_string().starts_with(prefix));
        found.take(limit as usize).copied().collect()
    }

    pub(super) fn events(&self, call: CallId) -> Vec<Entry> {
        self.tables().calls.get(&call).map(in_order).unwrap_or_default()
    }

    pub(super) fn unended(&self, limit: u32) -> Vec<CallId> {
        self.tables().unended.iter().take(limit as usize).copied().collect()
    }

    pub(super) fn tally(&self) -> BTreeMap<Option<Outcome>, u64> {
        let tables = self.tables();
        let in_progress = (!tables.unended.is_empty()).then_some((None, tables.unended.len() as u64));
        tables.tally.iter().map(|(outcome, calls)| (Some(*outcome), *calls)).chain(in_progress).collect()
    }

    pub(super) fn rulebook(&self, hash: &str) -> Option<RulebookText> {
        self.tables().rulebooks.get(hash).cloned()
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn add(&mut self, entry: &Entry, appended: &mut Appended) {
        let entries = self.calls.entry(entry.call).or_default();
        if entries.contains_key(&entry.seq) {
            appended.repeated += 1;
            return;
        }
        if entries.is_empty() {
            self.unended.insert(entry.call);
        }
        if let Event::Ended { outcome, .. } = &entry.event {
            if !self.unended.remove(&entry.call) {
                appended.refused_ends += 1;
                return;
            }
            *self.tally.entry(*outcome).or_default() += 1;
        }
        entries.insert(entry.seq, entry.clone());
        appended.stored += 1;
    }

    fn add_rulebook(&mut self, rulebook: &RulebookText) {
        if self.rulebooks.len() < RULEBOOKS_MAX {
            self.rulebooks.entry(rulebook.hash.clone()).or_insert_with(|| rulebook.clone());
        }
    }

    fn forget_oldest(&mut self) {
        while self.calls.len() > CALLS_MAX {
            let Some(oldest) = self.calls.keys().find(|call| !self.unended.contains(call)).copied() else { return };
            self.calls.remove(&oldest);
        }
    }
}

fn in_order(entries: &BTreeMap<u32, Entry>) -> Vec<Entry> {
    entries.values().cloned().collect()
}
