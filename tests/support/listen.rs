//! An ear: which prompt is in a recording, when it begins, how well it was heard, and where it has gaps.
//!
//! Speech is compared by its shape, not its loudness: 16 bands of log energy, less their mean, every 20 ms. That
//! survives G.711, levels and small shifts. The right prompt scores about 0.9, another one below 0.5.

use std::path::Path;
use std::time::Duration;

/// Everything is compared at the telephone's rate.
const RATE: usize = 8000;
/// A window of 20 ms.
const WINDOW: usize = 160;
/// The recording is looked at twice a window, so that a prompt is never more than 5 ms off the grid.
const HOP: usize = WINDOW / 2;
/// Bands, from 200 Hz upwards.
const BANDS: usize = 16;
/// Below this root mean square, a window is silence (about −53 dBFS).
const SILENCE: f32 = 75.0;
/// From this score on, a prompt was heard.
const HEARD: f32 = 0.75;
/// A shorter hole than this is a lost packet, not a gap.
const GAP_MS_MIN: usize = 40;

/// Sound at 8,000 samples a second.
#[derive(Clone, Debug)]
pub(crate) struct Sound {
    /// The samples, as of 16 bits.
    pub(crate) samples: Vec<f32>,
}

/// A prompt that was found in a recording.
#[derive(Clone, Debug)]
pub(crate) struct Hearing {
    /// Its name.
    pub(crate) name: String,
    /// When it begins, from the start of the recording.
    pub(crate) at: Duration,
    /// How like it is, from 0 to 1.
    pub(crate) score: f32,
    /// Stretches where the prompt speaks and the recording is silent: beginning in the recording, and length.
    pub(crate) gaps: Vec<(Duration, Duration)>,
}

impl Sound {
    /// Reads the first channel of a WAV file of 16 bits.
    pub(crate) fn read(path: &Path) -> Self {
        let mut reader = hound::WavReader::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let spec = reader.spec();
        let all = reader.samples::<i16>().map_while(Result::ok).step_by(usize::from(spec.channels));
        Self { samples: at_rate(&all.map(f32::from).collect::<Vec<_>>(), spec.sample_rate as usize) }
    }

    /// How long it is.
    pub(crate) fn length(&self) -> Duration {
        duration(self.samples.len())
    }

    /// From `at` on.
    pub(crate) fn after(&self, at: Duration) -> Self {
        let from = usize::try_from(at.as_millis()).unwrap_or(usize::MAX) * RATE / 1000;
        Self { samples: self.samples.get(from..).unwrap_or_default().to_vec() }
    }

    /// The best place of `prompt` in this recording, if it was heard at all.
    pub(crate) fn find(&self, name: &str, prompt: &Self) -> Option<Hearing> {
        let hearing = self.best(name, prompt);
        (hearing.score >= HEARD).then_some(hearing)
    }

    /// The best place of `prompt`, however unlike.
    pub(crate) fn best(&self, name: &str, prompt: &Self) -> Hearing {
        let heard = shapes(&self.samples, HOP);
        let wanted: Vec<_> = shapes(&prompt.samples, WINDOW);
        let spoken: Vec<(usize, &[f32; BANDS])> =
            wanted.iter().enumerate().filter_map(|(index, shape)| shape.as_ref().map(|shape| (index, shape))).collect();
        // A prompt may begin just before the recording does, and be cut short at its end.
        let (mut best, mut best_at) = (0.0, 0_isize);
        let (first, last) = (-20_isize, heard.len().saturating_sub(wanted.len()) as isize);
        for at in first..=last {
            let score = likeness(&heard, &spoken, at);
            if score > best {
                (best, best_at) = (score, at);
            }
        }
        let at = duration(best_at.max(0) as usize * HOP);
        let gaps = gaps(&heard, &spoken, best_at);
        Hearing { name: name.to_owned(), at, score: best, gaps }
    }

    /// Which of `prompts` were heard, in the order they were heard.
    pub(crate) fn transcript(&self, prompts: &[(String, Self)]) -> Vec<Hearing> {
        let mut found: Vec<Hearing> = prompts.iter().filter_map(|(name, prompt)| self.find(name, prompt)).collect();
        found.sort_by_key(|hearing| hearing.at);
        found
    }

