//! From names to what they mean. Every lookup that fails is noted, and looking goes on.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::super::calendar::Calendar;
use super::super::model::{Entry, Ix, Line, Menu, Phrase, Queue, Rulebook, Says, Table, Tongue, Topic};
use super::super::written::{self, Text};
use super::source::{Found, Source, Written, suggest};
use crate::terms::diagnostic::{Diagnostic, Severity};
use crate::terms::event::Place;
use crate::terms::language::Language;
use crate::terms::prompt::PromptIndex;

/// Ids of one kind of table, and where each row will stand.
pub(super) type Ids<T> = HashMap<Arc<str>, Ix<T>>;

/// Looks names up, and keeps what was wrong.
pub(super) struct Resolver<'a> {
    sources: &'a [Source],
    prompts: Option<&'a PromptIndex>,
    problems: Vec<Diagnostic>,
    pub(super) names: Names,
    /// The languages that have recordings of their own.
    voices: Vec<Language>,
}

/// Every id there is.
#[derive(Default)]
pub(super) struct Names {
    pub(super) entries: Ids<Entry>,
    pub(super) languages: Ids<Tongue>,
    pub(super) calendars: Ids<Calendar>,
    pub(super) lines: Ids<Line>,
    pub(super) topics: Ids<Topic>,
    pub(super) menus: Ids<Menu>,
    pub(super) queues: Ids<Queue>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(sources: &'a [Source], prompts: Option<&'a PromptIndex>, problems: Vec<Diagnostic>) -> Self {
        Self { sources, prompts, problems, names: Names::default(), voices: Vec::new() }
    }

    pub(super) fn into_problems(self) -> Vec<Diagnostic> {
        self.problems
    }

