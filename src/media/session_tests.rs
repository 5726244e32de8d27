//! A session in virtual time, without a socket: two parties, packets handed over as the test likes.

use super::*;
use crate::media::bank::Clip;
use crate::media::codecs::{Decoder, Encoder};
use crate::media::command::Format;
use crate::terms::clock::Clock;
use std::sync::Arc;

/// A session and the far end that talks to it.
struct Bench {
    session: Session,
    start: Instant,
    turn: u64,
    seq: u16,
    far: SocketAddr,
}

impl Bench {
    fn new(codec: Codec) -> Self {
        let settings = Settings { silence: Duration::from_secs(20), inband: InbandKeys::WhenNotAgreed };
        let session = Session::new(settings, &mut Dice::from_seed(4));
        let far = "10.0.0.1:4000".parse().unwrap();
        let mut bench = Self { session, start: Clock::system().now(), turn: 0, seq: 0, far };
        bench.agree(codec, |_| {});
        bench
    }

    fn agree(&mut self, codec: Codec, change: impl FnOnce(&mut Remote)) {
        crate::media::sounds::prepare();
        let mut remote = Remote {
            rtp: self.far,
            rtcp: SocketAddr::new(self.far.ip(), self.far.port() + 1),
            nat: false,
            send: Format::of(codec),
            receive: vec![Format::of(codec)],
            keys_send_pt: Some(101),
            keys_receive_pt: Some(101),
            direction: Direction::Both,
        };
        change(&mut remote);
        self.session.set_remote(self.now(), remote);
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.turn * 20)
    }

    /// 20 ms pass; the packet that leaves in them.
    fn turn(&mut self) -> Option<(Header, Vec<u8>)> {
        let mut out = [0; PACKET_MAX];
        let length = self.session.next_packet(self.turn, &mut out);
        self.session.check_silence(self.now());
        self.turn += 1;
        let packet = Packet::parse(&out[..length?]).unwrap();
        Some((packet.header, packet.payload.to_vec()))
    }

    /// A packet comes from `from`.
    fn come(&mut self, from: SocketAddr, pt: u8, timestamp: u32, payload: &[u8]) -> Option<Peer> {
        let header = Header { marker: false, pt, seq: self.seq, timestamp, ssrc: 7 };
        self.seq = self.seq.wrapping_add(1);
        let mut bytes = vec![0; HEADER];
        header.write(&mut bytes);
        bytes.extend_from_slice(payload);
        let mut peer = None;
        let at = Moment { now: self.now(), turn: self.turn };
        self.session.receive(at, from, &bytes, &mut peer);
        peer
    }

    fn told(&mut self) -> Vec<MediaEvent> {
        self.session.told.drain(..).collect()
    }

    fn play(&mut self, frames: usize, codec: Codec) {
        let clip = Clip::new(8_000, vec![3000; frames * FRAME]);
        clip.prepare(codec);
        self.session.play(Playlist::new(Arc::new([Arc::new(clip)]), Some(1), false));
    }
}

fn silent(codec: Codec, payload: &[u8]) -> bool {
    payload == sounds::silence(codec)
}

#[test]
fn silence_prompt_and_silence_are_one_even_stream() {
    let mut bench = Bench::new(Codec::Pcmu);
    let mut packets: Vec<_> = (0..5).map(|_| bench.turn().unwrap()).collect();
    bench.play(3, Codec::Pcmu);
    packets.extend((0..3).map(|_| bench.turn().unwrap()));
    assert_eq!(bench.told(), [MediaEvent::Started { token: 1, index: 0 }, MediaEvent::Played { token: 1 }]);
    packets.extend((0..5).map(|_| bench.turn().unwrap()));
    let sounding: Vec<bool> = packets.iter().map(|(_, payload)| !silent(Codec::Pcmu, payload)).collect();
    assert_eq!(sounding.iter().filter(|sounds| **sounds).count(), 3);
    for (n, pair) in packets.windows(2).enumerate() {
        assert_eq!(pair[1].0.seq, pair[0].0.seq.wrapping_add(1));
        assert_eq!(pair[1].0.timestamp, pair[0].0.timestamp.wrapping_add(160), "packet {n}");
        assert!(!pair[1].0.marker && pair[1].0.ssrc == pair[0].0.ssrc);
    }
    assert!(packets[0].0.marker, "the first of all begins a talk-spurt");
}

