//! An ear for keys pressed as tones (ITU-T Q.23, Q.24).
//!
//! Goertzel filters over blocks of 102 samples (12.75 ms), each half over the one before: four of them lie
//! within every tone of 40 ms. A block holds a key where one row and one column tone stand out, are about
//! equally loud, hold most of the block's energy, and the column's has no second harmonic: a voice has harmonics,
//! and energy between the tones. (The harmonics of the rows lie too near the columns to be told from them.)

use std::f32::consts::TAU;
use std::sync::LazyLock;

use super::sounds::{COLUMNS, LAYOUT, ROWS};
use crate::terms::key::Key;

/// Samples in a block: the resolution, 78 Hz, just parts neighbouring tones.
const BLOCK: usize = 102;
/// From one block to the next.
const HOP: usize = BLOCK / 2;
/// Blocks of the same key in a row that make a press, and of anything else that end one.
const BLOCKS_ON: u8 = 4;
const BLOCKS_OFF: u8 = 3;
/// The least energy of a tone: about −35 dBm0 (Q.24 table A-1 asks for −25 to −29).
const ENERGY_MIN: f32 = 250.0 * 250.0 * BLOCK as f32 / 2.0;
/// A column tone may be this much louder than the row's (8 dB), and this much fainter (8 dB).
const TWIST_MAX: f32 = 6.3;
/// The tones stand out of their neighbours by 8 dB.
const NEIGHBOUR_MAX: f32 = 1.0 / 6.3;
/// The two tones' share of all energy in the block. Tones 1.5 % off and G.711 leave more, voices less.
const SHARE_MIN: f32 = 0.75;
/// A second harmonic is at most this much of its tone (−10 dB).
const HARMONIC_MAX: f32 = 0.1;

static COEFFICIENTS: LazyLock<Coefficients> = LazyLock::new(|| {
    let of = |hz: f64| 2.0 * (TAU * hz as f32 / 8_000.0).cos();
    Coefficients { rows: ROWS.map(of), columns: COLUMNS.map(of), harmonics: COLUMNS.map(|hz| of(2.0 * hz)) }
});

struct Coefficients {
    rows: [f32; 4],
    columns: [f32; 4],
    /// Of the columns.
    harmonics: [f32; 4],
}

/// The ear. It gives each press once, about 40 ms after it began.
#[derive(Clone, Debug)]
pub(crate) struct ToneEar {
    block: [f32; BLOCK],
    filled: usize,
    /// The key of the last blocks, and how many there were.
    run: (Option<Key>, u8),
    /// The press that goes on.
    pressed: Option<Key>,
}

impl Default for ToneEar {
    fn default() -> Self {
        Self { block: [0.0; BLOCK], filled: 0, run: (None, 0), pressed: None }
    }
}

impl ToneEar {
    /// Hears samples, 8,000 a second; gives a key that was pressed.
    pub(crate) fn hear(&mut self, samples: &[i16]) -> Option<Key> {
        let mut found = None;
        for sample in samples {
            self.block[self.filled] = f32::from(*sample);
            self.filled += 1;
            if self.filled == BLOCK {
                found = found.or(self.judge());
                self.block.copy_within(HOP.., 0);
                self.filled = BLOCK - HOP;
            }
        }
        found
    }

    fn judge(&mut self) -> Option<Key> {
        let key = key_of(&self.block);
        self.run = if key == self.run.0 { (key, self.run.1.saturating_add(1)) } else { (key, 1) };
        match self.run {
            (None, blocks) if blocks >= BLOCKS_OFF => self.pressed = None,
            (Some(key), blocks) if blocks >= BLOCKS_ON && self.pressed != Some(key) => {
                self.pressed = Some(key);
                return Some(key);
            }
            (None | Some(_), _) => {}
        }
        None
    }
}

fn key_of(block: &[f32; BLOCK]) -> Option<Key> {
    let all: f32 = block.iter().map(|sample| sample * sample).sum();
    if all < ENERGY_MIN {
        return None;
    }
    let coefficients = &*COEFFICIENTS;
    let rows = coefficients.rows.map(|coefficient| energy(block, coefficient));
    let columns = coefficients.columns.map(|coefficient| energy(block, coefficient));
    let (row, column) = (loudest(&rows)?, loudest(&columns)?);
    let (low, high) = (rows[row], columns[column]);
    let alike = high <= low * TWIST_MAX && low <= high * TWIST_MAX;
    if !alike || low.min(high) < ENERGY_MIN / 2.0 || low + high < all * SHARE_MIN {
        return None;
    }
    let harmonic = energy(block, coefficients.harmonics[column]) > high * HARMONIC_MAX;
    if harmonic { None } else { Key::from_char(LAYOUT[row][column]) }
}

/// The one that stands out of the others.
fn loudest(energies: &[f32; 4]) -> Option<usize> {
    let (best, most) = energies.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let others = energies.iter().enumerate().filter(|(index, _)| *index != best);
    others.into_iter().all(|(_, energy)| *energy <= most * NEIGHBOUR_MAX).then_some(best)
}

