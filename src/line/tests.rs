//! A caller, the front door and the desks, each with sockets of its own on loopback.

use std::sync::mpsc::Receiver as Chunks;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::agreement::Agreement;
use super::simulated::{Desks, Settings as DeskSettings};
use super::*;
use crate::call::leg::{Command, Dial, Event};
use crate::media::bank::PromptBank;
use crate::media::command::{MediaCommand, MediaEvent};
use crate::media::engine::Settings as MediaSettings;
use crate::media::ports::PortRange;
use crate::media::recorder::{Chunk, Tap};
use crate::sip::agent::{Census, DialogEvent, Transport};
use crate::sip::stack::Settings as StackSettings;
use crate::sip::timer::Pace;
use crate::sip::trunk::Trunk;
use crate::terms::clock::Clock;
use crate::terms::event::KeySource;
use crate::terms::key::Key;
use crate::terms::language::Language;
use crate::terms::prompt::{PromptIndex, Spoken};

const SOON: Duration = Duration::from_secs(10);

/// Noise that is like no other: found again in what was heard.
pub(crate) fn noise(seed: u64, samples: usize) -> Vec<i16> {
    let mut dice = Dice::from_seed(seed);
    (0..samples).map(|_| i16::try_from(dice.below(8_000)).unwrap() - 4_000).collect()
}

/// The highest normalised correlation of `wanted` with any stretch of `heard` that begins on a 10-sample grid
/// near a place where it could (1.0: the same).
pub(crate) fn likeness(heard: &[i16], wanted: &[i16]) -> f64 {
    let dot = |a: &[i16], b: &[i16]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let own = dot(wanted, wanted).sqrt();
    let stretches = heard.windows(wanted.len());
    stretches.map(|part| dot(part, wanted) / (own * dot(part, part).sqrt()).max(1.0)).fold(0.0, f64::max)
}

pub(crate) fn prompts(named: &[(&str, Vec<i16>)]) -> (PromptBank, PromptIndex) {
    let (mut bank, mut index) = (PromptBank::default(), PromptIndex::default());
    for (name, samples) in named {
        bank.add(&Spoken::new(Language::ENGLISH, name), 8_000, samples.clone());
        index.add(Language::ENGLISH, name, u32::try_from(samples.len() / 8).unwrap());
    }
    (bank, index)
}

pub(crate) fn engine(bank: PromptBank, seed: u64) -> Engine {
    let settings = MediaSettings { ports: PortRange::Ephemeral, shards: 1, ..MediaSettings::default() };
    Engine::start(settings, bank, Clock::system(), Dice::from_seed(seed)).unwrap()
}

/// Everybody on loopback is known, and 64·T1 takes 1.28 s.
pub(crate) fn hasty() -> StackSettings {
    let pace = Pace { t1: Duration::from_millis(20), t2: Duration::from_millis(160), t4: Duration::from_millis(200) };
    let trunks = vec![Trunk::new("loopback", vec!["127.0.0.0/8".parse().unwrap()], true)];
    let agent = agent::Settings { trunks, pace, ..agent::Settings::default() };
    StackSettings { udp: vec!["127.0.0.1:0".parse().unwrap()], agent, ..StackSettings::default() }
}

struct House {
    stack: Stack,
    calls: mpsc::Receiver<Call>,
    engine: Engine,
    lines: Lines,
    desks: Desks,
}

impl House {
    async fn new(named: &[(&str, Vec<i16>)]) -> Self {
        let (bank, index) = prompts(named);
        let engine = engine(bank, 1);
        let clock = Clock::system();
        let (stack, calls) = Stack::start(hasty(), clock.clone(), Dice::from_seed(2)).await.unwrap();
        let lines = Lines::new(stack.clone(), engine.clone(), Settings::default(), Dice::from_seed(3));
        let settings = DeskSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            answer_after: Duration::from_millis(200),
            ..DeskSettings::default()
        };
        let desks = Desks::start(settings, engine.clone(), index.into(), (clock, Dice::from_seed(4))).await.unwrap();
        Self { stack, calls, engine, lines, desks }
    }

    fn sip(&self) -> String {
        format!("sip:311@{}", self.stack.local(Transport::Udp).unwrap())
    }

    async fn receive(&mut self, id: u64) -> Leg {
        let call = timeout(SOON, self.calls.recv()).await.expect("a call in time").expect("a call");
        self.lines.receive(call, LegId(id)).unwrap().1
    }

    fn dial(&self, desk: &str, id: u64) -> (Dial, Leg) {
        let (leg, far_end) = leg::leg(LegId(id));
        let targets = vec![format!("sip:{desk}@{}", self.desks.address().unwrap())];
        (Dial { line: "pbot_maint".into(), targets, ring: SOON, leg: far_end }, leg)
    }

    async fn is_empty(&self) {
        let sessions = || self.engine.stats().iter().map(|shard| shard.sessions).sum::<usize>();
        eventually(async || {
            let ours = self.stack.stats().await.unwrap();
            let census = Census { timers: 0, ..ours.census };
            census == Census::default() && ours.legs == 0 && self.lines.legs() == 0 && sessions() == 0
        })
        .await;
        assert_eq!(self.desks.conversations(), 0);
    }
}

