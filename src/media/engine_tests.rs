//! The engine on real sockets of the loopback, against parties played by the tests.

use std::net::UdpSocket;
use std::time::Duration;

use super::*;
use crate::media::command::{Direction, Format, MediaEnd, Remote};
use crate::media::rtp::{HEADER, Header, Packet};
use crate::terms::clock::Instant;
use crate::terms::event::KeySource;
use crate::terms::key::Key;
use crate::terms::language::Language;
use crate::terms::prompt::Spoken;

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(10);

fn spoken(name: &str) -> Spoken {
    Spoken::new(Language::ENGLISH, name)
}

/// A bank with the phrases `one` (200 ms), `two` (100 ms) and `long` (60 s).
fn bank() -> PromptBank {
    let mut bank = PromptBank::default();
    let wave = |samples: usize, step: usize| (0..samples).map(|n| ((n * step) % 8_000) as i16 - 4_000).collect();
    bank.add(&spoken("one"), 8_000, wave(1_600, 37));
    bank.add(&spoken("two"), 8_000, wave(800, 91));
    bank.add(&spoken("long"), 8_000, wave(480_000, 53));
    bank
}

fn engine(change: impl FnOnce(&mut Settings)) -> Engine {
    let mut settings = Settings { ports: PortRange::Ephemeral, shards: 1, ..Settings::default() };
    change(&mut settings);
    Engine::start(settings, bank(), Clock::system(), Dice::from_seed(1)).unwrap()
}

/// A party with a telephone of its own.
struct Party {
    socket: UdpSocket,
    session: Session,
    events: mpsc::Receiver<MediaEvent>,
    codec: Codec,
    seq: u16,
}

impl Party {
    fn new(engine: &Engine, codec: Codec, beside: Option<&Party>) -> Self {
        let (session, events) = engine.open(beside.map(|party| &party.session)).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let party = Self { socket, session, events, codec, seq: 0 };
        party.session.send(MediaCommand::Remote(party.remote())).unwrap();
        party
    }

    fn remote(&self) -> Remote {
        let rtp = self.socket.local_addr().unwrap();
        Remote {
            rtp,
            rtcp: SocketAddr::new(rtp.ip(), rtp.port() ^ 1),
            nat: false,
            send: Format::of(self.codec),
            receive: vec![Format::of(self.codec)],
            keys_send_pt: Some(101),
            keys_receive_pt: Some(101),
            direction: Direction::Both,
        }
    }

    fn play(&self, token: u32, names: &[&str], repeat: bool) {
        let prompts = names.iter().map(|name| spoken(name)).collect();
        self.session.send(MediaCommand::Play { token, prompts, repeat }).unwrap();
    }

    fn hear(&self) -> (Header, Vec<u8>) {
        let mut bytes = [0; 1500];
        let length = self.socket.recv(&mut bytes).unwrap();
        let packet = Packet::parse(&bytes[..length]).unwrap();
        (packet.header, packet.payload.to_vec())
    }

    fn say(&mut self, pt: u8, timestamp: u32, payload: &[u8]) {
        let header = Header { marker: false, pt, seq: self.seq, timestamp, ssrc: 77 };
        self.seq += 1;
        let mut bytes = vec![0; HEADER];
        header.write(&mut bytes);
        bytes.extend_from_slice(payload);
        self.socket.send_to(&bytes, self.session.local_addr()).unwrap();
    }

    fn next_event(&mut self) -> MediaEvent {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            match self.events.try_recv() {
                Ok(event) => return event,
                Err(mpsc::error::TryRecvError::Empty) => std::thread::yield_now(),
                Err(mpsc::error::TryRecvError::Disconnected) => panic!("no event will come"),
            }
        }
        panic!("no event came in time");
    }
}

#[test]
fn a_prompt_arrives_bit_by_bit_and_evenly() {
    let engine = engine(|_| {});
    let mut party = Party::new(&engine, Codec::Pcma, None);
    party.play(5, &["one", "two"], false);
    let wanted: Vec<u8> =
        ["one", "two"].iter().flat_map(|name| bank().encoded(&spoken(name), Codec::Pcma).unwrap().to_vec()).collect();
    let (mut headers, mut heard) = (Vec::new(), Vec::new());
    let began = loop {
        let (header, payload) = party.hear();
        headers.push(header);
        if payload != [0xd5; 160] {
            heard.extend(payload);
            break Instant::now();
        }
    };
    while heard.len() < wanted.len() {
        let (header, payload) = party.hear();
        headers.push(header);
        heard.extend(payload);
    }
    assert!(heard == wanted, "what is heard is the prompt");
    assert!(began.elapsed() >= Duration::from_millis(240), "15 packets came in {:?}", began.elapsed());
    assert!(headers[0].marker);
    for pair in headers.windows(2) {
        assert_eq!(pair[1].seq, pair[0].seq.wrapping_add(1));
        let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        assert!(step == 160 || (pair[1].marker && step % 160 == 0), "{step}");
    }
    assert_eq!(party.next_event(), MediaEvent::Started { token: 5, index: 0 });
    assert_eq!(party.next_event(), MediaEvent::Started { token: 5, index: 1 });
    assert_eq!(party.next_event(), MediaEvent::Played { token: 5 });
}

#[test]
fn keys_and_the_first_audio_are_told() {
    let engine = engine(|_| {});
    let mut party = Party::new(&engine, Codec::Pcmu, None);
    party.play(1, &["long"], false);
    assert_eq!(party.next_event(), MediaEvent::Started { token: 1, index: 0 });
    party.say(101, 160, &[9, 10, 0, 160]);
    party.say(0, 320, &[0xff; 160]);
    let key = Key::from_char('9').unwrap();
    assert_eq!(party.next_event(), MediaEvent::Key { key, source: KeySource::Rtp });
    assert_eq!(party.next_event(), MediaEvent::Heard);
}