    /// The part of the time that is not silence, from 0 to 1.
    pub(crate) fn voiced(&self) -> f32 {
        let shapes = shapes(&self.samples, WINDOW);
        shapes.iter().flatten().count() as f32 / shapes.len().max(1) as f32
    }
}

/// The mean likeness of the spoken windows of a prompt that begins `at` hops into the recording.
fn likeness(heard: &[Option<[f32; BANDS]>], spoken: &[(usize, &[f32; BANDS])], at: isize) -> f32 {
    let there = |index: usize| usize::try_from(at + 2 * index as isize).ok().and_then(|at| heard.get(at)?.as_ref());
    let alike = |a: &[f32; BANDS], b: &[f32; BANDS]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let sum: f32 = spoken.iter().filter_map(|(index, shape)| Some(alike(there(*index)?, shape))).sum();
    sum / spoken.len().max(1) as f32
}

/// Where the prompt speaks for a while and the recording says nothing.
fn gaps(heard: &[Option<[f32; BANDS]>], spoken: &[(usize, &[f32; BANDS])], at: isize) -> Vec<(Duration, Duration)> {
    let mut gaps: Vec<(usize, usize)> = Vec::new();
    for (index, _) in spoken {
        let Ok(here) = usize::try_from(at + 2 * *index as isize) else { continue };
        if !matches!(heard.get(here), Some(None)) {
            continue;
        }
        match gaps.last_mut() {
            Some((begin, windows)) if *begin + 2 * *windows == here => *windows += 1,
            _ => gaps.push((here, 1)),
        }
    }
    let long = gaps.into_iter().filter(|(_, windows)| windows * WINDOW * 1000 / RATE >= GAP_MS_MIN);
    long.map(|(begin, windows)| (duration(begin * HOP), duration(windows * WINDOW))).collect()
}

/// The shape of each window, `None` where it is silent.
fn shapes(samples: &[f32], hop: usize) -> Vec<Option<[f32; BANDS]>> {
    let bands = bands();
    let windows = samples.len().saturating_sub(WINDOW - hop) / hop;
    (0..windows).filter_map(|index| samples.get(index * hop..index * hop + WINDOW)).map(|w| shape(w, &bands)).collect()
}

fn shape(window: &[f32], bands: &[f32; BANDS]) -> Option<[f32; BANDS]> {
    let energy = window.iter().map(|sample| sample * sample).sum::<f32>() / WINDOW as f32;
    if energy < SILENCE * SILENCE {
        return None;
    }
    let mut shape = bands.map(|band| (1.0 + energy_at(window, band)).log10());
    let mean = shape.iter().sum::<f32>() / BANDS as f32;
    shape.iter_mut().for_each(|band| *band -= mean);
    let length = shape.iter().map(|band| band * band).sum::<f32>().sqrt().max(1e-6);
    Some(shape.map(|band| band / length))
}

/// The energy at one frequency (Goertzel), given as 2·cos ω.
fn energy_at(window: &[f32], coefficient: f32) -> f32 {
    let (mut one, mut two) = (0.0_f32, 0.0_f32);
    for sample in window {
        (one, two) = (sample + coefficient * one - two, one);
    }
    one * one + two * two - coefficient * one * two
}

fn bands() -> [f32; BANDS] {
    std::array::from_fn(|band| {
        let hertz = 200.0 * 1.18_f32.powi(band as i32);
        2.0 * (std::f32::consts::TAU * hertz / RATE as f32).cos()
    })
}

/// Brings samples to 8,000 a second: a moving mean against folding, then the nearest points on the line.
fn at_rate(samples: &[f32], rate: usize) -> Vec<f32> {
    if rate == RATE || samples.is_empty() {
        return samples.to_vec();
    }
    let span = (rate / RATE).max(1);
    let smooth: Vec<f32> = samples.windows(span).map(|window| window.iter().sum::<f32>() / span as f32).collect();
    let step = rate as f32 / RATE as f32;
    let count = (smooth.len() as f32 / step) as usize;
    let line = |place: f32| {
        let (index, part) = (place as usize, place.fract());
        let next = smooth.get(index + 1).copied().unwrap_or(smooth[index]);
        smooth[index] * (1.0 - part) + next * part
    };
    (0..count).map(|index| line(index as f32 * step)).collect()
}

fn duration(samples: usize) -> Duration {
    Duration::from_millis((samples * 1000 / RATE) as u64)
}