async fn eventually(met: impl AsyncFn() -> bool) {
    let met = async {
        while !met().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, met).await.expect("nothing is left over");
}

/// Somebody with a telephone.
struct Caller {
    session: Session,
    _heard: mpsc::Receiver<MediaEvent>,
    agreement: Agreement,
    call: Call,
    chunks: Chunks<Chunk>,
    samples: Vec<i16>,
    _home: (Stack, Engine),
}

impl Caller {
    async fn dial(uri: String, seed: u64) -> Self {
        let (stack, calls) = Stack::start(hasty(), Clock::system(), Dice::from_seed(seed)).await.unwrap();
        drop(calls);
        let engine = engine(PromptBank::default(), seed + 1);
        let (session, heard) = engine.open(None).unwrap();
        let (tap, chunks) = Tap::new();
        session.send(MediaCommand::Record(tap)).unwrap();
        let mut dice = Dice::from_seed(seed + 2);
        let mut agreement = Agreement::new(session.local_addr(), None, &[Codec::Pcmu], &mut dice);
        let dial = agent::Dial {
            targets: vec![uri],
            from_user: "5035550100".to_owned(),
            from_display: None,
            sdp: agreement.offer(),
            ring: SOON,
            headers: Vec::new(),
            trunk: None,
        };
        let call = stack.dial(dial).await.unwrap();
        Self { session, _heard: heard, agreement, call, chunks, samples: Vec::new(), _home: (stack, engine) }
    }

    async fn event(&mut self) -> DialogEvent {
        timeout(SOON, self.call.events.recv()).await.expect("an event in time").expect("an event")
    }

    async fn is_answered(&mut self) {
        loop {
            match self.event().await {
                DialogEvent::Answered { sdp } => {
                    let agreed = self.agreement.accept(&sdp.unwrap()).unwrap();
                    return self.session.send(MediaCommand::Remote(agreed.remote)).unwrap();
                }
                DialogEvent::Ringing { .. } => {}
                other => panic!("not answered: {other:?}"),
            }
        }
    }

