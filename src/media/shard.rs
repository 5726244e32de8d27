//! One media thread: it owns its sessions outright, and no one else touches them.
//!
//! Twenty slots of 1 ms make a turn of 20 ms. Each session lives in one slot; when the slot is due the session
//! reads its socket and sends one packet. There is no readiness call: a party sends 50 packets a second, so
//! asking costs more than reading. A slot that is late is served late; one whose next turn is due as well is
//! skipped, so that no party ever gets two packets at once. While there is no session the thread sleeps.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use super::command::{MediaEnd, Remote, SessionId};
use super::member::{Buffers, Member};
use super::player::Playlist;
use super::recorder::Tap;
use super::session::Moment;
use crate::terms::clock::{Clock, Instant};
use crate::terms::event::KeySource;
use crate::terms::key::{Key, Keys};

/// Slots in a turn, each of 1 ms.
const SLOTS: u64 = 20;
/// Commands taken between two slots.
const COMMANDS_PER_SLOT: usize = 256;
/// A slot that begins later than this is counted as late.
const LATE: Duration = Duration::from_millis(2);

/// What is sent to a shard.
pub(crate) enum ToShard {
    /// Take this session.
    Open(Box<Member>),
    /// Tell this session.
    Order(SessionId, Order),
    /// End everything.
    Stop,
}

/// A command in the form that a shard takes: everything looked up and encoded.
pub(crate) enum Order {
    Remote(Box<Remote>),
    Play(Playlist),
    Stop,
    Bridge(SessionId),
    Unbridge,
    SendKeys(Keys, bool),
    InfoKey(Key),
    Record(Tap),
}

/// The thread's state.
pub(crate) struct Shard {
    inbox: Receiver<ToShard>,
    clock: Clock,
    members: Vec<Option<Box<Member>>>,
    vacant: Vec<usize>,
    names: HashMap<SessionId, usize>,
    slots: [Vec<usize>; SLOTS as usize],
    /// When slot 0 of turn 0 was due.
    origin: Instant,
    /// The slot that is served next, counted from the origin.
    next: u64,
    buffers: Box<Buffers>,
    tally: Tally,
    load: Arc<AtomicUsize>,
    counters: Arc<Counters>,
}

impl Shard {
    pub(crate) fn new(inbox: Receiver<ToShard>, clock: Clock, load: Arc<AtomicUsize>, counters: Arc<Counters>) -> Self {
        Self {
            inbox,
            origin: clock.now(),
            clock,
            members: Vec::new(),
            vacant: Vec::new(),
            names: HashMap::new(),
            slots: Default::default(),
            next: 0,
            buffers: Box::new(Buffers::new()),
            tally: Tally::default(),
            load,
            counters,
        }
    }

    /// Serves until every handle is gone, or until told to stop.
    pub(crate) fn run(mut self) {
        while self.obey() {
            self.serve();
            self.counters.write(&mut self.tally, self.names.len());
            self.sleep();
        }
        self.end_all();
        self.counters.write(&mut self.tally, 0);
    }

    /// Takes the commands that wait; where there is no session, waits for one. False: the end.
    fn obey(&mut self) -> bool {
        for _ in 0..COMMANDS_PER_SLOT {
            let message = if self.names.is_empty() {
                self.inbox.recv().map_err(|_| TryRecvError::Disconnected)
            } else {
                self.inbox.try_recv()
            };
            match message {
                Ok(ToShard::Open(member)) => self.adopt(member),
                Ok(ToShard::Order(id, order)) => self.carry_out(id, order),
                Ok(ToShard::Stop) => return false,
                Err(TryRecvError::Empty) => return !self.counters.stop.load(Relaxed),
                Err(TryRecvError::Disconnected) => return !self.names.is_empty(),
            }
        }
        true
    }

