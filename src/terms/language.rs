//! Languages, by code.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A spoken language by its BCP 47 / ISO 639 code, e.g. `en`, `vi`, `yue` (2–8 lower-case letters).
/// Which languages there are is data (`routing-rules/`), not code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Language([u8; 8]);

impl Language {
    /// English: what a caller hears who chooses nothing.
    pub const ENGLISH: Self = Self(*b"en\0\0\0\0\0\0");

    /// The code.
    pub fn as_str(&self) -> &str {
        let length = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        std::str::from_utf8(&self.0[..length]).unwrap_or("")
    }
}

impl FromStr for Language {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let well_formed = (2..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase());
        if !well_formed {
            return Err(format!("`{text}` is not a language code (2 to 8 lower-case letters, e.g. `es`, `yue`)"));
        }
        let mut code = [0; 8];
        code[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self(code))
    }
}

impl TryFrom<String> for Language {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Language> for String {
    fn from(language: Language) -> Self {
        language.as_str().to_owned()
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_checked() {
        assert_eq!("yue".parse::<Language>().unwrap().to_string(), "yue");
        assert!("".parse::<Language>().is_err() && "EN".parse::<Language>().is_err());
        assert_eq!("en".parse(), Ok(Language::ENGLISH));
    }
}
