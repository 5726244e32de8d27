//! Telephone numbers, and the care that personal data needs.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A value that belongs to a person. Printing it in a log or an error shows nothing of it;
/// [`Pii::reveal`] is the one way in, and easy to search for.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pii<T>(T);

impl<T> Pii<T> {
    /// Marks `value` as personal.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself: only to be stored, dialled or shown to someone with the right to see it.
    pub fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[personal]")
    }
}

impl<T> fmt::Display for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[personal]")
    }
}

/// A telephone number as dialled or displayed: short codes (`311`) and North American numbers in any of
/// the ways Portland writes them. North American numbers are kept as E.164 (R001; domain §1.1).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Number(String);

impl Number {
    /// Reads what was dialled or written. `home` is the area code of seven-digit numbers, e.g. `503`.
    /// Vanity letters are read by the keypad (`823-PLAY` is `823-7529`). `None` where there are no digits or
    /// something other than digits, letters and `+-.() ` stands there.
    pub fn read(text: &str, home: &str) -> Option<Self> {
        let mut digits = String::new();
        for sign in text.trim().chars() {
            match sign {
                '0'..='9' => digits.push(sign),
                '*' | '#' => digits.push(sign),
                'a'..='z' | 'A'..='Z' => digits.push(keypad(sign)),
                '+' if digits.is_empty() => {}
                ' ' | '-' | '.' | '(' | ')' => {}
                _ => return None,
            }
        }
        let international = text.trim_start().starts_with('+');
        Some(Self(match digits.len() {
            0 => return None,
            7 if !international => format!("+1{home}{digits}"),
            10 if !international => format!("+1{digits}"),
            11 if digits.starts_with('1') => format!("+{digits}"),
            _ if international => format!("+{digits}"),
            _ => digits,
        }))
    }

    /// E.164 (`+15038234000`) or the short code (`311`).
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The digit on whose key the letter stands (ITU-T E.161).
fn keypad(letter: char) -> char {
    match letter.to_ascii_uppercase() {
        'A'..='C' => '2',
        'D'..='F' => '3',
        'G'..='I' => '4',
        'J'..='L' => '5',
        'M'..='O' => '6',
        'P'..='S' => '7',
        'T'..='V' => '8',
        _ => '9',
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portlands_ways_of_writing_are_one_number() {
        for text in ["+15038234000", "5038234000", "8234000", "823-4000", "(503) 823-4000", "1 503.823.4000"] {
            assert_eq!(Number::read(text, "503").unwrap().as_str(), "+15038234000", "{text}");
        }
        assert_eq!(Number::read("823-PLAY", "503"), Number::read("823-7529", "503"));
        assert_eq!(Number::read("311", "503").unwrap().as_str(), "311");
        assert_eq!(Number::read("9311", "503").unwrap().as_str(), "9311");
        assert_eq!(Number::read("anonymous@x", "503"), None);
        assert_eq!(Number::read("", "503"), None);
    }

    #[test]
    fn personal_data_does_not_print() {
        let number = Pii::new("+15035550123");
        assert_eq!(format!("{number} {number:?}"), "[personal] [personal]");
    }
}
