//! One party's packets, sans-IO: what comes in, what goes out, what is told.
//!
//! Every 20 ms its shard hands in the packets that came ([`Session::receive`]) and asks for the one that goes
//! out ([`Session::next_packet`]); a turn is the number of such 20 ms since the shard began. Nothing here
//! knows a socket, a thread or a clock.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use super::bridge::{Audio, Feed, Position};
use super::codecs::{Codec, FRAME, PAYLOAD_MAX};
use super::command::{Direction, MediaEvent, Remote};
use super::engine::InbandKeys;
use super::keys::{EventReceiver, KeyFrame, KeySender, KeyStream};
use super::listener::Listener;
use super::player::{Next, Player, Playlist};
use super::reception::{Place, Reception};
use super::recorder::Tap;
use super::reports::Reports;
use super::rtcp::Compound;
use super::rtp::{HEADER, Header, Packet};
use super::sounds;
use super::source::{Source, Verdict};
use crate::terms::clock::Instant;
use crate::terms::dice::Dice;
use crate::terms::event::KeySource;
use crate::terms::key::{Key, Keys};

/// Room for the longest packet that is sent or taken.
pub(crate) const PACKET_MAX: usize = 1500;
/// Comfort noise (RFC 3389): no audio, yet a sign of life.
const COMFORT_NOISE_PT: u8 = 13;

/// A party.
pub(crate) struct Session {
    settings: Settings,
    far: Option<Far>,
    out: Out,
    reception: Option<Reception>,
    player: Player,
    feed: Option<Feed>,
    events_in: EventReceiver,
    keys_out: KeySender,
    keys: KeyStream,
    listener: Listener,
    pub(crate) reports: Reports,
    pub(crate) told: VecDeque<MediaEvent>,
    pub(crate) strays: u64,
}

/// What holds for the whole session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) silence: Duration,
    pub(crate) inband: InbandKeys,
}

/// The far end, once it is known.
struct Far {
    remote: Remote,
    source: Source,
    heard: bool,
    silent: bool,
    last_packet: Instant,
}

/// The stream that is sent.
#[derive(Debug)]
struct Out {
    ssrc: u32,
    seq: u16,
    /// The timestamp of turn 0.
    base: u32,
    /// The timestamp after the last packet.
    next_timestamp: u32,
    /// What was sent last was audio, up to `next_timestamp`.
    talking: bool,
    packets: u32,
    octets: u32,
}

/// A moment in a shard's life.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) now: Instant,
    /// The number of 20 ms since the shard began.
    pub(crate) turn: u64,
}

/// What came of a packet.
#[derive(Debug)]
pub(crate) enum Received<'a> {
    /// Audio, for whoever is bridged.
    Audio(Audio<'a>),
    /// A new press of a key.
    Key(Key),
    /// A sign of life, no more.
    Nothing,
    /// Somebody else's, or not RTP.
    Stray,
}

/// What the socket should be joined to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Only this one: the system drops the packets of others.
    Only(SocketAddr),
    /// Anyone.
    Anyone,
}

impl Session {
    pub(crate) fn new(settings: Settings, dice: &mut Dice) -> Self {
        let out = Out {
            ssrc: dice.u64() as u32,
            seq: dice.u64() as u16,
            base: dice.u64() as u32,
            next_timestamp: 0,
            talking: false,
            packets: 0,
            octets: 0,
        };
        Self {
            settings,
            far: None,
            reports: Reports::new(out.ssrc, dice),
            out,
            reception: None,
            player: Player::default(),
            feed: None,
            events_in: EventReceiver::default(),
            keys_out: KeySender::default(),
            keys: KeyStream::default(),
            listener: Listener::default(),
            told: VecDeque::with_capacity(8),
            strays: 0,
        }
    }

