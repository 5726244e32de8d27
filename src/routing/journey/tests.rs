//! Journeys through Portland's rules, told as tables: where each path of each menu ends, open, closed and on a
//! holiday; what happens to the slow, the lost and the unlucky; and that every call ends.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;

use super::*;
use crate::routing::route::TrunkKind;
use crate::routing::step::{Collect, Transfer, TypeAhead};
use crate::terms::ids::{LineId, QueueId, TrunkId};

static PORTLAND: LazyLock<Arc<Rulebook>> =
    LazyLock::new(|| Rulebook::load_unheard(Path::new("routing-rules")).expect("Portland's rules load"));

/// A Wednesday morning.
const OPEN: &str = "2026-11-18T10:00-08:00";
/// A Sunday night.
const NIGHT: &str = "2026-11-22T03:00-08:00";
/// Thanksgiving, at noon.
const HOLIDAY: &str = "2026-11-26T12:00-08:00";

/// A call that a test leads on its way.
struct Caller {
    journey: Journey,
    now: Timestamp,
    step: Step,
    events: Vec<Event>,
}

impl Caller {
    fn dials(number: &str, at: &str) -> Self {
        Self::comes(number, at, TrunkKind::Carrier)
    }

    fn comes(number: &str, at: &str, trunk_kind: TrunkKind) -> Self {
        let facts = Facts { dialled: number.into(), trunk: TrunkId::from("t"), trunk_kind, caller: None };
        let now = at.parse().unwrap();
        let mut journey = Journey::begin(PORTLAND.clone(), facts);
        let step = journey.next(now, None);
        let events = journey.take_events();
        Self { journey, now, step, events }
    }

    fn then(mut self, exit: Exit) -> Self {
        self.step = self.journey.next(self.now, Some(exit));
        self.events.extend(self.journey.take_events());
        self
    }

    /// Presses one key run after another, `.` for silence.
    fn keys(self, runs: &str) -> Self {
        runs.split_whitespace().fold(self, |caller, run| match run {
            "." => caller.then(Exit::NoInput),
            keys => caller.then(Exit::Keys(keys.parse().unwrap())),
        })
    }

    fn fails(self, cause: Cause) -> Self {
        self.then(Exit::LineFailed(cause))
    }

    /// Where the call stands, in a word.
    fn stands(&self) -> String {
        match &self.step {
            Step::Say { .. } => "say".to_owned(),
            Step::Collect(collect) => collect.prompts.last().map(ToString::to_string).unwrap_or_default(),
            Step::Transfer(Transfer { line, .. }) => line.to_string(),
            Step::Close { outcome, .. } => outcome.to_string(),
            Step::Refuse { cause } => cause.to_string(),
        }
    }

    fn said(&self) -> Vec<String> {
        let prompts = match &self.step {
            Step::Say { prompts, .. } | Step::Collect(Collect { prompts, .. }) | Step::Close { prompts, .. } => prompts,
            Step::Transfer(transfer) => &transfer.announce,
            Step::Refuse { .. } => return vec![],
        };
        prompts.iter().map(ToString::to_string).collect()
    }

    fn heard_event(&self, word: &str) -> usize {
        self.events.iter().filter(|event| event.word() == word).count()
    }
}

#[test]
fn every_path_of_every_menu_leads_where_the_rules_say_while_open() {
    for (keys, line) in [
        ("1 1 1", "pbot_maint"),
        ("1 1 2", "tree_emergency"),
        ("1 1 3", "water_emergency"),
        ("1 1 4", "bes_spill"),
        ("1 2 1", "agents_311"),
        ("1 2 2", "agents_311"),
        ("1 2 3", "agents_311"),
        ("1 2 4", "agents_311"),
        ("1 3 1", "agents_311"),
        ("1 3 2", "water_cs"),
        ("1 3 3", "agents_311"),
        ("1 3 4", "county_animal"),
        ("1 4 1", "agents_311"),
        ("1 4 2", "bds_main"),
        ("1 4 3", "agents_311"),
        ("1 4 4", "liens"),
        ("1 5 1", "agents_311"),
        ("1 5 2", "agents_311"),
        ("1 0", "agents_311"),
        ("1 1 0", "agents_311"),
        ("0", "agents_311"),
    ] {
        assert_eq!(Caller::dials("311", OPEN).keys(keys).stands(), line, "{keys}");
    }
}

