//! The engine on real sockets of the loopback, against parties played by the tests.

use std::net::UdpSocket;
use std::time::Duration;

use super::*;
use crate::media::command::{Direction, Format, Remote};
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
