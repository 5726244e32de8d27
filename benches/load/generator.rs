//! The generator: calls at a steady rate, whatever becomes of them (an open loop), from a few sockets and one
//! thread, each call with the retransmissions of RFC 3261 §17.1.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::words::{Told, Voice, read};

/// T1 of RFC 3261.
const T1: Duration = Duration::from_millis(500);
/// A call that has no answer by then has failed: nobody waits longer for a city to pick up.
const GIVE_UP: Duration = Duration::from_secs(8);
/// Sockets: each brings a receive buffer of its own.
const LANES: usize = 4;

/// What is to be generated.
pub(crate) struct Plan {
    /// New calls a second.
    pub(crate) rate: f64,
    /// How many in all.
    pub(crate) calls: u32,
    /// How long each is held after its answer.
    pub(crate) hold: Duration,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// INVITEs of new calls sent.
    pub(crate) offered: u32,
    /// Answered, and ended by our BYE.
    pub(crate) completed: u32,
    /// Refused, by status.
    pub(crate) refused: HashMap<u16, u32>,
    /// Refusals with a Retry-After, and its least and greatest seconds.
    pub(crate) retry_after: Option<(u32, u32)>,
    /// No final answer to the INVITE in time.
    pub(crate) unanswered: u32,
    /// Established, and then: hung up by the server, or a BYE without answer.
    pub(crate) broken: u32,
    /// From INVITE to 200, sorted, in microseconds.
    pub(crate) setup_us: Vec<u32>,
    /// From INVITE to refusal, sorted, in microseconds.
    pub(crate) refusal_us: Vec<u32>,
    /// How late the generator itself was at worst.
    pub(crate) lag: Duration,
    /// From the first INVITE to the last.
    pub(crate) took: Duration,
}

impl Tally {
    /// Whether every call was answered and ended as it should.
    pub(crate) fn is_clean(&self) -> bool {
        self.completed == self.offered
    }

    /// All refusals.
    pub(crate) fn refusals(&self) -> u32 {
        self.refused.values().sum()
    }
}

struct Call {
    lane: usize,
    invited: Instant,
    state: State,
    to_tag: String,
    sent: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Calling,
    Proceeding,
    Talking,
    Leaving,
}

/// A running load.
pub(crate) struct Generator {
    server: SocketAddr,
    run: u64,
    media: UdpSocket,
    lanes: Vec<UdpSocket>,
    calls: HashMap<u32, Call>,
    timers: BinaryHeap<Reverse<(Instant, u32)>>,
    next: u32,
    tally: Tally,
    out: String,
}

impl Generator {
    /// A generator of calls to `server`. `run` tells its calls from another's.
    pub(crate) fn new(server: SocketAddr, run: u64) -> Self {
        let lanes = (0..LANES).map(|_| lane()).collect();
        let (calls, timers) = (HashMap::new(), BinaryHeap::new());
        Self { server, run, media: lane(), lanes, calls, timers, next: 0, tally: Tally::default(), out: String::new() }
    }

    /// Makes the calls of a plan and waits until each has ended.
    pub(crate) fn run(mut self, plan: &Plan) -> Tally {
        self.offer(plan);
        self.settle(plan.hold);
        self.finish()
    }

    /// Opens the calls of a plan and leaves them up: see [`Self::release`].
    pub(crate) fn establish(&mut self, plan: &Plan) {
        self.offer(plan);
        let deadline = Instant::now() + GIVE_UP;
        while self.calls.values().any(|call| call.state != State::Talking) && Instant::now() < deadline {
            self.step(plan.hold);
        }
    }

    /// How many calls are up.
    pub(crate) fn up(&mut self) -> usize {
        self.step(GIVE_UP * 100);
        self.calls.values().filter(|call| call.state == State::Talking).count()
    }

