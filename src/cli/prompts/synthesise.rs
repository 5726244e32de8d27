//! The synthesisers: Debian's own free ones, run as programs, one phrase at a time.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::audio::{self, Sound};
use super::catalogue::{Prompt, Shelf, Voice};

/// Flite's voices speak about this many words a minute when left alone.
const FLITE_WORDS_A_MINUTE: f32 = 165.0;

/// The programs that speak. Another path may stand in for each, as the tests do.
#[derive(Clone, Debug)]
pub struct Engines {
    /// `espeak-ng`, of the Debian package of that name.
    pub espeak_ng: PathBuf,
    /// `flite`, of the Debian package of that name.
    pub flite: PathBuf,
}

/// Makes one prompt's recording: speaks it, or takes what a person recorded, and puts it through the chain.
///
/// # Errors
/// A sentence that says what is missing and how to get it.
pub fn make(engines: &Engines, shelf: &Shelf, name: &str, prompt: &Prompt) -> Result<Vec<i16>, String> {
    let settings = Settings { speed: shelf.speed(prompt), pitch: shelf.manifest.pitch };
    let phrases = match shelf.voice(prompt) {
        Voice::EspeakNg(voice) => {
            spoken(&shelf.folder, prompt, |phrase, wav| espeak_ng(&engines.espeak_ng, voice, settings, phrase, wav))
        }
        Voice::Flite(voice) => {
            spoken(&shelf.folder, prompt, |phrase, wav| flite(&engines.flite, voice, settings, phrase, wav))
        }
        Voice::Person(person) => recorded(&shelf.recording(name), person),
        Voice::None => Err(format!("nobody speaks {}: its voice is `none`", shelf.manifest.language)),
    }?;
    audio::for_the_telephone(&phrases)
}

#[derive(Clone, Copy)]
struct Settings {
    speed: u16,
    pitch: Option<u8>,
}

fn spoken(
    folder: &Path,
    prompt: &Prompt,
    speak: impl Fn(&str, &Path) -> Result<(), String>,
) -> Result<Vec<Sound>, String> {
    let scratch = Scratch::new(folder)?;
    let mut sounds = Vec::new();
    for phrase in prompt.phrases() {
        let wav = scratch.0.join("phrase.wav");
        speak(phrase, &wav)?;
        sounds.push(audio::read(&wav)?);
    }
    if sounds.is_empty() { Err("it has no words".to_owned()) } else { Ok(sounds) }
}

fn recorded(file: &Path, person: &str) -> Result<Vec<Sound>, String> {
    if !file.exists() {
        return Err(format!("{person} is to speak it: put the recording at {}", file.display()));
    }
    Ok(vec![audio::read(file).map_err(|error| format!("{}: {error}", file.display()))?])
}

fn espeak_ng(program: &Path, voice: &str, settings: Settings, phrase: &str, wav: &Path) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(["-v", voice, "-b", "1", "-s", &settings.speed.to_string()]);
    if let Some(pitch) = settings.pitch {
        command.args(["-p", &pitch.to_string()]);
    }
    command.arg("-w").arg(wav).arg("--").arg(phrase);
    run(command, program, "espeak-ng")
}

fn flite(program: &Path, voice: &str, settings: Settings, phrase: &str, wav: &Path) -> Result<(), String> {
    let stretch = FLITE_WORDS_A_MINUTE / f32::from(settings.speed.max(1));
    let mut command = Command::new(program);
    command.args(["-voice", voice, "--setf", &format!("duration_stretch={stretch:.3}"), "-t", phrase, "-o"]).arg(wav);
    run(command, program, "flite")
}

fn run(mut command: Command, program: &Path, package: &str) -> Result<(), String> {
    let output = command.output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            format!("`{}` is not installed; on Debian and Ubuntu: apt-get install {package}", program.display())
        }
        _ => format!("cannot run `{}`: {error}", program.display()),
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("`{}` failed ({}): {}", program.display(), output.status, said.trim()))
}

/// A folder of our own beside the recordings, gone again when the prompt is made.
struct Scratch(PathBuf);

impl Scratch {
    fn new(beside: &Path) -> Result<Self, String> {
        let folder = beside.join(format!(".making-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Left-over scratch does no harm, and there is nobody to tell.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
