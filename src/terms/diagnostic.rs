//! A problem in a file that somebody wrote: where it is, what it is, and how to mend it.

use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth a look; the file is taken all the same.
    Warning,
    /// The file is not taken.
    Error,
}

/// One problem at one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// What kind of problem, for machines and for searching: `unknown-key`, `bad-zone`, …
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The file, as the reader would name it.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1, in characters.
    pub col: u32,
    /// What is wrong, in one sentence.
    pub message: String,
    /// The words that stand under the marked text.
    pub label: String,
    /// What to do about it.
    pub remedy: Option<String>,
    /// The marked text, in bytes from the start of `text`.
    #[serde(skip)]
    pub span: Range<usize>,
    /// The file's text, to show the line.
    #[serde(skip)]
    pub text: Arc<str>,
}

impl Diagnostic {
    /// An error with `code` at `span` of the file `file`, whose text is `text`.
    pub fn error(code: &'static str, file: &Arc<str>, text: &Arc<str>, span: Range<usize>) -> Self {
        let start = span.start.min(text.len());
        let (line, col) = line_and_column(text, start);
        Self {
            code,
            severity: Severity::Error,
            file: file.clone(),
            line,
            col,
            message: String::new(),
            label: String::new(),
            remedy: None,
            span: start..span.end.clamp(start, text.len()),
            text: text.clone(),
        }
    }

    /// The same, with what is wrong.
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// The same, with the words under the marked text.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// The same, with what to do about it.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// The same, as a warning.
    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }
}

impl std::fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.col, self.message)
    }
}

/// The line and column (both from 1, the column in characters) of byte `offset`.
pub fn line_and_column(text: &str, offset: usize) -> (u32, u32) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_not_bytes() {
        assert_eq!(line_and_column("ab\nñx", 5), (2, 2));
        assert_eq!(line_and_column("", 9), (1, 1));
    }
}
