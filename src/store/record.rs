//! One call, told by its journal: the fold that turns a call's entries into its one row.
//!
//! The fold is pure and the only one there is: the databases, `calls`, `why` and the reports use it, so they
//! cannot disagree. It also checks each call for conservation: time never runs back, one arrival first, one
//! end last, and no part longer than the whole.

use serde::{Deserialize, Serialize};

use crate::terms::cause::Cause;
use crate::terms::event::{Entry, Event, Side};
use crate::terms::ids::{CallId, LineId, MenuId, TopicId, TrunkId};
use crate::terms::language::Language;
use crate::terms::number::Pii;
use crate::terms::outcome::Outcome;

/// One call in one row. Fields are `None` until something on the call said so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallRecord {
    /// The call.
    pub call: CallId,
    /// When it arrived: milliseconds since 1970 (UTC).
    pub started_unix_ms: u64,
    /// When it ended.
    pub ended_unix_ms: Option<u64>,
    /// The trunk it came by.
    pub trunk: Option<TrunkId>,
    /// The number as dialled (R001).
    pub dialled: Option<String>,
    /// The caller's number, where a trusted source gave one.
    pub caller: Option<Pii<String>>,
    /// The language the caller was served in last.
    pub language: Option<Language>,
    /// The last topic chosen.
    pub topic: Option<TopicId>,
    /// The first menu entered.
    pub menu: Option<MenuId>,
    /// The last line that was tried or bridged.
    pub line: Option<LineId>,
    /// From arrival to our answer, in milliseconds.
    pub answered_ms: Option<u64>,
    /// How long the caller was connected to lines, all together, in milliseconds.
    pub bridged_ms: u64,
    /// How many keys were pressed.
    pub keys: u32,
    /// The one outcome.
    pub outcome: Option<Outcome>,
    /// Who ended it.
    pub ended_by: Option<Side>,
    /// Why.
    pub cause: Option<Cause>,
    /// From arrival to end, in milliseconds (elapsed time).
    pub ms: Option<u64>,
    /// The hash of the rulebook it followed.
    pub rulebook: Option<String>,
    /// The SIP Call-ID.
    pub sip_call_id: Option<String>,
    /// What is wrong with its journal: empty for a sound one.
    pub flaws: Vec<Flaw>,
}

/// What can be wrong with a call's journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flaw {
    /// The first entry is not `arrived`.
    NoArrival,
    /// It arrived more than once.
    ArrivedTwice,
    /// It ended more than once: the first end counts.
    EndedTwice,
    /// Something is recorded after the end.
    AfterEnd,
    /// An entry is missing: the sequence has a gap.
    Gap,
    /// Elapsed time runs back.
    TimeRunsBack,
    /// It was connected for longer than it lasted.
    PartsExceedWhole,
}

impl Flaw {
    /// Every flaw there is.
    pub const ALL: &[Self] = &[
        Self::NoArrival,
        Self::ArrivedTwice,
        Self::EndedTwice,
        Self::AfterEnd,
        Self::Gap,
        Self::TimeRunsBack,
        Self::PartsExceedWhole,
    ];

    /// The flaw's word, as in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoArrival => "no_arrival",
            Self::ArrivedTwice => "arrived_twice",
            Self::EndedTwice => "ended_twice",
            Self::AfterEnd => "after_end",
            Self::Gap => "gap",
            Self::TimeRunsBack => "time_runs_back",
            Self::PartsExceedWhole => "parts_exceed_whole",
        }
    }
}

impl CallRecord {
    /// Folds the entries of one call, in order of `seq`; `None` where there are none.
    pub fn fold(entries: &[Entry]) -> Option<Self> {
        Fold::of(entries).map(Fold::into_record)
    }

    /// Whether the call is over.
    pub fn ended(&self) -> bool {
        self.outcome.is_some()
    }

    fn new(first: &Entry) -> Self {
        Self {
            call: first.call,
            started_unix_ms: first.unix_ms.saturating_sub(first.at_ms),
            ended_unix_ms: None,
            trunk: None,
            dialled: None,
            caller: None,
            language: None,
            topic: None,
            menu: None,
            line: None,
            answered_ms: None,
            bridged_ms: 0,
            keys: 0,
            outcome: None,
            ended_by: None,
            cause: None,
            ms: None,
            rulebook: None,
            sip_call_id: None,
            flaws: Vec::new(),
        }
    }

