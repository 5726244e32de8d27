//! Problems in files, shown to people: the line itself, what is wrong there, and how to mend it.

use std::sync::Arc;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource};

pub use crate::terms::diagnostic::{Diagnostic, Severity};

/// How wide a report is, in characters.
const WIDTH: usize = 110;

/// One problem as a report with the source line under it.
pub fn render(diagnostic: &Diagnostic, colour: bool) -> String {
    let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler =
        GraphicalReportHandler::new_themed(theme).with_width(WIDTH).with_context_lines(1).without_syntax_highlighting();
    let mut text = String::new();
    match handler.render_report(&mut text, &Shown::new(diagnostic)) {
        Ok(()) => text,
        Err(_) => format!("{diagnostic}\n"),
    }
}

/// One problem as a JSON object on one line.
pub fn json(diagnostic: &Diagnostic) -> String {
    serde_json::to_string(diagnostic).unwrap_or_default()
}

/// "3 errors and 1 warning".
pub fn tally(diagnostics: &[Diagnostic]) -> String {
    let count = |severity: Severity| diagnostics.iter().filter(|one| one.severity == severity).count();
    let words = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    match (count(Severity::Error), count(Severity::Warning)) {
        (errors, 0) => words(errors, "error"),
        (0, warnings) => words(warnings, "warning"),
        (errors, warnings) => format!("{} and {}", words(errors, "error"), words(warnings, "warning")),
    }
}

/// A problem in the form in which miette wants it.
struct Shown<'a> {
    diagnostic: &'a Diagnostic,
    source: NamedSource<Arc<str>>,
}

impl<'a> Shown<'a> {
    fn new(diagnostic: &'a Diagnostic) -> Self {
        Self { diagnostic, source: NamedSource::new(&*diagnostic.file, diagnostic.text.clone()) }
    }
}

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.diagnostic.message)
    }
}

impl std::fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Shown<'_> {}

impl miette::Diagnostic for Shown<'_> {
    fn code<'b>(&'b self) -> Option<Box<dyn std::fmt::Display + 'b>> {
        Some(Box::new(self.diagnostic.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.severity {
            Severity::Warning => miette::Severity::Warning,
            Severity::Error => miette::Severity::Error,
        })
    }

    fn help<'b>(&'b self) -> Option<Box<dyn std::fmt::Display + 'b>> {
        self.diagnostic.remedy.as_ref().map(|remedy| Box::new(remedy) as Box<dyn std::fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        (!self.diagnostic.text.is_empty()).then_some(&self.source as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.diagnostic.span.clone();
        let label = LabeledSpan::new(Some(self.diagnostic.label.clone()), span.start, span.len());
        (!self.diagnostic.text.is_empty()).then(|| Box::new(std::iter::once(label)) as Box<dyn Iterator<Item = _>>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem() -> Diagnostic {
        let text: Arc<str> = "[[menu]]\nid = \"main\"\nsilnce = 3\n".into();
        Diagnostic::error("unknown-key", &"rules/menus.toml".into(), &text, 21..27)
            .message("there is no key `silnce` here")
            .label("not known")
            .remedy("did you mean `silence`?")
    }

    #[test]
    fn a_report_shows_the_place_the_line_and_the_remedy() {
        let report = render(&problem(), false);
        for part in ["unknown-key", "rules/menus.toml:3:1", "silnce = 3", "not known", "did you mean `silence`?"] {
            assert!(report.contains(part), "{part}\n{report}");
        }
    }

    #[test]
    fn json_is_one_line_with_line_and_column() {
        let line = json(&problem());
        assert!(
            !line.contains('\n') && line.contains("\"line\":3,\"col\":1") && line.contains("\"severity\":\"error\"")
        );
    }

    #[test]
    fn a_problem_without_a_text_still_shows() {
        let report = render(&Diagnostic::error("cannot-read", &"x".into(), &"".into(), 0..0).message("no"), false);
        assert!(report.contains("no"), "{report}");
        assert_eq!(tally(&[problem(), problem().warning()]), "1 error and 1 warning");
    }
}