#[test]
fn a_turn_that_was_left_out_shows_in_the_timestamp_and_never_in_a_burst() {
    let mut bench = Bench::new(Codec::Pcmu);
    let before = bench.turn().unwrap().0;
    bench.turn += 4;
    let after = bench.turn().unwrap().0;
    assert_eq!(after.timestamp, before.timestamp.wrapping_add(5 * 160));
    assert!(after.marker && after.seq == before.seq.wrapping_add(1));
}

#[test]
fn nothing_is_sent_before_the_far_end_is_known_and_a_play_waits_for_it() {
    let settings = Settings { silence: Duration::from_secs(20), inband: InbandKeys::Never };
    let mut session = Session::new(settings, &mut Dice::from_seed(4));
    session.play(Playlist::new(sounds::ringback(), Some(1), false));
    assert_eq!(session.next_packet(0, &mut [0; PACKET_MAX]), None);
    assert!(session.told.is_empty());
}

#[test]
fn on_hold_nothing_is_sent_and_time_goes_on() {
    let mut bench = Bench::new(Codec::Pcmu);
    bench.play(2, Codec::Pcmu);
    bench.agree(Codec::Pcmu, |remote| remote.direction = Direction::ReceiveOnly);
    assert!(bench.turn().is_none() && bench.turn().is_none());
    assert_eq!(bench.told(), [MediaEvent::Started { token: 1, index: 0 }, MediaEvent::Played { token: 1 }]);
    bench.turn += 2_000;
    bench.turn();
    assert!(bench.told().is_empty(), "silence on hold is no loss");
    bench.agree(Codec::Pcmu, |_| {});
    assert!(bench.turn().unwrap().0.marker);
}

#[test]
fn silence_is_told_once_and_so_is_its_end() {
    let mut bench = Bench::new(Codec::Pcmu);
    let far = bench.far;
    assert_eq!(bench.come(far, 0, 0, &[0xff; 160]), Some(Peer::Only(far)));
    assert_eq!(bench.told(), [MediaEvent::Heard]);
    (0..2_000).for_each(|_| drop(bench.turn()));
    assert_eq!(bench.told(), [MediaEvent::Silent]);
    let moved = "10.0.0.1:4777".parse().unwrap();
    assert_eq!(bench.come(moved, 0, 1, &[0xff; 160]), Some(Peer::Only(moved)), "its NAT gave it another port");
    bench.come(moved, 0, 161, &[0xff; 160]);
    assert_eq!(bench.told(), [MediaEvent::Resumed]);
}

#[test]
fn strangers_and_unknown_payloads_are_not_heard() {
    let mut bench = Bench::new(Codec::Pcmu);
    bench.come("10.9.9.9:4000".parse().unwrap(), 0, 0, &[1; 160]);
    let far = bench.far;
    bench.come(far, 33, 0, &[1; 160]);
    assert!(bench.told().is_empty());
    assert_eq!(bench.session.strays, 2);
}

#[test]
fn keys_go_out_as_events_with_the_timestamp_of_the_press() {
    let mut bench = Bench::new(Codec::Pcmu);
    bench.turn();
    bench.session.send_keys(&"5".parse().unwrap(), false);
    let packets: Vec<_> = (0..12).map(|_| bench.turn().unwrap()).collect();
    let events: Vec<_> = packets.iter().filter(|(header, _)| header.pt == 101).collect();
    assert_eq!(events.len(), 7);
    assert!(events[0].0.marker && events.iter().all(|(header, _)| header.timestamp == events[0].0.timestamp));
    for pair in packets.windows(2) {
        assert_eq!(pair[1].0.seq, pair[0].0.seq.wrapping_add(1));
    }
}