#[test]
fn a_stranger_is_not_heard() {
    let engine = engine(|_| {});
    let mut party = Party::new(&engine, Codec::Pcmu, None);
    party.hear();
    party.say(0, 0, &[0xff; 160]);
    assert_eq!(party.next_event(), MediaEvent::Heard);
    // The socket is joined to the party now: from another port on the same address nothing gets in.
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    for seq in 0..20u8 {
        let press = [0x80, 101, 0, seq, 0, 0, 9, seq, 0, 0, 0, 77, 1, 10, 0, 160];
        let _ = stranger.send_to(&press, party.session.local_addr());
    }
    party.say(101, 160, &[7, 10, 0, 160]);
    let key = Key::from_char('7').unwrap();
    assert_eq!(party.next_event(), MediaEvent::Key { key, source: KeySource::Rtp });
}

#[test]
fn a_party_that_moves_by_re_invite_is_heard_at_its_new_place() {
    let engine = engine(|_| {});
    let mut party = Party::new(&engine, Codec::Pcmu, None);
    party.say(0, 0, &[0xff; 160]);
    party.hear();
    assert_eq!(party.next_event(), MediaEvent::Heard);
    party.socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    party.socket.set_read_timeout(Some(PATIENCE)).unwrap();
    party.session.send(MediaCommand::Remote(party.remote())).unwrap();
    party.hear();
    party.say(101, 160, &[3, 10, 0, 160]);
    let key = Key::from_char('3').unwrap();
    assert_eq!(party.next_event(), MediaEvent::Key { key, source: KeySource::Rtp });
}

#[test]
fn a_bridge_stops_the_prompt_carries_speech_and_keys_and_outlives_no_party() {
    let engine = engine(|_| {});
    let mut caller = Party::new(&engine, Codec::Pcmu, None);
    let line = Party::new(&engine, Codec::Pcma, Some(&caller));
    caller.play(1, &["long"], false);
    assert_eq!(caller.next_event(), MediaEvent::Started { token: 1, index: 0 });
    caller.session.send(MediaCommand::Bridge { peer: line.session.id() }).unwrap();
    let until = Instant::now() + PATIENCE;
    let mut timestamp = 0;
    let mut carried = |wanted: &dyn Fn(&Header, &[u8]) -> bool, caller: &mut Party| {
        while Instant::now() < until {
            timestamp += 160;
            caller.say(0, timestamp, &[0x20; 160]);
            let (header, payload) = line.hear();
            if wanted(&header, &payload) {
                return true;
            }
        }
        false
    };
    let speech = audio_codec_algorithms::convert_ulaw_to_alaw(0x20);
    assert!(carried(&|header, payload| header.pt == 8 && payload == [speech; 160], &mut caller));
    caller.say(101, 900_000, &[4, 10, 0, 160]);
    assert!(carried(&|header, payload| header.pt == 101 && payload[0] == 4, &mut caller));
    drop(line);
    let survivor = loop {
        assert!(Instant::now() < until, "silence comes when the other is gone");
        let (_, payload) = caller.hear();
        if payload == [0xff; 160] {
            break true;
        }
    };
    assert!(survivor);
}

#[test]
fn events_that_nobody_reads_end_the_session_and_say_so() {
    let engine = engine(|_| {});
    let mut party = Party::new(&engine, Codec::Pcmu, None);
    // After its second packet the shard has written down that it serves a session.
    party.hear();
    party.hear();
    let (until, over) = (Instant::now() + PATIENCE, || engine.stats()[0].sessions == 0);
    for press in 0..200u32 {
        party.say(101, press * 1600, &[1, 10, 0, 160]);
        while u64::from(press) > engine.stats()[0].packets_in + 4 && !over() {
            assert!(Instant::now() < until, "packets are read");
            std::thread::yield_now();
        }
    }
    let mut keys = 0;
    loop {
        match party.next_event() {
            MediaEvent::Key { .. } => keys += 1,
            MediaEvent::Ended { why } => break assert_eq!(why, MediaEnd::EventsUnread),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(keys, EVENTS_MAX);
}

#[test]
fn five_hundred_sessions_leave_nothing_behind() {
    let range = PortRange::Between { first: 30_000, last: 31_999 };
    let engine = engine(|settings| settings.ports = range);
    let parties: Vec<_> = (0..500).map(|_| engine.open(None).unwrap()).collect();
    let ports: Vec<u16> =
        parties.iter().flat_map(|(session, _)| [session.local_port(), session.local_port() + 1]).collect();
    assert!(engine.ports_in_use() == 500 && ports.iter().all(|port| UdpSocket::bind(("127.0.0.1", *port)).is_err()));
    drop(parties);
    let until = Instant::now() + PATIENCE;
    while engine.ports_in_use() > 0 {
        assert!(Instant::now() < until, "{} ports are still in use", engine.ports_in_use());
        std::thread::yield_now();
    }
    assert!(ports.iter().all(|port| UdpSocket::bind(("127.0.0.1", *port)).is_ok()), "every socket is closed");
    // The shard's own hold on what it shares with its door ends with its thread.
    let thread = Arc::downgrade(&engine.0.shards[0].counters);
    drop(engine);
    while thread.strong_count() > 0 {
        assert!(Instant::now() < until, "the thread ends with its last handle");
        std::thread::yield_now();
    }
}

#[test]
fn a_stopped_engine_ends_its_sessions() {
    let engine = engine(|_| {});
    let mut party = Party::new(&engine, Codec::Pcmu, None);
    engine.stop();
    assert_eq!(party.next_event(), MediaEvent::Ended { why: MediaEnd::EngineStopped });
}