    fn flaw(&mut self, flaw: Flaw) {
        if let Err(place) = self.flaws.binary_search(&flaw) {
            self.flaws.insert(place, flaw);
        }
    }
}

/// A fold under way: a record and what must be remembered to go on with it.
#[derive(Clone, Debug)]
pub struct Fold {
    record: CallRecord,
    next_seq: u32,
    last_at_ms: u64,
    last_unix_ms: u64,
}

impl Fold {
    /// Begins with a call's first entry.
    pub fn begin(first: &Entry) -> Self {
        let record = CallRecord::new(first);
        let mut fold = Self { record, next_seq: 0, last_at_ms: 0, last_unix_ms: first.unix_ms };
        if !matches!(first.event, Event::Arrived { .. }) {
            fold.record.flaw(Flaw::NoArrival);
        }
        fold.apply(first);
        fold
    }

    /// Folds the entries of one call, in order of `seq`; `None` where there are none.
    pub fn of(entries: &[Entry]) -> Option<Self> {
        let (first, rest) = entries.split_first()?;
        let mut fold = Self::begin(first);
        for entry in rest {
            fold.apply(entry);
        }
        Some(fold)
    }

    /// Goes on with the next entry of the call.
    pub fn apply(&mut self, entry: &Entry) {
        if entry.seq != self.next_seq {
            self.record.flaw(Flaw::Gap);
        }
        if entry.at_ms < self.last_at_ms {
            self.record.flaw(Flaw::TimeRunsBack);
        }
        if self.record.ended() {
            self.record.flaw(Flaw::AfterEnd);
        }
        self.next_seq = entry.seq.saturating_add(1);
        self.last_at_ms = self.last_at_ms.max(entry.at_ms);
        self.last_unix_ms = entry.unix_ms;
        self.tell(entry);
    }

    /// The sequence number the next entry must bear.
    pub fn next_seq(&self) -> u32 {
        self.next_seq
    }

    /// The elapsed time of the latest entry, in milliseconds.
    pub fn last_at_ms(&self) -> u64 {
        self.last_at_ms
    }

    /// The wall time of the last entry, in milliseconds since 1970 (UTC).
    pub fn last_unix_ms(&self) -> u64 {
        self.last_unix_ms
    }

    /// The row as it stands.
    pub fn record(&self) -> &CallRecord {
        &self.record
    }

    /// The row.
    pub fn into_record(self) -> CallRecord {
        self.record
    }

    /// What the entry adds to the row.
    fn tell(&mut self, entry: &Entry) {
        let record = &mut self.record;
        match &entry.event {
            Event::Arrived { .. } => self.arrive(entry),
            Event::Answered => record.answered_ms = Some(entry.at_ms),
            Event::KeyPressed { .. } => record.keys = record.keys.saturating_add(1),
            Event::LanguageChosen { language, .. } => record.language = Some(*language),
            Event::MenuEntered { menu, .. } => {
                record.menu.get_or_insert_with(|| menu.clone());
            }
            Event::TopicChosen { topic, .. } => record.topic = Some(topic.clone()),
            Event::LineTried { line, .. } | Event::Bridged { line, .. } => record.line = Some(line.clone()),
            Event::Unbridged { ms, .. } => record.bridged_ms = record.bridged_ms.saturating_add(*ms),
            Event::Ended { outcome, by, cause, ms } => self.end(entry.unix_ms, (*outcome, *by, *cause, *ms)),
            Event::AudioHeard
            | Event::PromptStarted { .. }
            | Event::PromptEnded { .. }
            | Event::MenuChosen { .. }
            | Event::NoInput { .. }
            | Event::WrongKey { .. }
            | Event::HoursAsked { .. }
            | Event::RuleMatched { .. }
            | Event::QueueEntered { .. }
            | Event::QueueLeft { .. }
            | Event::LineSkipped { .. }
            | Event::LineFailed { .. }
            | Event::HoldChanged { .. }
            | Event::AudioLost { .. }
            | Event::Noted { .. } => {}
        }
    }