    /// Where the far end is and what was agreed with it. `Some` where the lock on its source was opened.
    pub(crate) fn set_remote(&mut self, now: Instant, remote: Remote) -> Option<Peer> {
        let listens = match self.settings.inband {
            InbandKeys::WhenNotAgreed => remote.keys_receive_pt.is_none(),
            InbandKeys::Always => true,
            InbandKeys::Never => false,
        };
        self.listener.listen_for_keys(listens);
        match &mut self.far {
            Some(far) => {
                let opened = far.source.signalled(remote.rtp, remote.nat);
                far.remote = remote;
                // After a hold the silence counts anew, also of a party who had fallen silent before.
                far.last_packet = now;
                far.silent = false;
                opened.then_some(Peer::Anyone)
            }
            None => {
                let source = Source::new(remote.rtp, remote.nat);
                self.far = Some(Far { remote, source, heard: false, silent: false, last_packet: now });
                None
            }
        }
    }

    pub(crate) fn play(&mut self, list: Playlist) {
        self.player.play(list);
    }

    pub(crate) fn stop(&mut self) {
        self.player.stop();
    }

    /// From now on another party is heard here; what is being played stops.
    pub(crate) fn bridge(&mut self) {
        self.player.stop();
        self.feed = Some(Feed::default());
    }

    pub(crate) fn unbridge(&mut self) {
        self.feed = None;
    }

    /// False where some keys found no room.
    pub(crate) fn send_keys(&mut self, keys: &Keys, inband: bool) -> bool {
        self.keys_out.send(keys, inband)
    }

    pub(crate) fn record(&mut self, now: Instant, tap: Tap) {
        self.listener.record(now, tap);
    }

    /// A key came by `source`. True where it is a new press; then it is told.
    pub(crate) fn press(&mut self, now: Instant, key: Key, source: KeySource) -> bool {
        let new = self.keys.join(now, key, source);
        if new {
            self.told.push_back(MediaEvent::Key { key, source });
        }
        new
    }

