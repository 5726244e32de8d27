//! The catalogue: every prompt's words in every language, who speaks them, and what was made from them.
//!
//! Two files a language. `manifest.toml` is written by people: the words. `built.toml` is written by
//! `cityline prompts build`: for each recording, a fingerprint of the words and the voice it was made from,
//! so that a recording that no longer says what is written is found before a caller hears it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use toml::Spanned;

use crate::terms::diagnostic::{Diagnostic, line_and_column};
use crate::terms::language::Language;

/// Raised when the audio chain changes what it makes of the same words, so that every recording is made again.
const CHAIN: &str = "chain 1";

/// `prompts/<language>/manifest.toml`: one language's words, as people write them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The spoken language; the folder's name says the same.
    pub language: Language,
    /// What its speakers call it, e.g. `Tiếng Việt`.
    pub name: String,
    /// BCP 47 tag of the written text, e.g. `zh-Hant` for spoken `yue`.
    pub text_code: String,
    /// Who speaks, unless a prompt says otherwise.
    pub voice: Voice,
    /// How fast a synthesiser speaks, in words a minute as the engine counts them.
    #[serde(default = "usual_speed")]
    pub speed: u16,
    /// How high a synthesiser speaks, 0 to 99; left out: as the voice was made.
    pub pitch: Option<u8>,
    /// What a reader of this file should know, e.g. why nobody speaks it.
    pub note: Option<String>,
    /// The prompts, by name.
    pub prompts: BTreeMap<String, Prompt>,
}

/// One prompt in one language.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompt {
    /// The words as a speaker reads them. Each line is a phrase of its own, with a breath between lines.
    pub text: Spanned<String>,
    /// What the synthesiser reads instead, line for line, where it would misread the words
    /// (pinyin, jyutping, phonemes in `[[ ]]`). A person never reads this.
    pub spoken: Option<String>,
    /// Who speaks this prompt, where it is not the manifest's voice.
    pub voice: Option<Voice>,
    /// The speed of this prompt, where it is not the manifest's.
    pub speed: Option<u16>,
    /// True until a native speaker has confirmed the words.
    pub needs_review: bool,
    /// Who confirmed the words, and when; required once `needs_review` is false.
    pub reviewed_by: Option<String>,
    /// True for a prompt that only this language has (the city's own desks, the offer of other languages).
    #[serde(default)]
    pub only_here: bool,
}

/// Who speaks.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Voice {
    /// Debian's `espeak-ng`, by voice, e.g. `es-419`.
    EspeakNg(String),
    /// Debian's `flite`, by voice, e.g. `slt`.
    Flite(String),
    /// A person, by name; `recordings/<name>.wav` beside the manifest is what they said.
    Person(String),
    /// Nobody: the language has texts and no recordings.
    None,
}

impl TryFrom<String> for Voice {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (who, name) = text.split_once(' ').unwrap_or((&text, ""));
        let name = name.trim();
        let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_+/".contains(&b));
        match who {
            "espeak-ng" if plain => Ok(Self::EspeakNg(name.to_owned())),
            "flite" if plain => Ok(Self::Flite(name.to_owned())),
            "person" if !name.is_empty() => Ok(Self::Person(name.to_owned())),
            "none" if name.is_empty() => Ok(Self::None),
            _ => Err(format!(
                "`{text}` is no voice: write `espeak-ng <voice>`, `flite <voice>`, `person <name>` or `none`"
            )),
        }
    }
}

impl std::fmt::Display for Voice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::EspeakNg(voice) => write!(f, "espeak-ng {voice}"),
            Self::Flite(voice) => write!(f, "flite {voice}"),
            Self::Person(name) => write!(f, "person {name}"),
            Self::None => f.write_str("none"),
        }
    }
}

/// `prompts/<language>/built.toml`: what each recording was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Built {
    /// By prompt name.
    #[serde(default)]
    pub prompts: BTreeMap<String, Made>,
}

/// Where one recording came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Made {
    /// SHA-256 (first 32 hexadecimal digits) of the words, the voice and its settings.
    pub from: String,
    /// SHA-256 (first 32 hexadecimal digits) of the recording.
    pub wav: String,
}