    /// Ends every call that is up, and tells what became of them.
    pub(crate) fn release(mut self) -> Tally {
        self.step(GIVE_UP * 100);
        let up: Vec<u32> =
            self.calls.iter().filter(|(_, call)| call.state == State::Talking).map(|(call, _)| *call).collect();
        for call in up {
            self.leave(call, Instant::now());
        }
        self.settle(Duration::ZERO);
        self.finish()
    }

    fn offer(&mut self, plan: &Plan) {
        let begin = Instant::now();
        for index in 0..plan.calls {
            let due = begin + Duration::from_secs_f64(f64::from(index) / plan.rate);
            while Instant::now() < due {
                self.step(plan.hold);
            }
            let now = Instant::now();
            self.tally.lag = self.tally.lag.max(now - due);
            self.begin(now);
            // A generator that is behind must still hear its answers.
            self.receive(now, plan.hold);
        }
        self.tally.took = begin.elapsed();
    }

    fn settle(&mut self, hold: Duration) {
        let deadline = Instant::now() + hold + GIVE_UP * 2;
        while !self.calls.is_empty() && Instant::now() < deadline {
            self.step(hold);
        }
    }

    fn finish(mut self) -> Tally {
        self.tally.broken += self.calls.len() as u32;
        self.tally.setup_us.sort_unstable();
        self.tally.refusal_us.sort_unstable();
        self.tally
    }