    /// A packet came. `peer` is set where the lock closed on its source.
    pub(crate) fn receive<'a>(
        &mut self,
        at: Moment,
        from: SocketAddr,
        bytes: &'a [u8],
        peer: &mut Option<Peer>,
    ) -> Received<'a> {
        let Moment { now, turn } = at;
        let arrival = self.out.at(turn);
        let verdict = self.far.as_ref().map_or(Verdict::Stray, |far| far.source.judge(from));
        let (Some(far), Some(packet), false) = (&mut self.far, Packet::parse(bytes), verdict == Verdict::Stray) else {
            self.strays += 1;
            return Received::Stray;
        };
        let pt = packet.header.pt;
        let format = far.remote.receive.iter().find(|format| format.pt == pt).copied();
        let is_event = far.remote.keys_receive_pt == Some(pt);
        if format.is_none() && !is_event && pt != COMFORT_NOISE_PT {
            self.strays += 1;
            return Received::Stray;
        }
        if verdict == Verdict::Candidate {
            far.source.lock(from);
            *peer = Some(Peer::Only(from));
        }
        far.last_packet = now;
        if std::mem::take(&mut far.silent) {
            self.told.push_back(MediaEvent::Resumed);
        }
        let place = match &mut self.reception {
            Some(reception) => reception.note(&packet.header, arrival),
            None => {
                self.reception = Some(Reception::begin(&packet.header, arrival));
                Place::Newer
            }
        };
        self.reports.received += 1;
        if is_event {
            let key = self.events_in.receive(&packet);
            let new = key.filter(|key| self.press(now, *key, KeySource::Rtp));
            return new.map_or(Received::Nothing, Received::Key);
        }
        match format {
            Some(format) if far.remote.direction.receives() => {
                if !std::mem::replace(&mut far.heard, true) {
                    self.told.push_back(MediaEvent::Heard);
                }
                let audio = Audio { codec: format.codec, header: packet.header, payload: packet.payload };
                self.listen(now, &audio, place);
                Received::Audio(audio)
            }
            Some(_) | None => Received::Nothing,
        }
    }

    fn listen(&mut self, now: Instant, audio: &Audio<'_>, place: Place) {
        if self.listener.idle() || place == Place::Older {
            return;
        }
        if let Some(key) = self.listener.hear(now, audio) {
            // Heard by the other party too, where there is one: a tone needs no passing on.
            self.press(now, key, KeySource::Inband);
        }
    }

    /// The far end's silence begins to count as silence. `Some` where that opens the lock on its source.
    pub(crate) fn check_silence(&mut self, now: Instant) -> Option<Peer> {
        let far = self.far.as_mut()?;
        let expected = far.remote.direction == Direction::Both && !far.silent;
        if !expected || now.saturating_duration_since(far.last_packet) < self.settings.silence {
            return None;
        }
        far.silent = true;
        self.told.push_back(MediaEvent::Silent);
        far.source.reopen().then_some(Peer::Anyone)
    }

    /// Where packets go now.
    pub(crate) fn destination(&self) -> Option<SocketAddr> {
        self.far.as_ref()?.source.destination()
    }

    /// Where RTCP goes, and whether this address may be its source.
    pub(crate) fn rtcp_destination(&self) -> Option<SocketAddr> {
        let far = self.far.as_ref()?;
        let signalled = far.remote.rtcp;
        let rtp = far.source.destination()?;
        // A party behind a NAT is where its RTP comes from, on the port above.
        if signalled.ip() == rtp.ip() { Some(signalled) } else { Some(SocketAddr::new(rtp.ip(), rtp.port() | 1)) }
    }

    /// RTCP came.
    pub(crate) fn receive_rtcp(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        match self.far.as_mut().filter(|far| far.source.is_party(from.ip())) {
            Some(far) => {
                self.reports.receive(now, bytes);
                // A party who is muted and sends no audio still reports: they are there.
                far.last_packet = now;
                if std::mem::take(&mut far.silent) {
                    self.told.push_back(MediaEvent::Resumed);
                }
            }
            None => self.strays += 1,
        }
    }

    /// Writes the report that is due, or the last one; gives its length.
    pub(crate) fn write_report(&mut self, now: Instant, turn: u64, bye: bool, out: &mut [u8]) -> usize {
        let sent = (self.out.packets, self.out.octets, self.out.at(turn));
        let report = self.reports.report(now, sent, self.reception.as_mut());
        Compound { bye, ..report }.write(out)
    }

    /// Figures for whoever asks.
    pub(crate) fn quality(&self) -> super::command::Quality {
        let mut quality = self.reports.quality(self.reception.as_ref());
        quality.sent = u64::from(self.out.packets);
        quality.strays = self.strays;
        quality
    }

    /// The packet of this turn, written to `out`; `None` where none is due: nobody is there, the far end
    /// wants none, or the bridged party speaks.
    pub(crate) fn next_packet(&mut self, turn: u64, out: &mut [u8]) -> Option<usize> {
        let (send, sends, events) = {
            let remote = &self.far.as_ref()?.remote;
            (remote.send, remote.direction.sends(), remote.keys_send_pt)
        };
        let key = if self.keys_out.busy() { self.keys_out.next(self.out.at(turn), events.is_some()) } else { None };
        // What is played goes on while a key sounds or the far end does not listen: time is time.
        let played = self.played(send.codec, &mut out[HEADER..HEADER + FRAME]);
        if !sends {
            self.out.talking = false;
            return None;
        }
        let payload = &mut out[HEADER..HEADER + FRAME];
        match (key, events) {
            (Some(KeyFrame::Event { payload: event, timestamp, marker }), Some(pt)) => {
                payload[..event.len()].copy_from_slice(&event);
                let header = self.out.event_header(pt, timestamp, marker);
                self.interrupt();
                return Some(header.write(out) + event.len());
            }
            (Some(KeyFrame::Tone(key, frame)), _) => {
                payload
                    .copy_from_slice(sounds::key_tone(key, send.codec, frame).unwrap_or(sounds::silence(send.codec)));
                self.interrupt();
            }
            (Some(KeyFrame::Pause | KeyFrame::Event { .. }), _) | (None, _) if played => self.interrupt(),
            (Some(KeyFrame::Pause | KeyFrame::Event { .. }), _) => {
                payload.copy_from_slice(sounds::silence(send.codec));
                self.interrupt();
            }
            (None, _) => {
                if self.feed.as_ref().is_some_and(|feed| feed.flows(turn)) {
                    return None;
                }
                payload.copy_from_slice(sounds::silence(send.codec));
                self.interrupt();
            }
        }
        Some(self.out.audio_header(turn, send.pt).write(out) + FRAME)
    }

    /// We say something ourselves: what the bridged party says next begins anew.
    fn interrupt(&mut self) {
        if let Some(feed) = &mut self.feed {
            feed.interrupt();
        }
    }

    /// Copies the next frame of what is being played to `payload`, and tells of it.
    fn played(&mut self, codec: Codec, payload: &mut [u8]) -> bool {
        let played = match self.player.next(codec) {
            Next::Frame(frame) => {
                payload.copy_from_slice(frame.payload);
                if let Some((token, index)) = frame.begins {
                    self.told.push_back(MediaEvent::Started { token, index });
                }
                true
            }
            Next::Nothing => return false,
            Next::Ended(token) => {
                self.told.extend(token.map(|token| MediaEvent::Played { token }));
                return false;
            }
        };
        if let Some(Some(token)) = self.player.finished(codec) {
            self.told.push_back(MediaEvent::Played { token });
        }
        played
    }

    /// Audio of the bridged party, written to `out` as a packet of ours; `None` where it is not wanted now.
    pub(crate) fn forward(&mut self, turn: u64, audio: &Audio<'_>, out: &mut [u8]) -> Option<usize> {
        let remote = &self.far.as_ref()?.remote;
        let send = remote.send;
        if !remote.direction.sends() || self.keys_out.busy() || self.player.playing() {
            return None;
        }
        let feed = self.feed.as_mut()?;
        let stamp = feed.stamp(turn, &audio.header, self.out.position(turn))?;
        let length = feed.carry(audio, send.codec, &mut out[HEADER..HEADER + PAYLOAD_MAX]);
        let header = self.out.stamped_header(send.pt, stamp, length);
        Some(header.write(out) + length)
    }
}

