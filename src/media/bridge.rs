//! One direction of a bridge: what one party says, under the other's own header.
//!
//! A packet is passed on in the tick that reads it. Within a run its sequence number and timestamp keep their
//! distance to those before it, so that the far receiver sees (and conceals) what was truly lost. A run ends
//! where we say something ourselves, where the source changes, or where its clock is three frames off ours;
//! the next one begins with a marker on our own clock, so that drift never grows.

use super::codecs::{Codec, FRAME, Transcoder};
use super::rtp::Header;

/// How far a party's clock may run from ours before it is set anew: three frames.
const DRIFT_MAX: i32 = 3 * FRAME as i32;
/// Turns without a packet after which a silent party is filled in for: 60 ms.
const QUIET_TURNS: u64 = 3;

/// A packet of audio out of one session, on its way to another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Audio<'a> {
    pub(crate) codec: Codec,
    pub(crate) header: Header,
    pub(crate) payload: &'a [u8],
}

/// What flows into one party from the other.
#[derive(Default)]
pub(crate) struct Feed {
    run: Option<Run>,
    transcoder: Option<(Codec, Codec, Transcoder)>,
    /// The turn of the last packet.
    last: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    ssrc: u32,
    seq_offset: u16,
    timestamp_offset: u32,
    newest: u16,
}

/// Where the stream that is sent stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    /// The sequence number after the last one sent.
    pub(crate) next_seq: u16,
    /// The timestamp after the last one sent.
    pub(crate) next_timestamp: u32,
    /// The timestamp of now.
    pub(crate) now: u32,
}

/// The header fields of a packet that is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) seq: u16,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
}

impl Feed {
    /// We say something ourselves: the next packet begins a run.
    pub(crate) fn interrupt(&mut self) {
        self.run = None;
    }

    /// Did packets come lately?
    pub(crate) fn flows(&self, turn: u64) -> bool {
        self.last.is_some_and(|last| turn.saturating_sub(last) <= QUIET_TURNS)
    }

    /// The stamp of a packet; `None` where it came twice.
    pub(crate) fn stamp(&mut self, turn: u64, header: &Header, at: Position) -> Option<Stamp> {
        self.last = Some(turn);
        if let Some(run) = self.run.as_mut().filter(|run| run.ssrc == header.ssrc) {
            let seq = header.seq.wrapping_add(run.seq_offset);
            let timestamp = header.timestamp.wrapping_add(run.timestamp_offset);
            let drift = timestamp.wrapping_sub(at.now) as i32;
            let step = header.seq.wrapping_sub(run.newest) as i16;
            if step == 0 {
                return None;
            }
            if drift.unsigned_abs() <= DRIFT_MAX.unsigned_abs() && (-50..=50).contains(&step) {
                if step > 0 {
                    run.newest = header.seq;
                }
                return Some(Stamp { seq, timestamp, marker: header.marker });
            }
        }
        // Not before what was already sent.
        let behind = at.now.wrapping_sub(at.next_timestamp) as i32;
        let timestamp = if behind >= 0 { at.now } else { at.next_timestamp };
        self.run = Some(Run {
            ssrc: header.ssrc,
            seq_offset: at.next_seq.wrapping_sub(header.seq),
            timestamp_offset: timestamp.wrapping_sub(header.timestamp),
            newest: header.seq,
        });
        Some(Stamp { seq: at.next_seq, timestamp, marker: true })
    }

    /// Writes the payload in the codec `to`; gives its length.
    pub(crate) fn carry(&mut self, audio: &Audio<'_>, to: Codec, out: &mut [u8]) -> usize {
        let (_, _, transcoder) = match &mut self.transcoder {
            Some(fitting) if (fitting.0, fitting.1) == (audio.codec, to) => fitting,
            other => other.insert((audio.codec, to, Transcoder::new(audio.codec, to))),
        };
        transcoder.transcode(audio.payload, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A party's stream through a feed: (turn, seq, timestamp) in, stamps out.
    struct Wire {
        feed: Feed,
        next_seq: u16,
        next_timestamp: u32,
    }

    impl Wire {
        fn new() -> Self {
            Self { feed: Feed::default(), next_seq: 500, next_timestamp: 80_000 }
        }

        fn pass(&mut self, turn: u64, seq: u16, timestamp: u32) -> Option<Stamp> {
            let now = 80_000 + turn as u32 * 160;
            let header = Header { marker: false, pt: 0, seq, timestamp, ssrc: 3 };
            let at = Position { next_seq: self.next_seq, next_timestamp: self.next_timestamp, now };
            let stamp = self.feed.stamp(turn, &header, at)?;
            self.next_seq = stamp.seq.wrapping_add(1);
            self.next_timestamp = stamp.timestamp.wrapping_add(160);
            Some(stamp)
        }
    }

    #[test]
    fn a_run_begins_on_our_clock_and_keeps_its_distances() {
        let mut wire = Wire::new();
        let first = wire.pass(1, 65_535, 7).unwrap();
        assert_eq!(first, Stamp { seq: 500, timestamp: 80_160, marker: true });
        assert_eq!(wire.pass(2, 0, 167).unwrap(), Stamp { seq: 501, timestamp: 80_320, marker: false });
        let after_a_loss = wire.pass(4, 2, 487).unwrap();
        assert_eq!(after_a_loss, Stamp { seq: 503, timestamp: 80_640, marker: false });
        assert_eq!(wire.pass(4, 2, 487), None, "the same packet again");
    }

    #[test]
    fn a_clock_that_drifts_is_set_anew_and_never_runs_away() {
        let mut wire = Wire::new();
        let (mut last, mut anew) = (None::<Stamp>, 0);
        // A party 2 % too slow: its timestamps fall behind ours.
        for turn in 0..2000u64 {
            let stamp = wire.pass(turn, turn as u16, (turn * 157) as u32).unwrap();
            let drift = stamp.timestamp.wrapping_sub(80_000 + turn as u32 * 160) as i32;
            assert!(drift.abs() <= DRIFT_MAX, "{drift}");
            assert!(last.is_none_or(|last| stamp.timestamp.wrapping_sub(last.timestamp) as i32 > 0));
            anew += usize::from(stamp.marker);
            last = Some(stamp);
        }
        assert!((10..=14).contains(&anew), "{anew}");
    }

    #[test]
    fn a_party_that_says_nothing_stops_flowing() {
        let mut wire = Wire::new();
        assert!(!wire.feed.flows(0));
        wire.pass(10, 1, 1);
        assert!(wire.feed.flows(13) && !wire.feed.flows(14));
    }
}
