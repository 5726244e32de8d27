//! From what a synthesiser or a person spoke to what a telephone carries: 8 kHz, mono, 16 bit,
//! one level for every prompt in every language, no click at either end and nothing clipped.

use std::path::Path;

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler};

/// Samples a second of every prompt: what G.711 carries.
pub const RATE_HZ: u32 = 8_000;
/// The level of the speech itself (pauses not counted) that every prompt is brought to, in dB below full scale.
pub const LEVEL_DBFS: f32 = -20.0;
/// How far a prompt may lie from [`LEVEL_DBFS`] before a caller hears it as loud or faint, in dB.
pub const LEVEL_TOLERANCE_DB: f32 = 3.0;
/// No sample of a prompt rises above this, in dB below full scale.
pub const PEAK_DBFS: f32 = -1.0;
/// Silence that the chain leaves before the first word, in milliseconds.
pub const LEAD_MS: usize = 40;
/// Silence that the chain leaves after the last word, in milliseconds.
pub const TAIL_MS: usize = 160;
/// The breath between two lines of a text (two options of a menu), in milliseconds.
pub const PAUSE_MS: usize = 500;

const WINDOW_MS: usize = 10;
const ACTIVE_BELOW_LOUDEST_DB: f32 = 32.0;
const LIMITER_MS: usize = 4;

/// A recording as it came: any rate, one channel, full scale at 1.0.
#[derive(Clone, Debug, PartialEq)]
pub struct Sound {
    /// Samples a second.
    pub rate_hz: u32,
    /// The samples.
    pub samples: Vec<f32>,
}

/// What can be said of a finished prompt without listening to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measure {
    /// How long it lasts, in milliseconds.
    pub ms: u32,
    /// Level of the speech, pauses not counted, in dB below full scale; −∞ for silence.
    pub level_dbfs: f32,
    /// The highest sample, in dB below full scale.
    pub peak_dbfs: f32,
    /// Silence before the first word, in milliseconds.
    pub lead_ms: u32,
    /// Silence after the last word, in milliseconds.
    pub tail_ms: u32,
}

/// Reads a WAV of any rate, width and number of channels (mixed to one).
///
/// # Errors
/// A sentence that says what is wrong with the file.
pub fn read(path: &Path) -> Result<Sound, String> {
    let mut reader = hound::WavReader::open(path).map_err(|error| format!("not a readable WAV file: {error}"))?;
    let spec = reader.spec();
    let read: Result<Vec<f32>, hound::Error> = match spec.sample_format {
        hound::SampleFormat::Float => reader.samples::<f32>().collect(),
        hound::SampleFormat::Int => {
            let full_scale = (1_i64 << (spec.bits_per_sample - 1)) as f32;
            reader.samples::<i32>().map(|sample| sample.map(|value| value as f32 / full_scale)).collect()
        }
    };
    let interleaved = read.map_err(|error| format!("the WAV file ends early or is damaged: {error}"))?;
    let channels = usize::from(spec.channels.max(1));
    let samples = interleaved.chunks(channels).map(|frame| frame.iter().sum::<f32>() / channels as f32).collect();
    Ok(Sound { rate_hz: spec.sample_rate, samples })
}

/// The whole chain: one phrase a line of the text in, one finished prompt out.
///
/// # Errors
/// A sentence, where a phrase is silent or has a rate nothing can be made of.
pub fn for_the_telephone(phrases: &[Sound]) -> Result<Vec<i16>, String> {
    let mut prompt = silence(LEAD_MS);
    for (index, phrase) in phrases.iter().enumerate() {
        if index > 0 {
            prompt.extend(silence(PAUSE_MS));
        }
        prompt.extend(phrase_for_the_telephone(phrase)?);
    }
    prompt.extend(silence(TAIL_MS));
    Ok(level(&prompt).into_iter().map(|sample| (sample * 32_767.0).round() as i16).collect())
}

/// Measures a finished prompt.
pub fn measure(samples: &[i16]) -> Measure {
    let sound: Vec<f32> = samples.iter().map(|sample| f32::from(*sample) / 32_767.0).collect();
    let (start, end) = active_bounds(&sound, RATE_HZ).unwrap_or((sound.len(), sound.len()));
    Measure {
        ms: ms(sound.len()),
        level_dbfs: decibels(active_rms(&sound)),
        peak_dbfs: decibels(sound.iter().fold(0.0, |peak: f32, sample| peak.max(sample.abs()))),
        lead_ms: ms(start),
        tail_ms: ms(sound.len() - end),
    }
}

