//! SIP methods: the ones we know by name, and all others kept as they came.

use std::fmt;

use super::text::is_token;

/// A request method (RFC 3261 §7.1 and its extensions). Methods are case-sensitive.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Begins or changes a call (RFC 3261 §13).
    Invite,
    /// Confirms the final answer to an INVITE (RFC 3261 §13).
    Ack,
    /// Ends a call (RFC 3261 §15).
    Bye,
    /// Takes a pending INVITE back (RFC 3261 §9).
    Cancel,
    /// Asks what we can do; used as keepalive (RFC 3261 §11).
    Options,
    /// Binds an address to a name (RFC 3261 §10).
    Register,
    /// Acknowledges a reliable provisional response (RFC 3262).
    Prack,
    /// Changes a session without a re-INVITE (RFC 3311).
    Update,
    /// Carries application data inside a call, e.g. keys (RFC 6086).
    Info,
    /// Asks the other side to call someone (RFC 3515).
    Refer,
    /// Reports an event (RFC 6665).
    Notify,
    /// Asks for events (RFC 6665).
    Subscribe,
    /// Carries a text message (RFC 3428).
    Message,
    /// Publishes event state (RFC 3903).
    Publish,
    /// Any other token, as it came.
    Other(String),
}

impl Method {
    /// Reads a method; `None` if the bytes are not a token.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        Some(match bytes {
            b"INVITE" => Self::Invite,
            b"ACK" => Self::Ack,
            b"BYE" => Self::Bye,
            b"CANCEL" => Self::Cancel,
            b"OPTIONS" => Self::Options,
            b"REGISTER" => Self::Register,
            b"PRACK" => Self::Prack,
            b"UPDATE" => Self::Update,
            b"INFO" => Self::Info,
            b"REFER" => Self::Refer,
            b"NOTIFY" => Self::Notify,
            b"SUBSCRIBE" => Self::Subscribe,
            b"MESSAGE" => Self::Message,
            b"PUBLISH" => Self::Publish,
            other if is_token(other) => Self::Other(String::from_utf8(other.to_vec()).ok()?),
            _ => return None,
        })
    }

    /// The method as it stands on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Invite => "INVITE",
            Self::Ack => "ACK",
            Self::Bye => "BYE",
            Self::Cancel => "CANCEL",
            Self::Options => "OPTIONS",
            Self::Register => "REGISTER",
            Self::Prack => "PRACK",
            Self::Update => "UPDATE",
            Self::Info => "INFO",
            Self::Refer => "REFER",
            Self::Notify => "NOTIFY",
            Self::Subscribe => "SUBSCRIBE",
            Self::Message => "MESSAGE",
            Self::Publish => "PUBLISH",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_methods_have_names_and_others_keep_theirs() {
        assert_eq!(Method::parse(b"INVITE"), Some(Method::Invite));
        assert_eq!(Method::parse(b"invite"), Some(Method::Other("invite".into())));
        assert_eq!(Method::parse(b"!un~us'al"), Some(Method::Other("!un~us'al".into())));
        assert_eq!(Method::parse(b"IN VITE"), None);
        assert_eq!(Method::parse(b""), None);
    }
}
