//! The prompt bank: every recorded phrase, ready to be sent.
//!
//! A phrase is read once, at load, and encoded once per codec, when a call first wants it in that codec; the
//! work is done on the caller's side, never on a media thread. Playing it is then copying 20 ms slices.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::codecs::{Codec, FRAME, encode};
use crate::terms::language::Language;
use crate::terms::prompt::{PromptIndex, Spoken};

/// The longest phrase, in seconds.
const SECONDS_MAX: u32 = 300;

/// Every phrase in every language. Immutable; a reload makes a new one.
#[derive(Debug, Default)]
pub struct PromptBank {
    clips: BTreeMap<Language, BTreeMap<Arc<str>, Arc<Clip>>>,
}

impl PromptBank {
    /// Reads `<dir>/<language>/<name>.wav` for every folder of `dir` that is named like a language. Other
    /// files and folders are passed over.
    ///
    /// # Errors
    /// Every file that cannot be used, each in one sentence that says why and what is wanted.
    pub fn load(dir: &Path) -> Result<(Self, PromptIndex), Vec<String>> {
        let (mut bank, mut index, mut errors) = (Self::default(), PromptIndex::default(), Vec::new());
        for folder in listed(dir, &mut errors) {
            let Some(language) = folder.file_name().and_then(|name| name.to_str()?.parse::<Language>().ok()) else {
                continue;
            };
            if !folder.is_dir() {
                continue;
            }
            for file in listed(&folder, &mut errors) {
                if file.extension().is_none_or(|extension| extension != "wav") {
                    continue;
                }
                let Some(name) = file.file_stem().and_then(|stem| stem.to_str()) else {
                    errors.push(format!("{}: the name is not UTF-8", file.display()));
                    continue;
                };
                match read_wav(&file) {
                    Ok(clip) => {
                        index.add(language, name, clip.ms());
                        bank.clips.entry(language).or_default().insert(name.into(), Arc::new(clip));
                    }
                    Err(why) => errors.push(format!("{}: {why}", file.display())),
                }
            }
        }
        if errors.is_empty() { Ok((bank, index)) } else { Err(errors) }
    }

    /// Adds a phrase made of `samples` at `rate` (8,000 or 16,000 a second).
    pub fn add(&mut self, spoken: &Spoken, rate: u32, samples: Vec<i16>) {
        let clip = Arc::new(Clip::new(rate, samples));
        self.clips.entry(spoken.language).or_default().insert(spoken.name.clone(), clip);
    }

    /// The phrase, where there is one.
    pub(crate) fn clip(&self, spoken: &Spoken) -> Option<&Arc<Clip>> {
        self.clips.get(&spoken.language)?.get(&spoken.name)
    }

    /// The phrase as the 20 ms payloads that are sent, for whoever wants to compare what was heard.
    pub fn encoded(&self, spoken: &Spoken, codec: Codec) -> Option<&[u8]> {
        self.clip(spoken).map(|clip| clip.prepare(codec))
    }
}

fn listed(dir: &Path, errors: &mut Vec<String>) -> Vec<std::path::PathBuf> {
    match std::fs::read_dir(dir) {
        Ok(entries) => {
            let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
            paths.sort();
            paths
        }
        Err(error) => {
            errors.push(format!("{}: {error}", dir.display()));
            Vec::new()
        }
    }
}

fn read_wav(path: &Path) -> Result<Clip, String> {
    let mut wav = hound::WavReader::open(path).map_err(|error| format!("not a WAV file: {error}"))?;
    let spec = wav.spec();
    let fits = spec.channels == 1
        && (spec.sample_rate == 8_000 || spec.sample_rate == 16_000)
        && spec.bits_per_sample == 16
        && spec.sample_format == hound::SampleFormat::Int;
    if !fits {
        return Err(format!(
            "{} channel(s), {} Hz, {} bit: wanted are mono, 8000 or 16000 Hz, 16 bit whole numbers",
            spec.channels, spec.sample_rate, spec.bits_per_sample
        ));
    }
    let seconds = wav.duration() / spec.sample_rate;
    if seconds >= SECONDS_MAX {
        return Err(format!("{seconds} s long: a phrase lasts less than {SECONDS_MAX} s"));
    }
    let samples = wav.samples::<i16>().collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    if samples.is_empty() { Err("it is empty".to_owned()) } else { Ok(Clip::new(spec.sample_rate, samples)) }
}