    /// Serves every slot that is due.
    fn serve(&mut self) {
        let due = self.elapsed_slots(self.clock.now());
        // Of a slot that is due twice only the later turn is served.
        if due >= self.next + SLOTS {
            let missed = self.next..=due - SLOTS;
            self.tally.skipped += missed.map(|slot| u64::from(!self.slot(slot).is_empty())).sum::<u64>();
            self.next = due - SLOTS + 1;
        }
        while self.next <= due {
            let slot = self.next;
            self.next += 1;
            if self.slot(slot).is_empty() {
                continue;
            }
            let now = self.clock.now();
            let late = now.saturating_duration_since(self.due(slot));
            self.tally.late += u64::from(late > LATE);
            self.tally.late_us_max = self.tally.late_us_max.max(late.as_micros() as u64);
            let at = Moment { now, turn: slot / SLOTS };
            let mut place = 0;
            while let Some(index) = self.slot(slot).get(place).copied() {
                if let Some(why) = self.turn(index, at) {
                    self.remove(index, at, why);
                } else {
                    place += 1;
                }
            }
        }
    }

    /// A session's turn. `Some` where the session is over: by its owner's wish, or why.
    fn turn(&mut self, index: usize, at: Moment) -> Option<Option<MediaEnd>> {
        let mut member = self.members.get_mut(index)?.take()?;
        let over = if member.closed() {
            Some(None)
        } else {
            let peer = member.peer.and_then(|peer| self.names.get(&peer).copied());
            let peer = peer.and_then(|peer| self.members.get_mut(peer)?.as_deref_mut());
            member.hear(at, peer, &mut self.buffers, &mut self.tally);
            member.speak(at, &mut self.buffers, &mut self.tally).err().map(Some)
        };
        self.members[index] = Some(member);
        over
    }

    /// Sleeps until the next slot in which there is a session.
    fn sleep(&self) {
        if self.names.is_empty() {
            return;
        }
        let next = (self.next..self.next + SLOTS).find(|slot| !self.slot(*slot).is_empty()).unwrap_or(self.next);
        let wait = self.due(next).saturating_duration_since(self.clock.now());
        #[allow(clippy::disallowed_methods, reason = "the media shards' own tick")]
        if !wait.is_zero() {
            std::thread::sleep(wait);
        }
    }

    fn adopt(&mut self, member: Box<Member>) {
        if self.names.is_empty() {
            // Nothing was due while nobody was there.
            self.next = self.elapsed_slots(self.clock.now()) + 1;
        }
        let index = self.vacant.pop().unwrap_or_else(|| {
            self.members.push(None);
            self.members.len() - 1
        });
        self.names.insert(member.id, index);
        self.members[index] = Some(member);
        if let Some(slot) = self.slots.iter_mut().min_by_key(|slot| slot.len()) {
            slot.push(index);
        }
    }

    fn carry_out(&mut self, id: SessionId, order: Order) {
        let now = self.clock.now();
        let peer = self.member(id).and_then(|member| member.peer);
        match order {
            Order::Bridge(with) => return self.bridge(id, with),
            Order::Unbridge => return self.unbridge(id),
            Order::InfoKey(key) => {
                let new = self.member(id).is_some_and(|member| member.session.press(now, key, KeySource::Info));
                if let Some(peer) = peer.and_then(|peer| self.member(peer)).filter(|_| new) {
                    peer.session.send_keys(&Keys(vec![key]), false);
                }
                return;
            }
            Order::Remote(_) | Order::Play(_) | Order::Stop | Order::SendKeys(..) | Order::Record(_) => {}
        }
        let Some(member) = self.member(id) else { return };
        match order {
            Order::Remote(remote) => {
                let opened = member.session.set_remote(now, *remote);
                member.join(opened);
            }
            Order::Play(list) => member.session.play(list),
            Order::Stop => member.session.stop(),
            Order::SendKeys(keys, inband) => {
                if !member.session.send_keys(&keys, inband) {
                    tracing::warn!(session = id.0, "more keys were to be sent than wait at once: some are not sent");
                }
            }
            Order::Record(tap) => member.session.record(now, tap),
            Order::Bridge(_) | Order::Unbridge | Order::InfoKey(_) => {}
        }
    }

    /// Joins two sessions, parting each from another it may have been joined with.
    fn bridge(&mut self, id: SessionId, with: SessionId) {
        if id == with || !self.names.contains_key(&id) || !self.names.contains_key(&with) {
            tracing::error!(session = id.0, peer = with.0, "a bridge needs two sessions of one shard");
            return;
        }
        self.unbridge(id);
        self.unbridge(with);
        for (one, other) in [(id, with), (with, id)] {
            if let Some(member) = self.member(one) {
                member.peer = Some(other);
                member.session.bridge();
            }
        }
    }

