//! URIs: sip, sips and tel understood, all others kept whole (RFC 3261 §19.1, RFC 3966).
//!
//! Escapes stay as they came: `%61` is written `%61` again. Only what asks for the meaning unescapes.

use std::borrow::Cow;
use std::fmt;

use super::Unreadable;
use super::host::Host;
use crate::sip::text::{decode, is_space, is_token};

/// A URI, as a Request-URI or inside a header.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Uri {
    /// `sip:` or `sips:`.
    Sip(SipUri),
    /// `tel:`: a telephone number (RFC 3966).
    Tel(TelUri),
    /// Any other scheme, kept whole.
    Other {
        /// The scheme without its colon.
        scheme: String,
        /// All that follows the colon.
        rest: String,
    },
}

/// A SIP or SIPS URI.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SipUri {
    /// Whether it is `sips:`.
    pub secure: bool,
    /// The user part, escapes as they came.
    pub user: Option<String>,
    /// The password, which nobody should use, escapes as they came.
    pub password: Option<String>,
    /// The host.
    pub host: Host,
    /// The port, where one is given.
    pub port: Option<u16>,
    /// The parameters.
    pub params: UriParams,
    /// The headers after `?`, names and values with escapes as they came.
    pub headers: Vec<(String, String)>,
}

/// A telephone number as URI (RFC 3966).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TelUri {
    /// The number as it came, visual separators included.
    pub number: String,
    /// The parameters.
    pub params: UriParams,
}

/// The parameters of a URI, in order, escapes as they came. Names compare without case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct UriParams(Vec<(String, Option<String>)>);

impl Uri {
    /// Reads a URI. Bytes that are not UTF-8 become escapes, which is what they mean.
    ///
    /// # Errors
    /// If there is no scheme, or a sip, sips or tel URI cannot be understood.
    pub fn parse(bytes: &[u8]) -> Result<Self, Unreadable> {
        let text = as_text(bytes);
        if text.bytes().any(|byte| is_space(byte) || byte < 0x20 || matches!(byte, b'<' | b'>' | b'"' | 0x7f)) {
            return Err(Unreadable("a URI has characters no URI has"));
        }
        let (scheme, rest) = text.split_once(':').ok_or(Unreadable("a URI has no scheme"))?;
        if scheme.eq_ignore_ascii_case("sip") {
            SipUri::parse_rest(false, rest).map(Self::Sip)
        } else if scheme.eq_ignore_ascii_case("sips") {
            SipUri::parse_rest(true, rest).map(Self::Sip)
        } else if scheme.eq_ignore_ascii_case("tel") {
            TelUri::parse_rest(rest).map(Self::Tel)
        } else if is_token(scheme.as_bytes()) && scheme.starts_with(|first: char| first.is_ascii_alphabetic()) {
            Ok(Self::Other { scheme: scheme.to_owned(), rest: rest.to_owned() })
        } else {
            Err(Unreadable("a URI has no scheme"))
        }
    }

    /// The SIP or SIPS URI, where it is one.
    pub fn as_sip(&self) -> Option<&SipUri> {
        match self {
            Self::Sip(uri) => Some(uri),
            Self::Tel(_) | Self::Other { .. } => None,
        }
    }

    /// The user part of a SIP URI or the number of a tel URI, unescaped.
    pub fn user(&self) -> Option<String> {
        match self {
            Self::Sip(uri) => uri.user.as_deref().map(unescape),
            Self::Tel(uri) => Some(uri.number.clone()),
            Self::Other { .. } => None,
        }
    }
}

impl SipUri {
    /// A plain `sip:` URI of a host.
    pub fn new(user: Option<&str>, host: Host, port: Option<u16>) -> Self {
        let user = user.map(|user| escape(user, is_user_char));
        let (params, headers) = (UriParams::default(), Vec::new());
        Self { secure: false, user, password: None, host, port, params, headers }
    }

    /// The value of a header after `?`, unescaped, e.g. the Replaces of a Refer-To.
    pub fn header(&self, name: &str) -> Option<String> {
        let found = self.headers.iter().find(|(other, _)| unescape(other).eq_ignore_ascii_case(name))?;
        Some(unescape(&found.1))
    }

    fn parse_rest(secure: bool, text: &str) -> Result<Self, Unreadable> {
        let (userinfo, rest) = match text.split_once('@') {
            Some((userinfo, rest)) => (Some(userinfo), rest),
            None => (None, text),
        };
        if userinfo.is_some_and(|userinfo| userinfo.is_empty() || userinfo.starts_with(':')) {
            return Err(Unreadable("a URI has an @ without a user"));
        }
        let (user, password) = match userinfo.map(|userinfo| userinfo.split_once(':').ok_or(userinfo)) {
            None => (None, None),
            Some(Err(user)) => (Some(user.to_owned()), None),
            Some(Ok((user, password))) => (Some(user.to_owned()), Some(password.to_owned())),
        };
        let (rest, headers) = match rest.split_once('?') {
            Some((rest, headers)) => (rest, parse_headers(headers)?),
            None => (rest, Vec::new()),
        };
        let (address, params) = rest.split_once(';').map_or((rest, None), |(address, params)| (address, Some(params)));
        let (host, port) = Host::parse_with_port(address.as_bytes())?;
        let params = params.map_or(Ok(UriParams::default()), UriParams::parse)?;
        Ok(Self { secure, user, password, host, port, params, headers })
    }
}

