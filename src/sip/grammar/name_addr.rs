//! Names with addresses: From, To, Contact, Route, P-Asserted-Identity and their kin (RFC 3261 §20).

use std::fmt;

use super::Unreadable;
use super::params::Params;
use super::uri::Uri;
use crate::sip::text::{decode, find, split, trim, unquote, write_quoted};

/// An address with an optional display name and parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddr {
    /// The display name, without quotes or escapes.
    pub display: Option<String>,
    /// The address.
    pub uri: Uri,
    /// The parameters of the header value, such as `tag`; not those of the URI.
    pub params: Params,
}

/// What a Contact header holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contact {
    /// `*`: all bindings at once (RFC 3261 §10.2.2).
    Star,
    /// Addresses, in order; possibly none.
    Addresses(Vec<NameAddr>),
}

impl NameAddr {
    /// An address without name or parameters.
    pub fn new(uri: impl Into<Uri>) -> Self {
        Self { display: None, uri: uri.into(), params: Params::default() }
    }

    /// Reads one value, in either form: `"Name" <uri>;params` or `uri;params`.
    ///
    /// # Errors
    /// If quotes or brackets are not balanced, or the URI cannot be understood.
    pub fn parse(bytes: &[u8]) -> Result<Self, Unreadable> {
        let bytes = trim(bytes);
        match find(bytes, |byte| byte == b'<') {
            Some(open) => Self::parse_bracketed(bytes, open),
            None => Self::parse_bare(bytes),
        }
    }

    /// Reads a list separated by commas. Commas in names and in brackets do not separate.
    ///
    /// # Errors
    /// As [`NameAddr::parse`], for any one of them.
    pub fn parse_list(bytes: &[u8]) -> Result<Vec<Self>, Unreadable> {
        split(bytes, b',').map(Self::parse).collect()
    }

    /// The tag of a From or To.
    pub fn tag(&self) -> Option<&str> {
        self.params.get("tag").filter(|tag| !tag.is_empty())
    }

    fn parse_bracketed(bytes: &[u8], open: usize) -> Result<Self, Unreadable> {
        let display = display_name(trim(&bytes[..open]))?;
        let rest = &bytes[open + 1..];
        let close = rest.iter().position(|byte| *byte == b'>').ok_or(Unreadable("an address does not end"))?;
        let uri = Uri::parse(&rest[..close])?;
        Ok(Self { display, uri, params: params_after(&rest[close + 1..])? })
    }

    /// Without brackets all parameters belong to the header, and the URI may have no headers (RFC 3261 §20).
    fn parse_bare(bytes: &[u8]) -> Result<Self, Unreadable> {
        let end = bytes.iter().position(|byte| *byte == b';').unwrap_or(bytes.len());
        let (uri, rest) = bytes.split_at(end);
        let uri = trim(uri);
        if uri.iter().any(|byte| matches!(byte, b',' | b'?')) {
            return Err(Unreadable("a URI with a comma or a question mark stands outside brackets"));
        }
        Ok(Self { display: None, uri: Uri::parse(uri)?, params: params_after(rest)? })
    }
}

impl Contact {
    /// Reads the value of one Contact header.
    ///
    /// # Errors
    /// As [`NameAddr::parse_list`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Unreadable> {
        match trim(bytes) {
            b"*" => Ok(Self::Star),
            other => NameAddr::parse_list(other).map(Self::Addresses),
        }
    }
}

/// A display name in either form. Outside quotes we forgive any character that does not separate:
/// `José (PDX)` is a name to everyone but the grammar.
fn display_name(bytes: &[u8]) -> Result<Option<String>, Unreadable> {
    match bytes {
        [] => Ok(None),
        [b'"', ..] => unquote(bytes).map(Some).ok_or(Unreadable("a quoted name does not end")),
        plain if plain.iter().any(|byte| matches!(byte, b',' | b';' | b'"' | b'>' | b':')) => {
            Err(Unreadable("a name without quotes has a separator in it"))
        }
        plain => Ok(Some(decode(plain).into_owned())),
    }
}

fn params_after(bytes: &[u8]) -> Result<Params, Unreadable> {
    match trim(bytes) {
        [] => Ok(Params::default()),
        [b';', params @ ..] => Params::parse(params),
        _ => Err(Unreadable("something stands after an address")),
    }
}

impl fmt::Display for NameAddr {
    /// Always with brackets, and the name always in quotes: no reader can then mistake anything.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.display {
            write_quoted(f, name)?;
            f.write_str(" ")?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

impl std::str::FromStr for NameAddr {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> NameAddr {
        text.parse().unwrap_or_else(|bad| panic!("{text}: {bad}"))
    }

    #[test]
    fn both_forms_read_and_parameters_go_where_they_belong() {
        let inside = read(r#""Ann, \"PBOT\"" <sip:ann@pbot.example;transport=tcp>;tag=7"#);
        assert_eq!(inside.display.as_deref(), Some(r#"Ann, "PBOT""#));
        assert_eq!(inside.tag(), Some("7"));
        assert_eq!(inside.uri.as_sip().unwrap().params.get("transport"), Some("tcp"));
        let outside = read("sip:ann@pbot.example;tag=8");
        assert_eq!(outside.tag(), Some("8"));
        assert_eq!(outside.uri.as_sip().unwrap().params.iter().count(), 0);
    }

    #[test]
    fn commas_in_names_and_brackets_do_not_separate() {
        let list = NameAddr::parse_list(br#""Doe, J" <sip:a,b@x.example>;q=1, sip:c@x.example"#).unwrap();
        assert_eq!(list.len(), 2);
        assert_eq!(list[0].uri.user().as_deref(), Some("a,b"));
    }

    #[test]
    fn a_latin_1_name_is_a_name() {
        let name = NameAddr::parse(b"Jos\xe9 (PDX) <sip:jos\xe9@x.example>;tag=1").unwrap();
        assert_eq!(name.display.as_deref(), Some("José (PDX)"));
        assert_eq!(name.uri.user().as_deref(), Some("José".to_lowercase().as_str()));
        assert_eq!(name.uri.to_string(), "sip:jos%E9@x.example");
    }

    #[test]
    fn what_is_not_an_address_is_refused() {
        for bad in [
            "\"open <sip:a@x.example>",
            "<sip:a@x.example",
            "Bell, A <sip:a@x.example>",
            "<sip:a@x.example> more",
            "sip:a@x.example?Route=%3Csip:b%3E",
            "< sip:a@x.example>",
            "",
            "<>",
        ] {
            assert!(bad.parse::<NameAddr>().is_err(), "{bad}");
        }
    }

    #[test]
    fn star_is_a_contact() {
        assert_eq!(Contact::parse(b" * "), Ok(Contact::Star));
        assert!(matches!(Contact::parse(b"<sip:a@b>"), Ok(Contact::Addresses(list)) if list.len() == 1));
    }
}