impl Out {
    fn at(&self, turn: u64) -> u32 {
        self.base.wrapping_add((turn as u32).wrapping_mul(FRAME as u32))
    }

    fn position(&self, turn: u64) -> Position {
        let now = self.at(turn);
        let next_timestamp = if self.packets == 0 { now } else { self.next_timestamp };
        Position { next_seq: self.seq, next_timestamp, now }
    }

    /// The header of a frame of our own: on our clock, with a marker after a gap.
    fn audio_header(&mut self, turn: u64, pt: u8) -> Header {
        let Position { next_seq, next_timestamp, now } = self.position(turn);
        // What was passed on may have run a little ahead of our clock.
        let timestamp = if (now.wrapping_sub(next_timestamp) as i32) < 0 { next_timestamp } else { now };
        let marker = !self.talking || timestamp != self.next_timestamp;
        self.sent(next_seq, timestamp, FRAME);
        Header { marker, pt, seq: next_seq, timestamp, ssrc: self.ssrc }
    }

    /// The header of a telephone-event: its timestamp is the press's, and stays.
    fn event_header(&mut self, pt: u8, timestamp: u32, marker: bool) -> Header {
        let seq = self.seq;
        self.seq = seq.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(super::keys::EVENT as u32);
        self.talking = false;
        Header { marker, pt, seq, timestamp, ssrc: self.ssrc }
    }

    fn stamped_header(&mut self, pt: u8, stamp: super::bridge::Stamp, length: usize) -> Header {
        self.sent(stamp.seq, stamp.timestamp, length);
        Header { marker: stamp.marker, pt, seq: stamp.seq, timestamp: stamp.timestamp, ssrc: self.ssrc }
    }

    fn sent(&mut self, seq: u16, timestamp: u32, length: usize) {
        // A packet that was overtaken does not take the stream back.
        if self.packets == 0 || seq.wrapping_sub(self.seq) < 0x8000 {
            self.seq = seq.wrapping_add(1);
            self.next_timestamp = timestamp.wrapping_add(length as u32);
        }
        self.talking = true;
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(length as u32);
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
