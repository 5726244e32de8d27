//! One media thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use tokio::sync::mpsc;

use super::command::{MediaEvent, Remote, SessionId};
use super::engine::{InbandKeys, Shared};
use super::player::Playlist;
use super::ports::Pair;
use super::recorder::Tap;
use crate::terms::clock::Clock;
use crate::terms::dice::Dice;
use crate::terms::key::{Key, Keys};

/// What one media thread did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardStats {
    /// Sessions open now.
    pub sessions: usize,
    /// RTP packets received.
    pub packets_in: u64,
    /// RTP packets sent.
    pub packets_out: u64,
    /// Packets dropped: from a stranger, malformed, or of no known kind.
    pub packets_stray: u64,
    /// Ticks that began more than 2 ms late.
    pub ticks_late: u64,
    /// Turns that were left out because the thread was 20 ms late or more.
    pub ticks_skipped: u64,
    /// The longest that a tick was late since the last reading, in microseconds.
    pub late_us_max: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) stop: AtomicBool,
    pub(crate) packets_in: AtomicU64,
}

impl Counters {
    pub(crate) fn read(&self) -> ShardStats {
        ShardStats { packets_in: self.packets_in.load(Relaxed), ..ShardStats::default() }
    }
}

pub(crate) enum ToShard {
    Open(Box<Opening>),
    Order(SessionId, Order),
    Stop,
}

pub(crate) struct Opening {
    pub(crate) id: SessionId,
    pub(crate) pair: Pair,
    pub(crate) events: mpsc::Sender<MediaEvent>,
    pub(crate) last_word: mpsc::OwnedPermit<MediaEvent>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) dice: Dice,
    pub(crate) silence: Duration,
    pub(crate) inband: InbandKeys,
    pub(crate) connects: bool,
}

pub(crate) enum Order {
    Remote(Box<Remote>),
    Play(Playlist),
    Stop,
    Bridge(SessionId),
    Unbridge,
    SendKeys(Keys, bool),
    InfoKey(Key),
    Record(Tap),
}

pub(crate) struct Shard {
    inbox: Receiver<ToShard>,
}

impl Shard {
    pub(crate) fn new(
        inbox: Receiver<ToShard>,
        _clock: Clock,
        _sessions: Arc<AtomicUsize>,
        _counters: Arc<Counters>,
    ) -> Self {
        Self { inbox }
    }

    pub(crate) fn run(self) {
        while self.inbox.recv().is_ok() {}
    }
}
