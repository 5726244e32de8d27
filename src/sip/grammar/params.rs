//! Parameters of header fields: `;name`, `;name=token`, `;name="quoted string"`.

use std::fmt;

use super::Unreadable;
use crate::sip::text::{decode, find, is_token, is_token_byte, split, trim, unquote, write_quoted};

/// The parameters of one header value, in order. Names compare without case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<Param>);

/// One parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// Its name as it came.
    pub name: String,
    /// Its value: the text itself, without quotes or escapes; `None` for a bare name.
    pub value: Option<String>,
    /// Whether the value stood in quotes, and so is written in quotes again.
    pub quoted: bool,
}

impl Params {
    /// Reads what stands after the first `;`, that is `a=b;c` of `<sip:x@y>;a=b;c`.
    /// One semicolon at the very end is forgiven, empty parameters in between are not.
    ///
    /// # Errors
    /// If a name is not a token, a quoted string does not end, or a value holds a separator.
    pub fn parse(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut params = Vec::new();
        let mut pieces = split(bytes, b';').peekable();
        while let Some(piece) = pieces.next() {
            let piece = trim(piece);
            if piece.is_empty() && pieces.peek().is_none() {
                break;
            }
            params.push(Param::parse(piece)?);
        }
        Ok(Self(params))
    }

    /// All of them in order.
    pub fn iter(&self) -> impl Iterator<Item = &Param> {
        self.0.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is one of this name, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|param| param.name.eq_ignore_ascii_case(name))
    }

    /// The value of the first of this name; `None` if it is absent or bare.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|param| param.name.eq_ignore_ascii_case(name))?.value.as_deref()
    }

    /// Gives the parameter this value, in quotes if it needs them.
    pub fn set(&mut self, name: &str, value: &str) {
        let quoted = !is_plain_value(value.as_bytes());
        self.put(Param { name: plain_name(name), value: Some(value.to_owned()), quoted });
    }

    /// Gives the parameter this value, in quotes whether it needs them or not.
    pub fn set_quoted(&mut self, name: &str, value: &str) {
        self.put(Param { name: plain_name(name), value: Some(value.to_owned()), quoted: true });
    }

    /// Puts a bare parameter in, such as `rport` or `lr`.
    pub fn set_bare(&mut self, name: &str) {
        self.put(Param { name: plain_name(name), value: None, quoted: false });
    }

    /// Takes all of this name away.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|param| !param.name.eq_ignore_ascii_case(name));
    }

    fn put(&mut self, new: Param) {
        match self.0.iter_mut().find(|param| param.name.eq_ignore_ascii_case(&new.name)) {
            Some(old) => *old = new,
            None => self.0.push(new),
        }
    }
}

impl Param {
    fn parse(piece: &[u8]) -> Result<Self, Unreadable> {
        let (name, value) = match find(piece, |byte| byte == b'=') {
            Some(at) => (trim(&piece[..at]), Some(trim(&piece[at + 1..]))),
            None => (piece, None),
        };
        if !is_token(name) {
            return Err(Unreadable("a parameter has no name"));
        }
        let name = decode(name).into_owned();
        match value {
            None => Ok(Self { name, value: None, quoted: false }),
            Some(text @ [b'"', ..]) => {
                let text = unquote(text).ok_or(Unreadable("a quoted string does not end"))?;
                Ok(Self { name, value: Some(text), quoted: true })
            }
            Some(plain) if plain.iter().any(|byte| matches!(byte, b' ' | b'\t' | b'"' | b'<' | b'>' | b',')) => {
                Err(Unreadable("a parameter's value has a separator in it"))
            }
            Some(plain) => Ok(Self { name, value: Some(decode(plain).into_owned()), quoted: false }),
        }
    }
}

/// A name of our own writing, with nothing in it that could end it.
fn plain_name(name: &str) -> String {
    name.chars()
        .map(|character| if character.is_ascii() && is_token_byte(character as u8) { character } else { '-' })
        .collect()
}

/// Whether a value may stand without quotes: a token, a host, an address in brackets.
fn is_plain_value(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(|byte| is_token_byte(*byte) || matches!(byte, b'[' | b']' | b':'))
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Param { name, value, quoted } in &self.0 {
            write!(f, ";{name}")?;
            match value {
                None => {}
                Some(text) if *quoted => {
                    f.write_str("=")?;
                    write_quoted(f, text)?;
                }
                Some(text) => {
                    f.write_str("=")?;
                    text.chars()
                        .filter(|character| !character.is_control())
                        .try_for_each(|c| fmt::Write::write_char(f, c))?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_read_print_and_compare_without_case() {
        let params = Params::parse(br#"Tag = abc ;rport; x="a;b \"c\"";received=2001:db8::9:255"#).unwrap();
        assert_eq!(params.get("tag"), Some("abc"));
        assert!(params.has("RPORT") && params.get("rport").is_none());
        assert_eq!(params.get("x"), Some(r#"a;b "c""#));
        assert_eq!(params.to_string(), r#";Tag=abc;rport;x="a;b \"c\"";received=2001:db8::9:255"#);
    }

    #[test]
    fn empty_and_broken_parameters_are_refused_but_one_last_semicolon_is_not() {
        assert!(Params::parse(b"a=b;").is_ok());
        for bad in [&b";;"[..], b"a;;b", b"=b", b"a=\"open", b"a=b c", b"a=\"b\"c"] {
            assert!(Params::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_untrusted_value_cannot_break_out() {
        let mut params = Params::default();
        params.set("cause", "x\"\r\nVia: evil;tag=1");
        assert_eq!(params.to_string(), r#";cause="x\"  Via: evil;tag=1""#);
    }
}