    fn arrive(&mut self, entry: &Entry) {
        let record = &mut self.record;
        if record.trunk.is_some() {
            record.flaw(Flaw::ArrivedTwice);
            return;
        }
        let Event::Arrived { trunk, dialled, caller, sip_call_id, rulebook, .. } = &entry.event else { return };
        record.trunk = Some(trunk.clone());
        record.dialled = Some(dialled.clone());
        record.caller.clone_from(caller);
        record.sip_call_id = Some(sip_call_id.clone());
        record.rulebook = Some(rulebook.clone());
    }

    fn end(&mut self, unix_ms: u64, (outcome, by, cause, ms): (Outcome, Side, Cause, u64)) {
        let record = &mut self.record;
        if record.ended() {
            record.flaw(Flaw::EndedTwice);
            return;
        }
        record.ended_unix_ms = Some(unix_ms);
        record.outcome = Some(outcome);
        record.ended_by = Some(by);
        record.cause = Some(cause);
        record.ms = Some(ms);
        if record.bridged_ms > ms {
            record.flaw(Flaw::PartsExceedWhole);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::examples::{Day, pothole};
    use super::*;

    #[test]
    fn a_sound_call_folds_into_one_row_without_flaws() {
        let entries = pothole();
        let record = CallRecord::fold(&entries).unwrap();
        assert_eq!(record.flaws, []);
        assert_eq!(record.outcome, Some(Outcome::TransferredAnswered));
        assert_eq!(record.language.unwrap().as_str(), "vi");
        assert_eq!(record.menu.unwrap().as_str(), "main");
        assert_eq!(record.line.unwrap().as_str(), "pbot_maint");
        assert_eq!((record.keys, record.bridged_ms, record.ms), (2, 61_000, Some(88_400)));
        assert_eq!(CallRecord::fold(&[]), None);
    }

    #[test]
    fn a_call_told_piece_by_piece_is_the_call_told_at_once() {
        let entries = pothole();
        for cut in 1..entries.len() {
            let mut fold = Fold::of(&entries[..cut]).unwrap();
            for entry in &entries[cut..] {
                fold.apply(entry);
            }
            assert_eq!(Some(fold.into_record()), CallRecord::fold(&entries));
        }
    }

    #[test]
    fn every_flaw_is_seen() {
        let sound = pothole();
        let flaws = |change: &dyn Fn(&mut Vec<Entry>)| {
            let mut entries = sound.clone();
            change(&mut entries);
            CallRecord::fold(&entries).unwrap().flaws
        };
        assert_eq!(flaws(&|entries| drop(entries.remove(0))), [Flaw::NoArrival, Flaw::Gap]);
        assert_eq!(flaws(&|entries| drop(entries.remove(3))), [Flaw::Gap]);
        assert_eq!(flaws(&|entries| entries[4].at_ms = 1), [Flaw::TimeRunsBack]);
        assert_eq!(flaws(&|entries| entries[4].event = entries[0].event.clone()), [Flaw::ArrivedTwice]);
        let again = |entries: &mut Vec<Entry>, event: Event| {
            let last = entries.last().unwrap().clone();
            entries.push(Entry { seq: last.seq + 1, event, ..last });
        };
        assert_eq!(flaws(&|entries| again(entries, Event::AudioHeard)), [Flaw::AfterEnd]);
        let end = sound.last().unwrap().event.clone();
        assert_eq!(flaws(&|entries| again(entries, end.clone())), [Flaw::EndedTwice, Flaw::AfterEnd]);
        let long = Event::Unbridged { line: "pbot_maint".into(), ms: 90_000, by: Side::Caller };
        assert_eq!(flaws(&|entries| entries[4].event = long.clone()), [Flaw::PartsExceedWhole]);
    }

    #[test]
    fn the_first_of_two_ends_stays() {
        let mut day = Day::new(1);
        let mut entries = day.short_call();
        let last = entries.last().unwrap().clone();
        let second =
            Event::Ended { outcome: Outcome::TechnicalFailure, by: Side::Us, cause: Cause::Internal, ms: 999_999 };
        entries.push(Entry { seq: last.seq + 1, event: second, ..last });
        let record = CallRecord::fold(&entries).unwrap();
        assert_eq!(record.outcome, Some(Outcome::AbandonedIvr));
        assert_ne!(record.ms, Some(999_999));
    }
}
