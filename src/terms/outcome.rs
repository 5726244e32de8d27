//! How a call ended: exactly one per call.

use serde::{Deserialize, Serialize};

macro_rules! outcomes {
    ($($(#[$doc:meta])+ $name:ident = $text:literal,)+) => {
        /// How a call ended: a closed list (domain §2.7). Every call has exactly one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Outcome {
            $($(#[$doc])+ #[serde(rename = $text)] $name,)+
        }

        impl Outcome {
            /// Every outcome there is.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The word used in the database, in reports and in rules.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

outcomes! {
    /// An agent gave the information.
    ResolvedInfo = "resolved_info",
    /// An agent created the request.
    ResolvedRequestCreated = "resolved_request_created",
    /// The recorded information answered the caller's question.
    ResolvedSelfService = "resolved_self_service",
    /// An agent resolved it after asking a bureau.
    ResolvedAfterConsult = "resolved_after_consult",
    /// A person (agent stand-in or agent) spoke with the caller and no disposition was given.
    AnsweredByAgent = "answered_by_agent",
    /// A bureau line answered and spoke with the caller.
    TransferredAnswered = "transferred_answered",
    /// No line that the rules named took the call.
    TransferredFailed = "transferred_failed",
    /// The caller was told which number to call.
    ReferredNumberGiven = "referred_number_given",
    /// A callback was promised.
    CallbackScheduled = "callback_scheduled",
    /// The caller left a message in an owned box.
    VoicemailLeft = "voicemail_left",
    /// The caller was connected to 911.
    To911 = "to_911",
    /// The caller was connected to the police non-emergency line.
    ToNonemergency = "to_nonemergency",
    /// The caller hung up before or in the greeting, the language gate or a menu.
    AbandonedIvr = "abandoned_ivr",
    /// The caller hung up while waiting for a person.
    AbandonedQueue = "abandoned_queue",
    /// The caller hung up within the short-abandon limit of starting to wait.
    ShortAbandon = "short_abandon",
    /// The caller hung up while waiting for an interpreter.
    AbandonedInterpreterWait = "abandoned_interpreter_wait",
    /// Nobody was there: a wrong number or a silent line.
    MisdialOrSilent = "misdial_or_silent",
    /// The caller heard the closing (hours, and where else to turn) to its end.
    ClosedInformed = "closed_informed",
    /// The call was refused before it was answered (unknown number, no common codec, draining).
    Refused = "refused",
    /// Something of ours broke.
    TechnicalFailure = "technical_failure",
    /// A test call.
    Test = "test",
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Outcome {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .iter()
            .copied()
            .find(|outcome| outcome.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not an outcome"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip() {
        for outcome in Outcome::ALL {
            assert_eq!(outcome.as_str().parse::<Outcome>().unwrap(), *outcome);
            assert_eq!(serde_json::to_string(outcome).unwrap(), format!("\"{outcome}\""));
        }
    }
}
