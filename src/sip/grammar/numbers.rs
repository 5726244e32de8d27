//! Values built of numbers: CSeq, RAck, Session-Expires, Retry-After.

use std::fmt;

use super::Unreadable;
use super::params::Params;
use crate::sip::method::Method;
use crate::sip::text::{is_space, number, trim};

/// The largest number a CSeq may carry (RFC 3261 §8.1.1.5).
const CSEQ_MAX: u64 = (1 << 31) - 1;

/// CSeq: the order of requests in a dialog (RFC 3261 §20.16).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CSeq {
    /// Its place in the order.
    pub number: u32,
    /// The method of the request.
    pub method: Method,
}

impl CSeq {
    /// Reads `4711 INVITE`.
    ///
    /// # Errors
    /// If it is not a number below 2³¹ and a method.
    pub fn parse(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut words = words(bytes);
        let number = words.next().and_then(|digits| number(digits, CSEQ_MAX)).and_then(|n| u32::try_from(n).ok());
        let method = words.next().and_then(Method::parse);
        match (number, method, words.next()) {
            (Some(number), Some(method), None) => Ok(Self { number, method }),
            _ => Err(Unreadable("not a number below 2^31 and a method")),
        }
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

/// RAck: which reliable provisional response a PRACK acknowledges (RFC 3262 §7.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RAck {
    /// The RSeq of the response.
    pub rseq: u32,
    /// The CSeq of the response.
    pub cseq: CSeq,
}

impl RAck {
    /// Reads `776656 1 INVITE`.
    ///
    /// # Errors
    /// If it is not two numbers and a method.
    pub fn parse(bytes: &[u8]) -> Result<Self, Unreadable> {
        let bytes = trim(bytes);
        let end = bytes.iter().copied().position(is_space).ok_or(Unreadable("not two numbers and a method"))?;
        let rseq = number(&bytes[..end], u64::from(u32::MAX)).and_then(|rseq| u32::try_from(rseq).ok());
        Ok(Self { rseq: rseq.ok_or(Unreadable("not two numbers and a method"))?, cseq: CSeq::parse(&bytes[end..])? })
    }
}

impl fmt::Display for RAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.rseq, self.cseq)
    }
}

/// Who keeps a session alive (RFC 4028 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresher {
    /// The one who sent the request.
    Uac,
    /// The one who answered it.
    Uas,
}

/// Session-Expires: how long a session lives without refresh (RFC 4028 §4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionExpires {
    /// The interval, in seconds.
    pub interval_s: u32,
    /// Who refreshes, where it is said.
    pub refresher: Option<Refresher>,
}

impl SessionExpires {
    /// Reads `1800;refresher=uac`.
    ///
    /// # Errors
    /// If it does not begin with a number.
    pub fn parse(bytes: &[u8]) -> Result<Self, Unreadable> {
        let (interval_s, params) = seconds_with_params(bytes)?;
        let refresher = match params.get("refresher") {
            Some(who) if who.eq_ignore_ascii_case("uac") => Some(Refresher::Uac),
            Some(who) if who.eq_ignore_ascii_case("uas") => Some(Refresher::Uas),
            _ => None,
        };
        Ok(Self { interval_s, refresher })
    }
}

impl fmt::Display for SessionExpires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.interval_s)?;
        match self.refresher {
            Some(Refresher::Uac) => f.write_str(";refresher=uac"),
            Some(Refresher::Uas) => f.write_str(";refresher=uas"),
            None => Ok(()),
        }
    }
}

/// The seconds of a Min-SE or Retry-After; what follows (a comment, parameters) is passed over.
///
/// # Errors
/// If it does not begin with a number.
pub fn seconds(bytes: &[u8]) -> Result<u32, Unreadable> {
    let bytes = trim(bytes);
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
    let (digits, rest) = bytes.split_at(end);
    let value = number(digits, u64::from(u32::MAX)).and_then(|value| u32::try_from(value).ok());
    match (value, trim(rest).first()) {
        (Some(value), None | Some(b';' | b'(')) => Ok(value),
        _ => Err(Unreadable("not a number of seconds")),
    }
}

fn seconds_with_params(bytes: &[u8]) -> Result<(u32, Params), Unreadable> {
    let end = bytes.iter().position(|byte| *byte == b';').unwrap_or(bytes.len());
    let params = bytes.get(end + 1..).map_or(Ok(Params::default()), Params::parse)?;
    Ok((seconds(&bytes[..end])?, params))
}

fn words(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| is_space(*byte)).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cseq_takes_leading_zeros_and_no_number_too_large() {
        assert_eq!(CSeq::parse(b"0009  INVITE").unwrap().to_string(), "9 INVITE");
        for bad in [&b"36893488147419103232 REGISTER"[..], b"2147483648 BYE", b"-1 BYE", b"1", b"1 BYE x", b"BYE 1"] {
            assert!(CSeq::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn rack_and_session_expires_print_as_they_read() {
        assert_eq!(RAck::parse(b"776656  1 INVITE").unwrap().to_string(), "776656 1 INVITE");
        assert!(RAck::parse(b"776656 INVITE").is_err());
        let expires = SessionExpires::parse(b"1800 ;refresher=UAS;x=y").unwrap();
        assert_eq!(expires, SessionExpires { interval_s: 1800, refresher: Some(Refresher::Uas) });
        assert_eq!(expires.to_string(), "1800;refresher=uas");
    }

    #[test]
    fn retry_after_is_read_past_its_comment() {
        assert_eq!(seconds(b"120 (I'm in a meeting);duration=3600"), Ok(120));
        assert!(
            seconds(b"949302838503028349304023988").is_err() && seconds(b"soon").is_err() && seconds(b"1x").is_err()
        );
    }
}
