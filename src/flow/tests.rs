//! Transfers with a scripted caller and a scripted line, in simulated time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::visit::{Left, LegIds, Visit};
use super::{collect, transfer};
use crate::call::journal::CallJournal;
use crate::call::leg::{self, Command, Event as Told, FarEnd};
use crate::routing::step::{Accept, Collect, Exit, Transfer, TypeAhead};
use crate::terms::cause::Cause;
use crate::terms::clock::Clock;
use crate::terms::dice::Dice;
use crate::terms::event::{Event, KeySource, Place, Side};
use crate::terms::ids::{CallId, LineId, QueueId};
use crate::terms::key::Key;
use crate::terms::language::Language;
use crate::terms::outcome::Outcome;
use crate::terms::prompt::Spoken;

/// What the test plays: the caller, and what was written down.
struct Stage {
    caller: FarEnd,
    notes: Arc<Mutex<Vec<Event>>>,
}

impl Stage {
    fn set() -> (Visit, Self) {
        let clock = Clock::starting_at("2026-11-18T18:00:00Z".parse().unwrap());
        let call = CallId::new(clock.unix_ms(), &mut Dice::from_seed(1));
        let notes = Arc::<Mutex<Vec<Event>>>::default();
        let book = Arc::clone(&notes);
        let record = Arc::new(move |entry: crate::terms::event::Entry| {
            book.lock().unwrap_or_else(PoisonError::into_inner).push(entry.event);
        });
        let legs = LegIds::default();
        let (leg, caller) = leg::leg(legs.next());
        (Visit::new(leg, legs, CallJournal::open(call, clock, record)), Self { caller, notes })
    }

    async fn tells(&self, event: Told) {
        self.caller.events.send(event).await.unwrap();
    }

    async fn presses(&self, key: char) {
        self.tells(Told::Key { key: Key::from_char(key).unwrap(), source: KeySource::Rtp }).await;
    }

    /// Takes commands until the one that `wanted` knows.
    async fn until<T>(&mut self, wanted: impl Fn(Command) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(self.caller.commands.recv().await.unwrap()) {
                return found;
            }
        }
    }

    /// The line that is dialled.
    async fn line(&mut self) -> FarEnd {
        self.until(|command| match command {
            Command::Dial(dial) => Some(dial.leg),
            _ => None,
        })
        .await
    }

    async fn bridged(&mut self) {
        self.until(|command| matches!(command, Command::Bridge { .. }).then_some(())).await;
    }

    fn words(&self) -> Vec<&'static str> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).iter().map(Event::word).collect()
    }
}

fn accept(runs: &[&str]) -> Accept {
    Accept {
        runs: runs.iter().map(|run| run.parse().unwrap()).collect(),
        between: Duration::from_millis(1500),
        emergency: "911".parse().unwrap(),
        between_emergency: Duration::from_secs(3),
    }
}

fn transfer() -> Transfer {
    Transfer {
        line: LineId::from("bureau"),
        targets: vec!["sip:bureau@192.0.2.1".to_owned()],
        ring: Duration::from_secs(30),
        announce: vec![],
        hold: vec![],
        accept: accept(&["0", "911"]),
        outcome: Outcome::TransferredAnswered,
        queue: None,
        place: Place { file: "rules.toml".into(), line: 1 },
    }
}

/// The line answers, is connected, and after `spoken` its leg ends so.
async fn ends(spoken: Duration, by: Side, cause: Cause) -> (Result<Exit, Left>, Vec<&'static str>) {
    let (mut visit, mut stage) = Stage::set();
    let asked = transfer();
    let script = async {
        let line = stage.line().await;
        line.events.send(Told::Answered).await.unwrap();
        stage.bridged().await;
        tokio::time::sleep(spoken).await;
        line.events.send(Told::Ended { by, cause }).await.unwrap();
    };
    let (exit, ()) = tokio::join!(transfer::perform(&mut visit, &asked), script);
    (exit, stage.words())
}