#[test]
fn a_bridge_carries_a_tone_between_any_two_codecs() {
    for (from, to) in Codec::ALL.into_iter().flat_map(|from| Codec::ALL.map(|to| (from, to))) {
        let (mut caller, mut line) = (Bench::new(from), Bench::new(to));
        line.play(100, to);
        caller.session.bridge();
        line.session.bridge();
        let (mut encoder, mut decoder) = (Encoder::new(from), Decoder::new(to));
        let (mut heard, mut out) = (Vec::new(), [0; PACKET_MAX]);
        for turn in 0..50u32 {
            let tone: Vec<i16> = (0..160)
                .map(|n| (8000.0 * (f64::from(turn * 160 + n) * std::f64::consts::FRAC_PI_4).sin()) as i16)
                .collect();
            let mut payload = [0; 160];
            encoder.encode(&tone, &mut payload);
            let header =
                Header { marker: turn == 0, pt: from.static_pt(), seq: turn as u16, timestamp: turn * 160, ssrc: 7 };
            let audio = Audio { codec: from, header, payload: &payload };
            let length = line.session.forward(u64::from(turn), &audio, &mut out).unwrap();
            let packet = Packet::parse(&out[..length]).unwrap();
            assert_eq!((packet.header.pt, packet.payload.len()), (to.static_pt(), 160));
            assert!(line.turn().is_none(), "one packet a turn");
            let mut samples = [0; 160];
            decoder.decode(packet.payload, &mut samples);
            heard.extend_from_slice(&samples);
        }
        // The tone is at 1 kHz: its share of all energy, once the filters have settled.
        let settled = &heard[1_600..];
        let (mut real, mut imaginary, mut all) = (0.0, 0.0, 0.0);
        for (n, sample) in settled.iter().enumerate() {
            let (sample, angle) = (f64::from(*sample), n as f64 * std::f64::consts::FRAC_PI_4);
            (real, imaginary, all) =
                (real + sample * angle.cos(), imaginary + sample * angle.sin(), all + sample * sample);
        }
        let share = 2.0 * (real * real + imaginary * imaginary) / settled.len() as f64 / all;
        let level = (all / settled.len() as f64).sqrt() / (8000.0 / 2f64.sqrt());
        assert!(share > 0.95 && (0.85..1.15).contains(&level), "{from:?} to {to:?}: {share:.3} at {level:.2}");
    }
}

#[test]
fn when_the_bridged_party_says_nothing_silence_is_sent_and_it_may_speak_again() {
    let mut line = Bench::new(Codec::Pcmu);
    line.session.bridge();
    let mut out = [0; PACKET_MAX];
    let mut said = |line: &mut Bench, seq: u16, timestamp: u32| {
        let header = Header { marker: false, pt: 8, seq, timestamp, ssrc: 7 };
        let audio = Audio { codec: Codec::Pcma, header, payload: &[0x55; 160] };
        let length = line.session.forward(line.turn, &audio, &mut out).unwrap();
        Packet::parse(&out[..length]).unwrap().header
    };
    let first = said(&mut line, 0, 0);
    assert!(first.marker);
    let filled: Vec<_> = (0..10).filter_map(|_| line.turn()).collect();
    assert_eq!(filled.len(), 6, "for 60 ms the party may only be late");
    assert!(filled.iter().all(|(_, payload)| silent(Codec::Pcmu, payload)));
    let again = said(&mut line, 1, 160);
    assert!(again.marker && again.seq == filled[5].0.seq.wrapping_add(1));
    assert!(again.timestamp.wrapping_sub(filled[5].0.timestamp) as i32 > 0);
}
