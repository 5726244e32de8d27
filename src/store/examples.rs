//! Calls made by hand, for tests.

use super::{Line, RulebookText};
use crate::terms::cause::Cause;
use crate::terms::dice::Dice;
use crate::terms::event::{Entry, Event, Heard, KeySource, Place, Side};
use crate::terms::ids::CallId;
use crate::terms::key::Key;
use crate::terms::language::Language;
use crate::terms::number::Pii;
use crate::terms::outcome::Outcome;
use crate::terms::prompt::Spoken;

/// Christmas Eve 2026, 10:15 in Portland.
pub(crate) const MORNING: u64 = 1_798_136_100_000;

/// The hash of [`rulebook`].
pub(crate) const RULEBOOK: &str = "8c1f0e77a2b4";

pub(crate) fn rulebook() -> RulebookText {
    let rules = "[[rule]]\nid = \"pothole\"\ntopic = \"street.pothole\"\n\n  to = [\"pbot_maint\", \"queue 311\"]\n";
    let menus = "[menu.main]\nprompt = \"menu.main\"\n\"3\" = \"streets\"\n[topic]\n\"street.pothole\" = {}\n";
    let city = "[city]\nname = \"Portland\"\nzone = \"America/Los_Angeles\"\n";
    RulebookText {
        hash: RULEBOOK.to_owned(),
        first_seen_unix_ms: MORNING - 1_000,
        files: [("city.toml", city), ("menus.toml", menus), ("rules.toml", rules)]
            .map(|(file, text)| (file.to_owned(), text.to_owned()))
            .into(),
    }
}

/// Calls with ids and times of their own, the same for the same seed.
pub(crate) struct Day {
    dice: Dice,
    unix_ms: u64,
}

impl Day {
    pub(crate) fn new(seed: u64) -> Self {
        Self { dice: Dice::from_seed(seed), unix_ms: MORNING }
    }

    /// A caller who hangs up in the greeting.
    pub(crate) fn short_call(&mut self) -> Vec<Entry> {
        let end = Event::Ended { outcome: Outcome::AbandonedIvr, by: Side::Caller, cause: Cause::Normal, ms: 2_400 };
        self.call(vec![(0, arrived()), (20, Event::Answered), (2_400, end)])
    }

    /// A call of these events at these times.
    pub(crate) fn call(&mut self, events: Vec<(u64, Event)>) -> Vec<Entry> {
        self.unix_ms += 1_000;
        let (unix_ms, call) = (self.unix_ms, CallId::new(self.unix_ms, &mut self.dice));
        let entry = |(seq, (at_ms, event))| Entry { call, seq, unix_ms: unix_ms + at_ms, at_ms, event };
        (0..).zip(events).map(entry).collect()
    }
}

pub(crate) fn lines(entries: &[Entry]) -> Vec<Line> {
    entries.iter().cloned().map(Line::Entry).collect()
}

fn arrived() -> Event {
    Event::Arrived {
        trunk: "carrier".into(),
        dialled: "311".to_owned(),
        caller: Some(Pii::new("+15035550123".to_owned())),
        diverted_by: vec![],
        sip_call_id: "a84b4c76e66710@192.0.2.4".to_owned(),
        rulebook: RULEBOOK.to_owned(),
    }
}

