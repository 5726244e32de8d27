//! Menus and rules.

use std::ops::Range;
use std::sync::Arc;

use super::super::model::{Act, Choice, Deed, Ix, Line, Menu, Rule, Says, Target, TopicPattern, When};
use super::super::route::TrunkKind;
use super::super::written::{self, Text};
use super::resolve::Resolver;
use super::source::Found;
use crate::terms::ids::MenuId;
use crate::terms::key::Keys;

impl Resolver<'_> {
    pub(super) fn menu(&mut self, found: &Found<written::Menu>, emergency: &Keys) -> Option<Menu> {
        let (file, table) = (found.file, &found.table);
        let prompt = self.phrase(file, &table.prompt);
        let silence = self.silence(file, &table.silence);
        let options: Vec<_> =
            table.options.iter().map(|choice| self.choice(file, choice.get_ref(), choice.span())).collect();
        let mut accept: Vec<Keys> = vec![emergency.clone()];
        for choice in &table.options {
            let Ok(keys) = choice.get_ref().key.get_ref().parse::<Keys>() else { continue };
            if accept.contains(&keys) {
                let message = format!("the key `{keys}` stands twice in this menu");
                self.error(file, "duplicate-key", choice.get_ref().key.span(), message)
                    .remedy("give each option its own key");
            }
            accept.push(keys);
        }
        let person = table.options.iter().map(toml::Spanned::get_ref).find(|choice| choice.key.get_ref() == "0");
        match person {
            Some(choice) if choice.queue.is_none() => {
                let message = "`0` leads to something other than a person";
                self.error(file, "no-person", choice.key.span(), message)
                    .remedy("write `queue = \"…\"`: 0 is a person from anywhere");
            }
            Some(_) => {}
            None => {
                let message = format!("the menu `{}` has no `0`", table.id.get_ref());
                self.error(file, "no-person", table.id.span(), message)
                    .label("no way to a person")
                    .remedy("add `{ key = \"0\", label = \"A person\", queue = \"…\" }`");
            }
        }
        let offered =
            table.options.iter().filter(|choice| !["0", "9", "*"].contains(&choice.get_ref().key.get_ref().as_str()));
        if offered.count() > 5 {
            let message = format!("the menu `{}` offers more than five things", table.id.get_ref());
            self.error(file, "long-menu", table.id.span(), message).warning("hard to keep in mind; five are enough");
        }
        Some(Menu {
            id: MenuId::from(table.id.get_ref().as_str()),
            prompt,
            repeats: table.repeats.min(9),
            silence: silence?,
            options: options.into_iter().collect::<Option<_>>()?,
            accept: Arc::from(accept),
            place: self.place(file, &found.span),
        })
    }

    fn silence(&mut self, file: usize, target: &toml::Spanned<written::Target>) -> Option<Target> {
        let written = target.get_ref();
        let named = [&written.menu, &written.topic, &written.queue, &written.close];
        self.exactly_one(file, target.span(), &named.map(Option::as_ref), "menu, topic, queue or close");
        self.target(file, named)
    }

    fn choice(&mut self, file: usize, choice: &written::Choice, span: Range<usize>) -> Option<Choice> {
        let keys = choice.key.get_ref().parse::<Keys>().ok().filter(|keys| keys.0.len() == 1);
        if keys.is_none() {
            let message = format!("`{}` is not a key of a telephone", choice.key.get_ref());
            self.error(file, "bad-key", choice.key.span(), message).remedy("one of `0`–`9`, `*`, `#`");
        }
        let named = [&choice.menu, &choice.topic, &choice.queue, &choice.close];
        let [menu, topic, queue, close] = named.map(Option::as_ref);
        let words = "menu, topic, queue, close or action";
        self.exactly_one(file, span.clone(), &[menu, topic, queue, close, choice.action.as_ref()], words);
        let back = self.one_of(file, choice.action.as_ref(), &[("repeat", false), ("back", true)]);
        let acts = back.map(|back| if back { Target::Back } else { Target::Repeat });
        let target = self.target(file, named).or(acts);
        if choice.key.get_ref() == "9" && target.as_ref().is_some_and(|target| *target != Target::Repeat) {
            self.error(file, "nine-repeats", choice.key.span(), "`9` does something other than say the menu again")
                .remedy("write `action = \"repeat\"`, or use another key");
        }
        Some(Choice {
            keys: keys?,
            label: choice.label.get_ref().clone(),
            target: target?,
            place: self.place(file, &span),
        })
    }

    fn target(&mut self, file: usize, [menu, topic, queue, close]: [&Option<Text>; 4]) -> Option<Target> {
        let menu = menu.as_ref().and_then(|name| self.find(|names| &names.menus, "menu", file, name));
        let topic = topic.as_ref().and_then(|name| self.find(|names| &names.topics, "topic", file, name));
        let queue = queue.as_ref().and_then(|name| self.find(|names| &names.queues, "queue", file, name));
        let close = close.as_ref().map(|name| self.phrase(file, name));
        menu.map(Target::Menu).or(topic.map(Target::Topic)).or(queue.map(Target::Queue)).or(close.map(Target::Close))
    }

    fn exactly_one(&mut self, file: usize, span: Range<usize>, given: &[Option<&Text>], words: &str) {
        if given.iter().flatten().count() != 1 {
            self.error(file, "wrong-shape", span, "it is not said what this leads to, or more than one thing is")
                .remedy(format!("write exactly one of {words}"));
        }
    }

    pub(super) fn rule(&mut self, found: &Found<written::Rule>) -> Option<Rule> {
        let (file, table) = (found.file, &found.table);
        let when = self.when(file, &table.when);
        let then: Vec<_> = table.then.iter().map(|act| self.act(file, act)).collect();
        let ends = |act: &written::Act| act.queue.is_some() || act.menu.is_some() || act.close.is_some();
        if !table.then.last().is_some_and(|act| ends(act.get_ref())) {
            let span = table.then.last().map_or(table.id.span(), |act| act.span());
            self.error(file, "dead-end", span, format!("the rule `{}` may end in nothing", table.id.get_ref()))
                .label("what if this does not work?")
                .remedy("end the list with `{ queue = \"…\" }`, `{ menu = \"…\" }` or `{ close = \"…\" }`");
        }
        let early = table.then.iter().rev().skip(1).filter(|act| ends(act.get_ref()));
        for act in early.collect::<Vec<_>>() {
            self.error(file, "never-reached", act.span(), "what follows this is never reached")
                .remedy("`queue`, `menu` and `close` stand last");
        }
        Some(Rule {
            id: table.id.get_ref().clone(),
            priority: table.priority,
            when: when?,
            then: then.into_iter().collect::<Option<_>>()?,
            place: self.place(file, &found.span),
        })
    }

    fn act(&mut self, file: usize, act: &toml::Spanned<written::Act>) -> Option<Act> {
        let written = act.get_ref();
        let [transfer, queue, menu, close] =
            [&written.transfer, &written.queue, &written.menu, &written.close].map(Option::as_ref);
        let leads = [transfer, queue, menu, close];
        let alone = written.say.is_some() && leads.iter().all(Option::is_none);
        if !alone {
            self.exactly_one(file, act.span(), &leads, "say, transfer, queue, menu or close");
        }
        if let (Some(say), None) = (&written.say, transfer)
            && !alone
        {
            self.error(file, "wrong-shape", say.span(), "`say` stands alone or beside `transfer`")
                .remedy("write `{ say = \"…\" }` as a step of its own before this one");
        }
        let ring = written.ring_s.as_ref().map(|seconds| self.ring(file, seconds));
        let say = written.say.as_ref().map(|name| self.phrase(file, name));
        let line = transfer.map(|name| self.find(|names| &names.lines, "line", file, name));
        let target = self.target(file, [&written.menu, &None, &written.queue, &written.close]);
        let what = match (line, target, say) {
            (Some(line), _, say) => self.connect(line?, say, ring),
            (None, Some(Target::Queue(queue)), _) => Deed::Queue(queue),
            (None, Some(Target::Menu(menu)), _) => Deed::Menu(menu),
            (None, Some(Target::Close(words)), _) => Deed::Close(words),
            (None, Some(Target::Topic(_) | Target::Repeat | Target::Back) | None, say) => Deed::Say(say?),
        };
        Some(Act { what, place: self.place(file, &act.span()) })
    }

    fn connect(&self, line: Ix<Line>, say: Option<Arc<str>>, ring: Option<std::time::Duration>) -> Deed {
        Deed::Transfer { line, say: say.unwrap_or_else(|| Says::default().connecting), ring }
    }

    fn when(&mut self, file: usize, when: &written::When) -> Option<When> {
        let kinds = TrunkKind::ALL.iter().map(|kind| (kind.as_str(), *kind)).collect::<Vec<_>>();
        let entries: Vec<_> =
            when.entry.iter().map(|name| self.find(|names| &names.entries, "entry", file, name)).collect();
        let trunks: Vec<_> = when.trunk.iter().map(|name| self.one_of(file, Some(name), &kinds)).collect();
        let languages: Vec<_> =
            when.language.iter().map(|name| self.find(|names| &names.languages, "language", file, name)).collect();
        let topics: Vec<_> = when.topic.iter().map(|name| self.topics(file, name)).collect();
        let mut calendar = |name: &Option<Text>| {
            Some(name.as_ref().map(|name| self.find(|names| &names.calendars, "calendar", file, name)))
        };
        let (open, closed) = (calendar(&when.open)?, calendar(&when.closed)?);
        let (from, until) =
            (when.from.as_ref().map(|day| self.date(file, day)), when.until.as_ref().map(|day| self.date(file, day)));
        Some(When {
            entries: entries.into_iter().collect::<Option<_>>()?,
            trunks: trunks.into_iter().collect::<Option<_>>()?,
            languages: languages.into_iter().collect::<Option<_>>()?,
            topics: topics.into_iter().collect::<Option<_>>()?,
            open: open.map_or(Some(None), |found| found.map(Some))?,
            closed: closed.map_or(Some(None), |found| found.map(Some))?,
            from: from.map_or(Some(None), |found| found.map(Some))?,
            until: until.map_or(Some(None), |found| found.map(Some))?,
        })
    }

    fn topics(&mut self, file: usize, name: &Text) -> Option<TopicPattern> {
        let Some(stem) = name.get_ref().strip_suffix('*') else {
            return self.find(|names| &names.topics, "topic", file, name).map(TopicPattern::One);
        };
        let below = self.names.topics.keys().any(|topic| topic.starts_with(stem));
        if !below || !(stem.is_empty() || stem.ends_with('.')) {
            let message = format!("no topic is meant by `{}`", name.get_ref());
            self.error(file, "unknown-name", name.span(), message)
                .remedy("write e.g. `street.*`, or `*` for every topic");
        }
        Some(TopicPattern::Below(stem.to_owned()))
    }
}