    fn unbridge(&mut self, id: SessionId) {
        let peer = self.member(id).and_then(|member| member.peer);
        for one in [Some(id), peer].into_iter().flatten() {
            if let Some(member) = self.member(one) {
                member.peer = None;
                member.session.unbridge();
            }
        }
    }

    fn remove(&mut self, index: usize, at: Moment, why: Option<MediaEnd>) {
        let Some(mut member) = self.members.get_mut(index).and_then(Option::take) else { return };
        member.leave(at, why, &mut self.buffers);
        if let Some(peer) = member.peer.and_then(|peer| self.member(peer)) {
            peer.peer = None;
            peer.session.unbridge();
        }
        self.names.remove(&member.id);
        self.slots.iter_mut().for_each(|slot| slot.retain(|held| *held != index));
        self.vacant.push(index);
        self.load.fetch_sub(1, Relaxed);
    }

    fn end_all(&mut self) {
        let at = Moment { now: self.clock.now(), turn: self.next / SLOTS };
        for index in 0..self.members.len() {
            self.remove(index, at, Some(MediaEnd::EngineStopped));
        }
    }

    fn member(&mut self, id: SessionId) -> Option<&mut Member> {
        let index = *self.names.get(&id)?;
        self.members.get_mut(index)?.as_deref_mut()
    }

    fn slot(&self, slot: u64) -> &Vec<usize> {
        &self.slots[(slot % SLOTS) as usize]
    }

    fn due(&self, slot: u64) -> Instant {
        self.origin + Duration::from_millis(slot)
    }

    fn elapsed_slots(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.origin).as_millis() as u64
    }
}

/// What a shard did since it last wrote it down.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) stray: u64,
    late: u64,
    skipped: u64,
    late_us_max: u64,
}

/// What one media thread did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardStats {
    /// Sessions open now.
    pub sessions: usize,
    /// RTP packets received, strays among them.
    pub packets_in: u64,
    /// RTP packets sent.
    pub packets_out: u64,
    /// Packets dropped: from a stranger, malformed, or of no known kind. What the system drops because the
    /// socket is joined to its peer is not seen here.
    pub packets_stray: u64,
    /// Slots that were served more than 2 ms late.
    pub ticks_late: u64,
    /// Slots that were left out because the thread was 20 ms late or more.
    pub ticks_skipped: u64,
    /// The longest that a slot was late, in microseconds.
    pub late_us_max: u64,
}

/// Written by the shard, read by anyone.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) stop: AtomicBool,
    sessions: AtomicUsize,
    received: AtomicU64,
    sent: AtomicU64,
    stray: AtomicU64,
    late: AtomicU64,
    skipped: AtomicU64,
    late_us_max: AtomicU64,
}

impl Counters {
    /// The shard is the only writer: adding needs no locked instruction.
    fn write(&self, tally: &mut Tally, sessions: usize) {
        let tally = std::mem::take(tally);
        let add = |counter: &AtomicU64, more: u64| counter.store(counter.load(Relaxed) + more, Relaxed);
        self.sessions.store(sessions, Relaxed);
        add(&self.received, tally.received);
        add(&self.sent, tally.sent);
        add(&self.stray, tally.stray);
        add(&self.late, tally.late);
        add(&self.skipped, tally.skipped);
        self.late_us_max.store(self.late_us_max.load(Relaxed).max(tally.late_us_max), Relaxed);
    }

    pub(crate) fn read(&self) -> ShardStats {
        ShardStats {
            sessions: self.sessions.load(Relaxed),
            packets_in: self.received.load(Relaxed),
            packets_out: self.sent.load(Relaxed),
            packets_stray: self.stray.load(Relaxed),
            ticks_late: self.late.load(Relaxed),
            ticks_skipped: self.skipped.load(Relaxed),
            late_us_max: self.late_us_max.load(Relaxed),
        }
    }
}
