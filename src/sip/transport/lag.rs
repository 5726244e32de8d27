//! How long a datagram waits in the kernel before we read it.
//!
//! A server that falls behind does not see it in its own timings: the queue is in the socket. So we send
//! ourselves a datagram now and then, which waits its turn like all others, and look at its age when it comes
//! out. One that does not come out at all (the queue overflowed) is as old as it is. The agent refuses new
//! calls while the age is past its limit, so that what it has taken on is served in time.

use std::time::Duration;

use bytes::Bytes;

use crate::terms::clock::Instant;
use crate::terms::dice::Dice;

/// The least time between two probes; there is none while nothing arrives.
const EVERY: Duration = Duration::from_millis(100);
/// A probe that is this old was lost: another one is sent.
const LOST: Duration = Duration::from_secs(1);

/// The probe of one socket.
#[derive(Debug)]
pub struct Probe {
    /// What a probe says: nobody else can say it.
    word: [u8; 16],
    stage: Stage,
    /// Whether one ever came back: where something (a packet filter) swallows them, they prove nothing.
    works: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Resting { since: Option<Instant> },
    Underway { since: Instant },
}

impl Probe {
    /// A probe with a word of its own.
    pub fn new(dice: &mut Dice) -> Self {
        let mut word = [0; 16];
        word[..8].copy_from_slice(&dice.u64().to_be_bytes());
        word[8..].copy_from_slice(&dice.u64().to_be_bytes());
        Self { word, stage: Stage::Resting { since: None }, works: false }
    }

    /// A datagram was read from the socket. Where it was the probe: how long it had waited.
    pub fn is_back(&mut self, now: Instant, bytes: &Bytes) -> Option<Duration> {
        if **bytes != self.word {
            return None;
        }
        self.works = true;
        let age = match self.stage {
            Stage::Underway { since } => now.saturating_duration_since(since),
            // One that was taken for lost: too late to say how old it is, but old.
            Stage::Resting { .. } => LOST,
        };
        self.stage = Stage::Resting { since: Some(now) };
        Some(age)
    }

    /// Datagrams of others were read: is it time to send a probe? Then these are its bytes.
    pub fn due(&mut self, now: Instant) -> Option<[u8; 16]> {
        let due = match self.stage {
            Stage::Resting { since } => since.is_none_or(|since| now.saturating_duration_since(since) >= EVERY),
            Stage::Underway { since } => now.saturating_duration_since(since) >= LOST,
        };
        if due {
            self.stage = Stage::Underway { since: now };
        }
        due.then_some(self.word)
    }

    /// The age of a probe that is still in the queue, where that says anything.
    pub fn waiting(&self, now: Instant) -> Option<Duration> {
        match self.stage {
            Stage::Underway { since } if self.works => Some(now.saturating_duration_since(since)),
            Stage::Underway { .. } | Stage::Resting { .. } => None,
        }
    }

    /// When a probe underway has to be sent again.
    pub fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Underway { since } if self.works => Some(since + LOST),
            Stage::Underway { .. } | Stage::Resting { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_age_of_a_probe_is_the_wait_of_the_queue() {
        let mut probe = Probe::new(&mut Dice::from_seed(1));
        let start = Instant::now();
        let word = Bytes::copy_from_slice(&probe.due(start).unwrap());
        assert_eq!(probe.due(start), None, "one at a time");
        assert_eq!(probe.waiting(start + LOST), None, "none ever came back: it proves nothing");
        assert_eq!(probe.is_back(start, &Bytes::from_static(b"REGISTER sip:")), None);
        let back = start + Duration::from_millis(3);
        assert_eq!(probe.is_back(back, &word), Some(Duration::from_millis(3)));
        assert_eq!(probe.due(back + EVERY / 2), None);
        let again = back + EVERY;
        assert!(probe.due(again).is_some());
        assert_eq!(probe.waiting(again + EVERY), Some(EVERY));
        assert!(probe.due(again + LOST).is_some(), "a lost one is sent again");
    }
}
