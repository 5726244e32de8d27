//! What happened on a call, in the past tense. The journal of these is the record; call lists, counters,
//! reports and `why` are folds over it.

use serde::{Deserialize, Serialize};

use super::cause::Cause;
use super::ids::{CalendarId, CallId, LineId, MenuId, QueueId, TopicId, TrunkId};
use super::key::{Key, Keys};
use super::language::Language;
use super::number::Pii;
use super::outcome::Outcome;
use super::prompt::Spoken;

/// A place in a rules file: what the administrator would open to change it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The file, relative to the rules folder, e.g. `rules.toml`.
    pub file: std::sync::Arc<str>,
    /// The line, from 1.
    pub line: u32,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// How a prompt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Heard {
    /// To its end.
    Whole,
    /// Cut short by a key.
    Interrupted,
    /// Cut short because something took its place (a bridge, the next step).
    Replaced,
    /// Cut short because the caller left.
    CallerLeft,
}

/// How a key reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeySource {
    /// RFC 4733 telephone-event.
    Rtp,
    /// SIP INFO.
    Info,
    /// A tone heard in the audio.
    Inband,
}

/// Who ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The caller.
    Caller,
    /// The line or agent the caller was connected to.
    FarEnd,
    /// Cityline.
    Us,
}

/// One thing that happened on a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// An INVITE came in that we take as a call.
    Arrived {
        /// The trunk it came by.
        trunk: TrunkId,
        /// The number as dialled (the alias is kept, R001).
        dialled: String,
        /// The caller's number, where a trusted source gave one.
        caller: Option<Pii<String>>,
        /// Who sent the call on (Diversion, History-Info), nearest first.
        diverted_by: Vec<Pii<String>>,
        /// The SIP Call-ID, to find the call in a packet trace.
        sip_call_id: String,
        /// The hash of the rulebook that this call follows to its end.
        rulebook: String,
    },
    /// We answered (200 OK).
    Answered,
    /// The first audio of the caller was received.
    AudioHeard,
    /// A prompt began.
    PromptStarted {
        /// Which.
        prompt: Spoken,
    },
    /// A prompt ended.
    PromptEnded {
        /// Which.
        prompt: Spoken,
        /// How.
        heard: Heard,
        /// For how long it was played, in milliseconds.
        ms: u32,
    },
    /// The caller pressed a key. On sensitive steps the key is not kept (R084).
    KeyPressed {
        /// Which; `None` where it may not be kept.
        key: Option<Key>,
        /// How it reached us.
        source: KeySource,
    },
    /// The language of everything that follows.
    LanguageChosen {
        /// Which.
        language: Language,
        /// The key, or `None` where silence or the number dialled chose.
        key: Option<Keys>,
    },
    /// A menu was entered.
    MenuEntered {
        /// Which.
        menu: MenuId,
        /// Where it is written.
        place: Place,
    },
    /// An entry of a menu was chosen.
    MenuChosen {
        /// The menu.
        menu: MenuId,
        /// The keys pressed.
        keys: Keys,
        /// Where the entry is written.
        place: Place,
    },
    /// No key came in time.
    NoInput {
        /// Where: the menu.
        menu: MenuId,
    },
    /// A key that the menu does not have.
    WrongKey {
        /// Where: the menu.
        menu: MenuId,
        /// What was pressed.
        keys: Keys,
    },
    /// What the call is about.
    TopicChosen {
        /// The topic.
        topic: TopicId,
        /// Where it is written.
        place: Place,
    },
    /// A calendar was asked.
    HoursAsked {
        /// Which.
        calendar: CalendarId,
        /// The answer.
        open: bool,
        /// Why, in words: `weekly hours 08:00–18:00`, `holiday: Christmas Day`.
        because: String,
    },
    /// A rule matched.
    RuleMatched {
        /// Its id.
        rule: String,
        /// Where it is written.
        place: Place,
    },
    /// The caller began to wait for a person.
    QueueEntered {
        /// Where.
        queue: QueueId,
    },
    /// The caller's wait ended.
    QueueLeft {
        /// Where.
        queue: QueueId,
        /// How long, in milliseconds.
        waited_ms: u64,
        /// Whether a person took the call.
        answered: bool,
    },
    /// A line was passed over without being dialled.
    LineSkipped {
        /// Which.
        line: LineId,
        /// Why, in words.
        because: String,
    },
    /// A line was dialled.
    LineTried {
        /// Which.
        line: LineId,
        /// Where the step is written.
        place: Place,
    },
    /// A line did not take the call; or, after a bridge, it broke and the call goes on without it.
    LineFailed {
        /// Which.
        line: LineId,
        /// Why.
        cause: Cause,
        /// How long it was tried, in milliseconds.
        ms: u64,
    },
    /// A line answered and caller and line hear each other.
    Bridged {
        /// Which.
        line: LineId,
        /// From dialling to answer, in milliseconds.
        ring_ms: u64,
    },
    /// The two were parted.
    Unbridged {
        /// Which.
        line: LineId,
        /// How long they were connected, in milliseconds.
        ms: u64,
        /// Who hung up.
        by: Side,
    },
    /// The caller put us on hold or took us back.
    HoldChanged {
        /// On hold now?
        on_hold: bool,
    },
    /// No audio came from a party for a while.
    AudioLost {
        /// From whom.
        side: Side,
    },
    /// Something that an operator should know, in words.
    Noted {
        /// The words; never personal data.
        text: String,
    },
    /// The call is over. The last line of every call, exactly once.
    Ended {
        /// The one outcome.
        outcome: Outcome,
        /// Who ended it.
        by: Side,
        /// Why.
        cause: Cause,
        /// From arrival to end, in milliseconds (elapsed time).
        ms: u64,
    },
}

impl Event {
    /// The event's word, as in the database: `arrived`, `prompt_started`, …
    pub fn word(&self) -> &'static str {
        match self {
            Self::Arrived { .. } => "arrived",
            Self::Answered => "answered",
            Self::AudioHeard => "audio_heard",
            Self::PromptStarted { .. } => "prompt_started",
            Self::PromptEnded { .. } => "prompt_ended",
            Self::KeyPressed { .. } => "key_pressed",
            Self::LanguageChosen { .. } => "language_chosen",
            Self::MenuEntered { .. } => "menu_entered",
            Self::MenuChosen { .. } => "menu_chosen",
            Self::NoInput { .. } => "no_input",
            Self::WrongKey { .. } => "wrong_key",
            Self::TopicChosen { .. } => "topic_chosen",
            Self::HoursAsked { .. } => "hours_asked",
            Self::RuleMatched { .. } => "rule_matched",
            Self::QueueEntered { .. } => "queue_entered",
            Self::QueueLeft { .. } => "queue_left",
            Self::LineSkipped { .. } => "line_skipped",
            Self::LineTried { .. } => "line_tried",
            Self::LineFailed { .. } => "line_failed",
            Self::Bridged { .. } => "bridged",
            Self::Unbridged { .. } => "unbridged",
            Self::HoldChanged { .. } => "hold_changed",
            Self::AudioLost { .. } => "audio_lost",
            Self::Noted { .. } => "noted",
            Self::Ended { .. } => "ended",
        }
    }
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The call.
    pub call: CallId,
    /// Its place in the call, from 0 without gaps.
    pub seq: u32,
    /// Wall time, in milliseconds since 1970 (UTC).
    pub unix_ms: u64,
    /// Elapsed time since the call arrived, in milliseconds (monotonic).
    pub at_ms: u64,
    /// What happened.
    pub event: Event,
}
