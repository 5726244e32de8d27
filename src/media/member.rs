//! A session with its sockets, as a shard holds it.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc;

use super::bridge::Audio;
use super::codecs::Codec;
use super::command::{MediaEnd, MediaEvent, SessionId};
use super::engine::Shared;
use super::ports::Pair;
use super::rtp::Header;
use super::session::{Moment, PACKET_MAX, Peer, Received, Session};
use super::shard::Tally;
use crate::terms::key::{Key, Keys};

/// Packets read in one turn at most; what is left waits in the socket for the next.
const READS_MAX: usize = 8;
/// Of a backlog the newest are passed on: 60 ms.
const HELD_MAX: usize = 3;
/// A socket is read until it is empty in every turn after a surprise, and in one of so many turns anyway.
const DRAIN_TURNS: u64 = 8;
/// RTCP is read, and silence noticed, in one of so many turns.
const SLOW_TURNS: u64 = 5;
/// Figures are written down in one of so many turns.
const GAUGE_TURNS: u64 = 50;
/// Events that wait for their owner, past those in the channel, and the turns that they wait (5 s).
const TOLD_MAX: usize = 64;
const TOLD_TURNS_MAX: u16 = 250;

/// A session and what belongs to it.
pub(crate) struct Member {
    pub(crate) id: SessionId,
    pub(crate) session: Session,
    pub(crate) shared: Arc<Shared>,
    /// The session that it is bridged with.
    pub(crate) peer: Option<SessionId>,
    events: mpsc::Sender<MediaEvent>,
    /// Room that is kept for [`MediaEvent::Ended`].
    last_word: Option<mpsc::OwnedPermit<MediaEvent>>,
    pair: Pair,
    /// May the socket be joined to its peer?
    connects: bool,
    connected: bool,
    /// The next turn reads until the socket is empty.
    surprised: bool,
    told_turns: u16,
}

/// Buffers that a shard lends to whoever has the turn.
pub(crate) struct Buffers {
    packets: [[u8; PACKET_MAX]; HELD_MAX],
    held: [Option<Held>; HELD_MAX],
    count: usize,
    out: [u8; PACKET_MAX],
}

/// Audio in one of the buffers.
#[derive(Clone, Copy)]
struct Held {
    codec: Codec,
    header: Header,
    start: usize,
    length: usize,
}

/// What a member is made of.
pub(crate) struct Parts {
    pub(crate) id: SessionId,
    pub(crate) session: Session,
    pub(crate) pair: Pair,
    pub(crate) events: mpsc::Sender<MediaEvent>,
    pub(crate) last_word: mpsc::OwnedPermit<MediaEvent>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) connects: bool,
}

