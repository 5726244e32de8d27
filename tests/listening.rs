//! The ear of the end-to-end tests, tried by itself: what is there is found where it is, what is not there is
//! not found, and a hole is noticed.

mod support;

use std::time::Duration;

use support::listen::Sound;
use support::root;
use support::speech::speech;

/// A recording: each sound after its pause, quieter, with the noise of a line.
fn recording(parts: &[(f32, &Sound)]) -> Sound {
    let mut samples = Vec::new();
    for (pause, sound) in parts {
        samples.resize(samples.len() + (pause * 8000.0) as usize, 0.0);
        samples.extend(sound.samples.iter().map(|sample| sample * 0.5));
    }
    let mut noise = 12_345_u32;
    for sample in &mut samples {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *sample += (noise >> 24) as f32 / 8.0 - 16.0;
    }
    Sound { samples }
}

#[test]
fn prompts_are_found_in_order_and_in_their_place() {
    let (first, second, other) = (speech(1, 3.0), speech(2, 2.0), speech(3, 2.5));
    let heard = recording(&[(0.537, &first), (1.0, &second)]);
    let prompts = [("other", &other), ("second", &second), ("first", &first)];
    let prompts = prompts.map(|(name, sound)| (name.to_owned(), sound.clone()));
    let transcript = heard.transcript(&prompts);
    let names: Vec<&str> = transcript.iter().map(|hearing| hearing.name.as_str()).collect();
    assert_eq!(names, ["first", "second"], "{transcript:?}");
    let at = transcript[0].at.as_millis();
    assert!((530..=545).contains(&at), "at {at} ms");
    assert!(transcript.iter().all(|hearing| hearing.gaps.is_empty()), "{transcript:?}");
}

#[test]
fn a_hole_in_a_prompt_is_a_gap() {
    let prompt = speech(4, 4.0);
    let mut heard = recording(&[(0.2, &prompt)]);
    heard.samples[16_000..17_600].fill(0.0);
    let hearing = heard.find("prompt", &prompt).expect("heard in spite of the hole");
    let silent: Duration = hearing.gaps.iter().map(|(_, length)| *length).sum();
    assert!(silent >= Duration::from_millis(100), "{hearing:?}");
}

#[test]
fn a_minute_is_searched_in_less_than_a_second() {
    let prompt = speech(5, 5.0);
    let heard = recording(&[(50.0, &prompt), (5.0, &speech(6, 1.0))]);
    let before = support::clock::now();
    assert!(heard.find("prompt", &prompt).is_some());
    let took = before.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn every_recorded_prompt_is_told_from_the_others_of_its_language() {
    let Ok(folder) = std::fs::read_dir(root().join("prompts/en")) else { return };
    let mut files: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "wav"));
    files.sort();
    let sounds: Vec<Sound> = files.iter().take(8).map(|path| Sound::read(path)).collect();
    for (one, sound) in sounds.iter().enumerate() {
        let heard = recording(&[(0.3, sound)]);
        for (two, prompt) in sounds.iter().enumerate().filter(|(_, prompt)| prompt.length() <= sound.length()) {
            let hearing = heard.best("", prompt);
            let same = one == two;
            assert_eq!(hearing.score > 0.75, same, "{:?} in {:?}: {hearing:?}", files[two], files[one]);
        }
    }
}