/// One language of the catalogue, with where its words stand.
#[derive(Clone, Debug)]
pub struct Shelf {
    /// The language's folder.
    pub folder: PathBuf,
    /// The words.
    pub manifest: Manifest,
    /// What was made from them.
    pub built: Built,
    file: Arc<str>,
    source: Arc<str>,
}

impl Shelf {
    /// Reads one language's folder.
    ///
    /// # Errors
    /// Where a file is missing, is not TOML, or holds a key that no prompt has.
    pub fn read(folder: &Path) -> Result<Self, Box<Diagnostic>> {
        let file = folder.join("manifest.toml");
        let (manifest, source): (Manifest, Arc<str>) = read_toml(&file)?;
        let built_file = folder.join("built.toml");
        let built = if built_file.exists() { read_toml(&built_file)?.0 } else { Built::default() };
        Ok(Self { folder: folder.to_owned(), manifest, built, file: name_of(&file), source })
    }

    /// A fault `code` at a prompt's words, or at the head of the manifest.
    pub fn fault(&self, code: &'static str, prompt: Option<&Prompt>) -> Diagnostic {
        Diagnostic::error(code, &self.file, &self.source, prompt.map_or(0..0, |prompt| prompt.text.span()))
    }

    /// Where a prompt's words stand: `file:line`.
    pub fn place(&self, prompt: &Prompt) -> String {
        format!("{}:{}", self.file, line_and_column(&self.source, prompt.text.span().start).0)
    }

    /// The recording of a prompt.
    pub fn wav(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.wav"))
    }

    /// What a person recorded, before it is made fit for the telephone.
    pub fn recording(&self, name: &str) -> PathBuf {
        self.folder.join("recordings").join(format!("{name}.wav"))
    }

    /// Who speaks a prompt.
    pub fn voice<'a>(&'a self, prompt: &'a Prompt) -> &'a Voice {
        prompt.voice.as_ref().unwrap_or(&self.manifest.voice)
    }

    /// How fast a prompt is spoken, in words a minute.
    pub fn speed(&self, prompt: &Prompt) -> u16 {
        prompt.speed.unwrap_or(self.manifest.speed)
    }

    /// A fingerprint of everything that a prompt's recording is made from.
    pub fn fingerprint(&self, name: &str, prompt: &Prompt) -> String {
        let voice = self.voice(prompt);
        let mut digest = Sha256::new();
        let mut part = |bytes: &[u8]| {
            digest.update((bytes.len() as u64).to_le_bytes());
            digest.update(bytes);
        };
        part(CHAIN.as_bytes());
        part(voice.to_string().as_bytes());
        part(prompt.text.get_ref().trim().as_bytes());
        match voice {
            Voice::EspeakNg(_) | Voice::Flite(_) => {
                part(prompt.spoken.as_deref().unwrap_or_default().trim().as_bytes());
                part(&self.speed(prompt).to_le_bytes());
                part(format!("{:?}", self.manifest.pitch).as_bytes());
            }
            Voice::Person(_) => part(&std::fs::read(self.recording(name)).unwrap_or_default()),
            Voice::None => {}
        }
        hexadecimal(&digest.finalize())
    }

    /// Writes `built.toml` anew, whole or not at all.
    ///
    /// # Errors
    /// A sentence that says what could not be written.
    pub fn write_built(&self) -> Result<(), String> {
        let file = self.folder.join("built.toml");
        let wrong = |error: &dyn std::fmt::Display| format!("cannot write {}: {error}", file.display());
        let mut text =
            String::from("# Written by `cityline prompts build`: what each recording was made from.\n\n[prompts]\n");
        for (name, made) in &self.built.prompts {
            text.push_str(&format!("\"{name}\" = {{ from = \"{}\", wav = \"{}\" }}\n", made.from, made.wav));
        }
        let part = file.with_extension("toml.part");
        std::fs::write(&part, text).map_err(|error| wrong(&error))?;
        std::fs::rename(&part, &file).map_err(|error| wrong(&error))
    }
}

impl Prompt {
    /// What the synthesiser reads, phrase by phrase.
    pub fn phrases(&self) -> Vec<&str> {
        lines(self.spoken.as_deref().unwrap_or(self.text.get_ref()))
    }

