//! Reason: why a request was sent, in SIP's or the telephone network's words (RFC 3326).

use std::fmt;

use super::Unreadable;
use super::params::Params;
use crate::sip::text::{decode, is_token, split, trim};

/// One value of a Reason header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// `SIP`, `Q.850`, … as it came.
    pub protocol: String,
    /// The parameters: `cause`, `text`.
    pub params: Params,
}

impl Reason {
    /// A reason of ours, e.g. `Q.850;cause=16;text="…"`.
    pub fn new(protocol: &str, cause: u16, text: &str) -> Self {
        let mut params = Params::default();
        params.set("cause", &cause.to_string());
        if !text.is_empty() {
            params.set_quoted("text", text);
        }
        Self { protocol: protocol.to_owned(), params }
    }

    /// Reads a list separated by commas.
    ///
    /// # Errors
    /// If a protocol is not a token or the parameters cannot be read.
    pub fn parse_list(bytes: &[u8]) -> Result<Vec<Self>, Unreadable> {
        split(bytes, b',').map(Self::parse).collect()
    }

    /// The cause, where it is a number.
    pub fn cause(&self) -> Option<u16> {
        self.params.get("cause")?.parse().ok()
    }

    fn parse(bytes: &[u8]) -> Result<Self, Unreadable> {
        let end = bytes.iter().position(|byte| *byte == b';').unwrap_or(bytes.len());
        let protocol = trim(&bytes[..end]);
        if !is_token(protocol) {
            return Err(Unreadable("a reason has no protocol"));
        }
        let params = bytes.get(end + 1..).map_or(Ok(Params::default()), Params::parse)?;
        Ok(Self { protocol: decode(protocol).into_owned(), params })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.protocol, self.params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_of_both_worlds_read_side_by_side() {
        let list = Reason::parse_list(br#"Q.850 ;cause=16 ;text="Terminated, gladly", SIP;cause=200"#).unwrap();
        assert_eq!(
            list.iter().map(|reason| (reason.protocol.as_str(), reason.cause())).collect::<Vec<_>>(),
            [("Q.850", Some(16)), ("SIP", Some(200))]
        );
        assert_eq!(Reason::new("Q.850", 17, "User busy").to_string(), r#"Q.850;cause=17;text="User busy""#);
    }
}