#[test]
fn urgent_lines_are_two_keys_away_at_night_and_on_a_holiday_in_every_language() {
    for at in [NIGHT, HOLIDAY] {
        for language in ["1", "2", "3", "4", "5", "6", "7", "."] {
            for (keys, line) in [
                ("1 1", "pbot_maint"),
                ("1 2", "tree_emergency"),
                ("1 3", "water_emergency"),
                ("1 4", "bes_spill"),
                ("2", "info211"),
                ("3", "psap_nonemergency"),
            ] {
                let caller = Caller::dials("311", at).keys(language).keys(keys);
                assert_eq!(caller.stands(), line, "{at} {language} {keys}");
            }
        }
    }
}

#[test]
fn after_hours_a_person_means_the_closed_menu_again_and_the_end_is_stated() {
    let caller = Caller::dials("311", NIGHT).keys("2 0");
    assert_eq!(caller.stands(), "es/menu.closed");
    assert_eq!(Caller::dials("311", NIGHT).keys("2 *").said(), ["es/goodbye"]);
    let silent = Caller::dials("311", NIGHT).keys("2 . . .");
    assert_eq!((silent.stands().as_str(), silent.said()), ("closed_informed", vec!["es/queue.closing".to_owned()]));
    assert_eq!(Caller::dials("311", NIGHT).keys("2 1 . .").stands(), "es/menu.closed");
}

#[test]
fn the_greeting_comes_first_and_each_language_is_offered_in_its_own_voice() {
    let said = Caller::dials("311", OPEN).said();
    assert_eq!(
        said,
        [
            "en/greeting",
            "en/gate",
            "es/gate",
            "vi/gate",
            "yue/gate",
            "cmn/gate",
            "ru/gate",
            "uk/gate",
            "en/gate.so",
            "en/gate.other"
        ]
    );
    assert_eq!(Caller::dials("311", OPEN).keys("4").said(), ["yue/welcome", "yue/menu.main"]);
    let silent = Caller::dials("311", OPEN).keys(".");
    assert_eq!(silent.said(), ["en/welcome", "en/menu.main"]);
    assert!(silent.events.contains(&Event::LanguageChosen { language: Language::ENGLISH, key: None }));
}

#[test]
fn languages_without_a_voice_go_straight_to_a_person_with_the_stated_words() {
    for (key, code, words) in [("8", "so", "en/so.wait"), ("9", "other", "en/other.wait")] {
        let caller = Caller::dials("311", OPEN).keys(key);
        assert_eq!(caller.said(), [words, "en/hold"], "{key}");
        assert_eq!((caller.journey.language().as_str(), caller.stands().as_str()), (code, "agents_311"));
        assert_eq!(Caller::dials("311", NIGHT).keys(key).stands(), "en/menu.closed");
    }
}

#[test]
fn the_slow_hear_it_again_and_then_get_a_person() {
    let once = Caller::dials("311", OPEN).keys("3 .");
    assert_eq!(once.said(), ["vi/menu.main"]);
    let twice = once.keys(".");
    assert_eq!(twice.said(), ["vi/interpreter.wait", "vi/hold"]);
    assert_eq!((twice.heard_event("no_input"), twice.journey.if_caller_leaves()), (2, Outcome::AbandonedQueue));
}

#[test]
fn wrong_keys_are_forgiven_twice_and_then_get_a_person() {
    let twice = Caller::dials("311", OPEN).keys("1 7 #");
    assert_eq!(twice.said(), ["en/retry", "en/menu.main"]);
    let Step::Collect(Collect { type_ahead, .. }) = &twice.step else { panic!("{:?}", twice.step) };
    assert_eq!(*type_ahead, TypeAhead::Flush);
    let thrice = twice.keys("8");
    assert_eq!((thrice.stands().as_str(), thrice.heard_event("wrong_key")), ("agents_311", 3));
    assert_eq!(
        Caller::dials("311", OPEN).keys("1 7 8 1 7 8").stands(),
        "en/menu.urgent",
        "a right key wipes the slate"
    );
    assert_eq!(Caller::dials("311", OPEN).keys("# # #").stands(), "agents_311", "at the gate too");
}