    /// The rulebook, where everything it needs is there. (Problems may have been noted all the same.)
    pub(super) fn rulebook(&mut self, written: &Written, hash: String) -> Option<Rulebook> {
        self.plan(written);
        self.voices =
            written.languages.iter().filter(|found| found.table.voice.is_none()).filter_map(code_of).collect();
        let city = self.only("city", &written.cities).and_then(|found| self.city(found));
        let area_code = city.as_ref().map_or("", |city| city.area_code.as_str()).to_owned();
        let pace = self.only("pace", &written.paces).and_then(|found| self.pace(found));
        let calendars = self.rows(&written.calendars, Self::calendar);
        let lines = self.rows(&written.lines, Self::line);
        let topics = self.rows(&written.topics, Self::topic);
        let queues = self.rows(&written.queues, Self::queue);
        let entries = self.rows(&written.entries, Self::entry);
        let languages = self.rows(&written.languages, Self::tongue);
        let emergency = self.only("emergency", &written.emergencies).and_then(|found| self.emergency(found));
        let keys = emergency.as_ref().map(|emergency| emergency.keys.clone()).unwrap_or_default();
        let menus = self.rows(&written.menus, |resolver, found| resolver.menu(found, &keys));
        let gate = self.only("gate", &written.gates).and_then(|found| self.gate(found, &written.languages, &keys));
        let rules = self.rows(&written.rules, Self::rule);
        let numbers = self.numbers(written, &area_code);
        self.standing_phrases();
        let mut rules = rules?;
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.priority));
        let names = std::mem::take(&mut self.names);
        Some(Rulebook {
            hash,
            numbers,
            warnings: Vec::new(),
            city: city?,
            entries: Table::new(entries?, names.entries),
            languages: Table::new(languages?, names.languages),
            gate: gate?,
            pace: pace?,
            calendars: Table::new(calendars?, names.calendars),
            lines: Table::new(lines?, names.lines),
            topics: Table::new(topics?, names.topics),
            menus: Table::new(menus?, names.menus),
            queues: Table::new(queues?, names.queues),
            emergency: emergency?,
            says: Says::default(),
            rules,
        })
    }

    fn plan(&mut self, written: &Written) {
        self.names = Names {
            entries: self.ids("entry", &written.entries, |table| &table.id),
            languages: self.ids("language", &written.languages, |table| &table.code),
            calendars: self.ids("calendar", &written.calendars, |table| &table.id),
            lines: self.ids("line", &written.lines, |table| &table.id),
            topics: self.ids("topic", &written.topics, |table| &table.id),
            menus: self.ids("menu", &written.menus, |table| &table.id),
            queues: self.ids("queue", &written.queues, |table| &table.id),
        };
        let _: HashMap<_, Ix<()>> = self.ids("rule", &written.rules, |table| &table.id);
    }

    fn ids<T, R>(&mut self, kind: &str, rows: &[Found<T>], id: fn(&T) -> &Text) -> Ids<R> {
        let mut seen: HashMap<&str, Place> = HashMap::new();
        for row in rows {
            let name = id(&row.table);
            let place = self.place(row.file, &name.span());
            if let Some(first) = seen.get(name.get_ref().as_str()) {
                let message = format!("the {kind} `{}` stands already in {first}", name.get_ref());
                self.error(row.file, "duplicate-id", name.span(), message)
                    .label("a second time")
                    .remedy("give it another name, or take one of the two out");
            }
            seen.entry(name.get_ref()).or_insert(place);
        }
        Table::plan(rows.iter().map(|row| Arc::from(id(&row.table).get_ref().as_str())))
    }

    fn rows<T, R>(
        &mut self,
        rows: &[Found<T>],
        mut resolve: impl FnMut(&mut Self, &Found<T>) -> Option<R>,
    ) -> Option<Vec<R>> {
        let resolved: Vec<Option<R>> = rows.iter().map(|row| resolve(self, row)).collect();
        resolved.into_iter().collect()
    }

    /// The one table of its kind.
    fn only<'t, T>(&mut self, kind: &str, found: &'t [Found<T>]) -> Option<&'t Found<T>> {
        let remedy = format!("write `[{kind}]` once; routing-rules/README.md says what belongs into it");
        match found {
            [] if !self.sources.is_empty() => {
                self.error(0, "missing-table", 0..0, format!("there is no `[{kind}]` in any file")).remedy(remedy);
            }
            [_, more @ ..] => more.iter().for_each(|more| {
                let message = format!("there is a second `[{kind}]`");
                self.error(more.file, "duplicate-id", more.span.clone(), message).remedy(remedy.clone());
            }),
            [] => {}
        }
        found.first()
    }

    pub(super) fn error(
        &mut self,
        file: usize,
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> Noted<'_> {
        let problem = self.sources[file].error(code, span).message(message).label("here");
        self.problems.push(problem);
        Noted(self.problems.last_mut())
    }

    pub(super) fn place(&self, file: usize, span: &Range<usize>) -> Place {
        self.sources[file].place(span)
    }

    /// What `name` means among `ids`.
    pub(super) fn find<T>(
        &mut self,
        ids: fn(&Names) -> &Ids<T>,
        kind: &str,
        file: usize,
        name: &Text,
    ) -> Option<Ix<T>> {
        let known = ids(&self.names);
        if let Some(found) = known.get(name.get_ref().as_str()) {
            return Some(*found);
        }
        let mut others: Vec<&str> = known.keys().map(AsRef::as_ref).collect();
        others.sort_unstable();
        let remedy = suggest(name.get_ref(), others);
        let message = format!("there is no {kind} `{}`", name.get_ref());
        self.error(file, "unknown-name", name.span(), message).label("this name").remedy(remedy);
        None
    }

    /// What `text` means among a few words.
    pub(super) fn one_of<T: Copy>(&mut self, file: usize, text: Option<&Text>, words: &[(&str, T)]) -> Option<T> {
        let text = text?;
        let found = words.iter().find(|(word, _)| word == text.get_ref()).map(|(_, meaning)| *meaning);
        if found.is_none() {
            let remedy = suggest(text.get_ref(), words.iter().map(|(word, _)| *word));
            let message = format!("`{}` is not one of the words for this", text.get_ref());
            self.error(file, "wrong-value", text.span(), message).label("not known").remedy(remedy);
        }
        found
    }

    /// A whole or broken number of seconds within `least..=most`.
    pub(super) fn seconds(&mut self, file: usize, text: &toml::Spanned<f64>, (least, most): (f64, f64)) -> Duration {
        let seconds = *text.get_ref();
        if (least..=most).contains(&seconds) {
            return Duration::from_secs_f64(seconds);
        }
        let message = format!("{seconds} seconds is not between {least} and {most}");
        self.error(file, "out-of-range", text.span(), message);
        Duration::ZERO
    }

    /// A prompt that every voice must have.
    pub(super) fn phrase(&mut self, file: usize, name: &Text) -> Phrase {
        let voices = self.voices.clone();
        self.phrase_in(file, name.get_ref(), name.span(), &voices)
    }

    /// A prompt that `voices` must have.
    pub(super) fn phrase_in(&mut self, file: usize, name: &str, span: Range<usize>, voices: &[Language]) -> Phrase {
        let Some(prompts) = self.prompts else { return Phrase::from(name) };
        let missing: Vec<&str> =
            voices.iter().filter(|voice| prompts.ms(**voice, name).is_none()).map(Language::as_str).collect();
        if missing.len() == voices.len() && !missing.is_empty() {
            let remedy = suggest(name, prompts.all_names());
            let message = format!("there is no prompt `{name}` in {}", missing.join(", "));
            self.error(file, "missing-prompt", span, message).label("never recorded").remedy(remedy);
        } else if !missing.is_empty() {
            let message = format!("the prompt `{name}` is not recorded in {}", missing.join(", "));
            let remedy = "record it, or build it with `cityline prompts build`";
            self.error(file, "missing-prompt", span, message).label("missing in a language").remedy(remedy);
        }
        Phrase::from(name)
    }

    /// The prompts that no rule names and every call may need.
    fn standing_phrases(&mut self) {
        let voices = self.voices.clone();
        if !self.sources.is_empty() {
            Says::NAMES.iter().for_each(|name| {
                self.phrase_in(0, name, 0..0, &voices);
            });
        }
    }
}

/// A problem just noted: say more about it.
pub(super) struct Noted<'a>(Option<&'a mut Diagnostic>);

impl Noted<'_> {
    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        if let Some(problem) = self.0.as_deref_mut() {
            problem.label = label.into();
        }
        self
    }

    /// It is only worth a look.
    pub(super) fn warning(mut self, remedy: impl Into<String>) {
        if let Some(problem) = self.0.as_deref_mut() {
            problem.severity = Severity::Warning;
            problem.remedy = Some(remedy.into());
        }
    }

    pub(super) fn remedy(mut self, remedy: impl Into<String>) {
        if let Some(problem) = self.0.as_deref_mut() {
            problem.remedy = Some(remedy.into());
        }
    }
}

/// A language's code, where it is well-formed.
pub(super) fn code_of(found: &Found<written::Language>) -> Option<Language> {
    found.table.code.get_ref().parse().ok()
}
