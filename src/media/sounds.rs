//! Sounds of our own making: silence, the ringing tone, the tones of the keys.

use std::f64::consts::TAU;
use std::sync::{Arc, LazyLock};

use super::bank::Clip;
use super::codecs::{Codec, FRAME};
use crate::terms::key::Key;

/// Samples a second of every sound here.
const RATE: f64 = 8_000.0;
/// A key's tone lasts 100 ms: the least that every receiver takes is 40 (ITU-T Q.24).
pub(crate) const KEY_FRAMES: usize = 5;
/// The row and column frequencies of the keys (ITU-T Q.23).
pub(crate) const ROWS: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
/// See [`ROWS`].
pub(crate) const COLUMNS: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
/// The keys as they stand on a telephone, row by row.
pub(crate) const LAYOUT: [[char; 4]; 4] =
    [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];

/// Makes every sound in every codec, so that no media thread ever does.
pub(crate) fn prepare() {
    let all = ringback();
    for clip in all.iter().chain(KEYS.iter()).chain([&*SILENCE]) {
        Codec::ALL.iter().for_each(|codec| {
            clip.prepare(*codec);
        });
    }
}

/// 20 ms of silence in `codec`.
pub(crate) fn silence(codec: Codec) -> &'static [u8] {
    // The second frame: an adaptive codec has come to rest by then.
    SILENCE.frame(codec, 1).unwrap_or(&[0xff; FRAME])
}

/// The North American ringing tone: 440 and 480 Hz, 2 s on, 4 s off, −19 dBm0 each (Telcordia GR-506 §17.2.5).
pub(crate) fn ringback() -> Arc<[Arc<Clip>]> {
    RINGBACK.clone()
}

/// Frame `index` of the tone of `key` in `codec`; `None` past its end.
pub(crate) fn key_tone(key: Key, codec: Codec, index: usize) -> Option<&'static [u8]> {
    KEYS.get(usize::from(key.event()))?.frame(codec, index)
}

/// The two frequencies of `key`.
pub(crate) fn frequencies(key: Key) -> (f64, f64) {
    let place = LAYOUT.iter().enumerate().find_map(|(row, keys)| {
        keys.iter().position(|sign| *sign == key.as_char()).map(|column| (ROWS[row], COLUMNS[column]))
    });
    place.unwrap_or((ROWS[0], COLUMNS[0]))
}

static SILENCE: LazyLock<Arc<Clip>> = LazyLock::new(|| Arc::new(Clip::new(8_000, vec![0; 2 * FRAME])));

static RINGBACK: LazyLock<Arc<[Arc<Clip>]>> = LazyLock::new(|| {
    let mut samples = two_tones(440.0, 480.0, -19.0, 2 * 8_000);
    samples.resize(6 * 8_000, 0);
    Arc::new([Arc::new(Clip::new(8_000, samples))])
});

static KEYS: LazyLock<Vec<Arc<Clip>>> = LazyLock::new(|| {
    let keys = (0..16).filter_map(Key::from_event);
    keys.map(|key| {
        let (low, high) = frequencies(key);
        Arc::new(Clip::new(8_000, two_tones(low, high, -10.0, KEY_FRAMES * FRAME)))
    })
    .collect()
});

/// Two tones of `dbm0` each, with 5 ms of rise and fall so that they do not click.
fn two_tones(low: f64, high: f64, dbm0: f64, count: usize) -> Vec<i16> {
    // A sine of full scale is +3.17 dBm0 in μ-law (ITU-T G.711 §4).
    let peak = 32_767.0 * 10f64.powf((dbm0 - 3.17) / 20.0);
    (0..count)
        .map(|n| {
            let at = n as f64 / RATE;
            let edge = (n.min(count - 1 - n) as f64 / 40.0).min(1.0);
            (peak * edge * ((TAU * low * at).sin() + (TAU * high * at).sin())) as i16
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_its_own_pair_of_tones() {
        let mut pairs: Vec<_> = (0..16).filter_map(Key::from_event).map(frequencies).collect();
        assert_eq!(frequencies(Key::from_char('5').unwrap()), (770.0, 1336.0));
        pairs.sort_by(|a, b| a.partial_cmp(b).unwrap());
        pairs.dedup();
        assert_eq!(pairs.len(), 16);
    }

    #[test]
    fn sounds_are_ready_in_every_codec() {
        prepare();
        for codec in Codec::ALL {
            assert_eq!(silence(codec).len(), FRAME);
            assert!(key_tone(Key::from_event(15).unwrap(), codec, KEY_FRAMES - 1).is_some());
            assert!(key_tone(Key::from_event(15).unwrap(), codec, KEY_FRAMES).is_none());
            assert_eq!(ringback()[0].frame(codec, 299).map(<[u8]>::len), Some(FRAME));
        }
        assert_eq!(silence(Codec::Pcmu), [0xff; FRAME]);
        assert_eq!(silence(Codec::Pcma), [0xd5; FRAME]);
    }
}
