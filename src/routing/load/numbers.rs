//! The ways in and the ways out: numbers, languages, lines, queues, the way to 911.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::super::model::{
    City, Class, Emergency, Entry, Function, Gate, Ix, Jurisdiction, Line, Pace, Queue, Tongue, Topic,
};
use super::super::written;
use super::resolve::{Resolver, code_of};
use super::source::{Found, Written};
use crate::terms::event::Place;
use crate::terms::ids::{LineId, QueueId, TopicId};
use crate::terms::key::Keys;
use crate::terms::language::Language;
use crate::terms::number::Number;
use crate::terms::outcome::Outcome;
use crate::terms::prompt::Spoken;

/// The number that nobody but the emergency centre may answer.
const EMERGENCY_NUMBER: &str = "911";

impl Resolver<'_> {
    pub(super) fn city(&mut self, found: &Found<written::City>) -> Option<City> {
        let table = &found.table;
        let zone = self.zone(found.file, &table.zone);
        let area_code = table.area_code.get_ref().clone();
        if area_code.len() != 3 || !area_code.bytes().all(|digit| digit.is_ascii_digit()) {
            let message = format!("`{area_code}` is not an area code");
            self.error(found.file, "bad-number", table.area_code.span(), message)
                .remedy("write three digits, e.g. `503`");
        }
        Some(City { name: table.name.get_ref().clone(), area_code, zone: zone? })
    }

    pub(super) fn pace(&mut self, found: &Found<written::Pace>) -> Option<Pace> {
        let table = &found.table;
        let mut count = |number: &toml::Spanned<u32>, (least, most): (u32, u32)| {
            if !(least..=most).contains(number.get_ref()) {
                let message = format!("{} is not between {least} and {most}", number.get_ref());
                self.error(found.file, "out-of-range", number.span(), message);
            }
            *number.get_ref()
        };
        let wrong_keys_max = count(&table.wrong_keys_max, (1, 10));
        let steps_max = count(&table.steps_max, (20, 1000));
        let first_key = self.seconds(found.file, &table.first_key_s, (1.0, 120.0));
        let next_key = self.seconds(found.file, &table.next_key_s, (0.5, 30.0));
        let emergency_key = self.seconds(found.file, &table.emergency_key_s, (0.5, 30.0));
        Some(Pace { first_key, next_key, emergency_key, wrong_keys_max, steps_max })
    }

    pub(super) fn entry(&mut self, found: &Found<written::Entry>) -> Option<Entry> {
        let (file, table) = (found.file, &found.table);
        let calendar = self.find(|names| &names.calendars, "calendar", file, &table.calendar);
        let open_menu = self.find(|names| &names.menus, "menu", file, &table.open_menu);
        let closed_menu = self.find(|names| &names.menus, "menu", file, &table.closed_menu);
        let language = table.language.as_ref().map(|name| self.find(|names| &names.languages, "language", file, name));
        let topic = table.topic.as_ref().map(|name| self.find(|names| &names.topics, "topic", file, name));
        let welcome = self.phrase(file, &table.welcome);
        Some(Entry {
            id: Arc::from(table.id.get_ref().as_str()),
            calendar: calendar?,
            open_menu: open_menu?,
            closed_menu: closed_menu?,
            welcome,
            language: language.map_or(Some(None), |found| found.map(Some))?,
            topic: topic.map_or(Some(None), |found| found.map(Some))?,
            place: self.place(file, &found.span),
        })
    }

    /// Which entry answers which number; a number that stands twice, in whatever spelling, is refused.
    pub(super) fn numbers(&mut self, written: &Written, area_code: &str) -> HashMap<Number, Ix<Entry>> {
        let mut seen: HashMap<Number, (String, Place)> = HashMap::new();
        let mut numbers = HashMap::new();
        for found in &written.entries {
            for text in &found.table.numbers {
                let number = self.number(found.file, text, area_code, &mut seen);
                if let Some((number, entry)) = number.zip(self.names.entries.get(found.table.id.get_ref().as_str())) {
                    numbers.insert(number, *entry);
                }
            }
        }
        let mut shown = HashMap::new();
        for found in &written.lines {
            for text in &found.table.display {
                let _ = self.number(found.file, text, area_code, &mut shown);
            }
        }
        let emergency = Number::read(EMERGENCY_NUMBER, area_code);
        if emergency.as_ref().is_some_and(|number| numbers.contains_key(number)) {
            let all =
                written.entries.iter().flat_map(|found| found.table.numbers.iter().map(move |text| (found, text)));
            let culprit = all.into_iter().find(|(_, text)| Number::read(text.get_ref(), area_code) == emergency);
            if let Some((found, text)) = culprit {
                self.error(found.file, "emergency-number", text.span(), "911 is never answered here")
                    .remedy("take it out: the carrier brings 911 to the emergency centre");
            }
        }
        numbers
    }

    fn number(
        &mut self,
        file: usize,
        text: &written::Text,
        area_code: &str,
        seen: &mut HashMap<Number, (String, Place)>,
    ) -> Option<Number> {
        let Some(number) = Number::read(text.get_ref(), area_code) else {
            let message = format!("`{}` is not a telephone number", text.get_ref());
            let remedy = "write e.g. `311`, `823-4000`, `503-823-4000` or `+15038234000`";
            self.error(file, "bad-number", text.span(), message).remedy(remedy);
            return None;
        };
        let place = self.place(file, &text.span());
        if let Some((first, at)) = seen.get(&number) {
            let message = match first == text.get_ref() {
                true => format!("`{first}` stands already in {at}"),
                false => format!("`{}` is the same number as `{first}` in {at}: both are {number}", text.get_ref()),
            };
            self.error(file, "duplicate-number", text.span(), message)
                .label("the same number")
                .remedy("keep one of the two; letters are read by the keypad, and seven digits get the area code");
            return None;
        }
        seen.insert(number.clone(), (text.get_ref().clone(), place));
        Some(number)
    }

    pub(super) fn tongue(&mut self, found: &Found<written::Language>) -> Option<Tongue> {
        let (file, table) = (found.file, &found.table);
        let code = code_of(found);
        if code.is_none() {
            let message = format!("`{}` is not a language code", table.code.get_ref());
            self.error(file, "bad-language", table.code.span(), message)
                .remedy("write 2 to 8 lower-case letters, e.g. `es` or `yue` (ISO 639)");
        }
        let voice = match &table.voice {
            None => code,
            Some(voice) => {
                self.find(|names| &names.languages, "language", file, voice).and(voice.get_ref().parse().ok())
            }
        };
        let voices: Vec<Language> = voice.into_iter().collect();
        let wait = self.phrase_in(file, table.wait.get_ref(), table.wait.span(), &voices);
        let straight_to = table.straight_to.as_ref().map(|name| self.find(|names| &names.queues, "queue", file, name));
        let key = table.key.as_ref().map(|text| self.gate_key(file, text));
        Some(Tongue {
            code: code?,
            name: table.name.get_ref().clone(),
            key: key.map_or(Some(None), |key| key.map(Some))?,
            voice: voice?,
            wait,
            straight_to: straight_to.map_or(Some(None), |queue| queue.map(Some))?,
            text: table.text.as_ref().unwrap_or(&table.code).get_ref().clone(),
            place: self.place(file, &found.span),
        })
    }

    fn gate_key(&mut self, file: usize, text: &written::Text) -> Option<Keys> {
        let keys = text.get_ref().parse::<Keys>().ok().filter(|keys| keys.0.len() == 1);
        if keys.is_none() || text.get_ref() == "0" {
            let message = format!("`{}` cannot choose a language", text.get_ref());
            self.error(file, "bad-key", text.span(), message)
                .remedy("one key of 1–9, `*`, `#`; `0` is a person, here too");
        }
        keys
    }

    pub(super) fn gate(
        &mut self,
        found: &Found<written::Gate>,
        languages: &[Found<written::Language>],
        emergency: &Keys,
    ) -> Option<Gate> {
        let (file, table) = (found.file, &found.table);
        let silence = self.find(|names| &names.languages, "language", file, &table.silence_language);
        let wait = self.seconds(file, &table.silence_s, (1.0, 30.0));
        let voice: Option<Language> = table.silence_language.get_ref().parse().ok();
        let own: Vec<Language> = voice.into_iter().collect();
        let greeting = self.phrase_in(file, table.greeting.get_ref(), table.greeting.span(), &own);
        let mut prompts = vec![Spoken { language: voice?, name: greeting }];
        let mut accept: Vec<Keys> = vec!["0".parse().ok()?, emergency.clone()];
        for language in languages {
            let Some(key) = &language.table.key else { continue };
            let keys = key.get_ref().parse::<Keys>().ok()?;
            if accept.contains(&keys) {
                let message = format!("two languages are chosen by `{}`", key.get_ref());
                self.error(language.file, "duplicate-key", key.span(), message).remedy("give each its own key");
            }
            accept.push(keys);
            let spoken = language.table.voice.as_ref().unwrap_or(&language.table.code).get_ref().parse().ok()?;
            let (name, span) = match &language.table.gate {
                Some(text) => (text.get_ref().as_str(), text.span()),
                None => ("gate", language.table.code.span()),
            };
            let name = self.phrase_in(language.file, name, span, &[spoken]);
            prompts.push(Spoken { language: spoken, name });
        }
        Some(Gate { prompts, greeting: 1, accept: accept.into(), wait, silence: silence? })
    }

    pub(super) fn line(&mut self, found: &Found<written::Line>) -> Option<Line> {
        let (file, table) = (found.file, &found.table);
        let calendar = self.find(|names| &names.calendars, "calendar", file, &table.calendar);
        let jurisdiction = self.one_of(
            file,
            Some(&table.jurisdiction),
            &[
                ("city", Jurisdiction::City),
                ("county", Jurisdiction::County),
                ("region", Jurisdiction::Region),
                ("partner", Jurisdiction::Partner),
            ],
        );
        let outcomes: Vec<_> = Outcome::ALL.iter().map(|outcome| (outcome.as_str(), *outcome)).collect();
        let outcome = match &table.outcome {
            Some(outcome) => self.one_of(file, Some(outcome), &outcomes),
            None => Some(Outcome::TransferredAnswered),
        };
        self.one_of(file, table.voicemail.as_ref(), &[("forbidden", ()), ("allowed", ()), ("last_resort", ())]);
        if table.targets.is_empty() {
            self.error(file, "no-target", table.id.span(), "a line without a target cannot be reached")
                .remedy("write `targets = [\"sip:name@host\"]`");
        }
        for target in table.targets.iter().filter(|target| !is_sip_uri(target.get_ref())) {
            let message = format!("`{}` is not a SIP URI", target.get_ref());
            self.error(file, "bad-target", target.span(), message)
                .remedy("write e.g. `sip:pbot-maint@pbx.example.org`");
        }
        let ring = *table.ring_s.get_ref();
        self.ring(file, &table.ring_s);
        Some(Line {
            id: LineId::from(table.id.get_ref().as_str()),
            name: table.name.get_ref().clone(),
            bureau: table.bureau.get_ref().clone(),
            jurisdiction: jurisdiction?,
            display: table.display.iter().map(|text| text.get_ref().clone()).collect(),
            targets: table.targets.iter().map(|target| target.get_ref().clone()).collect(),
            calendar: calendar?,
            ring: Duration::from_secs(u64::from(ring)),
            outcome: outcome?,
            place: self.place(file, &found.span),
        })
    }

    /// Ringing for less than 5 s is no try, for more than 2 min no help.
    pub(super) fn ring(&mut self, file: usize, seconds: &toml::Spanned<u32>) -> Duration {
        if !(5..=120).contains(seconds.get_ref()) {
            let message = format!("ringing for {} seconds is not between 5 and 120", seconds.get_ref());
            self.error(file, "out-of-range", seconds.span(), message).remedy("30 is usual");
        }
        Duration::from_secs(u64::from(*seconds.get_ref()))
    }

    pub(super) fn topic(&mut self, found: &Found<written::Topic>) -> Option<Topic> {
        let (file, table) = (found.file, &found.table);
        let class = self.one_of(
            file,
            Some(&table.class),
            &[
                ("resolve", Class::Resolve),
                ("refer", Class::Refer),
                ("urgent", Class::Urgent),
                ("emergency", Class::Emergency),
                ("self_service", Class::SelfService),
            ],
        );
        let function = self.one_of(
            file,
            Some(&table.function),
            &[
                ("find", Function::Find),
                ("report", Function::Report),
                ("apply", Function::Apply),
                ("pay", Function::Pay),
                ("dispatch", Function::Dispatch),
            ],
        );
        Some(Topic {
            id: TopicId::from(table.id.get_ref().as_str()),
            label: table.label.get_ref().clone(),
            class: class?,
            function: function?,
            bureau: table.bureau.get_ref().clone(),
            confidential: table.confidential,
            place: self.place(file, &found.span),
        })
    }

    pub(super) fn queue(&mut self, found: &Found<written::Queue>) -> Option<Queue> {
        let (file, table) = (found.file, &found.table);
        let line = self.find(|names| &names.lines, "line", file, &table.line);
        let closed_menu = self.find(|names| &names.menus, "menu", file, &table.closed_menu);
        Some(Queue {
            id: QueueId::from(table.id.get_ref().as_str()),
            line: line?,
            hold: self.phrase(file, &table.hold),
            closed_menu: closed_menu?,
            closing: self.phrase(file, &table.closing),
            place: self.place(file, &found.span),
        })
    }

    pub(super) fn emergency(&mut self, found: &Found<written::Emergency>) -> Option<Emergency> {
        let (file, table) = (found.file, &found.table);
        let line = self.find(|names| &names.lines, "line", file, &table.line);
        let queue = self.find(|names| &names.queues, "queue", file, &table.queue);
        let keys = table.keys.get_ref().parse::<Keys>().ok().filter(|keys| keys.0.len() >= 3);
        if keys.is_none() {
            let message = format!("`{}` is not an emergency number", table.keys.get_ref());
            self.error(file, "bad-key", table.keys.span(), message).remedy("write `911`");
        }
        let confirm = self.phrase(file, &table.confirm);
        let connecting = self.phrase(file, &table.connecting);
        let failed = self.phrase(file, &table.failed);
        let yes_no_person = ["1", "*", "0"].iter().filter_map(|key| key.parse().ok());
        let keys = keys?;
        Some(Emergency {
            line: line?,
            accept: yes_no_person.chain([keys.clone()]).collect(),
            keys,
            confirm,
            connecting,
            failed,
            queue: queue?,
            place: self.place(file, &found.span),
        })
    }
}

/// Whether it is a `sip:` or `sips:` URI with a host.
fn is_sip_uri(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("sip:").or_else(|| text.strip_prefix("sips:")) else { return false };
    let host = rest.rsplit('@').next().unwrap_or("");
    let host = host.split([';', '?']).next().unwrap_or("");
    !host.is_empty() && !rest.starts_with('@') && rest.bytes().all(|byte| byte.is_ascii_graphic())
}
