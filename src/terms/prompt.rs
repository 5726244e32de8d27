//! Prompts, by name.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::language::Language;

/// One recorded phrase in one language: the file `prompts/<language>/<name>.wav`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Spoken {
    /// The language it is spoken in.
    pub language: Language,
    /// Its name, e.g. `greeting` or `menu.main`.
    pub name: std::sync::Arc<str>,
}

impl Spoken {
    /// The phrase `name` in `language`.
    pub fn new(language: Language, name: &str) -> Self {
        Self { language, name: name.into() }
    }
}

impl std::fmt::Display for Spoken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.language, self.name)
    }
}

impl std::fmt::Debug for Spoken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// Which prompts exist in which language, so that rules which name a missing one are refused at load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PromptIndex {
    names: BTreeMap<Language, BTreeMap<String, u32>>,
}

impl PromptIndex {
    /// Notes that `name` exists in `language` and lasts `ms` milliseconds.
    pub fn add(&mut self, language: Language, name: &str, ms: u32) {
        self.names.entry(language).or_default().insert(name.to_owned(), ms);
    }

    /// How long `name` lasts in `language`, in milliseconds; `None` where there is no such recording.
    pub fn ms(&self, language: Language, name: &str) -> Option<u32> {
        self.names.get(&language)?.get(name).copied()
    }

    /// Every name that exists in any language.
    pub fn all_names(&self) -> BTreeSet<&str> {
        self.names.values().flat_map(|names| names.keys().map(String::as_str)).collect()
    }

    /// The languages that have at least one recording.
    pub fn languages(&self) -> impl Iterator<Item = Language> + '_ {
        self.names.keys().copied()
    }
}