#[test]
fn nine_says_it_again_and_star_goes_back_as_far_as_the_languages() {
    assert_eq!(Caller::dials("311", OPEN).keys("1 2 9").said(), ["en/menu.street"]);
    assert_eq!(Caller::dials("311", OPEN).keys("1 2 *").stands(), "en/menu.main");
    let gate = Caller::dials("311", OPEN).keys("6 *");
    assert_eq!(gate.said().first().map(String::as_str), Some("en/gate"), "without the greeting");
    assert_eq!(gate.keys("2").stands(), "es/menu.main");
}

#[test]
fn nine_one_one_is_asked_once_and_connected_first() {
    for path in ["911", "2 911", "2 1 911", "2 1 911 1", "1 911 .", "1 3 911 911", "1 911 7 7"] {
        for at in [OPEN, NIGHT] {
            let caller = Caller::dials("311", at).keys(path);
            let asked = caller.stands().ends_with("emergency.confirm");
            let caller = if asked { caller.keys(".") } else { caller };
            assert_eq!(caller.stands(), "psap_emergency", "{path} {at}");
            assert_eq!(caller.then(Exit::LineEnded).stands(), "to_911");
        }
    }
    let asked = Caller::dials("311", OPEN).keys("2 911");
    let Step::Collect(question) = &asked.step else { panic!("{:?}", asked.step) };
    assert_eq!((question.type_ahead, asked.said()), (TypeAhead::Flush, vec!["es/emergency.confirm".to_owned()]));
    assert_eq!(asked.keys("*").stands(), "es/menu.main");
    assert!(Caller::dials("311", OPEN).keys("911 *").stands().ends_with("gate.other"), "back at the gate");
}

#[test]
fn when_nine_one_one_cannot_be_reached_the_caller_is_told_and_not_left_alone() {
    let open = Caller::dials("311", OPEN).keys("5 911 1").fails(Cause::Unreachable);
    assert_eq!(open.said(), ["cmn/emergency.failed", "cmn/interpreter.wait", "cmn/hold"]);
    let night = Caller::dials("311", NIGHT).keys("5 911 1").fails(Cause::Busy);
    assert_eq!(night.said(), ["cmn/emergency.failed", "cmn/menu.closed"]);
}

#[test]
fn a_line_that_does_not_take_the_call_is_told_and_the_next_is_tried() {
    for (cause, words) in [
        (Cause::Busy, "es/line.busy"),
        (Cause::NoAnswer, "es/line.no_answer"),
        (Cause::NetworkFailure, "es/line.failed"),
    ] {
        let second = Caller::dials("311", OPEN).keys("2 1 1").fails(cause);
        assert_eq!(second.stands(), "psap_nonemergency");
        assert_eq!(second.said(), [words, "es/fallback.next", "es/connecting"]);
        let third = second.fails(Cause::Busy);
        assert_eq!(third.said(), ["es/line.busy", "es/fallback.next", "es/interpreter.wait", "es/hold"]);
        let end = third.fails(Cause::NoAnswer);
        assert_eq!((end.stands().as_str(), end.said()), ("transferred_failed", vec!["es/queue.closing".to_owned()]));
        assert_eq!(end.journey.if_caller_leaves(), Outcome::TransferredFailed);
    }
}

#[test]
fn while_a_bureau_is_rung_zero_is_a_person_and_nine_one_one_is_asked() {
    let live = |caller: &Caller| match &caller.step {
        Step::Transfer(transfer) => transfer.accept.runs.iter().map(ToString::to_string).collect(),
        step => vec![format!("{step:?}")],
    };
    let rung = || Caller::dials("311", OPEN).keys("2 1 1");
    assert_eq!(live(&rung()), ["0", "911"]);

    let person = rung().keys("0");
    assert_eq!((person.stands().as_str(), person.heard_event("queue_entered")), ("agents_311", 1));
    assert_eq!(person.said(), ["es/interpreter.wait", "es/hold"], "without a word of lines that failed");
    assert_eq!(live(&person), [""; 0], "a person is on the way already");

    let asked = rung().keys("911");
    assert_eq!(asked.stands(), "es/emergency.confirm");
    assert_eq!(asked.keys("*").stands(), "pbot_maint", "not meant: the same line is rung again");
    let meant = rung().keys("911 1");
    assert_eq!((meant.stands().as_str(), live(&meant)), ("psap_emergency", vec![]));

    let night = Caller::dials("311", NIGHT).keys("1 1 3 0");
    assert_eq!(night.stands(), "en/menu.closed");
    assert_eq!(night.keys("*").stands(), "closed_informed", "who lets a line go was not failed by it");
}