/// Writes a finished prompt so that a reader sees the old file or the new one, never half of it.
///
/// # Errors
/// A sentence that says what could not be written.
pub fn write(path: &Path, samples: &[i16]) -> Result<(), String> {
    let part = path.with_extension("wav.part");
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: RATE_HZ,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let written = (|| {
        let mut writer = hound::WavWriter::create(&part, spec)?;
        samples.iter().try_for_each(|sample| writer.write_sample(*sample))?;
        writer.finalize()
    })();
    written.map_err(|error| format!("cannot write {}: {error}", part.display()))?;
    std::fs::rename(&part, path).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn phrase_for_the_telephone(phrase: &Sound) -> Result<Vec<f32>, String> {
    let mut samples = phrase.samples.clone();
    let rate = phrase.rate_hz as f32;
    Biquad::high_pass(150.0, rate, std::f32::consts::FRAC_1_SQRT_2).run(&mut samples);
    if rate > 7_400.0 {
        // Two sections with these Qs are one fourth-order Butterworth low-pass.
        let corner_hz = 3_600.0_f32.min(rate * 0.46);
        Biquad::low_pass(corner_hz, rate, 0.541_196).run(&mut samples);
        Biquad::low_pass(corner_hz, rate, 1.306_563).run(&mut samples);
    }
    let samples = resample(&samples, phrase.rate_hz)?;
    let (start, end) = active_bounds(&samples, RATE_HZ).ok_or("there is only silence in it")?;
    let mut spoken = samples[start..end].to_vec();
    fade(&mut spoken);
    Ok(spoken)
}

fn resample(samples: &[f32], rate_hz: u32) -> Result<Vec<f32>, String> {
    if rate_hz == RATE_HZ || samples.is_empty() {
        return Ok(samples.to_vec());
    }
    let wrong = |error: &dyn std::fmt::Display| format!("cannot bring {rate_hz} Hz to {RATE_HZ} Hz: {error}");
    let mut resampler = Fft::<f32>::new(rate_hz as usize, RATE_HZ as usize, 1_024, 1, FixedSync::Both)
        .map_err(|error| wrong(&error))?;
    let input = InterleavedSlice::new(samples, 1, samples.len()).map_err(|error| wrong(&error))?;
    let output = resampler.process_all(&input, samples.len(), None).map_err(|error| wrong(&error))?;
    Ok(output.take_data())
}

/// Brings the speech to [`LEVEL_DBFS`] with no sample above [`PEAK_DBFS`].
/// Limiting takes a little of the level away, so it is done again until the two agree.
fn level(samples: &[f32]) -> Vec<f32> {
    let target = amplitude(LEVEL_DBFS);
    let mut gain = 1.0;
    let mut levelled = samples.to_vec();
    for _ in 0..6 {
        let heard = active_rms(&levelled);
        if heard <= 0.0 {
            return levelled;
        }
        gain *= target / heard;
        let louder: Vec<f32> = samples.iter().map(|sample| sample * gain).collect();
        levelled = limit(&louder);
    }
    levelled
}

/// A look-ahead peak limiter: the gain dips smoothly around each peak that is too high, and only there.
fn limit(samples: &[f32]) -> Vec<f32> {
    let ceiling = amplitude(PEAK_DBFS);
    let reach = samples_in(LIMITER_MS);
    let wanted: Vec<f32> =
        samples.iter().map(|sample| if sample.abs() > ceiling { ceiling / sample.abs() } else { 1.0 }).collect();
    let window = |from: usize| from.saturating_sub(reach)..(from + reach + 1).min(wanted.len());
    let lowest: Vec<f32> = (0..wanted.len()).map(|at| wanted[window(at)].iter().copied().fold(1.0, f32::min)).collect();
    let smooth = |at: usize| lowest[window(at)].iter().sum::<f32>() / window(at).len() as f32;
    // Every value in the mean already allows for the peak at its centre, so the mean does too.
    samples.iter().enumerate().map(|(at, sample)| (sample * smooth(at)).clamp(-ceiling, ceiling)).collect()
}

fn fade(samples: &mut [f32]) {
    let length = samples_in(8).min(samples.len() / 2);
    for step in 0..length {
        let gain = (step as f32 + 0.5) / length as f32;
        samples[step] *= gain;
        let from_end = samples.len() - 1 - step;
        samples[from_end] *= gain;
    }
}

/// Where the first word begins and the last one ends; `None` where nobody speaks.
fn active_bounds(samples: &[f32], rate_hz: u32) -> Option<(usize, usize)> {
    let window = (rate_hz as usize * WINDOW_MS / 1_000).max(1);
    let loudness: Vec<f32> = samples.chunks(window).map(rms).collect();
    let loudest = loudness.iter().copied().fold(0.0, f32::max);
    if loudest < amplitude(-70.0) {
        return None;
    }
    // An f or an s at the end of a word lies well below its vowels: 44 dB down is still speech.
    let floor = loudest * amplitude(-44.0);
    let first = loudness.iter().position(|level| *level > floor)?;
    let last = loudness.iter().rposition(|level| *level > floor)?;
    Some((first * window, ((last + 1) * window).min(samples.len())))
}

fn active_rms(samples: &[f32]) -> f32 {
    let window = samples_in(2 * WINDOW_MS);
    let energy: Vec<f32> = samples.chunks(window).map(|chunk| rms(chunk).powi(2)).collect();
    let loudest = energy.iter().copied().fold(0.0, f32::max);
    let floor = loudest * amplitude(-ACTIVE_BELOW_LOUDEST_DB).powi(2);
    let active: Vec<f32> = energy.into_iter().filter(|level| *level > floor).collect();
    if active.is_empty() { 0.0 } else { (active.iter().sum::<f32>() / active.len() as f32).sqrt() }
}

fn rms(samples: &[f32]) -> f32 {
    if samples.is_empty() {
        return 0.0;
    }
    (samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len() as f32).sqrt()
}

fn amplitude(dbfs: f32) -> f32 {
    10.0_f32.powf(dbfs / 20.0)
}

fn decibels(amplitude: f32) -> f32 {
    20.0 * amplitude.log10()
}

fn samples_in(ms: usize) -> usize {
    RATE_HZ as usize * ms / 1_000
}

fn ms(samples: usize) -> u32 {
    u32::try_from(samples * 1_000 / RATE_HZ as usize).unwrap_or(u32::MAX)
}

fn silence(ms: usize) -> Vec<f32> {
    vec![0.0; samples_in(ms)]
}

/// A second-order filter section (Bristow-Johnson's audio cookbook), run as direct form I.
struct Biquad {
    b: [f32; 3],
    a: [f32; 2],
}

impl Biquad {
    fn high_pass(corner_hz: f32, rate_hz: f32, q: f32) -> Self {
        let (cosine, alpha) = Self::angle(corner_hz, rate_hz, q);
        let edge = (1.0 + cosine) / 2.0;
        Self::normalised([edge, -2.0 * edge, edge], cosine, alpha)
    }

    fn low_pass(corner_hz: f32, rate_hz: f32, q: f32) -> Self {
        let (cosine, alpha) = Self::angle(corner_hz, rate_hz, q);
        let edge = (1.0 - cosine) / 2.0;
        Self::normalised([edge, 2.0 * edge, edge], cosine, alpha)
    }

    fn angle(corner_hz: f32, rate_hz: f32, q: f32) -> (f32, f32) {
        let omega = std::f32::consts::TAU * corner_hz / rate_hz;
        (omega.cos(), omega.sin() / (2.0 * q))
    }

    fn normalised(b: [f32; 3], cosine: f32, alpha: f32) -> Self {
        let a0 = 1.0 + alpha;
        Self { b: b.map(|value| value / a0), a: [-2.0 * cosine / a0, (1.0 - alpha) / a0] }
    }

    fn run(&self, samples: &mut [f32]) {
        let (mut x1, mut x2, mut y1, mut y2) = (0.0, 0.0, 0.0, 0.0);
        for sample in samples {
            let x = *sample;
            let y = self.b[0] * x + self.b[1] * x1 + self.b[2] * x2 - self.a[0] * y1 - self.a[1] * y2;
            (x2, x1, y2, y1) = (x1, x, y1, y);
            *sample = y;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate_hz: u32, hz: f32, seconds: f32, amplitude: f32) -> Vec<f32> {
        let count = (rate_hz as f32 * seconds) as usize;
        (0..count).map(|n| amplitude * (std::f32::consts::TAU * hz * n as f32 / rate_hz as f32).sin()).collect()
    }

    fn power_at(samples: &[i16], hz: f32) -> f32 {
        let (mut re, mut im) = (0.0_f64, 0.0_f64);
        for (n, sample) in samples.iter().enumerate() {
            let angle = std::f64::consts::TAU * f64::from(hz) * n as f64 / f64::from(RATE_HZ);
            re += f64::from(*sample) * angle.cos();
            im += f64::from(*sample) * angle.sin();
        }
        (re.hypot(im) / samples.len() as f64) as f32
    }

    #[test]
    fn a_1_khz_tone_stays_at_1_khz_from_any_rate() {
        for rate_hz in [8_000, 11_025, 16_000, 22_050, 44_100, 48_000] {
            let sound = Sound { rate_hz, samples: tone(rate_hz, 1_000.0, 1.0, 0.3) };
            let prompt = for_the_telephone(&[sound]).unwrap();
            let length = prompt.len() as i64 - (samples_in(LEAD_MS) + samples_in(TAIL_MS)) as i64;
            assert!((length - 8_000).abs() <= 160, "{rate_hz}: {length}");
            let best =
                (900..1_100).max_by(|a, b| power_at(&prompt, *a as f32).total_cmp(&power_at(&prompt, *b as f32)));
            assert_eq!(best, Some(1_000), "{rate_hz}");
        }
    }

    #[test]
    fn a_faint_and_a_roaring_recording_come_out_alike() {
        for amplitude in [0.002, 0.05, 0.99] {
            let sound = Sound { rate_hz: 22_050, samples: tone(22_050, 440.0, 2.0, amplitude) };
            let heard = measure(&for_the_telephone(&[sound]).unwrap());
            assert!((heard.level_dbfs - LEVEL_DBFS).abs() < 0.5, "{amplitude}: {heard:?}");
            assert!(heard.peak_dbfs <= PEAK_DBFS + 0.01, "{heard:?}");
        }
    }

    #[test]
    fn peaks_are_limited_and_never_clipped() {
        let mut samples = tone(16_000, 300.0, 2.0, 0.01);
        for at in (500..samples.len()).step_by(4_000) {
            for (offset, value) in [0.2, 0.6, 1.0, 0.6, 0.2].into_iter().enumerate() {
                samples[at + offset] = value;
            }
        }
        let heard = measure(&for_the_telephone(&[Sound { rate_hz: 16_000, samples }]).unwrap());
        assert!(heard.peak_dbfs <= PEAK_DBFS + 0.01 && heard.peak_dbfs > -6.0, "{heard:?}");
    }

    #[test]
    fn silence_at_the_ends_is_trimmed_and_lines_are_a_breath_apart() {
        let mut samples = vec![0.0; 16_000];
        samples.extend(tone(16_000, 500.0, 0.5, 0.4));
        samples.extend(vec![0.0; 32_000]);
        let phrase = Sound { rate_hz: 16_000, samples };
        let heard = measure(&for_the_telephone(&[phrase.clone(), phrase]).unwrap());
        assert!(heard.lead_ms.abs_diff(LEAD_MS as u32) <= 10 && heard.tail_ms.abs_diff(TAIL_MS as u32) <= 20);
        let expected = 2 * 500 + LEAD_MS + PAUSE_MS + TAIL_MS;
        assert!(heard.ms.abs_diff(expected as u32) <= 60, "{heard:?}");
    }

    #[test]
    fn rumble_and_hiss_outside_the_telephone_band_are_gone() {
        let mut samples = tone(48_000, 1_000.0, 1.0, 0.2);
        let (rumble, hiss) = (tone(48_000, 40.0, 1.0, 0.2), tone(48_000, 6_500.0, 1.0, 0.2));
        for (sample, (low, high)) in samples.iter_mut().zip(rumble.into_iter().zip(hiss)) {
            *sample += low + high;
        }
        let prompt = for_the_telephone(&[Sound { rate_hz: 48_000, samples }]).unwrap();
        let wanted = power_at(&prompt, 1_000.0);
        assert!(power_at(&prompt, 40.0) < wanted / 8.0, "rumble");
        assert!(power_at(&prompt, 1_500.0) < wanted / 100.0, "where 6.5 kHz would fold to at 8 kHz");
    }

    #[test]
    fn silence_is_refused() {
        assert!(for_the_telephone(&[Sound { rate_hz: 8_000, samples: vec![0.0; 8_000] }]).is_err());
    }
}
