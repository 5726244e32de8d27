//! The agent: SIP without a socket or a clock.
//!
//! Hand it what arrived ([`Agent::handle`]), take what it wants done until there is nothing more
//! ([`Agent::poll`]), and come back when it asks ([`Agent::deadline`]).

mod port;
mod settings;

use std::collections::VecDeque;

pub use port::{
    Command, Destination, Dial, DialogEvent, DialogId, Flow, Incoming, Input, Output, TARGETS_MAX, Target, Ticket,
    Transport,
};
pub use settings::{Limits, Listener, SessionTimes, Settings, Strangers};

use crate::terms::clock::Instant;
use crate::terms::dice::Dice;

/// A SIP user agent, server and client, for many calls.
#[derive(Debug)]
pub struct Agent {
    #[allow(dead_code, reason = "the machines follow")]
    settings: Settings,
    #[allow(dead_code, reason = "the machines follow")]
    dice: Dice,
    outputs: VecDeque<Output>,
}

impl Agent {
    /// An agent that knows no call yet.
    pub fn new(settings: Settings, dice: Dice) -> Self {
        Self { settings, dice, outputs: VecDeque::new() }
    }

    /// Takes in what happened, at `now`.
    pub fn handle(&mut self, _now: Instant, _input: Input) {}

    /// The next thing to be done.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Tick`] is due, if nothing else comes first.
    pub fn deadline(&self) -> Option<Instant> {
        None
    }

    /// What is held at present.
    pub fn census(&self) -> Census {
        Census::default()
    }
}

/// What an agent holds: all of it is back at 0 within 64·T1 and a little of the last call's end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Transactions of requests that came in.
    pub server_transactions: usize,
    /// Transactions of requests we sent.
    pub client_transactions: usize,
    /// Dialogs, early ones included.
    pub dialogs: usize,
    /// Entries in the timer queue.
    pub timers: usize,
    /// Names being looked up.
    pub lookups: usize,
}