    /// One round: what has come, what is due, and a breath when there was neither.
    fn step(&mut self, hold: Duration) {
        let now = Instant::now();
        let heard = self.receive(now, hold);
        let due = self.expire(now, hold);
        if !heard && !due {
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    fn begin(&mut self, now: Instant) {
        let call = self.next;
        self.next += 1;
        let lane = call as usize % LANES;
        self.calls.insert(call, Call { lane, invited: now, state: State::Calling, to_tag: String::new(), sent: 0 });
        self.tally.offered += 1;
        self.say(call, |voice, out| voice.invite(out));
        self.timers.push(Reverse((now + T1, call)));
    }

    fn leave(&mut self, call: u32, now: Instant) {
        let Some(entry) = self.calls.get_mut(&call) else { return };
        (entry.state, entry.sent, entry.invited) = (State::Leaving, 0, now);
        self.say(call, |voice, out| voice.bye(out));
        self.timers.push(Reverse((now + T1, call)));
    }

    fn receive(&mut self, now: Instant, hold: Duration) -> bool {
        let mut heard = false;
        let mut buffer = [0; 4096];
        for lane in 0..LANES {
            for _ in 0..64 {
                match self.lanes[lane].recv_from(&mut buffer) {
                    Ok((length, from)) => {
                        heard = true;
                        let Ok(text) = std::str::from_utf8(&buffer[..length]) else { continue };
                        self.hear(text, from, lane, (now, hold));
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(_) => {}
                }
            }
        }
        heard
    }

    fn hear(&mut self, text: &str, from: SocketAddr, lane: usize, (now, hold): (Instant, Duration)) {
        match read(text, self.run) {
            Some(Told::Answer { call, status, to_invite: true, to_tag, retry_after }) => match status {
                100..=199 => self.ringing(call),
                200..=299 => self.answered(call, to_tag, now, hold),
                _ => self.refused(call, (status, to_tag, retry_after), now),
            },
            Some(Told::Answer { call, status: 200.., to_invite: false, .. }) => {
                if self.calls.remove(&call).is_some_and(|call| call.state == State::Leaving) {
                    self.tally.completed += 1;
                }
            }
            Some(Told::Bye { call, answer }) => {
                let _ = self.lanes[lane].send_to(answer.as_bytes(), from);
                self.tally.broken += u32::from(self.calls.remove(&call).is_some());
            }
            Some(Told::Answer { .. }) | None => {}
        }
    }

    fn ringing(&mut self, call: u32) {
        if let Some(entry) = self.calls.get_mut(&call).filter(|entry| entry.state == State::Calling) {
            entry.state = State::Proceeding;
        }
    }

    fn answered(&mut self, call: u32, to_tag: &str, now: Instant, hold: Duration) {
        let Some(entry) = self.calls.get_mut(&call) else { return };
        let first = matches!(entry.state, State::Calling | State::Proceeding);
        if first {
            entry.state = State::Talking;
            to_tag.clone_into(&mut entry.to_tag);
            self.tally.setup_us.push(micros(now - entry.invited));
        }
        self.say(call, |voice, out| voice.ack(false, out));
        if first && hold.is_zero() {
            self.leave(call, now);
        } else if first {
            self.timers.push(Reverse((now + hold, call)));
        }
    }

    fn refused(&mut self, call: u32, (status, to_tag, retry_after): (u16, &str, Option<u32>), now: Instant) {
        let Some(entry) = self.calls.get_mut(&call) else { return };
        to_tag.clone_into(&mut entry.to_tag);
        self.tally.refusal_us.push(micros(now - entry.invited));
        *self.tally.refused.entry(status).or_default() += 1;
        if let Some(seconds) = retry_after {
            let (least, most) = self.tally.retry_after.unwrap_or((seconds, seconds));
            self.tally.retry_after = Some((least.min(seconds), most.max(seconds)));
        }
        self.say(call, |voice, out| voice.ack(true, out));
        self.calls.remove(&call);
    }

    /// Retransmissions, the end of holds, and patience that has run out.
    fn expire(&mut self, now: Instant, hold: Duration) -> bool {
        let mut any = false;
        while let Some(Reverse((due, call))) = self.timers.peek().copied() {
            if due > now {
                break;
            }
            any = true;
            self.timers.pop();
            let Some(entry) = self.calls.get_mut(&call) else { continue };
            let waited = now - entry.invited;
            match entry.state {
                // Timers of earlier states fire here too: only the end of the hold counts.
                State::Talking if hold < GIVE_UP * 10 && waited >= hold => self.leave(call, now),
                State::Talking => {}
                State::Calling | State::Proceeding | State::Leaving if waited >= GIVE_UP => self.give_up(call),
                State::Calling | State::Leaving => self.again(call, now),
                State::Proceeding => self.timers.push(Reverse((now + GIVE_UP, call))),
            }
        }
        any
    }

    fn again(&mut self, call: u32, now: Instant) {
        let Some(entry) = self.calls.get_mut(&call) else { return };
        entry.sent += 1;
        let wait = T1 * 2_u32.pow(entry.sent.min(3));
        let leaving = entry.state == State::Leaving;
        self.say(call, |voice, out| if leaving { voice.bye(out) } else { voice.invite(out) });
        self.timers.push(Reverse((now + wait, call)));
    }

    fn give_up(&mut self, call: u32) {
        match self.calls.remove(&call).map(|call| call.state) {
            Some(State::Leaving | State::Talking) => self.tally.broken += 1,
            Some(State::Calling | State::Proceeding) => self.tally.unanswered += 1,
            None => {}
        }
    }

    fn say(&mut self, call: u32, words: impl FnOnce(&Voice<'_>, &mut String)) {
        let Some(entry) = self.calls.get(&call) else { return };
        let socket = &self.lanes[entry.lane];
        let (Ok(local), Ok(media)) = (socket.local_addr(), self.media.local_addr()) else { return };
        let to_tag = Some(entry.to_tag.as_str()).filter(|tag| !tag.is_empty());
        let voice = Voice { local, server: self.server, run: self.run, call, to_tag, media: media.port() };
        words(&voice, &mut self.out);
        let _ = socket.send_to(self.out.as_bytes(), self.server);
    }
}

fn lane() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a UDP port of loopback");
    socket.set_nonblocking(true).expect("a socket that does not wait");
    let _ = SockRef::from(&socket).set_recv_buffer_size(8 << 20);
    socket
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}
