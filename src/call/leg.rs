//! The port between a call and the parties on its line.
//!
//! A [`Leg`] is a party's side: commands go out, events come in, both through bounded channels. What is at
//! the far end (a SIP phone, a simulated caller) is `line`'s business. The call that owns a leg ends it by
//! dropping it: the far end hangs up when its command channel closes.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::terms::cause::Cause;
use crate::terms::event::{KeySource, Side};
use crate::terms::ids::LineId;
use crate::terms::key::Key;
use crate::terms::prompt::Spoken;

/// Most commands that wait for a far end. A call sends one and waits for what comes of it, so a handful do.
pub const COMMANDS_MAX: usize = 16;
/// Most events that wait for a call. Past it, the far end ends the leg rather than lose a key in silence.
pub const EVENTS_MAX: usize = 64;

/// What a call asks of a party.
#[derive(Debug)]
pub enum Command {
    /// Answer the call (200 OK): [`Event::Answered`] or [`Event::Ended`] follows.
    Answer,
    /// Refuse it, before an answer.
    Reject {
        /// Why: gives the SIP status.
        cause: Cause,
    },
    /// Play these phrases one after another, in place of anything that is being played.
    Play {
        /// Comes back in [`Event::Played`].
        token: u32,
        /// The phrases.
        prompts: Vec<Spoken>,
        /// Again from the start when they end, until stopped (a hold message).
        repeat: bool,
    },
    /// Play the ringing tone, in place of anything that is being played, until stopped.
    Ringback,
    /// Stop what is being played.
    Stop,
    /// Dial a line as a second leg whose audio lives beside this one's.
    Dial(Dial),
    /// Join this party's audio with that of the leg `peer` (the leg's [`Leg::id`]); playback stops at once.
    Bridge {
        /// The other leg.
        peer: LegId,
    },
    /// Part them again.
    Unbridge,
    /// Hang up.
    Hangup {
        /// Why.
        cause: Cause,
    },
}

/// A line to be dialled.
#[derive(Debug)]
pub struct Dial {
    /// Which line.
    pub line: LineId,
    /// Where it is, in order of preference: SIP URIs.
    pub targets: Vec<String>,
    /// How long it may ring in all.
    pub ring: Duration,
    /// The near end of the new leg.
    pub leg: FarEnd,
}

/// What happens at a party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It rings (180 or 183).
    Ringing,
    /// It answered; for a caller, our answer was sent.
    Answered,
    /// It pressed a key.
    Key {
        /// Which.
        key: Key,
        /// How it reached us.
        source: KeySource,
    },
    /// The phrase `index` of a [`Command::Play`] began.
    Started {
        /// The token of the command.
        token: u32,
        /// Which of its prompts, from 0.
        index: u32,
    },
    /// A [`Command::Play`] ended by itself: every phrase was played.
    Played {
        /// The token of the command.
        token: u32,
    },
    /// The first audio of this party was received.
    Heard,
    /// No audio came for the media timeout.
    Silent,
    /// Audio came again.
    Resumed,
    /// The party put us on hold or took us back.
    Held {
        /// On hold now?
        on_hold: bool,
    },
    /// The leg is over; nothing follows.
    Ended {
        /// Who ended it: `Caller` is this party, `Us` our own side.
        by: Side,
        /// Why.
        cause: Cause,
    },
}

/// A leg's name inside the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegId(pub u64);

/// A call's end of a leg.
#[derive(Debug)]
pub struct Leg {
    /// Its name.
    pub id: LegId,
    /// What the call asks.
    pub commands: mpsc::Sender<Command>,
    /// What happens.
    pub events: mpsc::Receiver<Event>,
}

/// The far end of a leg: held by whatever is really there.
#[derive(Debug)]
pub struct FarEnd {
    /// The leg's name.
    pub id: LegId,
    /// What the call asks; closed when the call has let go of the leg.
    pub commands: mpsc::Receiver<Command>,
    /// What happens; closed when the call has let go of the leg.
    pub events: mpsc::Sender<Event>,
}

/// The two ends of a new leg.
pub fn leg(id: LegId) -> (Leg, FarEnd) {
    let (command_tx, command_rx) = mpsc::channel(COMMANDS_MAX);
    let (event_tx, event_rx) = mpsc::channel(EVENTS_MAX);
    (Leg { id, commands: command_tx, events: event_rx }, FarEnd { id, commands: command_rx, events: event_tx })
}
