//! Bytes as text: trimming, tokens, splitting outside quotes, and the tolerance for other people's alphabets.

use std::borrow::Cow;

/// Whether this byte may stand in a token (RFC 3261 §25.1).
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

/// Whether these bytes are a token: at least one byte, none of them a separator.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| is_token_byte(*byte))
}

/// Whether this byte is white space inside a header (a fold has been turned into a space long before).
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// The bytes without white space at either end.
pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_space(*first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && is_space(*last)
    {
        bytes = rest;
    }
    bytes
}

/// These bytes as text: UTF-8 where they are, Latin-1 where they are not. Nothing is lost and nothing fails.
pub(super) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect()),
    }
}

/// Splits at `separator` wherever it stands outside a quoted string and outside angle brackets.
/// Always yields at least one piece; pieces are not trimmed.
pub(super) fn split(bytes: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let end = find(bytes, |byte| byte == separator);
        let (piece, after) = match end {
            Some(at) => (&bytes[..at], Some(&bytes[at + 1..])),
            None => (bytes, None),
        };
        rest = after;
        Some(piece)
    })
}

/// Where the first byte that `wanted` accepts stands, outside a quoted string and outside angle brackets.
/// A wanted `<` is found itself; a bracket that is not wanted hides what it encloses.
pub(super) fn find(bytes: &[u8], wanted: impl Fn(u8) -> bool) -> Option<usize> {
    let (mut quoted, mut bracketed, mut escaped) = (false, false, false);
    for (at, byte) in bytes.iter().copied().enumerate() {
        if escaped {
            escaped = false;
        } else if quoted {
            escaped = byte == b'\\';
            quoted = byte != b'"';
        } else if !bracketed && wanted(byte) {
            return Some(at);
        } else {
            match byte {
                b'"' if !bracketed => quoted = true,
                b'<' => bracketed = true,
                b'>' => bracketed = false,
                _ => {}
            }
        }
    }
    None
}

/// The text of a quoted string (RFC 3261 §25.1), its quotes and backslashes taken away;
/// `None` if the quotes are not balanced.
pub(super) fn unquote(bytes: &[u8]) -> Option<String> {
    let inner = bytes.strip_prefix(b"\"")?;
    let mut plain = Vec::with_capacity(inner.len());
    let mut rest = inner.iter().copied();
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => return rest.next().is_none().then(|| decode(&plain).into_owned()),
            b'\\' => plain.push(rest.next()?),
            other => plain.push(other),
        }
    }
    None
}

/// Writes `text` as a quoted string that no reader can mistake for anything else:
/// quotes and backslashes escaped, control characters turned into spaces.
pub(super) fn write_quoted(out: &mut impl std::fmt::Write, text: &str) -> std::fmt::Result {
    out.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                out.write_char('\\')?;
                out.write_char(character)?;
            }
            control if control.is_control() => out.write_char(' ')?,
            plain => out.write_char(plain)?,
        }
    }
    out.write_char('"')
}

/// A decimal number of at most `max`, digits only: no sign, no space, no wrap.
pub(super) fn number(bytes: &[u8], max: u64) -> Option<u64> {
    if bytes.is_empty() || bytes.len() > 40 {
        return None;
    }
    let value = bytes.iter().try_fold(0_u64, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })?;
    (value <= max).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_inside_quotes_and_brackets_do_not_split() {
        let pieces: Vec<&[u8]> = split(br#""a,\",b" <sip:x,y@z>,c,"#, b',').collect();
        assert_eq!(pieces, [&br#""a,\",b" <sip:x,y@z>"#[..], b"c", b""]);
    }

    #[test]
    fn text_that_is_not_utf8_is_read_as_latin_1() {
        assert_eq!(decode(b"Jos\xe9"), "José");
        assert_eq!(decode("José".as_bytes()), "José");
    }

    #[test]
    fn a_quoted_string_gives_its_text_and_only_if_it_ends() {
        assert_eq!(unquote(br#""a \"b\" \\c""#).as_deref(), Some(r#"a "b" \c"#));
        for bad in [&br#""open"#[..], br#""open\""#, br#""a" b"#, b"plain", b"\"\\"] {
            assert_eq!(unquote(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn numbers_do_not_wrap_and_carry_no_sign() {
        assert_eq!(number(b"0070", 100), Some(70));
        for bad in [&b""[..], b"-1", b"+1", b" 1", b"101", b"18446744073709551617", b"4294967296 "] {
            assert_eq!(number(bad, 100), None, "{bad:?}");
        }
    }
}