#[test]
fn at_night_all_lines_busy_still_ends_in_the_closed_menu_and_its_closing() {
    let caller = Caller::dials("311", NIGHT).keys("1 1 3").fails(Cause::Busy).fails(Cause::NoAnswer);
    assert_eq!(caller.said(), ["en/line.no_answer", "en/fallback.next", "en/menu.closed"]);
    assert_eq!(caller.keys(". . .").stands(), "transferred_failed");
}

#[test]
fn a_line_that_is_closed_by_its_calendar_is_never_dialled() {
    // 17:30 on a workday: 311 is open, the water bureau is not.
    let caller = Caller::dials("311", "2026-11-18T17:30-08:00").keys("1 3 2");
    assert_eq!(caller.said(), ["en/line.closed", "en/fallback.next", "en/connecting.person", "en/hold"]);
    assert!(caller.events.iter().any(
        |event| matches!(event, Event::LineSkipped { line, because } if line.as_str() == "water_cs" && because.contains("weekly"))
    ));
}

#[test]
fn a_person_who_answered_and_hung_up_ends_the_call_well() {
    let person = Caller::dials("311", OPEN).keys("1 0").then(Exit::LineEnded);
    assert_eq!((person.stands().as_str(), person.said()), ("answered_by_agent", vec!["en/goodbye".to_owned()]));
    let bureau = Caller::dials("311", OPEN).keys("7 1 2").then(Exit::LineEnded);
    assert_eq!((bureau.stands().as_str(), bureau.said()), ("transferred_answered", vec!["uk/goodbye".to_owned()]));
    assert_eq!(Caller::dials("311", NIGHT).keys("1 3").then(Exit::LineEnded).stands(), "to_nonemergency");
    assert_eq!(Caller::dials("311", OPEN).keys("1 0").fails(Cause::NoAnswer).stands(), "transferred_failed");
}

#[test]
fn the_911_centre_gets_a_person_without_a_menu() {
    let caller = Caller::comes("311", OPEN, TrunkKind::Psap);
    assert_eq!(caller.said(), ["en/connecting.person", "en/one_moment"]);
    let Step::Transfer(transfer) = &caller.step else { panic!("{:?}", caller.step) };
    assert_eq!((&transfer.line, &transfer.queue), (&LineId::from("agents_311"), &Some(QueueId::from("psap"))));
    assert!(caller.events.iter().any(|event| matches!(
        event,
        Event::RuleMatched { rule, place } if rule == "handed-over-by-911" && place.file.as_ref() == "rules.toml"
    )));
}

#[test]
fn unknown_numbers_are_refused_and_911_is_one_of_them() {
    for number in ["911", "112", "5038231111", "", "anonymous", "3111", "0311"] {
        let caller = Caller::dials(number, OPEN);
        assert_eq!(caller.step, Step::Refuse { cause: Cause::UnknownNumber }, "{number}");
        assert_eq!(caller.then(Exit::Done).step, Step::Refuse { cause: Cause::UnknownNumber });
    }
}

#[test]
fn the_record_says_where_each_decision_is_written() {
    let caller = Caller::dials("311", OPEN).keys("1 1 3");
    let words: Vec<&str> = caller.events.iter().map(Event::word).collect();
    assert_eq!(
        words,
        [
            "language_chosen",
            "hours_asked",
            "menu_entered",
            "menu_chosen",
            "menu_entered",
            "menu_chosen",
            "topic_chosen",
            "rule_matched"
        ]
    );
    let text = std::fs::read_to_string("routing-rules/menus.toml").unwrap();
    let Some(Event::MenuChosen { place, .. }) = caller.events.get(5) else { panic!() };
    assert!(text.lines().nth(place.line as usize - 1).unwrap().contains("urgent.water_leak"), "{place}");
}