impl Member {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { id, session, pair, events, last_word, shared, connects } = parts;
        Self {
            id,
            session,
            shared,
            peer: None,
            events,
            last_word: Some(last_word),
            pair,
            connects,
            connected: false,
            surprised: true,
            told_turns: 0,
        }
    }

    /// Reads what came and passes audio and keys on to `peer`.
    pub(crate) fn hear(&mut self, at: Moment, peer: Option<&mut Self>, buffers: &mut Buffers, tally: &mut Tally) {
        let mut pressed: [Option<Key>; READS_MAX] = [None; READS_MAX];
        self.read(at, buffers, &mut pressed, tally);
        let Some(peer) = peer else { return };
        for key in pressed.into_iter().flatten() {
            peer.session.send_keys(&Keys(vec![key]), false);
        }
        let first = buffers.count.saturating_sub(HELD_MAX);
        for index in first..buffers.count {
            let slot = index % HELD_MAX;
            let Some(held) = buffers.held[slot] else { continue };
            let payload = &buffers.packets[slot][held.start..held.start + held.length];
            let audio = Audio { codec: held.codec, header: held.header, payload };
            if let Some(length) = peer.session.forward(at.turn, &audio, &mut buffers.out) {
                peer.send(&buffers.out[..length], tally);
            }
        }
    }

    fn read(&mut self, at: Moment, buffers: &mut Buffers, pressed: &mut [Option<Key>], tally: &mut Tally) {
        buffers.count = 0;
        let thorough = std::mem::take(&mut self.surprised) || (at.turn + self.id.0).is_multiple_of(DRAIN_TURNS);
        let mut taken = 0;
        while taken < READS_MAX {
            let slot = buffers.count % HELD_MAX;
            let buffer = &mut buffers.packets[slot];
            let beginning = buffer.as_ptr().addr();
            let (length, from) = match self.pair.rtp.recv_from(buffer) {
                Ok((length, from)) => (length, plain(from)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // Nothing where something always comes: two may come together next time.
                    self.surprised = taken == 0 && self.connected;
                    break;
                }
                // The system tells of a closed port at the far end; it says so once, then packets follow.
                Err(_) => {
                    self.surprised = true;
                    break;
                }
            };
            taken += 1;
            let mut lock = None;
            match self.session.receive(at, from, &buffer[..length], &mut lock) {
                Received::Audio(audio) => {
                    let start = audio.payload.as_ptr().addr() - beginning;
                    let (codec, header, length) = (audio.codec, audio.header, audio.payload.len());
                    buffers.held[slot] = Some(Held { codec, header, start, length });
                    buffers.count += 1;
                }
                Received::Key(key) => pressed[taken - 1] = Some(key),
                Received::Nothing => {}
                Received::Stray => tally.stray += 1,
            }
            tally.received += 1;
            self.join(lock);
            if !thorough {
                break;
            }
        }
        self.surprised |= taken > 1;
    }

    /// Sends this turn's packet, tells its owner what happened, and now and then sees to RTCP.
    pub(crate) fn speak(&mut self, at: Moment, buffers: &mut Buffers, tally: &mut Tally) -> Result<(), MediaEnd> {
        if let Some(length) = self.session.next_packet(at.turn, &mut buffers.out) {
            self.send(&buffers.out[..length], tally);
        }
        let phase = at.turn.wrapping_add(self.id.0);
        if phase.is_multiple_of(SLOW_TURNS) {
            self.see_to_rtcp(at, &mut buffers.out);
            let reopened = self.session.check_silence(at.now);
            self.join(reopened);
            if phase.is_multiple_of(GAUGE_TURNS) {
                self.write_gauges();
            }
        }
        self.tell()
    }

    /// Joins the socket to the only peer it should hear, or to nobody.
    pub(crate) fn join(&mut self, peer: Option<Peer>) {
        match peer {
            None => {}
            Some(Peer::Only(address)) => {
                self.connected = self.connects && self.pair.rtp.connect(address).is_ok();
            }
            Some(Peer::Anyone) if std::mem::take(&mut self.connected) => {
                let _ = rustix::net::connect_unspec(&self.pair.rtp);
            }
            Some(Peer::Anyone) => {}
        }
    }

    /// Leaves: a last report with BYE, and the last word to an owner who still listens.
    pub(crate) fn leave(&mut self, at: Moment, why: Option<MediaEnd>, buffers: &mut Buffers) {
        if let Some(to) = self.session.rtcp_destination() {
            let length = self.session.write_report(at.now, at.turn, true, &mut buffers.out);
            send_to(&self.pair.rtcp, &buffers.out[..length], to);
        }
        self.write_gauges();
        if let (Some(why), Some(permit)) = (why, self.last_word.take()) {
            permit.send(MediaEvent::Ended { why });
        }
    }

    fn send(&mut self, packet: &[u8], tally: &mut Tally) {
        let sent = if self.connected {
            self.pair.rtp.send(packet).is_ok()
        } else {
            self.session.destination().is_some_and(|to| send_to(&self.pair.rtp, packet, to))
        };
        tally.sent += u64::from(sent);
    }

    fn see_to_rtcp(&mut self, at: Moment, buffer: &mut [u8; PACKET_MAX]) {
        for _ in 0..2 {
            let Ok((length, from)) = self.pair.rtcp.recv_from(buffer) else { break };
            self.session.receive_rtcp(at.now, plain(from), &buffer[..length]);
        }
        if self.session.reports.due(at.now)
            && let Some(to) = self.session.rtcp_destination()
        {
            let length = self.session.write_report(at.now, at.turn, false, buffer);
            send_to(&self.pair.rtcp, &buffer[..length], to);
        }
    }

    fn write_gauges(&self) {
        self.shared.quality.write(&self.session.quality());
    }

    /// Hands events to the owner. None is lost: what finds no room waits; if it waits too long, the session
    /// ends rather than drop a key in silence.
    fn tell(&mut self) -> Result<(), MediaEnd> {
        while !self.session.told.is_empty() {
            match self.events.try_reserve() {
                Ok(room) => {
                    if let Some(event) = self.session.told.pop_front() {
                        room.send(event);
                    }
                    self.told_turns = 0;
                }
                Err(mpsc::error::TrySendError::Closed(())) => self.session.told.clear(),
                Err(mpsc::error::TrySendError::Full(())) => {
                    self.told_turns += 1;
                    let unread = self.told_turns > TOLD_TURNS_MAX || self.session.told.len() > TOLD_MAX;
                    return if unread { Err(MediaEnd::EventsUnread) } else { Ok(()) };
                }
            }
        }
        Ok(())
    }

    /// Did its owner let go of it?
    pub(crate) fn closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }
}

/// An IPv4 party seen through an IPv6 socket, by its own address.
fn plain(from: SocketAddr) -> SocketAddr {
    SocketAddr::new(from.ip().to_canonical(), from.port())
}

fn send_to(socket: &UdpSocket, packet: &[u8], to: SocketAddr) -> bool {
    socket.send_to(packet, to).is_ok()
}

impl Buffers {
    pub(crate) fn new() -> Self {
        Self { packets: [[0; PACKET_MAX]; HELD_MAX], held: [None; HELD_MAX], count: 0, out: [0; PACKET_MAX] }
    }
}