    async fn hears(&mut self, wanted: &[i16]) {
        let found = async {
            loop {
                while let Ok(chunk) = self.chunks.try_recv() {
                    self.samples.extend_from_slice(chunk.samples());
                }
                let recent = self.samples.len().saturating_sub(8_000);
                if likeness(&self.samples[recent..], wanted) > 0.95 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(SOON, found).await.expect("it was not heard");
    }

    fn press(&self, keys: &str) {
        self.session.send(MediaCommand::SendKeys { keys: keys.parse().unwrap(), inband: false }).unwrap();
    }

    async fn offer(&mut self, direction: &str) {
        let sdp = self.agreement.offer().replace("a=sendrecv", direction);
        self.call.handle.send(agent::Command::Offer { sdp }).await.unwrap();
    }
}

async fn next(leg: &mut Leg) -> Event {
    timeout(SOON, leg.events.recv()).await.expect("an event in time").expect("an event")
}

/// Passes over what else happens.
async fn until(leg: &mut Leg, wanted: Event) {
    let mut passed = Vec::new();
    let found = timeout(SOON, async {
        while let Some(event) = leg.events.recv().await {
            if event == wanted {
                return true;
            }
            passed.push(event);
        }
        false
    });
    assert_eq!(found.await, Ok(true), "{wanted:?} did not come, but {passed:?}");
}

async fn tell(leg: &Leg, command: Command) {
    leg.commands.send(command).await.unwrap();
}

fn play(token: u32, name: &str) -> Command {
    Command::Play { token, prompts: vec![Spoken::new(Language::ENGLISH, name)], repeat: false }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_hears_a_prompt_presses_a_key_and_is_connected_to_a_desk() {
    let (greeting, desk) = (noise(10, 1_600), noise(11, 1_600));
    let named = [
        ("greeting", [vec![0; 1_600], greeting.clone()].concat()),
        ("desk.pbot_maint", [vec![0; 1_600], desk.clone()].concat()),
    ];
    let mut house = House::new(&named).await;
    let mut caller = Caller::dial(house.sip(), 20).await;
    let mut leg = house.receive(1).await;
    tell(&leg, Command::Answer).await;
    assert_eq!(next(&mut leg).await, Event::Answered);
    tell(&leg, play(7, "greeting")).await;
    caller.is_answered().await;
    caller.hears(&greeting).await;
    until(&mut leg, Event::Played { token: 7 }).await;
    caller.press("2");
    until(&mut leg, Event::Key { key: Key::from_char('2').unwrap(), source: KeySource::Rtp }).await;

    let (dial, mut line) = house.dial("pbot-maint", 2);
    tell(&leg, Command::Dial(dial)).await;
    assert_eq!(next(&mut line).await, Event::Ringing);
    assert_eq!(next(&mut line).await, Event::Answered);
    tell(&leg, Command::Bridge { peer: LegId(2) }).await;
    caller.hears(&desk).await;
    until(&mut line, Event::Heard).await;

    drop(caller);
    until(&mut leg, Event::Ended { by: Side::Caller, cause: Cause::Normal }).await;
    assert_eq!(leg.events.recv().await, None, "the end is the last word");
    drop((leg, line));
    house.is_empty().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_does_not_answer_says_why_and_the_caller_stays() {
    let mut house = House::new(&[]).await;
    let mut caller = Caller::dial(house.sip(), 20).await;
    let mut leg = house.receive(1).await;
    tell(&leg, Command::Answer).await;
    caller.is_answered().await;
    for (id, desk, wanted) in [(2, "busy-x", Cause::Busy), (3, "reject-x", Cause::Rejected)] {
        let (dial, mut line) = house.dial(desk, id);
        tell(&leg, Command::Dial(dial)).await;
        until(&mut line, Event::Ended { by: Side::Caller, cause: wanted }).await;
    }
    let (mut dial, mut line) = house.dial("silent-x", 4);
    dial.ring = Duration::from_millis(500);
    tell(&leg, Command::Dial(dial)).await;
    until(&mut line, Event::Ended { by: Side::Us, cause: Cause::NoAnswer }).await;
    tell(&leg, Command::Hangup { cause: Cause::Normal }).await;
    until(&mut leg, Event::Ended { by: Side::Us, cause: Cause::Normal }).await;
    drop((caller, leg, line));
    house.is_empty().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hold_resume_and_keys_by_info_reach_the_leg() {
    let mut house = House::new(&[]).await;
    let mut caller = Caller::dial(house.sip(), 20).await;
    let mut leg = house.receive(1).await;
    tell(&leg, Command::Answer).await;
    caller.is_answered().await;
    caller.offer("a=sendonly").await;
    until(&mut leg, Event::Held { on_hold: true }).await;
    assert!(matches!(caller.event().await, DialogEvent::OfferAnswered { sdp } if sdp.contains("recvonly")));
    caller.offer("a=sendrecv").await;
    until(&mut leg, Event::Held { on_hold: false }).await;
    let (content_type, body) = ("application/dtmf-relay".to_owned(), "Signal=9\r\nDuration=160\r\n".into());
    caller.call.handle.send(agent::Command::Info { content_type, body }).await.unwrap();
    until(&mut leg, Event::Key { key: Key::from_char('9').unwrap(), source: KeySource::Info }).await;
    drop(leg);
    assert!(matches!(caller.event().await, DialogEvent::OfferAnswered { .. }));
    assert!(matches!(caller.event().await, DialogEvent::Ended { by_peer: true, .. }));
    drop(caller);
    house.is_empty().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_carry_the_status_of_their_cause() {
    let mut house = House::new(&[]).await;
    for (seed, cause, wanted) in [(20, Cause::UnknownNumber, 404), (30, Cause::Congestion, 503)] {
        let mut caller = Caller::dial(house.sip(), seed).await;
        let mut leg = house.receive(seed).await;
        tell(&leg, Command::Reject { cause }).await;
        until(&mut leg, Event::Ended { by: Side::Us, cause }).await;
        assert!(matches!(caller.event().await, DialogEvent::Ended { status: Some(status), .. } if status == wanted));
    }
    house.is_empty().await;
}
