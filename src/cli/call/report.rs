//! What is told of a call, in plain words or as one JSON object a line.

use std::io::Write;

use serde::Serialize;

use super::ear::Impression;
use crate::terms::cause::Cause;

/// One thing to tell.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Note {
    /// The INVITE is on its way.
    Calling { uri: String, from: String },
    /// It rings.
    Ringing { status: u16, after_ms: u64 },
    /// It was answered.
    Answered { after_ms: u64, codec: &'static str },
    /// The first audio came.
    AudioHeard { after_ms: u64 },
    /// Keys were pressed.
    KeysPressed { keys: String, at_ms: u64 },
    /// The callee put us on hold, or took us back.
    Hold { on_hold: bool },
    /// No audio comes any more, or again.
    Silence { silent: bool },
    /// The call is over.
    Ended { by: Ender, cause: Cause, status: Option<u16>, after_ms: u64 },
    /// What was heard in all.
    Heard(Impression),
    /// Keys that never found their cue.
    KeysLeft { groups: usize },
    /// The recording is written.
    Recorded { file: String },
    /// Whether all was well: the exit code.
    Verdict { well: bool, because: &'static str },
}

/// Who ended the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ender {
    /// The callee.
    Callee,
    /// We: the time was over, or Ctrl-C.
    Us,
    /// Neither: the network, a timer.
    Network,
}

/// Tells as it goes.
#[derive(Debug)]
pub(super) struct Teller {
    json: bool,
}

impl Teller {
    pub(super) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Tells one thing. A reader that went away is no reason to drop the call.
    pub(super) fn tell(&mut self, note: &Note) {
        let line = if self.json { serde_json::to_string(note).unwrap_or_default() } else { note.to_string() };
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    }
}

/// Says what is wrong with how the verb was used.
pub(super) fn complain(report: &miette::Report) {
    let _ = writeln!(std::io::stderr().lock(), "{report:?}");
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let s = |ms: &u64| *ms as f64 / 1000.0;
        match self {
            Self::Calling { uri, from } => write!(f, "Calling {uri} as {from} …"),
            Self::Ringing { status, after_ms } => write!(f, "{:7.2} s  it rings ({status})", s(after_ms)),
            Self::Answered { after_ms, codec } => write!(f, "{:7.2} s  answered ({codec})", s(after_ms)),
            Self::AudioHeard { after_ms } => write!(f, "{:7.2} s  the first audio came", s(after_ms)),
            Self::KeysPressed { keys, at_ms } => write!(f, "{:7.2} s  pressed {keys}", s(at_ms)),
            Self::Hold { on_hold: true } => write!(f, "           put on hold"),
            Self::Hold { on_hold: false } => write!(f, "           taken back from hold"),
            Self::Silence { silent: true } => write!(f, "           no audio comes any more"),
            Self::Silence { silent: false } => write!(f, "           audio comes again"),
            Self::Ended { by, cause, status, after_ms } => {
                let who = match by {
                    Ender::Callee if status.is_some() => "the callee refused",
                    Ender::Callee => "the callee hung up",
                    Ender::Us => "we hung up",
                    Ender::Network => "the call ended",
                };
                write!(f, "{:7.2} s  {who}: {cause}", s(after_ms))?;
                status.map_or(Ok(()), |status| write!(f, " ({status})"))
            }
            Self::Heard(heard) => heard.fmt(f),
            Self::KeysLeft { groups } => write!(f, "{groups} group(s) of keys never found their cue"),
            Self::Recorded { file } => write!(f, "What was heard is in {file}"),
            Self::Verdict { well: true, because } => write!(f, "All well: {because}"),
            Self::Verdict { well: false, because } => write!(f, "Not well: {because}"),
        }
    }
}

impl std::fmt::Display for Impression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Heard {:.1} s of audio, {:.1} s of it speech", self.heard_s, self.speech_s)?;
        if let (Some(loudness), Some(peak)) = (self.loudness_dbfs, self.peak_dbfs) {
            write!(f, " at {loudness:.1} dBFS (peak {peak:.1})")?;
        }
        match self.gaps {
            0 => write!(f, ", without a gap"),
            gaps => write!(f, ", with {gaps} gap(s), the longest {} ms", self.gap_ms_max),
        }
    }
}
