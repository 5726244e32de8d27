//! The record's words in plain English.

use std::time::Duration;

use crate::terms::cause::Cause;
use crate::terms::event::{Heard, KeySource, Side};
use crate::terms::language::Language;
use crate::terms::outcome::Outcome;

/// What an outcome means.
pub(super) fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::ResolvedInfo => "An agent gave the information.",
        Outcome::ResolvedRequestCreated => "An agent created the request.",
        Outcome::ResolvedSelfService => "The recorded information answered the caller's question.",
        Outcome::ResolvedAfterConsult => "An agent resolved it after asking a bureau.",
        Outcome::AnsweredByAgent => "A person spoke with the caller; no disposition was given.",
        Outcome::TransferredAnswered => "A bureau line answered and spoke with the caller.",
        Outcome::TransferredFailed => "No line that the rules named took the call.",
        Outcome::ReferredNumberGiven => "The caller was told which number to call.",
        Outcome::CallbackScheduled => "A callback was promised.",
        Outcome::VoicemailLeft => "The caller left a message in an owned box.",
        Outcome::To911 => "The caller was connected to 911.",
        Outcome::ToNonemergency => "The caller was connected to the police non-emergency line.",
        Outcome::AbandonedIvr => "The caller hung up before or in the greeting, the language gate or a menu.",
        Outcome::AbandonedQueue => "The caller hung up while waiting for a person.",
        Outcome::ShortAbandon => "The caller hung up within the short-abandon limit of starting to wait.",
        Outcome::AbandonedInterpreterWait => "The caller hung up while waiting for an interpreter.",
        Outcome::MisdialOrSilent => "Nobody was there: a wrong number or a silent line.",
        Outcome::ClosedInformed => "The caller heard the closing (hours, and where else to turn) to its end.",
        Outcome::Refused => "The call was refused before it was answered.",
        Outcome::TechnicalFailure => "Something of ours broke.",
        Outcome::Test => "A test call.",
    }
}

/// Why a line did not take a call, as it follows the line's name.
pub(super) fn failed(cause: Cause) -> &'static str {
    match cause {
        Cause::Normal => "hung up",
        Cause::Cancelled => "was given up before it answered",
        Cause::Busy => "was busy",
        Cause::NoAnswer => "did not answer",
        Cause::Unreachable => "could not be reached: nothing came back from it",
        Cause::Rejected => "refused the call",
        Cause::UnknownNumber => "does not know the number dialled",
        Cause::Unavailable => "is not available now",
        Cause::Forbidden => "does not allow us to call it",
        Cause::NoCommonCodec => "speaks no codec that we speak",
        Cause::Congestion => "is overloaded",
        Cause::NoResource => "could not be dialled: no port or session was free",
        Cause::NetworkFailure => "could not be reached: the network failed",
        Cause::SessionExpired => "was lost: its session timer ran out",
        Cause::MediaTimeout => "was lost: no audio came any more",
        Cause::ProtocolError => "answered with something that cannot be understood",
        Cause::Internal => "could not be dialled: something of ours broke",
    }
}

/// Who ended something, and why, as a sentence's second half.
pub(super) fn ended(by: Side, cause: Cause) -> String {
    match (by, cause) {
        (Side::Caller, Cause::Normal) => "the caller hung up".to_owned(),
        (Side::Caller, Cause::Cancelled) => "the caller gave up before we answered".to_owned(),
        (Side::FarEnd, Cause::Normal) => "the line hung up".to_owned(),
        (Side::Us, Cause::Normal) => "Cityline hung up".to_owned(),
        (_, cause) => format!("{} ended it ({cause})", side(by)),
    }
}

/// Who.
pub(super) fn side(side: Side) -> &'static str {
    match side {
        Side::Caller => "the caller",
        Side::FarEnd => "the line",
        Side::Us => "Cityline",
    }
}

/// How a prompt ended.
pub(super) fn heard(heard: Heard) -> &'static str {
    match heard {
        Heard::Whole => "heard whole",
        Heard::Interrupted => "cut short by a key",
        Heard::Replaced => "cut short by what came next",
        Heard::CallerLeft => "cut short: the caller left",
    }
}

/// How a key came, where that is out of the ordinary.
pub(super) fn came_by(source: KeySource) -> &'static str {
    match source {
        KeySource::Rtp => "",
        KeySource::Info => " (by SIP INFO)",
        KeySource::Inband => " (heard as a tone)",
    }
}

/// A language by its English name, where it is one that Portland speaks; else its code.
pub(super) fn language(language: Language) -> String {
    let name = match language.as_str() {
        "ar" => "Arabic",
        "cmn" => "Mandarin",
        "en" => "English",
        "es" => "Spanish",
        "ru" => "Russian",
        "so" => "Somali",
        "uk" => "Ukrainian",
        "vi" => "Vietnamese",
        "yue" => "Cantonese",
        code => return format!("language `{code}`"),
    };
    name.to_owned()
}

/// A duration as one would say it: `4.1 s`, `1 min 28 s`, `2 h 5 min`.
pub(super) fn duration(ms: u64) -> String {
    let seconds = Duration::from_millis(ms).as_secs();
    match seconds {
        0..=59 => format!("{}.{} s", seconds, ms % 1_000 / 100),
        60..=3_599 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
    }
}

/// A time since arrival: `0:04.2`.
pub(super) fn since(ms: u64) -> String {
    format!("{}:{:02}.{}", ms / 60_000, ms / 1_000 % 60, ms % 1_000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_on_the_record_says_the_same_of_every_outcome() {
        let page = include_str!("../../../docs/record.md");
        for one in Outcome::ALL {
            assert!(page.contains(&format!("\n| `{one}` | {} |\n", outcome(*one))), "{one}");
        }
    }

    #[test]
    fn durations_read_as_one_would_say_them() {
        let said = [0, 4_149, 59_999, 88_400, 7_500_000].map(duration);
        assert_eq!(said, ["0.0 s", "4.1 s", "59.9 s", "1 min 28 s", "2 h 5 min"]);
        assert_eq!((since(4_249), since(3_661_000)), ("0:04.2".to_owned(), "61:01.0".to_owned()));
    }
}
