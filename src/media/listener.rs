//! Who listens to what a party says, besides the party it is bridged with: the ear for keys pressed as tones,
//! and the recorder. Only where one of them is wanted is audio decoded at all.

use super::bridge::Audio;
use super::codecs::{Codec, Decoder, PAYLOAD_MAX};
use super::recorder::{RATE, Tap};
use super::tones::ToneEar;
use crate::terms::clock::Instant;
use crate::terms::key::Key;

/// How far a recording's time may run from the packets' before it is set anew: a second.
const RESET_SAMPLES: i64 = RATE as i64;
/// Samples that are given to a recorder at once.
const CHUNK: usize = 160;

/// The listeners of one session.
#[derive(Default)]
pub(crate) struct Listener {
    ear: Option<Box<ToneEar>>,
    recording: Option<Box<Recording>>,
    decoder: Option<(Codec, Decoder)>,
}

struct Recording {
    tap: Tap,
    began: Instant,
    /// The stream and what to add to its timestamps to get samples since `began`.
    stream: Option<(u32, u32, u64)>,
}

impl Listener {
    /// Whether tones are taken for keys from now on.
    pub(crate) fn listen_for_keys(&mut self, wanted: bool) {
        if wanted != self.ear.is_some() {
            self.ear = wanted.then(Box::default);
        }
    }

    /// Records from now on, in place of an earlier recording.
    pub(crate) fn record(&mut self, now: Instant, tap: Tap) {
        self.recording = Some(Box::new(Recording { tap, began: now, stream: None }));
    }

    /// Does nobody listen?
    pub(crate) fn idle(&self) -> bool {
        self.ear.is_none() && self.recording.is_none()
    }

    /// Hears a packet; gives a key whose tone has just been recognised.
    pub(crate) fn hear(&mut self, now: Instant, audio: &Audio<'_>) -> Option<Key> {
        let decoder = match &mut self.decoder {
            Some((codec, decoder)) if *codec == audio.codec => decoder,
            other => &mut other.insert((audio.codec, Decoder::new(audio.codec))).1,
        };
        let mut samples = [0; PAYLOAD_MAX];
        let length = decoder.decode(audio.payload, &mut samples);
        let samples = &samples[..length];
        if let Some(recording) = &mut self.recording {
            recording.take(now, audio, samples);
        }
        self.ear.as_mut()?.hear(samples)
    }
}

impl Recording {
    fn take(&mut self, now: Instant, audio: &Audio<'_>, samples: &[i16]) {
        let elapsed = now.saturating_duration_since(self.began).as_micros() as u64 * u64::from(RATE) / 1_000_000;
        let (ssrc, timestamp) = (audio.header.ssrc, audio.header.timestamp);
        let by_timestamp = self.stream.filter(|stream| stream.0 == ssrc).and_then(|(_, began, at)| {
            let at = at as i64 + i64::from(timestamp.wrapping_sub(began) as i32);
            ((at - elapsed as i64).abs() < RESET_SAMPLES).then_some(at.max(0) as u64)
        });
        let at = by_timestamp.unwrap_or(elapsed);
        if by_timestamp.is_none() {
            self.stream = Some((ssrc, timestamp, elapsed));
        }
        for (index, chunk) in samples.chunks(CHUNK).enumerate() {
            // No room: the writer is behind, and what is left out here becomes silence of the same length.
            let _ = self.tap.give(at + (index * CHUNK) as u64, chunk);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::media::rtp::Header;
    use crate::terms::clock::Clock;

    fn audio(timestamp: u32, payload: &[u8]) -> Audio<'_> {
        let header = Header { marker: false, pt: 0, seq: 0, timestamp, ssrc: 5 };
        Audio { codec: Codec::Pcmu, header, payload }
    }

    #[test]
    fn a_recording_places_packets_by_timestamp_not_by_arrival() {
        let (mut listener, start) = (Listener::default(), Clock::system().now());
        let (tap, chunks) = Tap::new();
        listener.record(start, tap);
        let late = [(0, 900), (25, 1060), (90, 1380), (91, 1540)];
        for (ms, timestamp) in late {
            listener.hear(start + Duration::from_millis(ms), &audio(timestamp, &[0x80; 160]));
        }
        drop(listener);
        let places: Vec<u64> = chunks.iter().map(|chunk| chunk.at).collect();
        assert_eq!(places, [0, 160, 480, 640]);
    }

    #[test]
    fn a_clock_that_jumps_is_placed_by_arrival_again() {
        let (mut listener, start) = (Listener::default(), Clock::system().now());
        let (tap, chunks) = Tap::new();
        listener.record(start, tap);
        listener.hear(start, &audio(900, &[0x80; 160]));
        listener.hear(start + Duration::from_millis(20), &audio(4_000_000_000, &[0x80; 160]));
        drop(listener);
        assert_eq!(chunks.iter().map(|chunk| chunk.at).collect::<Vec<_>>(), [0, 160]);
    }
}
