//! What must hold of every call, checked as the journal is written.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::caller::Manner;
use crate::terms::event::{Entry, Event, Side};
use crate::terms::ids::CallId;
use crate::terms::language::Language;
use crate::terms::outcome::Outcome;

/// Most violations that are kept word for word; the rest are counted.
const VIOLATIONS_KEPT: usize = 20;
/// No call of a simulation may take longer than this, in milliseconds.
const CALL_MS_MAX: u64 = 3 * 60 * 60 * 1000;

/// The books of one simulated day.
#[derive(Debug, Default)]
pub struct Ledger {
    open: HashMap<CallId, Page>,
    manners: HashMap<CallId, Manner>,
    arrived: u64,
    ended: u64,
    lines: u64,
    outcomes: BTreeMap<Outcome, u64>,
    violations: Vec<String>,
    violation_count: u64,
    digest: u64,
}

#[derive(Debug, Default)]
struct Page {
    next: u32,
    at_ms: u64,
    language: Option<Language>,
    bridged: bool,
}

impl Ledger {
    /// A caller of this manner will arrive as `call`.
    pub fn expect(&mut self, call: CallId, manner: Manner) {
        self.manners.insert(call, manner);
    }

    /// Takes in one line of the journal.
    pub fn take(&mut self, entry: &Entry) {
        self.lines += 1;
        self.fold_digest(entry);
        let first = matches!(entry.event, Event::Arrived { .. });
        if first {
            self.arrived += 1;
            if self.open.insert(entry.call, Page::default()).is_some() {
                self.violate(entry, "arrived twice");
            }
        }
        let Some(mut page) = self.open.remove(&entry.call) else {
            self.violate(entry, "a line before the arrival or after the end");
            return;
        };
        if entry.seq != page.next {
            self.violate(entry, "lines are not numbered one after another");
        }
        if entry.at_ms < page.at_ms {
            self.violate(entry, "time went back");
        }
        page.next = entry.seq + 1;
        page.at_ms = entry.at_ms;
        self.check(entry, &mut page);
        if let Event::Ended { outcome, by, ms, .. } = entry.event {
            self.end(entry, outcome, by, ms);
        } else {
            self.open.insert(entry.call, page);
        }
    }

    /// What to say when the day is over: every call ended, nobody lost.
    pub fn close(mut self) -> Books {
        let left = self.open.len();
        if left > 0 {
            self.violation_count += left as u64;
            self.violations.push(format!("{left} calls never ended"));
        }
        Books {
            arrived: self.arrived,
            ended: self.ended,
            lines: self.lines,
            outcomes: self.outcomes,
            violations: self.violations,
            violation_count: self.violation_count,
            digest: self.digest,
        }
    }

    fn check(&mut self, entry: &Entry, page: &mut Page) {
        match &entry.event {
            Event::LanguageChosen { language, .. } => page.language = Some(*language),
            Event::PromptStarted { prompt } => {
                if page.bridged {
                    self.violate(entry, "a prompt over a conversation");
                }
                // Languages without a voice are spoken to in English, as the rules state; and whoever goes back
                // to the gate hears every language there.
                let voiced = page.language.filter(|language| !["so", "other"].contains(&language.as_str()));
                let gate = prompt.name.starts_with("gate") || &*prompt.name == "greeting";
                if voiced.is_some_and(|language| language != prompt.language) && !gate {
                    self.violate(entry, "a prompt in another language than the caller's");
                }
            }
            Event::KeyPressed { key, .. } if page.bridged && key.is_some() => {
                self.violate(entry, "a key of a conversation was written down");
            }
            Event::Bridged { .. } => page.bridged = true,
            Event::Unbridged { .. } => page.bridged = false,
            _ => {}
        }
    }

    fn end(&mut self, entry: &Entry, outcome: Outcome, by: Side, ms: u64) {
        self.ended += 1;
        *self.outcomes.entry(outcome).or_default() += 1;
        let manner = self.manners.remove(&entry.call);
        if outcome == Outcome::TechnicalFailure {
            self.violate(entry, "a technical failure");
        }
        if ms > CALL_MS_MAX {
            self.violate(entry, "a call without end");
        }
        let abandoned = matches!(outcome, Outcome::AbandonedIvr | Outcome::AbandonedQueue | Outcome::ShortAbandon);
        if abandoned && manner.is_some_and(Manner::is_patient) {
            self.violate(entry, "a caller who stayed on the line was lost");
        }
        if abandoned && by == Side::Us && manner != Some(Manner::FallsSilent) {
            self.violate(entry, "we hung up on a caller");
        }
    }

    fn violate(&mut self, entry: &Entry, what: &str) {
        self.violation_count += 1;
        if self.violations.len() < VIOLATIONS_KEPT {
            let manner = self.manners.get(&entry.call);
            self.violations.push(format!("{what}: {manner:?} {} #{} {:?}", entry.call, entry.seq, entry.event));
        }
    }

    fn fold_digest(&mut self, entry: &Entry) {
        let mut hasher = DefaultHasher::new();
        (self.digest, entry.seq, entry.unix_ms, entry.at_ms, entry.event.word()).hash(&mut hasher);
        entry.call.hash(&mut hasher);
        self.digest = hasher.finish();
    }
}

/// The books of a day, closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Books {
    /// Calls that arrived.
    pub arrived: u64,
    /// Calls that ended.
    pub ended: u64,
    /// Lines of the journal.
    pub lines: u64,
    /// How the calls ended.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// What did not hold, the first few in words.
    pub violations: Vec<String>,
    /// How often something did not hold.
    pub violation_count: u64,
    /// A fingerprint of the whole journal: same seed, same fingerprint.
    pub digest: u64,
}
