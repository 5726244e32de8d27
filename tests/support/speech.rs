//! Made-up speech, for trying the ear and the phones without a server.

use super::listen::Sound;

/// Something like speech: syllables of changing pitch and colour with pauses between, another for every `seed`.
pub(crate) fn speech(seed: u32, seconds: f32) -> Sound {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut chance = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as f32 / 16_777_216.0
    };
    let mut samples = Vec::new();
    while samples.len() < (seconds * 8000.0) as usize {
        let (pitch, length) = (90.0 + 120.0 * chance(), 800 + (1200.0 * chance()) as usize);
        let formants = [300.0 + 600.0 * chance(), 900.0 + 1400.0 * chance()];
        samples.extend((0..length).map(|index| 3000.0 * voice(pitch, formants, index as f32 / 8000.0)));
        samples.resize(samples.len() + (400.0 * chance()) as usize, 0.0);
    }
    Sound { samples }
}

/// One moment of a vowel: harmonics of the pitch, louder near the formants.
fn voice(pitch: f32, formants: [f32; 2], time: f32) -> f32 {
    let harmonics = (1..18).map(|harmonic| pitch * harmonic as f32);
    let gain = |hertz: f32| formants.map(|formant| 1.0 / (1.0 + ((hertz - formant) / 90.0).powi(2)));
    harmonics.map(|hertz| gain(hertz).iter().sum::<f32>() * (std::f32::consts::TAU * hertz * time).sin()).sum()
}
