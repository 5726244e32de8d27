//! From files to tables as written. A wrong key or value is noted and set aside, and reading goes on: whoever
//! made five mistakes is told of five.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::super::written;
use crate::terms::diagnostic::{Diagnostic, line_and_column};
use crate::terms::event::Place;

/// Largest file that is read.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Most problems that are told of one table.
const PROBLEMS_PER_TABLE_MAX: usize = 20;

/// One file of the folder.
#[derive(Debug)]
pub(super) struct Source {
    /// Its name in the folder: what the record of calls says.
    name: Arc<str>,
    /// Its path as the reader would open it: what diagnostics say.
    path: Arc<str>,
    text: Arc<str>,
}

impl Source {
    pub(super) fn error(&self, code: &'static str, span: Range<usize>) -> Diagnostic {
        Diagnostic::error(code, &self.path, &self.text, span)
    }

    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        Place { file: self.name.clone(), line: line_and_column(&self.text, span.start).0 }
    }
}

/// A table as written, and where.
#[derive(Debug)]
pub(super) struct Found<T> {
    pub(super) file: usize,
    pub(super) span: Range<usize>,
    pub(super) table: T,
}

/// Everything written in all files, by kind of table.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) cities: Vec<Found<written::City>>,
    pub(super) gates: Vec<Found<written::Gate>>,
    pub(super) paces: Vec<Found<written::Pace>>,
    pub(super) emergencies: Vec<Found<written::Emergency>>,
    pub(super) entries: Vec<Found<written::Entry>>,
    pub(super) languages: Vec<Found<written::Language>>,
    pub(super) calendars: Vec<Found<written::Calendar>>,
    pub(super) lines: Vec<Found<written::Line>>,
    pub(super) topics: Vec<Found<written::Topic>>,
    pub(super) menus: Vec<Found<written::Menu>>,
    pub(super) queues: Vec<Found<written::Queue>>,
    pub(super) rules: Vec<Found<written::Rule>>,
}

const TABLES: [&str; 12] =
    ["city", "gate", "pace", "emergency", "entry", "language", "calendar", "line", "topic", "menu", "queue", "rule"];