    /// True where `spoken` has a line for every line of the text (or is left out).
    pub fn lines_agree(&self) -> bool {
        self.spoken.as_deref().is_none_or(|spoken| lines(spoken).len() == lines(self.text.get_ref()).len())
    }
}

/// Reads every language's folder under `dir`, in order of language code, each well or with what is wrong.
///
/// # Errors
/// Where the folder itself cannot be read, or holds no language.
pub fn read(dir: &Path) -> Result<Vec<Result<Shelf, Box<Diagnostic>>>, String> {
    let entries = std::fs::read_dir(dir).map_err(|error| format!("cannot read {}: {error}", dir.display()))?;
    let mut folders: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.join("manifest.toml").is_file()).collect();
    folders.sort();
    if folders.is_empty() {
        return Err(format!("no language in {}: expected <language>/manifest.toml", dir.display()));
    }
    Ok(folders.iter().map(|folder| Shelf::read(folder)).collect())
}

/// The fingerprint of a recording's bytes; `None` where there is no such file.
pub fn fingerprint_of(file: &Path) -> Option<String> {
    std::fs::read(file).ok().map(|bytes| hexadecimal(&Sha256::digest(bytes)))
}

fn read_toml<T: serde::de::DeserializeOwned>(file: &Path) -> Result<(T, Arc<str>), Box<Diagnostic>> {
    let name = name_of(file);
    let source: Arc<str> = std::fs::read_to_string(file)
        .map_err(|error| Diagnostic::error("unreadable", &name, &"".into(), 0..0).message(error.to_string()))?
        .into();
    match toml::from_str(&source) {
        Ok(value) => Ok((value, source)),
        Err(error) => {
            let fault = Diagnostic::error("bad-manifest", &name, &source, error.span().unwrap_or(0..0))
                .message(error.message())
                .remedy("mend that line; nothing else of this language was looked at");
            Err(Box::new(fault))
        }
    }
}

fn name_of(file: &Path) -> Arc<str> {
    file.display().to_string().into()
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

fn usual_speed() -> u16 {
    150
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "language = \"es\"\nname = \"Español\"\ntext_code = \"es-US\"\nvoice = \"espeak-ng es-419\"\n\
                        [prompts.greeting]\ntext = \"Portland tres uno uno.\"\nneeds_review = true\n";

    fn shelf(manifest: &str) -> Result<Shelf, Box<Diagnostic>> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("manifest.toml"), manifest).unwrap();
        Shelf::read(folder.path())
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        assert!(shelf(GOOD).is_ok());
        let error = shelf(&format!("{GOOD}ned_review = true\n")).unwrap_err();
        assert_eq!(error.line, 8);
        assert!(error.to_string().contains("manifest.toml:8:1: unknown field `ned_review`"), "{error}");
        assert!(shelf(&GOOD.replace("name =", "nmae =")).is_err());
    }

    #[test]
    fn a_voice_is_one_of_four_kinds() {
        for well in ["espeak-ng es-419+f3", "flite slt", "person Ana Ruiz", "none"] {
            assert_eq!(Voice::try_from(well.to_owned()).unwrap().to_string(), well);
        }
        for wrong in ["", "espeak", "espeak-ng", "espeak-ng ; rm", "person", "none at all"] {
            assert!(Voice::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
        assert_eq!(shelf(&GOOD.replace("espeak-ng es-419", "siri")).unwrap_err().line, 4);
    }

    #[test]
    fn the_fingerprint_follows_words_voice_and_speed_and_nothing_else() {
        let of = |manifest: &str| {
            let shelf = shelf(manifest).unwrap();
            shelf.fingerprint("greeting", &shelf.manifest.prompts["greeting"])
        };
        let same = of(GOOD);
        assert_eq!(of(&GOOD.replace("needs_review = true", "needs_review = false\nreviewed_by = \"A.\"")), same);
        assert_ne!(of(&GOOD.replace("tres uno", "tres-uno")), same);
        assert_ne!(of(&GOOD.replace("es-419", "es")), same);
        assert_ne!(of(&GOOD.replace("needs_review", "speed = 170\nneeds_review")), same);
    }
}
