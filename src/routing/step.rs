//! What a call does next: the closed list of steps, and how each can end.
//!
//! The journey ([`super::journey`]) is pure: it is told how the last step ended and says which comes next.
//! `flow` performs the steps with real legs; `simulate`, `test`, the proof and `replay` perform them with
//! scripted ones. So there is one interpreter of the rules, and what is proven is what callers get.

use std::sync::Arc;
use std::time::Duration;

use crate::terms::cause::Cause;
use crate::terms::event::Place;
use crate::terms::ids::{LineId, QueueId};
use crate::terms::key::Keys;
use crate::terms::outcome::Outcome;
use crate::terms::prompt::Spoken;

/// What the call does next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Say something. Ends with [`Exit::Done`] when said, or with `Done` at once when a key is pressed and
    /// `barge_in` is set: the key stays in the type-ahead for the next [`Step::Collect`].
    Say {
        /// The phrases, one after another.
        prompts: Vec<Spoken>,
        /// Whether a key cuts it short.
        barge_in: bool,
    },
    /// Say something and take keys. Ends with [`Exit::Keys`] or [`Exit::NoInput`].
    Collect(Collect),
    /// Connect the caller to a line. Ends with [`Exit::LineEnded`], [`Exit::LineFailed`], or with [`Exit::Keys`]
    /// where the caller called it off; the caller hears `announce` first, then ringing.
    Transfer(Transfer),
    /// Say the last words and hang up. Nothing follows: the call ends with `outcome`.
    Close {
        /// The phrases; may be empty.
        prompts: Vec<Spoken>,
        /// How the call ended, where the caller hears them to their end.
        outcome: Outcome,
    },
    /// Refuse the call unanswered. Nothing follows.
    Refuse {
        /// Why; gives the SIP status.
        cause: Cause,
    },
}

/// Keys to be taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Collect {
    /// What is said; any key cuts it short, keys count from the first millisecond.
    pub prompts: Vec<Spoken>,
    /// The key runs that mean something here.
    pub accept: Accept,
    /// How long to wait for the first key after the prompts have ended.
    pub first: Duration,
    /// Whether keys pressed before this step count.
    pub type_ahead: TypeAhead,
}

/// Which key runs mean something, and how they are told from one another.
#[derive(Clone, Debug, PartialEq)]
pub struct Accept {
    /// The runs, e.g. `1`, `0`, `*`, `911`. The longest that fits is taken.
    pub runs: Arc<[Keys]>,
    /// How long to wait for the next key where what was pressed is also the beginning of a longer run (`9` of
    /// `911`).
    pub between: Duration,
    /// The emergency number. Two keys of it are meant as it, even where the rest never comes: it is asked about
    /// before anything is done.
    pub emergency: Keys,
    /// How long to wait for the next key once two keys of the emergency number were pressed.
    pub between_emergency: Duration,
}

/// What becomes of keys pressed before a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeAhead {
    /// They count.
    Keep,
    /// They are dropped (a question that must not be answered by accident, e.g. the 9-1-1 confirmation).
    Flush,
}

/// A line to be tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Transfer {
    /// Which.
    pub line: LineId,
    /// Where it is: SIP URIs in order of preference.
    pub targets: Vec<String>,
    /// How long it may ring in all.
    pub ring: Duration,
    /// What the caller hears first; only an accepted key run cuts it.
    pub announce: Vec<Spoken>,
    /// What the caller hears while it rings, again and again; empty for an ordinary ringing tone.
    pub hold: Vec<Spoken>,
    /// The key runs that call the attempt off, from the first word until the line answers; others are ignored.
    pub accept: Accept,
    /// The outcome if the line answers and the call ends there.
    pub outcome: Outcome,
    /// The queue this stands for, where it is a wait for a person.
    pub queue: Option<QueueId>,
    /// Where the step is written.
    pub place: Place,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was said.
    Done,
    /// These keys were pressed: one of the accepted runs, or (never from a transfer) a single key that fits none.
    Keys(Keys),
    /// No key came in time.
    NoInput,
    /// The line answered, they spoke, and the *line* hung up while the caller is still there.
    LineEnded,
    /// The line did not take the call, or broke as soon as it had, or by a failure of ours; the caller is still
    /// there.
    LineFailed(Cause),
}
