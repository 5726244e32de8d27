//! A host, and the port beside it: in URIs, in Via, in parameters.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Unreadable;
use crate::sip::text::{number, trim};

/// A host name or address (RFC 3261 §25.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name to be looked up, spelt as it came.
    Name(String),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address; written in brackets.
    V6(Ipv6Addr),
}

impl Host {
    /// Reads a host without a port.
    ///
    /// # Errors
    /// If it is empty, has characters no host has, or is a bare IPv6 address without its brackets.
    pub fn parse(bytes: &[u8]) -> Result<Self, Unreadable> {
        if let Some(inner) = bytes.strip_prefix(b"[") {
            let inner = inner.strip_suffix(b"]").ok_or(Unreadable("an IPv6 address does not end"))?;
            return ipv6(inner).map(Self::V6).ok_or(Unreadable("not an IPv6 address"));
        }
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if bytes.is_empty() || bytes.len() > 255 || !bytes.iter().all(plain) {
            return Err(Unreadable("not a host"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| Unreadable("not a host"))?;
        Ok(text.parse().map_or_else(|_| Self::Name(text.to_owned()), Self::V4))
    }

    /// Reads `host` or `host:port`; white space around either is allowed, as Via has it.
    ///
    /// # Errors
    /// As [`Host::parse`], and if the port is not a number from 0 to 65535.
    pub fn parse_with_port(bytes: &[u8]) -> Result<(Self, Option<u16>), Unreadable> {
        let bytes = trim(bytes);
        let end = match bytes {
            [b'[', ..] => bytes.iter().position(|byte| *byte == b']').map_or(bytes.len(), |at| at + 1),
            _ => bytes.iter().position(|byte| *byte == b':').unwrap_or(bytes.len()),
        };
        let (host, rest) = bytes.split_at(end);
        let host = Self::parse(trim(host))?;
        let rest = trim(rest);
        if rest.is_empty() {
            return Ok((host, None));
        }
        let digits = rest.strip_prefix(b":").ok_or(Unreadable("something after the host"))?;
        let port = number(trim(digits), 65_535).and_then(|port| u16::try_from(port).ok());
        Ok((host, Some(port.ok_or(Unreadable("not a port"))?)))
    }

    /// The address, where this is one.
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Name(_) => None,
            Self::V4(address) => Some(IpAddr::V4(*address)),
            Self::V6(address) => Some(IpAddr::V6(*address)),
        }
    }

    /// Whether both are the same host: names without case, addresses by value.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(one), Self::Name(two)) => one.eq_ignore_ascii_case(two),
            (one, two) => one == two,
        }
    }
}

/// An IPv6 address; also with the third colon that RFC 3261's grammar let slip in (RFC 5118 §4.10).
fn ipv6(bytes: &[u8]) -> Option<Ipv6Addr> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.parse()
        .ok()
        .or_else(|| (text.matches(":::").count() == 1).then(|| text.replacen(":::", "::", 1))?.parse().ok())
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6(address),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::V4(address) => address.fmt(f),
            Self::V6(address) => write!(f, "[{address}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_read_with_the_spaces_via_allows() {
        let read = |text: &str| Host::parse_with_port(text.as_bytes()).map(|(host, port)| (host.to_string(), port));
        assert_eq!(read("192.0.2.2 : 5060"), Ok(("192.0.2.2".into(), Some(5060))));
        assert_eq!(read("[2001:DB8::1]:5061"), Ok(("[2001:db8::1]".into(), Some(5061))));
        assert_eq!(read("[2001:db8:::192.0.2.1]"), Ok(("[2001:db8::c000:201]".into(), None)));
        for bad in ["", "2001:db8::10", "[2001:db8::1", "[::1]x", "host:", "host:70000", "host:-1", "ho st", "a:b:c"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
