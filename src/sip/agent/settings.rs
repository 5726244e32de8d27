//! What an agent is told once, at its birth: where it listens, whom it knows, and its limits.

use std::net::SocketAddr;
use std::time::Duration;

use super::port::Transport;
use crate::sip::timer::Pace;
use crate::sip::trunk::Trunk;

/// An agent's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Named in Server and User-Agent, e.g. `Cityline/0.1`.
    pub server: String,
    /// Where the shell listens; the first of a transport and address family is used for calls we make.
    pub listeners: Vec<Listener>,
    /// Who may call.
    pub trunks: Vec<Trunk>,
    /// What becomes of the others.
    pub strangers: Strangers,
    /// RFC 3261's T1, T2 and T4.
    pub pace: Pace,
    /// Session timers (RFC 4028).
    pub session: SessionTimes,
    /// The limits.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            server: format!("Cityline/{}", env!("CARGO_PKG_VERSION")),
            listeners: Vec::new(),
            trunks: Vec::new(),
            strangers: Strangers::Ignore,
            pace: Pace::default(),
            session: SessionTimes::default(),
            limits: Limits::default(),
        }
    }
}

/// A place where the shell listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its transport.
    pub transport: Transport,
    /// The socket's own address; in [`Flow::local`](super::Flow::local).
    pub local: SocketAddr,
    /// The address others reach it by: in Via and Contact. Never the unspecified address.
    pub advertised: SocketAddr,
}

/// What becomes of a request from a source that is no trunk's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strangers {
    /// Silence: a scanner learns nothing.
    Ignore,
    /// 403 Forbidden.
    Forbid,
}

/// Session timers (RFC 4028).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimes {
    /// The interval we ask for.
    pub expires: Duration,
    /// The shortest we accept (Min-SE; RFC 4028 §5 forbids less than 90 s).
    pub min: Duration,
}

impl Default for SessionTimes {
    fn default() -> Self {
        Self { expires: Duration::from_secs(1800), min: Duration::from_secs(90) }
    }
}

/// The limits: where each lies, and what happens there.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Calls at a time, inbound and outbound together. Past it: 503 to callers, `Congestion` to dialers.
    pub calls: usize,
    /// Inbound calls at a time. Fewer than `calls`, so that callers cannot take the places of the lines that are
    /// to serve them. Past it: 503 to callers.
    pub callers: usize,
    /// New inbound calls a second, over all trunks; a burst of one second's worth is let through. Past it: 503.
    pub calls_per_s: f64,
    /// Transactions at a time, of each side. Past it: 503 to new calls; requests of our own fail at once.
    pub transactions: usize,
    /// How old a message may be when it is handed in ([`Input::Lag`](super::Input::Lag)). Past it: 503.
    pub lag: Duration,
    /// How long an inbound call may stay without a final answer. Past it: 480.
    pub unanswered: Duration,
    /// How long an offer of theirs may wait for a reply from inside. Past it: 500.
    pub offer_wait: Duration,
    /// How long a target may stay silent (not even 100 Trying) while there is another one to try.
    pub silence: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls: 10_000,
            callers: 10_000,
            calls_per_s: 1_000.0,
            transactions: 100_000,
            lag: Duration::from_millis(200),
            unanswered: Duration::from_secs(600),
            offer_wait: Duration::from_secs(10),
            silence: Duration::from_secs(3),
        }
    }
}
