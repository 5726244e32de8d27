//! What no single line can answer: whether every topic has a way, whether 911 is safe, whether silence ends.

use std::collections::HashSet;

use super::super::calendar::Hours;
use super::super::holiday::Set;
use super::super::model::{Deed, Ix, Menu, Rule, Rulebook, Target, TopicPattern};
use super::source::{Found, Source, Written};
use crate::terms::diagnostic::Diagnostic;

/// Notes what is wrong with `book` as a whole.
pub(super) fn lint(book: &Rulebook, written: &Written, sources: &[Source], problems: &mut Vec<Diagnostic>) {
    every_topic_has_a_rule(book, written, sources, problems);
    emergency_is_exact(book, written, sources, problems);
    silence_ends(book, written, sources, problems);
}

/// Each topic needs a rule that asks for nothing but the topic: then no hour, language or number is without one.
fn every_topic_has_a_rule(book: &Rulebook, written: &Written, sources: &[Source], problems: &mut Vec<Diagnostic>) {
    let always = |rule: &&Rule| {
        let when = &rule.when;
        when.entries.is_empty()
            && when.trunks.is_empty()
            && when.languages.is_empty()
            && when.open.is_none()
            && when.closed.is_none()
            && when.from.is_none()
            && when.until.is_none()
    };
    for found in &written.topics {
        let id = found.table.id.get_ref();
        let Some(topic) = book.topics.find(id) else { continue };
        let named = |rule: &Rule| {
            rule.when.topics.iter().any(|pattern| match pattern {
                TopicPattern::One(one) => *one == topic,
                TopicPattern::Below(stem) => id.starts_with(stem),
            })
        };
        if !book.rules.iter().filter(always).any(named) {
            problems.push(
                at(sources, found, "no-rule", found.table.id.span())
                    .message(format!("no rule says what always happens with `{id}`"))
                    .label("this topic")
                    .remedy(format!("add a rule with `when = {{ topic = [\"{id}\"] }}` and no other condition")),
            );
        }
    }
}

/// 911 is reached by keying it and by rules that name their topics one by one; never by a pattern, and always.
fn emergency_is_exact(book: &Rulebook, written: &Written, sources: &[Source], problems: &mut Vec<Diagnostic>) {
    let line = &book.lines[book.emergency.line];
    let calendar = &book.calendars[line.calendar];
    let always = calendar.hours == Hours::Always && calendar.holidays == Set::None && calendar.closures.is_empty();
    if let Some(found) = written.lines.iter().find(|found| found.table.id.get_ref() == line.id.as_str())
        && !always
    {
        problems.push(
            at(sources, found, "emergency-closed", found.table.calendar.span())
                .message("the emergency line is not open day and night")
                .label("closes sometimes")
                .remedy("use a calendar with `always = true` and neither holidays nor closures"),
        );
    }
    for found in &written.rules {
        let Some(rule) = book.rules.iter().find(|rule| rule.id == *found.table.id.get_ref()) else { continue };
        let exact = !rule.when.topics.is_empty()
            && rule.when.topics.iter().all(|pattern| matches!(pattern, TopicPattern::One(_)));
        let leads_there = |deed: &Deed| matches!(deed, Deed::Transfer { line, .. } if *line == book.emergency.line);
        if !exact && rule.then.iter().any(|act| leads_there(&act.what)) {
            problems.push(
                at(sources, found, "emergency-by-pattern", found.table.id.span())
                    .message(format!(
                        "the rule `{}` may send other calls to the emergency line",
                        found.table.id.get_ref()
                    ))
                    .label("not exact")
                    .remedy("name the topics one by one in `when`, without `*`"),
            );
        }
    }
}

/// Where silence leads from menu to menu, it must arrive somewhere.
fn silence_ends(book: &Rulebook, written: &Written, sources: &[Source], problems: &mut Vec<Diagnostic>) {
    for found in &written.menus {
        let Some(start) = book.menus.find(found.table.id.get_ref()) else { continue };
        if goes_round(book, start) {
            problems.push(
                at(sources, found, "endless-silence", found.table.silence.span())
                    .message("a caller who presses nothing goes round for ever")
                    .label("leads back here")
                    .remedy("let silence lead to a queue, or to `close`"),
            );
        }
    }
}

fn goes_round(book: &Rulebook, start: Ix<Menu>) -> bool {
    let (mut seen, mut menu) = (HashSet::new(), start);
    loop {
        if !seen.insert(book.menus[menu].id.as_str()) {
            return true;
        }
        menu = match book.menus[menu].silence {
            Target::Menu(next) => next,
            Target::Queue(queue) if book.queues[queue].closed_menu != menu => book.queues[queue].closed_menu,
            Target::Queue(_) => return true,
            Target::Topic(_) | Target::Close(_) | Target::Repeat | Target::Back => return false,
        };
    }
}

fn at<T>(sources: &[Source], found: &Found<T>, code: &'static str, span: std::ops::Range<usize>) -> Diagnostic {
    sources[found.file].error(code, span)
}
