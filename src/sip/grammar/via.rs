//! Via: the way an answer goes back (RFC 3261 §18.2.2, §20.42; RFC 3581).

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::Unreadable;
use super::host::Host;
use super::params::Params;
use crate::sip::text::{decode, is_token, split, trim};

/// The beginning of every branch made by RFC 3261 (§8.1.1.7).
pub const MAGIC_COOKIE: &str = "z9hG4bK";

/// One hop of the way back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// `UDP`, `TCP`, `TLS`, `WS`, … as it came; compare without case.
    pub transport: String,
    /// The host that sent it, by its own account.
    pub host: Host,
    /// The port, where it names one.
    pub port: Option<u16>,
    /// The parameters: branch, rport, received, …
    pub params: Params,
}

impl Via {
    /// A Via of ours, asking for `rport` (RFC 3581).
    pub fn new(transport: &str, address: SocketAddr, branch: &str) -> Self {
        let mut params = Params::default();
        params.set_bare("rport");
        params.set("branch", branch);
        Self { transport: transport.to_owned(), host: address.ip().into(), port: Some(address.port()), params }
    }

    /// Reads one Via value; white space may stand around every separator.
    ///
    /// # Errors
    /// If it is not `SIP/2.0/transport host[:port][;params]`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut protocol = bytes.splitn(3, |byte| *byte == b'/');
        let (name, version, rest) = (protocol.next(), protocol.next(), protocol.next());
        if name.is_none_or(|name| !trim(name).eq_ignore_ascii_case(b"SIP")) {
            return Err(Unreadable("a Via is not SIP"));
        }
        if version.is_none_or(|version| trim(version) != b"2.0") {
            return Err(Unreadable("a Via is not SIP/2.0"));
        }
        let rest = trim(rest.ok_or(Unreadable("a Via has no transport"))?);
        let end = rest.iter().position(|byte| matches!(byte, b' ' | b'\t')).ok_or(Unreadable("a Via has no host"))?;
        let (transport, rest) = rest.split_at(end);
        if !is_token(transport) {
            return Err(Unreadable("a Via has no transport"));
        }
        let (address, params) = match rest.iter().position(|byte| *byte == b';') {
            Some(at) => (&rest[..at], Params::parse(&rest[at + 1..])?),
            None => (rest, Params::default()),
        };
        let (host, port) = Host::parse_with_port(address)?;
        Ok(Self { transport: decode(transport).into_owned(), host, port, params })
    }

    /// Reads a list separated by commas.
    ///
    /// # Errors
    /// As [`Via::parse`], for any one of them.
    pub fn parse_list(bytes: &[u8]) -> Result<Vec<Self>, Unreadable> {
        split(bytes, b',').map(Self::parse).collect()
    }

    /// The branch: the name of the transaction at this hop.
    pub fn branch(&self) -> Option<&str> {
        self.params.get("branch").filter(|branch| !branch.is_empty())
    }

    /// Whether the branch was made by RFC 3261, and so names the transaction by itself.
    pub fn has_magic_cookie(&self) -> bool {
        let cookie = |branch: &str| branch.get(..7).is_some_and(|start| start.eq_ignore_ascii_case(MAGIC_COOKIE));
        self.branch().is_some_and(cookie)
    }

    /// The address it came from, as the receiver saw it; with or without brackets (RFC 5118 §4.5).
    pub fn received(&self) -> Option<IpAddr> {
        let text = self.params.get("received")?;
        text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text).parse().ok()
    }

    /// Whether the sender asks for the answer at the port it sent from (RFC 3581).
    pub fn wants_rport(&self) -> bool {
        self.params.has("rport")
    }

    /// The port it came from, as the receiver saw it.
    pub fn rport(&self) -> Option<u16> {
        self.params.get("rport")?.parse().ok()
    }

    /// Writes down where this really came from: `received` if the address differs from the host or the sender
    /// asked for rport, `rport` if asked (RFC 3261 §18.2.1, RFC 3581 §4).
    pub fn mark_received(&mut self, source: SocketAddr) {
        let asked = self.wants_rport();
        if asked || self.host.address() != Some(source.ip()) {
            self.params.set("received", &source.ip().to_string());
        }
        if asked {
            self.params.set("rport", &source.port().to_string());
        }
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}", self.transport, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        self.params.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_white_space_is_seen_through() {
        let via = Via::parse(b"SIP  / 2.0 / UDP \t 192.0.2.2 : 5080 ; branch = z9hG4bKabc ;rport").unwrap();
        assert_eq!(via.to_string(), "SIP/2.0/UDP 192.0.2.2:5080;branch=z9hG4bKabc;rport");
        assert!(via.has_magic_cookie() && via.wants_rport() && via.rport().is_none());
    }

    #[test]
    fn received_reads_with_brackets_and_without() {
        for text in ["received=2001:db8::9:255", "received=[2001:db8::9:255]"] {
            let via = Via::parse(format!("SIP/2.0/UDP [2001:db8::9:1];{text};branch=z9hG4bK1").as_bytes()).unwrap();
            assert_eq!(via.received(), Some("2001:db8::9:255".parse().unwrap()));
        }
    }

    #[test]
    fn the_real_source_is_written_down() {
        let mut via = Via::parse(b"SIP/2.0/UDP phone.example;branch=z9hG4bK1;rport").unwrap();
        via.mark_received("192.0.2.7:5099".parse().unwrap());
        assert_eq!(via.to_string(), "SIP/2.0/UDP phone.example;branch=z9hG4bK1;rport=5099;received=192.0.2.7");
        let mut honest = Via::parse(b"SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1").unwrap();
        honest.mark_received("192.0.2.7:5060".parse().unwrap());
        assert_eq!(honest.to_string(), "SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1");
    }

    #[test]
    fn what_is_not_a_way_back_is_refused() {
        let bads =
            ["", "SIP/2.0", "SIP/2.0/UDP", "SIP/7.0/UDP h", "HTTP/2.0/TCP h", "SIP/2.0/UDP h;;,;,,", "SIP/2.0/UDP ;x"];
        for bad in bads {
            assert!(Via::parse_list(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