/// One phrase: its samples, and its packets' payloads in every codec that was wanted so far.
#[derive(Debug)]
pub(crate) struct Clip {
    rate: u32,
    samples: Box<[i16]>,
    encoded: [OnceLock<Box<[u8]>>; 3],
}

impl Clip {
    /// A phrase of `samples` at `rate` (8,000 or 16,000 a second).
    pub(crate) fn new(rate: u32, samples: Vec<i16>) -> Self {
        Self { rate, samples: samples.into(), encoded: Default::default() }
    }

    /// How long it lasts.
    pub(crate) fn ms(&self) -> u32 {
        (self.samples.len() as u64 * 1000 / u64::from(self.rate)) as u32
    }

    /// Encodes it, unless that was done before: whole frames, the last one filled up with silence.
    pub(crate) fn prepare(&self, codec: Codec) -> &[u8] {
        self.encoded[codec.index()].get_or_init(|| encode(codec, self.rate, &self.samples))
    }

    /// Frame `index` (160 bytes) in `codec`; `None` past the end, or where it was not prepared.
    pub(crate) fn frame(&self, codec: Codec, index: usize) -> Option<&[u8]> {
        let start = index.checked_mul(FRAME)?;
        self.encoded[codec.index()].get()?.get(start..start + FRAME)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_wav(path: &Path, rate: u32, channels: u16, samples: &[i16]) {
        let spec = hound::WavSpec {
            channels,
            sample_rate: rate,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut wav = hound::WavWriter::create(path, spec).unwrap();
        samples.iter().for_each(|sample| wav.write_sample(*sample).unwrap());
        wav.finalize().unwrap();
    }

    #[test]
    fn prompts_are_found_by_language_and_name() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["en", "vi", "Not A Language"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
        }
        std::fs::write(dir.path().join("manifest.toml"), "").unwrap();
        std::fs::write(dir.path().join("en/notes.txt"), "").unwrap();
        write_wav(&dir.path().join("en/greeting.wav"), 8_000, 1, &[100; 8_000]);
        write_wav(&dir.path().join("vi/menu.main.wav"), 16_000, 1, &[100; 8_000]);
        let (bank, index) = PromptBank::load(dir.path()).unwrap();
        let (en, vi) = (Language::ENGLISH, "vi".parse().unwrap());
        assert_eq!((index.ms(en, "greeting"), index.ms(vi, "menu.main")), (Some(1000), Some(500)));
        assert_eq!(bank.encoded(&Spoken::new(en, "greeting"), Codec::Pcmu).unwrap().len(), 8_000);
        assert_eq!(bank.encoded(&Spoken::new(vi, "menu.main"), Codec::G722).unwrap().len(), 4_000);
        assert!(bank.encoded(&Spoken::new(vi, "greeting"), Codec::Pcmu).is_none());
    }

    #[test]
    fn every_unusable_file_is_named_with_its_remedy() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("en")).unwrap();
        write_wav(&dir.path().join("en/stereo.wav"), 8_000, 2, &[0; 320]);
        write_wav(&dir.path().join("en/cd.wav"), 44_100, 1, &[0; 320]);
        write_wav(&dir.path().join("en/empty.wav"), 8_000, 1, &[]);
        std::fs::write(dir.path().join("en/noise.wav"), "RIFF?").unwrap();
        let errors = PromptBank::load(dir.path()).unwrap_err();
        assert_eq!(errors.len(), 4);
        assert!(errors[0].contains("cd.wav: 1 channel(s), 44100 Hz") && errors[0].contains("wanted are mono"));
        assert!(PromptBank::load(&dir.path().join("absent")).is_err());
    }

    #[test]
    fn the_last_frame_is_filled_up_with_silence() {
        let clip = Clip::new(8_000, vec![1000; 161]);
        assert_eq!(clip.frame(Codec::Pcmu, 0), None, "not prepared yet");
        clip.prepare(Codec::Pcmu);
        let last = clip.frame(Codec::Pcmu, 1).unwrap();
        assert!(last[0] != 0xff && last[1..].iter().all(|byte| *byte == 0xff));
        assert_eq!(clip.frame(Codec::Pcmu, 2), None);
    }
}