/// The energy of one frequency in the block: that of a lone tone is the block's own.
fn energy(block: &[f32; BLOCK], coefficient: f32) -> f32 {
    let (mut before, mut last) = (0.0, 0.0);
    for sample in block {
        (before, last) = (last, sample + coefficient * last - before);
    }
    (last * last + before * before - coefficient * last * before) * 2.0 / BLOCK as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::sounds::frequencies;
    use crate::terms::dice::Dice;

    /// Tones of `amplitudes` (low, high), `off` times their frequency, for `ms`, then 60 ms of silence.
    fn press(key: Key, ms: usize, amplitudes: (f64, f64), off: f64) -> Vec<i16> {
        let (low, high) = frequencies(key);
        let sine = |hz: f64, n: usize| (std::f64::consts::TAU * hz * off * n as f64 / 8_000.0).sin();
        let tone = (0..ms * 8).map(|n| (amplitudes.0 * sine(low, n) + amplitudes.1 * sine(high, n)) as i16);
        tone.chain(std::iter::repeat_n(0, 480)).collect()
    }

    fn all_keys() -> impl Iterator<Item = Key> {
        (0..16).filter_map(Key::from_event)
    }

    /// What an ear hears, in packets of 20 ms, beginning `skip` samples into the first block.
    fn heard(samples: &[i16], skip: usize) -> Vec<Key> {
        let mut ear = ToneEar::default();
        ear.hear(&vec![0; skip]);
        samples.chunks(160).filter_map(|packet| ear.hear(packet)).collect()
    }

    #[test]
    fn every_key_of_40_ms_is_heard_once_wherever_it_begins() {
        for key in all_keys() {
            for skip in (0..BLOCK).step_by(7) {
                assert_eq!(heard(&press(key, 40, (5000.0, 5000.0), 1.0), skip), [key], "at {skip}");
            }
            assert_eq!(heard(&press(key, 3000, (5000.0, 5000.0), 1.0), 3), [key], "one long press is one");
        }
    }

    #[test]
    fn faint_twisted_and_mistuned_tones_are_heard() {
        for key in all_keys() {
            for (amplitudes, off) in [
                ((600.0, 600.0), 1.0),
                ((14_000.0, 14_000.0), 1.0),
                ((3000.0, 6000.0), 1.0),
                ((6000.0, 3500.0), 1.0),
                ((5000.0, 5000.0), 1.015),
                ((5000.0, 5000.0), 0.985),
            ] {
                assert_eq!(heard(&press(key, 60, amplitudes, off), 11), [key], "{key} {amplitudes:?} {off}");
            }
        }
    }

    #[test]
    fn the_same_key_again_is_heard_again() {
        let two: Vec<i16> = press(Key::from_char('1').unwrap(), 60, (5000.0, 5000.0), 1.0).repeat(2);
        assert_eq!(heard(&two, 0).len(), 2);
    }

    #[test]
    fn blips_lone_tones_and_great_twist_are_not_keys() {
        for key in all_keys() {
            assert!(heard(&press(key, 12, (5000.0, 5000.0), 1.0), 50).is_empty(), "12 ms");
            assert!(heard(&press(key, 200, (5000.0, 0.0), 1.0), 0).is_empty(), "a row alone");
            assert!(heard(&press(key, 200, (1000.0, 6000.0), 1.0), 0).is_empty(), "15 dB of twist");
        }
    }

    #[test]
    fn noise_and_the_ringing_tone_are_not_keys() {
        let mut dice = Dice::from_seed(11);
        let noise: Vec<i16> = (0..8_000 * 30).map(|_| dice.below(20_000) as i16 - 10_000).collect();
        assert!(heard(&noise, 0).is_empty());
        let ringing: Vec<i16> = (0..16_000)
            .map(|n| {
                let sine = |hz: f64| (std::f64::consts::TAU * hz * f64::from(n) / 8_000.0).sin();
                (4000.0 * (sine(440.0) + sine(480.0))) as i16
            })
            .collect();
        assert!(heard(&ringing, 0).is_empty());
    }

    /// A voice, roughly: a gliding pitch with harmonics shaped by gliding formants, and breath.
    #[test]
    fn voices_of_many_pitches_are_not_keys() {
        let mut dice = Dice::from_seed(5);
        for voice in 0..40 {
            let pitch = 80.0 + 8.0 * f64::from(voice);
            let (mut phase, mut samples) = (0.0f64, Vec::new());
            for n in 0..8_000 * 3 {
                let at = f64::from(n) / 8_000.0;
                phase += (pitch * (1.0 + 0.15 * (at * 4.1).sin())) / 8_000.0;
                let formants = [500.0 + 250.0 * (at * 5.3).sin(), 1400.0 + 600.0 * (at * 3.7).cos(), 2500.0];
                let voiced: f64 = (1..20)
                    .map(|harmonic| {
                        let hz = pitch * f64::from(harmonic);
                        let shape: f64 = formants.iter().map(|f| 1.0 / (1.0 + ((hz - f) / 120.0).powi(2))).sum();
                        shape * (std::f64::consts::TAU * phase * f64::from(harmonic)).sin()
                    })
                    .sum();
                samples.push((4000.0 * voiced).clamp(-32_000.0, 32_000.0) as i16 + dice.below(600) as i16);
            }
            assert!(heard(&samples, 0).is_empty(), "pitch {pitch}: {:?}", heard(&samples, 0));
        }
    }

    #[test]
    fn no_prompt_of_ours_is_taken_for_keys() {
        let prompts = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("prompts");
        let folders = std::fs::read_dir(prompts).into_iter().flatten().flatten().map(|entry| entry.path());
        for file in folders.filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten() {
            let Ok(mut wav) = hound::WavReader::open(file.path()) else { continue };
            let samples: Vec<i16> = wav.samples().map(Result::unwrap).collect();
            let step = (wav.spec().sample_rate / 8_000) as usize;
            let narrow: Vec<i16> = samples.into_iter().step_by(step).collect();
            assert_eq!(heard(&narrow, 0), [], "{}", file.path().display());
        }
    }
}
