//! Keys of a telephone.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One key of a telephone: `0`–`9`, `*`, `#`, `A`–`D` (RFC 4733 §3.2 events 0–15).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "char", into = "char")]
pub struct Key(u8);

const SIGNS: &[u8; 16] = b"0123456789*#ABCD";

impl Key {
    /// The key of an RFC 4733 event code (0–15).
    pub fn from_event(code: u8) -> Option<Self> {
        SIGNS.get(usize::from(code)).copied().map(Self)
    }

    /// The RFC 4733 event code (0–15).
    pub fn event(self) -> u8 {
        SIGNS.iter().position(|sign| *sign == self.0).unwrap_or(0) as u8
    }

    /// The key of a sign, as printed on a telephone.
    pub fn from_char(sign: char) -> Option<Self> {
        let sign = sign.to_ascii_uppercase();
        SIGNS.iter().copied().find(|known| char::from(*known) == sign).map(Self)
    }

    /// The sign printed on the key.
    pub fn as_char(self) -> char {
        char::from(self.0)
    }
}

impl TryFrom<char> for Key {
    type Error = String;

    fn try_from(sign: char) -> Result<Self, String> {
        Self::from_char(sign).ok_or_else(|| format!("`{sign}` is not a telephone key"))
    }
}

impl From<Key> for char {
    fn from(key: Key) -> Self {
        key.as_char()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_char())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A short run of keys that means one thing, e.g. `1`, `*` or `911`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Keys(pub Vec<Key>);

impl FromStr for Keys {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.chars().map(Key::try_from).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|key| write!(f, "{key}"))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Keys {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_and_signs_are_one_to_one() {
        for code in 0..16 {
            let key = Key::from_event(code).unwrap();
            assert_eq!(key.event(), code);
            assert_eq!(Key::from_char(key.as_char()), Some(key));
        }
        assert_eq!(Key::from_event(16), None);
        assert_eq!("911".parse::<Keys>().unwrap().to_string(), "911");
    }
}