/// Reads the `*.toml` files of `dir`, in the order of their names.
pub(super) fn read_folder(dir: &Path) -> Result<Vec<Source>, Box<Diagnostic>> {
    let folder: Arc<str> = dir.to_string_lossy().into();
    let trouble = |message: String| {
        let problem = Diagnostic::error("cannot-read", &folder, &"".into(), 0..0).message(message);
        Box::new(problem.remedy("give the folder that holds the rules, e.g. `routing-rules`"))
    };
    let listing =
        std::fs::read_dir(dir).map_err(|error| trouble(format!("the rules folder cannot be read: {error}")))?;
    let mut paths: Vec<_> = listing.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml") && path.is_file());
    paths.sort();
    if paths.is_empty() {
        return Err(trouble("there is no `.toml` file in the rules folder".to_owned()));
    }
    let mut sources = Vec::new();
    for path in paths {
        let read = match std::fs::metadata(&path) {
            Ok(about) if about.len() > FILE_BYTES_MAX => Err(format!("it is larger than {FILE_BYTES_MAX} bytes")),
            Ok(_) => std::fs::read_to_string(&path).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let text = read.map_err(|why| trouble(format!("`{}` cannot be read: {why}", path.display())))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into();
        sources.push(Source { name, path: path.to_string_lossy().into(), text: text.into() });
    }
    Ok(sources)
}

/// The SHA-256 of all names and texts, each preceded by its length, in hexadecimal.
pub(super) fn hash(sources: &[Source]) -> String {
    let mut hasher = Sha256::new();
    for part in sources.iter().flat_map(|source| [&source.name, &source.text]) {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Written {
    /// Reads all tables of all files.
    pub(super) fn parse(sources: &[Source], problems: &mut Vec<Diagnostic>) -> Self {
        let mut all = Self::default();
        for (file, source) in sources.iter().enumerate() {
            let (root, errors) = DeTable::parse_recoverable(&source.text);
            for error in errors {
                let span = error.span().unwrap_or(0..0);
                problems.push(source.error("not-toml", span).message(error.message()).label("here"));
            }
            for (key, value) in root.into_inner() {
                all.take(Reader { file, source, problems }, &key, value);
            }
        }
        all
    }

    fn take(&mut self, mut reader: Reader<'_>, key: &Spanned<std::borrow::Cow<'_, str>>, value: Spanned<DeValue<'_>>) {
        match key.get_ref().as_ref() {
            "city" => reader.single(key, value, &mut self.cities),
            "gate" => reader.single(key, value, &mut self.gates),
            "pace" => reader.single(key, value, &mut self.paces),
            "emergency" => reader.single(key, value, &mut self.emergencies),
            "entry" => reader.many(key, value, &mut self.entries),
            "language" => reader.many(key, value, &mut self.languages),
            "calendar" => reader.many(key, value, &mut self.calendars),
            "line" => reader.many(key, value, &mut self.lines),
            "topic" => reader.many(key, value, &mut self.topics),
            "menu" => reader.many(key, value, &mut self.menus),
            "queue" => reader.many(key, value, &mut self.queues),
            "rule" => reader.many(key, value, &mut self.rules),
            other => {
                let problem = reader.source.error("unknown-key", key.span());
                let message = format!("there is no table `{other}`");
                reader.problems.push(problem.message(message).label("not known").remedy(suggest(other, TABLES)));
            }
        }
    }
}

/// Reads tables of one file.
struct Reader<'a> {
    file: usize,
    source: &'a Source,
    problems: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn single<T: DeserializeOwned>(
        &mut self,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: Spanned<DeValue<'_>>,
        found: &mut Vec<Found<T>>,
    ) {
        match value.get_ref() {
            DeValue::Table(_) => found.extend(self.table(key.span(), value)),
            _ => self.misshapen(key, "once", "[", "]"),
        }
    }

    fn many<T: DeserializeOwned>(
        &mut self,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: Spanned<DeValue<'_>>,
        found: &mut Vec<Found<T>>,
    ) {
        match value.into_inner() {
            DeValue::Array(items) => {
                for item in items {
                    found.extend(self.table(item.span(), item));
                }
            }
            _ => self.misshapen(key, "as often as needed", "[[", "]]"),
        }
    }

    fn misshapen(&mut self, key: &Spanned<std::borrow::Cow<'_, str>>, often: &str, left: &str, right: &str) {
        let name = key.get_ref();
        let problem = self.source.error("wrong-shape", key.span());
        let message = format!("`{name}` is a table that stands here {often}");
        self.problems.push(problem.message(message).remedy(format!("write `{left}{name}{right}`")));
    }

    /// One table; keys that are not known or hold something wrong are noted and left out.
    fn table<T: DeserializeOwned>(&mut self, span: Range<usize>, mut value: Spanned<DeValue<'_>>) -> Option<Found<T>> {
        let mut left_out: Vec<String> = Vec::new();
        for _ in 0..PROBLEMS_PER_TABLE_MAX {
            let error = match T::deserialize(ValueDeserializer::from(value.clone())) {
                Ok(table) => {
                    // A table that lost a wrong value may look whole: it must not be taken for what was meant.
                    return Some(Found { file: self.file, span, table });
                }
                Err(error) => error,
            };
            let message = error.message().to_owned();
            let at = error.span().unwrap_or_else(|| span.clone());
            if let Some(missing) = quoted_after(&message, "missing field ") {
                if !left_out.iter().any(|name| name == missing) {
                    self.missing(missing, if at.is_empty() { span.clone() } else { at });
                }
                return None;
            }
            self.problems.push(self.explain(&message, at.clone()));
            left_out.push(leave_out(&mut value, &at)?);
        }
        None
    }

    fn missing(&mut self, name: &str, span: Range<usize>) {
        let problem = self.source.error("missing-key", span);
        self.problems.push(
            problem
                .message(format!("`{name}` is missing"))
                .label("in this table")
                .remedy(format!("add `{name} = …`; routing-rules/README.md says what it means")),
        );
    }

    fn explain(&self, message: &str, span: Range<usize>) -> Diagnostic {
        let Some(name) = quoted_after(message, "unknown field ") else {
            return self.source.error("wrong-value", span).message(sentence(message)).label("this value");
        };
        let known: Vec<&str> = message.split('`').skip(3).step_by(2).collect();
        self.source
            .error("unknown-key", span)
            .message(format!("there is no key `{name}` here"))
            .label("not known")
            .remedy(suggest(name, known))
    }
}

/// Takes out of `value` the key whose name or value stands at `span`; its name.
fn leave_out(value: &mut Spanned<DeValue<'_>>, span: &Range<usize>) -> Option<String> {
    match value.get_mut() {
        DeValue::Table(table) => {
            let direct = table.iter().find(|(key, value)| key.span() == *span || value.span() == *span);
            if let Some(key) = direct.map(|(key, _)| key.clone()) {
                table.remove(&key);
                return Some(key.into_inner().into_owned());
            }
            let inner = table.iter().find(|(_, value)| within(&value.span(), span)).map(|(key, _)| key.clone())?;
            if leave_out(table.get_mut(&inner)?, span).is_none() {
                table.remove(&inner);
            }
            Some(inner.into_inner().into_owned())
        }
        DeValue::Array(items) => {
            items.iter_mut().find_map(|item| if within(&item.span(), span) { leave_out(item, span) } else { None })
        }
        _ => None,
    }
}

fn within(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

fn quoted_after<'a>(message: &'a str, words: &str) -> Option<&'a str> {
    message.strip_prefix(words)?.strip_prefix('`')?.split('`').next()
}

fn sentence(message: &str) -> String {
    message.lines().next().unwrap_or(message).trim().to_owned()
}

/// "did you mean …", or everything that could have been meant.
pub(super) fn suggest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let nearest = known
        .iter()
        .map(|other| (strsim::damerau_levenshtein(name, other), *other))
        .filter(|(distance, other)| *distance <= 1 + other.chars().count() / 3)
        .min();
    match nearest {
        Some((_, other)) => format!("did you mean `{other}`?"),
        None if known.is_empty() => "there is none of this kind".to_owned(),
        None if known.len() > 12 => format!("one of {} is meant", quoted(&known[..12]) + ", …"),
        None => format!("one of {} is meant", quoted(&known)),
    }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
