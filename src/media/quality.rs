//! The figures of a session's packets, as its shard keeps them for whoever asks.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use super::command::Quality;

/// Written by the shard about once a second, read by anyone.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    received: AtomicU64,
    sent: AtomicU64,
    lost: AtomicU64,
    strays: AtomicU64,
    jitter_us: AtomicU32,
    round_trip_us: AtomicU32,
    far_loss_256: AtomicU32,
}

impl Gauges {
    pub(crate) fn write(&self, quality: &Quality) {
        self.received.store(quality.received, Relaxed);
        self.sent.store(quality.sent, Relaxed);
        self.lost.store(quality.lost, Relaxed);
        self.strays.store(quality.strays, Relaxed);
        self.jitter_us.store(quality.jitter_us, Relaxed);
        self.round_trip_us.store(quality.round_trip_us, Relaxed);
        self.far_loss_256.store(u32::from(quality.far_loss_256), Relaxed);
    }

    pub(crate) fn read(&self) -> Quality {
        Quality {
            received: self.received.load(Relaxed),
            sent: self.sent.load(Relaxed),
            lost: self.lost.load(Relaxed),
            strays: self.strays.load(Relaxed),
            jitter_us: self.jitter_us.load(Relaxed),
            round_trip_us: self.round_trip_us.load(Relaxed),
            far_loss_256: self.far_loss_256.load(Relaxed).min(255) as u8,
        }
    }
}