#[tokio::test(start_paused = true)]
async fn a_line_that_answers_and_breaks_did_not_take_the_call() {
    let (short, long) = (Duration::from_millis(200), Duration::from_secs(60));
    for (spoken, by, cause) in [
        (short, Side::Caller, Cause::NetworkFailure),
        (short, Side::Us, Cause::NoResource),
        (long, Side::Us, Cause::SessionExpired),
    ] {
        let (exit, words) = ends(spoken, by, cause).await;
        assert_eq!(exit, Ok(Exit::LineFailed(cause)), "{spoken:?} {by:?}");
        assert_eq!(words, ["line_tried", "bridged", "unbridged", "line_failed"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_that_hangs_up_has_taken_the_call_however_short_the_talk() {
    let (short, long) = (Duration::from_millis(200), Duration::from_secs(60));
    for (spoken, by, cause) in [
        (short, Side::Caller, Cause::Normal),
        (long, Side::Caller, Cause::Normal),
        (long, Side::Caller, Cause::NetworkFailure),
        (short, Side::Us, Cause::Normal),
    ] {
        let (exit, words) = ends(spoken, by, cause).await;
        assert_eq!(exit, Ok(Exit::LineEnded), "{spoken:?} {by:?} {cause}");
        assert_eq!(words, ["line_tried", "bridged", "unbridged"]);
    }
}

/// A caller who was answered and leaves the wait for a person `after` it began, in the announcement or later.
async fn leaves_the_wait(after: Duration, announced: bool) -> (Outcome, Vec<Event>) {
    let (mut visit, mut stage) = Stage::set();
    let mut asked = transfer();
    asked.queue = Some(QueueId::from("311"));
    asked.announce = vec![Spoken::new(Language::ENGLISH, "hold")];
    let script = async {
        if announced {
            let token = stage.until(playing).await;
            stage.tells(Told::Played { token }).await;
        }
        tokio::time::sleep(after).await;
        stage.tells(Told::Ended { by: Side::Caller, cause: Cause::Normal }).await;
        stage
    };
    let (exit, stage) = tokio::join!(transfer::perform(&mut visit, &asked), script);
    let outcome = visit.outcome_of_leaving(exit.unwrap_err(), Outcome::AbandonedQueue, Duration::from_secs(5));
    let notes = stage.notes.lock().unwrap().clone();
    (outcome, notes)
}

fn playing(command: Command) -> Option<u32> {
    match command {
        Command::Play { token, .. } => Some(token),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_begins_with_its_announcement_and_is_always_left() {
    for (after, announced, outcome) in [
        (Duration::from_secs(2), false, Outcome::ShortAbandon),
        (Duration::from_secs(6), false, Outcome::AbandonedQueue),
        (Duration::from_secs(2), true, Outcome::ShortAbandon),
        (Duration::from_secs(6), true, Outcome::AbandonedQueue),
    ] {
        let (found, notes) = leaves_the_wait(after, announced).await;
        assert_eq!(found, outcome, "{after:?} {announced}");
        let left = Event::QueueLeft {
            queue: QueueId::from("311"),
            waited_ms: u64::try_from(after.as_millis()).unwrap(),
            answered: false,
        };
        assert!(notes.contains(&left), "{notes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_both_hang_up_at_once_the_call_was_served() {
    let (mut visit, mut stage) = Stage::set();
    let asked = transfer();
    let script = async {
        let line = stage.line().await;
        line.events.send(Told::Answered).await.unwrap();
        stage.bridged().await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        line.events.send(Told::Ended { by: Side::Caller, cause: Cause::Normal }).await.unwrap();
        // The caller's leg takes no command any more, and its last word comes after the line's.
        let FarEnd { commands, events, .. } = stage.caller;
        drop(commands);
        tokio::time::sleep(Duration::from_millis(1)).await;
        events.send(Told::Ended { by: Side::Caller, cause: Cause::Normal }).await.unwrap();
    };
    let (exit, ()) = tokio::join!(transfer::perform(&mut visit, &asked), script);
    let outcome = visit.outcome_of_leaving(exit.unwrap_err(), Outcome::AbandonedIvr, Duration::from_secs(5));
    assert_eq!(outcome, Outcome::TransferredAnswered);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_we_lose_is_our_failure_and_a_caller_gone_silent_is_not() {
    for (by, cause, outcome) in [
        (Side::Us, Cause::NoResource, Outcome::TechnicalFailure),
        (Side::Us, Cause::ProtocolError, Outcome::TechnicalFailure),
        (Side::Us, Cause::Internal, Outcome::TechnicalFailure),
        (Side::Us, Cause::MediaTimeout, Outcome::AbandonedIvr),
        (Side::Us, Cause::SessionExpired, Outcome::AbandonedIvr),
        (Side::Caller, Cause::ProtocolError, Outcome::AbandonedIvr),
    ] {
        let (mut visit, mut stage) = Stage::set();
        let script = async {
            stage.until(|command| matches!(command, Command::Answer).then_some(())).await;
            stage.tells(Told::Answered).await;
        };
        let (answered, ()) = tokio::join!(visit.answer(), script);
        assert_eq!(answered, Ok(()));
        let found = visit.outcome_of_leaving(Left { by, cause }, Outcome::AbandonedIvr, Duration::from_secs(5));
        assert_eq!(found, outcome, "{by:?} {cause}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_nine_is_taken_soon_and_nine_one_one_may_be_keyed_slowly() {
    for (presses, meant, waited_ms) in [
        (&[(0, '9')][..], "9", 1500),
        (&[(0, '9'), (1400, '1'), (2900, '1')], "911", 4300),
        (&[(0, '9'), (1400, '1')], "911", 4400),
        (&[(0, '9'), (1400, '2')], "9", 1400),
    ] {
        let (mut visit, stage) = Stage::set();
        let asked = Collect {
            prompts: vec![],
            accept: accept(&["1", "9", "911"]),
            first: Duration::from_secs(5),
            type_ahead: TypeAhead::Keep,
        };
        let begun = visit.now();
        let script = async {
            for (after, key) in presses {
                tokio::time::sleep(Duration::from_millis(*after)).await;
                stage.presses(*key).await;
            }
        };
        let (exit, ()) = tokio::join!(collect::perform(&mut visit, &asked), script);
        assert_eq!(exit, Ok(Exit::Keys(meant.parse().unwrap())), "{presses:?}");
        assert_eq!((visit.now() - begun).as_millis(), waited_ms, "{presses:?}");
    }
}

/// A caller presses these keys, 100 ms apart, while the line rings or (`rings` false) is announced.
async fn presses(keys: &str, rings: bool) -> (Exit, Vec<&'static str>, u128) {
    let (mut visit, mut stage) = Stage::set();
    let mut asked = transfer();
    asked.announce = vec![Spoken::new(Language::ENGLISH, "connecting")];
    let begun = visit.now();
    let script = async {
        let token = stage.until(playing).await;
        let mut line = None;
        if rings {
            stage.tells(Told::Played { token }).await;
            line = Some(stage.line().await);
        }
        for key in keys.chars() {
            tokio::time::sleep(Duration::from_millis(100)).await;
            stage.presses(key).await;
        }
        // Held to the end of the attempt: the line goes on ringing.
        if let Some(mut line) = line {
            while line.commands.recv().await.is_some() {}
        }
        stage
    };
    let (exit, stage) = tokio::join!(transfer::perform(&mut visit, &asked), script);
    let words = stage.words().into_iter().filter(|word| word.starts_with("line")).collect();
    (exit.unwrap(), words, (visit.now() - begun).as_millis())
}

#[tokio::test(start_paused = true)]
async fn while_a_line_rings_a_person_and_nine_one_one_are_a_key_away() {
    let keys = |run: &str| Exit::Keys(run.parse().unwrap());
    let (tried, let_go) = (vec!["line_tried", "line_failed"], vec![]);
    for (pressed, rings, exit, ms) in [
        ("0", true, keys("0"), 100),
        ("12#*0", true, keys("0"), 500),
        ("911", true, keys("911"), 300),
        ("91", true, keys("911"), 3200),
        ("0", false, keys("0"), 100),
        ("911", false, keys("911"), 300),
        ("12345678*#9", true, Exit::LineFailed(Cause::NoAnswer), 33_000),
    ] {
        let words = if rings { &tried } else { &let_go };
        assert_eq!(presses(pressed, rings).await, (exit, words.clone(), ms), "{pressed} {rings}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_pressed_ahead_of_the_announcement_counts() {
    let (mut visit, _stage) = Stage::set();
    visit.keep(Key::from_char('0').unwrap());
    let exit = transfer::perform(&mut visit, &transfer()).await;
    assert_eq!(exit, Ok(Exit::Keys("0".parse().unwrap())));
}

#[tokio::test(start_paused = true)]
async fn a_line_that_holds_the_caller_is_in_the_record() {
    let (mut visit, mut stage) = Stage::set();
    let asked = transfer();
    let script = async {
        let line = stage.line().await;
        line.events.send(Told::Answered).await.unwrap();
        stage.bridged().await;
        for on_hold in [true, false] {
            line.events.send(Told::Held { on_hold }).await.unwrap();
        }
        line.events.send(Told::Ended { by: Side::Caller, cause: Cause::Normal }).await.unwrap();
        stage
    };
    let (exit, stage) = tokio::join!(transfer::perform(&mut visit, &asked), script);
    assert_eq!(exit, Ok(Exit::LineEnded));
    let notes = stage.notes.lock().unwrap().clone();
    let texts: Vec<_> = notes.iter().filter(|event| event.word() == "noted").collect();
    let noted = |text: &str| Event::Noted { text: text.to_owned() };
    assert_eq!(texts, [&noted("line bureau put the caller on hold"), &noted("line bureau took the caller off hold")]);
}