/// A Vietnamese speaker reports a pothole: the first line is busy in the story of its second half.
pub(crate) fn pothole() -> Vec<Entry> {
    let vi: Language = "vi".parse().unwrap();
    let key = |key| Event::KeyPressed { key: Key::from_char(key), source: KeySource::Rtp };
    let place = |file: &str, line| Place { file: file.into(), line };
    let said = |language, name, heard, ms| Event::PromptEnded { prompt: Spoken::new(language, name), heard, ms };
    let says = |language, name| Event::PromptStarted { prompt: Spoken::new(language, name) };
    Day::new(311).call(vec![
        (0, arrived()),
        (12, Event::Answered),
        (60, says(Language::ENGLISH, "greeting")),
        (140, Event::AudioHeard),
        (4_200, said(Language::ENGLISH, "greeting", Heard::Whole, 4_140)),
        (4_200, says(vi, "gate")),
        (6_100, key('4')),
        (6_100, said(vi, "gate", Heard::Interrupted, 1_900)),
        (6_100, Event::LanguageChosen { language: vi, key: "4".parse().ok() }),
        (6_100, Event::MenuEntered { menu: "main".into(), place: place("menus.toml", 1) }),
        (6_120, says(vi, "menu.main")),
        (9_000, key('3')),
        (9_000, said(vi, "menu.main", Heard::Interrupted, 2_880)),
        (9_000, Event::MenuChosen { menu: "main".into(), keys: "3".parse().unwrap(), place: place("menus.toml", 3) }),
        (9_000, Event::TopicChosen { topic: "street.pothole".into(), place: place("menus.toml", 5) }),
        (
            9_000,
            Event::HoursAsked {
                calendar: "maintenance".into(),
                open: true,
                because: "weekly hours 08:00–17:00".to_owned(),
            },
        ),
        (9_000, Event::RuleMatched { rule: "pothole".to_owned(), place: place("rules.toml", 1) }),
        (9_000, Event::LineSkipped { line: "pbot_counter".into(), because: "closed on holidays".to_owned() }),
        (9_010, Event::LineTried { line: "pbot_permits".into(), place: place("rules.toml", 5) }),
        (15_010, Event::LineFailed { line: "pbot_permits".into(), cause: Cause::Busy, ms: 6_000 }),
        (15_400, Event::LineTried { line: "pbot_maint".into(), place: place("rules.toml", 5) }),
        (27_400, Event::Bridged { line: "pbot_maint".into(), ring_ms: 12_000 }),
        (88_400, Event::Unbridged { line: "pbot_maint".into(), ms: 61_000, by: Side::Caller }),
        (
            88_400,
            Event::Ended { outcome: Outcome::TransferredAnswered, by: Side::Caller, cause: Cause::Normal, ms: 88_400 },
        ),
    ])
}

/// One of every event, with every optional field full and empty.
pub(crate) fn every_event() -> Vec<Event> {
    let place = || Place { file: "rules.toml".into(), line: 7 };
    let prompt = || Spoken::new(Language::ENGLISH, "menu.main");
    vec![
        arrived(),
        Event::Arrived {
            trunk: "psap".into(),
            dialled: "9311".to_owned(),
            caller: None,
            diverted_by: vec![Pii::new("+15035550100".to_owned())],
            sip_call_id: "x\"y\\z@\u{e9}".to_owned(),
            rulebook: String::new(),
        },
        Event::Answered,
        Event::AudioHeard,
        Event::PromptStarted { prompt: prompt() },
        Event::PromptEnded { prompt: prompt(), heard: Heard::CallerLeft, ms: u32::MAX },
        Event::KeyPressed { key: None, source: KeySource::Info },
        Event::KeyPressed { key: Key::from_char('#'), source: KeySource::Inband },
        Event::LanguageChosen { language: Language::ENGLISH, key: None },
        Event::MenuEntered { menu: "main".into(), place: place() },
        Event::MenuChosen { menu: "main".into(), keys: "*".parse().unwrap(), place: place() },
        Event::NoInput { menu: "main".into() },
        Event::WrongKey { menu: "main".into(), keys: "88".parse().unwrap() },
        Event::TopicChosen { topic: "street.pothole".into(), place: place() },
        Event::HoursAsked { calendar: "city".into(), open: false, because: "holiday: Christmas Day".to_owned() },
        Event::RuleMatched { rule: "pothole".to_owned(), place: place() },
        Event::QueueEntered { queue: "311".into() },
        Event::QueueLeft { queue: "311".into(), waited_ms: 1, answered: true },
        Event::LineSkipped { line: "a".into(), because: "closed".to_owned() },
        Event::LineTried { line: "a".into(), place: place() },
        Event::LineFailed { line: "a".into(), cause: Cause::NoAnswer, ms: 25_000 },
        Event::Bridged { line: "a".into(), ring_ms: 4_000 },
        Event::Unbridged { line: "a".into(), ms: 60_000, by: Side::FarEnd },
        Event::HoldChanged { on_hold: true },
        Event::AudioLost { side: Side::Caller },
        Event::Noted { text: "{\"event\":\"x\"}\n".to_owned() },
        Event::Ended { outcome: Outcome::Test, by: Side::Us, cause: Cause::Internal, ms: 0 },
    ]
}