#[test]
fn callers_who_leave_are_counted_by_where_they_left() {
    for (keys, outcome) in
        [("", "abandoned_ivr"), ("1 1", "abandoned_ivr"), ("1 1 1", "abandoned_ivr"), ("1 911", "abandoned_ivr")]
    {
        assert_eq!(Caller::dials("311", OPEN).keys(keys).journey.if_caller_leaves().as_str(), outcome, "{keys}");
    }
    assert_eq!(Caller::dials("311", OPEN).keys("1 0").journey.if_caller_leaves(), Outcome::AbandonedQueue);
}

#[test]
fn the_closing_informs_only_whoever_hears_it_to_its_end() {
    let closing = Caller::dials("311", NIGHT).keys("1 *");
    assert_eq!(closing.stands(), "closed_informed");
    assert_eq!(closing.journey.if_caller_leaves(), Outcome::AbandonedIvr, "left in the middle of it");
    let failed = Caller::dials("311", OPEN).keys("1 0").fails(Cause::NoAnswer);
    assert_eq!(failed.journey.if_caller_leaves(), Outcome::TransferredFailed);
    let served = Caller::dials("311", OPEN).keys("1 0").then(Exit::LineEnded);
    assert_eq!(served.journey.if_caller_leaves(), Outcome::AnsweredByAgent, "the goodbye takes nothing back");
}

#[test]
#[ignore = "a measurement: cargo test --release -- --ignored --nocapture a_journey_is_quick"]
#[allow(clippy::disallowed_methods, clippy::print_stdout, reason = "it measures and says what it measured")]
fn a_journey_is_quick() {
    let began = std::time::Instant::now();
    let rounds = 100_000;
    for _ in 0..rounds {
        let caller = Caller::dials("311", OPEN).keys("2 1 1").fails(Cause::Busy).then(Exit::LineEnded);
        assert!(matches!(caller.step, Step::Close { .. }));
    }
    println!("{:?} a journey of six steps", began.elapsed() / rounds);
}

fn any_exit() -> impl Strategy<Value = Exit> {
    let keys = prop::sample::select(vec!["1", "2", "3", "4", "5", "6", "7", "8", "9", "0", "*", "#", "911", "A", ""]);
    prop_oneof![
        6 => keys.prop_map(|keys| Exit::Keys(keys.parse::<Keys>().unwrap())),
        2 => Just(Exit::NoInput),
        2 => prop::sample::select(Cause::ALL).prop_map(Exit::LineFailed),
        1 => Just(Exit::Done),
        1 => Just(Exit::LineEnded),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_call_ends_in_bounds_and_in_one_language(
        exits in prop::collection::vec(any_exit(), 80),
        minute in 0i64..(3 * 366 * 24 * 60),
        number in prop::sample::select(vec!["311", "9311", "+15038234000", "911"]),
        trunk in prop::sample::select(TrunkKind::ALL),
    ) {
        let book = PORTLAND.clone();
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let now = start + jiff::SignedDuration::from_mins(minute);
        let facts = Facts { dialled: number.into(), trunk: TrunkId::from("t"), trunk_kind: trunk, caller: None };
        let mut journey = Journey::begin(book.clone(), facts);
        let mut step = journey.next(now, None);
        let mut taken = 0;
        for exit in exits {
            let said = match &step {
                Step::Collect(collect) => &collect.prompts[..],
                Step::Say { prompts, .. } => prompts,
                Step::Transfer(transfer) => &transfer.announce,
                Step::Close { .. } | Step::Refuse { .. } => break,
            };
            prop_assert!(!said.is_empty(), "silence at {:?}", step);
            if !said.iter().any(|spoken| spoken.name.starts_with("gate")) {
                let voice = journey.language();
                let voice = if ["so", "other"].contains(&voice.as_str()) { Language::ENGLISH } else { voice };
                prop_assert!(said.iter().all(|spoken| spoken.language == voice), "{voice}: {said:?}");
            }
            step = journey.next(now, Some(exit));
            taken += 1;
        }
        prop_assert!(taken <= book.pace.steps_max + 1);
        prop_assert!(matches!(step, Step::Close { .. } | Step::Refuse { .. }), "still going after {taken}: {step:?}");
        if let Step::Close { outcome, .. } = step {
            prop_assert!(outcome != Outcome::AbandonedIvr && outcome != Outcome::AbandonedQueue);
        }
    }
}
