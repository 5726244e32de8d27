//! What was heard: the samples, how loud they were, and what was missing.

use std::path::Path;

use serde::Serialize;

use crate::terms::clock::Instant;

/// Samples a second.
pub(super) const RATE: usize = 8_000;
/// What is louder than this is speech, in dBFS (root mean square of 20 ms).
const SPEECH_DB: f64 = -42.0;
/// A hole shorter than this is a late packet, not a gap.
const GAP_SAMPLES: usize = RATE / 25;

/// An ear, from the answer to the end.
#[derive(Debug)]
pub(super) struct Ear {
    samples: Vec<i16>,
    samples_max: usize,
    heard: usize,
    gaps: usize,
    gap_samples_max: usize,
    loud: Energy,
    peak: u16,
    spoke: Option<Instant>,
}

#[derive(Debug, Default)]
struct Energy {
    sum: f64,
    samples: usize,
}

/// What an ear can say in the end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Impression {
    /// Seconds of audio that arrived.
    pub(super) heard_s: f64,
    /// Seconds of it that were speech (or another sound).
    pub(super) speech_s: f64,
    /// How loud the speech was, in dBFS (root mean square); none where there was none.
    pub(super) loudness_dbfs: Option<f64>,
    /// The loudest sample, in dBFS.
    pub(super) peak_dbfs: Option<f64>,
    /// How often audio was missing, and the longest time in milliseconds.
    pub(super) gaps: usize,
    pub(super) gap_ms_max: usize,
}

impl Ear {
    /// An ear that remembers at most `seconds`.
    pub(super) fn new(seconds: u64) -> Self {
        let samples_max = usize::try_from(seconds).unwrap_or(usize::MAX).saturating_mul(RATE);
        Self {
            samples: Vec::new(),
            samples_max,
            heard: 0,
            gaps: 0,
            gap_samples_max: 0,
            loud: Energy::default(),
            peak: 0,
            spoke: None,
        }
    }

    /// Hears `samples` whose place is `at`, in samples since the beginning. Time that brought nothing is kept
    /// as silence.
    pub(super) fn hear(&mut self, now: Instant, at: u64, samples: &[i16]) {
        let at = usize::try_from(at).unwrap_or(usize::MAX).min(self.samples_max);
        let missing = at.saturating_sub(self.samples.len());
        if missing > GAP_SAMPLES && self.heard > 0 {
            self.gaps += 1;
            self.gap_samples_max = self.gap_samples_max.max(missing);
        }
        self.samples.resize(self.samples.len().max(at), 0);
        let late = self.samples.len() - at;
        let room = self.samples_max - self.samples.len();
        let fresh = samples.get(late..).unwrap_or_default();
        let fresh = fresh.get(..fresh.len().min(room)).unwrap_or_default();
        self.samples.extend_from_slice(fresh);
        self.heard += fresh.len();
        self.peak = fresh.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0).max(self.peak);
        let sum = fresh.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>();
        if !fresh.is_empty() && db(sum, fresh.len()) > SPEECH_DB {
            self.loud.sum += sum;
            self.loud.samples += fresh.len();
            self.spoke = Some(now);
        }
    }

    /// When speech was last heard.
    pub(super) fn spoke(&self) -> Option<Instant> {
        self.spoke
    }

    /// What was heard, in numbers.
    pub(super) fn impression(&self) -> Impression {
        let seconds = |samples: usize| (samples as f64 / RATE as f64 * 100.0).round() / 100.0;
        let peak = f64::from(self.peak);
        Impression {
            heard_s: seconds(self.heard),
            speech_s: seconds(self.loud.samples),
            loudness_dbfs: (self.loud.samples > 0).then(|| tenths(db(self.loud.sum, self.loud.samples))),
            peak_dbfs: (self.peak > 0).then(|| tenths(db(peak * peak, 1))),
            gaps: self.gaps,
            gap_ms_max: self.gap_samples_max * 1000 / RATE,
        }
    }

    /// Writes what was heard: mono, 8 kHz, 16 bit.
    pub(super) fn write(&self, path: &Path) -> Result<(), hound::Error> {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: RATE as u32,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut wav = hound::WavWriter::create(path, spec)?;
        for sample in &self.samples {
            wav.write_sample(*sample)?;
        }
        wav.finalize()
    }
}

fn db(sum: f64, samples: usize) -> f64 {
    let mean = sum / samples as f64;
    10.0 * (mean.max(1e-9) / (32_768.0 * 32_768.0)).log10()
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn speech_silence_and_gaps_are_told_apart() {
        let mut ear = Ear::new(10);
        let now = Instant::now();
        ear.hear(now, 0, &[3; 160]);
        assert_eq!(ear.spoke(), None, "hiss is not speech");
        ear.hear(now, 160, &[3277; 160]);
        assert_eq!(ear.spoke(), Some(now));
        ear.hear(now, 1120, &[3277; 160]);
        ear.hear(now, 1200, &[3277; 160]);
        let told = ear.impression();
        assert_eq!((told.gaps, told.gap_ms_max), (1, 100));
        assert_eq!(told.loudness_dbfs, Some(-20.0));
        assert_eq!(told.heard_s, 0.07, "the half that came twice counts once");
    }

    #[tokio::test(start_paused = true)]
    async fn the_recording_has_the_length_of_the_call_and_no_more_than_was_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("heard.wav");
        let mut ear = Ear::new(1);
        let now = Instant::now();
        ear.hear(now, 4_000, &[100; 160]);
        ear.hear(now, 7_920, &[100; 160]);
        ear.hear(now, 8_080, &[100; 160]);
        ear.write(&path).unwrap();
        let samples: Vec<i16> = hound::WavReader::open(&path).unwrap().samples().map(Result::unwrap).collect();
        assert_eq!(samples.len(), 8_000);
        assert_eq!((samples[3_999], samples[4_000], samples[7_919], samples[7_999]), (0, 100, 0, 100));
    }
}