impl TelUri {
    fn parse_rest(text: &str) -> Result<Self, Unreadable> {
        let (number, params) = text.split_once(';').map_or((text, None), |(number, params)| (number, Some(params)));
        let digit = |byte: u8| byte.is_ascii_hexdigit() || b"+*#-.()".contains(&byte) || byte == b'%';
        if number.is_empty() || !number.bytes().all(digit) {
            return Err(Unreadable("a tel URI is not a number"));
        }
        let params = params.map_or(Ok(UriParams::default()), UriParams::parse)?;
        Ok(Self { number: number.to_owned(), params })
    }
}

impl UriParams {
    fn parse(text: &str) -> Result<Self, Unreadable> {
        let mut params = Vec::new();
        for piece in text.split(';') {
            let (name, value) = piece.split_once('=').map_or((piece, None), |(name, value)| (name, Some(value)));
            let allowed = |byte: u8| !matches!(byte, b'@' | b',' | b'?');
            if name.is_empty() || !piece.bytes().all(allowed) {
                return Err(Unreadable("a URI parameter has no name, or a separator in it"));
            }
            params.push((name.to_owned(), value.map(str::to_owned)));
        }
        Ok(Self(params))
    }

    /// All of them in order, escapes as they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_deref()))
    }

    /// Whether there is one of this name, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.iter().any(|(other, _)| unescape(other).eq_ignore_ascii_case(name))
    }

    /// The value of the first of this name, escapes as they came; `None` if it is absent or bare.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(other, _)| unescape(other).eq_ignore_ascii_case(name))?.1
    }

    /// Sets a parameter, escaping what needs it; `None` makes it bare, as in `;lr`.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        let value = value.map(|value| escape(value, is_param_char));
        match self.0.iter_mut().find(|(other, _)| unescape(other).eq_ignore_ascii_case(name)) {
            Some((_, old)) => *old = value,
            None => self.0.push((escape(name, is_param_char), value)),
        }
    }

    /// Takes all of this name away.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(other, _)| !unescape(other).eq_ignore_ascii_case(name));
    }
}

fn parse_headers(text: &str) -> Result<Vec<(String, String)>, Unreadable> {
    let pair = |piece: &str| {
        let (name, value) = piece.split_once('=')?;
        (!name.is_empty()).then(|| (name.to_owned(), value.to_owned()))
    };
    text.split('&').map(|piece| pair(piece).ok_or(Unreadable("a URI header is not name=value"))).collect()
}

/// The text of a URI: UTF-8, or else each byte above ASCII as the escape it stands for.
fn as_text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            let escaped =
                |byte: &u8| if byte.is_ascii() { char::from(*byte).to_string() } else { format!("%{byte:02X}") };
            Cow::Owned(bytes.iter().map(escaped).collect())
        }
    }
}

/// The text with its escapes resolved; an escape that is none stays as it is.
pub fn unescape(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escape = (*first == b'%').then(|| after.split_at_checked(2)).flatten();
        match escape.and_then(|(digits, after)| Some((hex(digits)?, after))) {
            Some((byte, after)) => {
                plain.push(byte);
                rest = after;
            }
            None => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    decode(&plain).into_owned()
}

fn hex(digits: &[u8]) -> Option<u8> {
    let value = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(value(*digits.first()?)? * 16 + value(*digits.get(1)?)?).ok()
}

/// The text with every byte escaped that `plain` does not accept.
pub(super) fn escape(text: &str, plain: impl Fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte)
}

/// What may stand unescaped in a user part (RFC 3261 §25.1).
pub(super) fn is_user_char(byte: u8) -> bool {
    is_unreserved(byte) || b"&=+$,;?/".contains(&byte)
}

/// What may stand unescaped in a URI parameter (RFC 3261 §25.1).
pub(super) fn is_param_char(byte: u8) -> bool {
    is_unreserved(byte) || b"[]/:&+$".contains(&byte)
}

/// What may stand unescaped in a URI header (RFC 3261 §25.1).
pub(super) fn is_header_char(byte: u8) -> bool {
    is_unreserved(byte) || b"[]/?:+$".contains(&byte)
}

impl SipUri {
    /// Adds a header after `?`, escaped, e.g. `Replaces`.
    pub fn add_header(&mut self, name: &str, value: &str) {
        self.headers.push((escape(name, is_header_char), escape(value, is_header_char)));
    }
}

impl std::str::FromStr for Uri {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text.as_bytes())
    }
}

impl From<SipUri> for Uri {
    fn from(uri: SipUri) -> Self {
        Self::Sip(uri)
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sip(uri) => uri.fmt(f),
            Self::Tel(uri) => write!(f, "tel:{}{}", uri.number, uri.params),
            Self::Other { scheme, rest } => write!(f, "{scheme}:{rest}"),
        }
    }
}

impl fmt::Display for SipUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.secure { "sips:" } else { "sip:" })?;
        if let Some(user) = &self.user {
            f.write_str(user)?;
            if let Some(password) = &self.password {
                write!(f, ":{password}")?;
            }
            f.write_str("@")?;
        }
        self.host.fmt(f)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        self.params.fmt(f)?;
        for (at, (name, value)) in self.headers.iter().enumerate() {
            let mark = if at == 0 { '?' } else { '&' };
            write!(f, "{mark}{name}={value}")?;
        }
        Ok(())
    }
}

impl fmt::Display for UriParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.0 {
            write!(f, ";{name}")?;
            if let Some(value) = value {
                write!(f, "={value}")?;
            }
        }
        Ok(())
    }
}
