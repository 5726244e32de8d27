//! Why a leg ended or was refused: SIP status codes and Q.850 causes in one table.

use serde::{Deserialize, Serialize};

macro_rules! causes {
    ($($(#[$doc:meta])+ $name:ident = $text:literal, $sip:literal, $q850:literal;)+) => {
        /// Why a leg ended or was refused. One table joins our word, the SIP status we send or receive
        /// and the Q.850 cause of the Reason header (RFC 3326, RFC 3398 §8.2.6.1).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Cause {
            $($(#[$doc])+ $name,)+
        }

        impl Cause {
            /// Every cause there is.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Our word for it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// The SIP status a refusal for this cause carries.
            pub fn sip_status(self) -> u16 {
                match self { $(Self::$name => $sip,)+ }
            }

            /// The Q.850 cause value.
            pub fn q850(self) -> u8 {
                match self { $(Self::$name => $q850,)+ }
            }
        }
    };
}

causes! {
    /// Someone hung up: the ordinary end.
    Normal = "normal", 200, 16;
    /// The caller gave up before an answer (CANCEL).
    Cancelled = "cancelled", 487, 16;
    /// The far end is busy.
    Busy = "busy", 486, 17;
    /// It rang and nobody answered in time.
    NoAnswer = "no_answer", 480, 19;
    /// Nothing at all came back from the far end.
    Unreachable = "unreachable", 408, 18;
    /// The far end refused.
    Rejected = "rejected", 603, 21;
    /// There is no such number.
    UnknownNumber = "unknown_number", 404, 1;
    /// It exists, but not now (not registered, closed).
    Unavailable = "unavailable", 480, 20;
    /// We may not: a source that is not known, or credentials are missing.
    Forbidden = "forbidden", 403, 21;
    /// No codec that both sides speak.
    NoCommonCodec = "no_common_codec", 488, 88;
    /// Overloaded or draining: try again shortly.
    Congestion = "congestion", 503, 42;
    /// No RTP port, no session slot.
    NoResource = "no_resource", 503, 47;
    /// The network or the peer failed.
    NetworkFailure = "network_failure", 502, 38;
    /// The dialog's session timer ran out (RFC 4028).
    SessionExpired = "session_expired", 408, 102;
    /// No audio came any more.
    MediaTimeout = "media_timeout", 408, 102;
    /// A message that cannot be understood.
    ProtocolError = "protocol_error", 400, 111;
    /// Something of ours broke.
    Internal = "internal", 500, 41;
}

impl Cause {
    /// What a final SIP response to our INVITE means (RFC 3398 §8.2.6.1, RFC 3261 §21).
    pub fn from_sip_status(status: u16) -> Self {
        match status {
            200..=299 => Self::Normal,
            300..=399 => Self::Unavailable,
            401 | 402 | 403 | 407 => Self::Forbidden,
            404 | 410 | 484 | 485 | 604 => Self::UnknownNumber,
            408 => Self::Unreachable,
            415 | 488 | 606 => Self::NoCommonCodec,
            480 => Self::NoAnswer,
            486 | 600 => Self::Busy,
            487 => Self::Cancelled,
            603 | 607 | 608 => Self::Rejected,
            400 | 405 | 406 | 413 | 414 | 416 | 420 | 421 | 481 | 482 | 483 | 493 | 505 | 513 => Self::ProtocolError,
            503 => Self::Congestion,
            502 | 504 => Self::NetworkFailure,
            500 | 501 | 580 => Self::Unavailable,
            _ => Self::Unavailable,
        }
    }

    /// The standard reason phrase that goes with [`Cause::sip_status`].
    pub fn sip_reason(self) -> &'static str {
        match self.sip_status() {
            200 => "OK",
            400 => "Bad Request",
            403 => "Forbidden",
            404 => "Not Found",
            408 => "Request Timeout",
            480 => "Temporarily Unavailable",
            486 => "Busy Here",
            487 => "Request Terminated",
            488 => "Not Acceptable Here",
            502 => "Bad Gateway",
            503 => "Service Unavailable",
            603 => "Decline",
            _ => "Server Internal Error",
        }
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_whole() {
        for cause in Cause::ALL {
            assert!((1..=127).contains(&cause.q850()), "{cause}");
            assert!((200..700).contains(&cause.sip_status()), "{cause}");
            assert_eq!(serde_json::to_string(cause).unwrap(), format!("\"{cause}\""));
        }
        for status in 100..700 {
            let _ = Cause::from_sip_status(status);
        }
        assert_eq!(Cause::from_sip_status(486), Cause::Busy);
    }
}
