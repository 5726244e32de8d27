//! The task that owns the agent and the sockets.
//!
//! It sleeps until there is something to do, then takes a turn: timers that are due, a batch of datagrams, a
//! batch of each queue; so a flood by one way in cannot shut the others.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::{Call, EVENTS_MAX, Handle, Shared, Stats};
use crate::sip::agent::{
    Agent, Command, Destination, Dial, DialogEvent, DialogId, Flow, Incoming, Input, Output, Target, Ticket, Transport,
};
use crate::sip::transport::lag::Probe;
use crate::sip::transport::tcp::{Connections, Wire};
use crate::sip::transport::udp::{BATCH_MAX, Datagram, Sockets};
use crate::terms::cause::Cause;
use crate::terms::clock::{Clock, Instant};
use crate::terms::dice::Dice;

/// Most names looked up at a time; past it, a name leads nowhere.
const LOOKUPS_MAX: usize = 256;
/// How long a stack that nobody holds any more stays to say what it owes (64·T1, RFC 3261 §17).
const LAST_WORDS: Duration = Duration::from_secs(32);
/// How long the task may sleep when nothing is due.
const LONG: Duration = Duration::from_secs(3600);
/// What callers are told when the calls are not taken out of the receiver.
const RETRY_AFTER_S: u32 = 5;

/// What handles ask.
#[derive(Debug)]
pub(super) enum Ask {
    /// Call someone.
    Dial { dialog: DialogId, dial: Box<Dial>, leg: Leg },
    /// Do something with a leg.
    Command { dialog: DialogId, command: Command },
    /// Take no new calls, or take them again.
    Draining(bool),
    /// Tell what is held.
    Stats(oneshot::Sender<Stats>),
}

/// The stack's end of a leg.
#[derive(Debug)]
pub(super) struct Leg {
    events: mpsc::Sender<DialogEvent>,
    /// The place of `Ended` in the queue, taken in advance.
    last_word: mpsc::OwnedPermit<DialogEvent>,
    answered: bool,
}

impl Leg {
    pub(super) fn new() -> Option<(Self, mpsc::Receiver<DialogEvent>)> {
        let (events, receiver) = mpsc::channel(EVENTS_MAX + 1);
        let last_word = events.clone().try_reserve_owned().ok()?;
        Some((Self { events, last_word, answered: false }, receiver))
    }
}

pub(super) struct Task {
    pub(super) agent: Agent,
    pub(super) clock: Clock,
    pub(super) dice: Dice,
    pub(super) sockets: Sockets,
    pub(super) probe: Probe,
    pub(super) connections: Connections,
    pub(super) wire: mpsc::Receiver<Wire>,
    pub(super) asks: mpsc::WeakSender<Ask>,
    pub(super) asked: mpsc::Receiver<Ask>,
    pub(super) let_go: mpsc::Sender<DialogId>,
    pub(super) gone: mpsc::Receiver<DialogId>,
    pub(super) calls: mpsc::Sender<Call>,
    pub(super) legs: HashMap<DialogId, Leg>,
    pub(super) lookups: JoinSet<(u64, Vec<Destination>)>,
    pub(super) shared: Arc<Shared>,
    pub(super) batch: Vec<Datagram>,
    /// Our socket that the message being handled came to.
    pub(super) arrived_at: Option<SocketAddr>,
    /// Since when nobody holds the stack or a leg any more.
    pub(super) closing: Option<Instant>,
    pub(super) stats: Stats,
}

impl Task {
    pub(super) async fn run(mut self) {
        let mut alarm = pin!(sleep_until(self.clock.now() + LONG));
        loop {
            let wake = self.wake_at();
            if alarm.deadline() != wake {
                alarm.as_mut().reset(wake);
            }
            tokio::select! {
                biased;
                () = alarm.as_mut() => {}
                () = self.sockets.readable() => {}
                Some(dialog) = self.gone.recv() => self.let_go_of(dialog),
                ask = self.asked.recv(), if self.closing.is_none() => match ask {
                    Some(ask) => self.take(ask),
                    None => self.closing = Some(self.clock.now()),
                },
                Some(wire) = self.wire.recv() => self.take_wire(wire),
                Some(found) = self.lookups.join_next() => self.take_found(found),
            }
            self.turn();
            if self.is_over() {
                return;
            }
        }
    }

    fn wake_at(&self) -> Instant {
        let over = self.closing.map(|since| since + LAST_WORDS);
        let due = [self.agent.deadline(), self.probe.deadline(), over];
        due.into_iter().flatten().min().unwrap_or_else(|| self.clock.now() + LONG)
    }

    fn is_over(&self) -> bool {
        let Some(since) = self.closing else { return false };
        let census = self.agent.census();
        let quiet = census.dialogs + census.client_transactions + census.server_transactions == 0;
        quiet || self.clock.now() >= since + LAST_WORDS
    }

    /// A bounded share of everything that waits.
    fn turn(&mut self) {
        let now = self.clock.now();
        if self.agent.deadline().is_some_and(|due| due <= now) {
            self.input(Input::Tick);
        }
        self.read_datagrams();
        self.take_asks();
        for _ in 0..BATCH_MAX {
            let Ok(dialog) = self.gone.try_recv() else { break };
            self.let_go_of(dialog);
        }
        for _ in 0..BATCH_MAX {
            let Ok(wire) = self.wire.try_recv() else { break };
            self.take_wire(wire);
        }
    }

    /// Tells the agent, and does all that it then wants done.
    fn input(&mut self, input: Input) {
        self.agent.handle(self.clock.now(), input);
        while let Some(output) = self.agent.poll() {
            match output {
                Output::Send { to, bytes, ticket } => self.send(to, bytes, ticket),
                Output::Resolve { ticket, target } => self.resolve(ticket, target),
                Output::Incoming { dialog, incoming } => self.bring(dialog, incoming),
                Output::Event { dialog, event } => self.tell(dialog, event),
            }
        }
    }

    fn read_datagrams(&mut self) {
        let mut batch = std::mem::take(&mut self.batch);
        self.sockets.receive(&mut batch);
        let now = self.clock.now();
        let mut others = false;
        for Datagram { local, remote, bytes } in batch.drain(..) {
            if let Some(age) = self.probe.is_back(now, &bytes) {
                self.measured(age);
                continue;
            }
            others = true;
            self.stats.datagrams_in += 1;
            self.arrived_at = Some(local);
            self.input(Input::Received { flow: Flow::Udp { local, remote }, bytes });
        }
        self.batch = batch;
        self.arrived_at = None;
        if let Some(age) = self.probe.waiting(now)
            && age > self.stats.lag
        {
            self.measured(age);
        }
        let again = self.probe.deadline().is_some_and(|due| due <= now);
        if (others || again)
            && let Some(word) = self.probe.due(now)
        {
            self.send_probe(&word);
        }
    }

    fn measured(&mut self, age: Duration) {
        self.stats.lag = age;
        self.input(Input::Lag(age));
    }

    /// The sockets take turns, so that the first one's wait is everyone's.
    fn send_probe(&mut self, word: &[u8]) {
        let Some(local) = self.sockets.locals().next() else { return };
        let mut own = local;
        match local {
            SocketAddr::V4(address) if address.ip().is_unspecified() => own.set_ip(Ipv4Addr::LOCALHOST.into()),
            SocketAddr::V6(address) if address.ip().is_unspecified() => own.set_ip(Ipv6Addr::LOCALHOST.into()),
            SocketAddr::V4(_) | SocketAddr::V6(_) => {}
        }
        let _ = self.sockets.send(Some(local), own, word);
    }

    /// All that was asked so far ([`ASKS_MAX`](super::ASKS_MAX) at most).
    fn take_asks(&mut self) {
        for _ in 0..self.asked.len() {
            let Ok(ask) = self.asked.try_recv() else { break };
            self.take(ask);
        }
    }

    fn take(&mut self, ask: Ask) {
        match ask {
            Ask::Dial { dialog, dial, leg } => {
                self.legs.insert(dialog, leg);
                self.input(Input::Dial { dialog, dial });
            }
            Ask::Command { dialog, command } => {
                if let Some(leg) = self.legs.get_mut(&dialog) {
                    leg.answered |= matches!(command, Command::Answer { .. });
                    self.input(Input::Command { dialog, command });
                }
            }
            Ask::Draining(draining) => self.input(Input::Draining(draining)),
            Ask::Stats(reply) => {
                let (census, legs, connections) = (self.agent.census(), self.legs.len(), self.connections.count());
                let _ = reply.send(Stats { census, legs, connections, ..self.stats });
            }
        }
    }

    /// The owner of a leg has gone: the leg is ended in the way of its stage. What the owner asked before it
    /// went comes first.
    fn let_go_of(&mut self, dialog: DialogId) {
        self.take_asks();
        let Some(leg) = self.legs.remove(&dialog) else { return };
        let cause = match (leg.answered, dialog.is_inbound()) {
            (true, _) => Cause::Normal,
            (false, true) => Cause::Internal,
            (false, false) => Cause::Cancelled,
        };
        self.input(Input::Command { dialog, command: Command::Bye { cause } });
    }

    fn take_wire(&mut self, wire: Wire) {
        self.connections.note(&wire);
        match wire {
            Wire::Message { flow, bytes } => {
                self.arrived_at = Some(flow.local());
                self.input(Input::Received { flow, bytes });
                self.arrived_at = None;
            }
            Wire::Unsent { ticket } => self.input(Input::SendFailed { ticket }),
            Wire::Closed { flow: Some(flow), .. } => self.input(Input::FlowClosed { flow }),
            Wire::Opened { .. } | Wire::Connected { .. } | Wire::Closed { flow: None, .. } => {}
        }
    }

    fn take_found(&mut self, found: Result<(u64, Vec<Destination>), tokio::task::JoinError>) {
        match found {
            Ok((ticket, found)) => self.input(Input::Resolved { ticket, found }),
            Err(error) => tracing::error!(%error, "a lookup broke; its call rings until its time is over"),
        }
    }

    fn resolve(&mut self, ticket: u64, target: Target) {
        let at_once = self.shared.resolver.at_once(&target);
        let found = match at_once {
            None if self.lookups.len() < LOOKUPS_MAX => {
                let (resolver, dice) = (self.shared.resolver.clone(), self.dice.split());
                self.lookups.spawn(async move { (ticket, resolver.resolve(&target, dice).await) });
                return;
            }
            found => found.unwrap_or_default(),
        };
        // We are inside `input`: what comes of this is taken out by its loop.
        self.agent.handle(self.clock.now(), Input::Resolved { ticket, found });
    }

    fn send(&mut self, to: Destination, bytes: Bytes, ticket: Ticket) {
        tracing::debug!(to = %to.address(), transport = to.transport().as_str(), message = gist(&bytes), "send");
        let sent = match to {
            Destination::Flow(Flow::Udp { local, remote }) => self.send_datagram(Some(local), remote, &bytes),
            Destination::Address { transport: Transport::Udp, address } => self.send_datagram(None, address, &bytes),
            Destination::Flow(Flow::Tcp { connection, .. }) => self.connections.send(connection, bytes, ticket).is_ok(),
            Destination::Address { transport: Transport::Tcp, address } => {
                self.connections.send_to(address, bytes, ticket).is_ok()
            }
        };
        if !sent && ticket != 0 {
            self.agent.handle(self.clock.now(), Input::SendFailed { ticket });
        }
    }

    /// `false` where it will never arrive. One that the kernel has no room for now is as good as lost on the
    /// way: the transaction sends it again.
    fn send_datagram(&mut self, local: Option<SocketAddr>, remote: SocketAddr, bytes: &[u8]) -> bool {
        match self.sockets.send(local, remote, bytes) {
            Ok(()) => {
                self.stats.datagrams_out += 1;
                true
            }
            Err(error) => {
                self.stats.datagrams_unsent += 1;
                tracing::debug!(%remote, %error, "UDP send");
                error.kind() == io::ErrorKind::WouldBlock
            }
        }
    }

    /// A call came in.
    fn bring(&mut self, dialog: DialogId, incoming: Box<Incoming>) {
        let address = self.shared.address_towards(self.arrived_at, Some(incoming.source));
        tracing::debug!(sip_call_id = incoming.sip_call_id, trunk = %incoming.trunk, "a call comes in");
        if let Some((leg, call)) = self.call(dialog, incoming, address)
            && self.calls.try_send(call).is_ok()
        {
            self.legs.insert(dialog, leg);
            return;
        }
        tracing::warn!("a call was refused: there are too many before it");
        let reason = Cause::Congestion.sip_reason().to_owned();
        let command = Command::Reject { status: 503, reason, retry_after_s: Some(RETRY_AFTER_S) };
        self.agent.handle(self.clock.now(), Input::Command { dialog, command });
    }

    fn call(&self, dialog: DialogId, incoming: Box<Incoming>, address: std::net::IpAddr) -> Option<(Leg, Call)> {
        let let_go = Some(self.let_go.clone().try_reserve_owned().ok()?);
        let (leg, events) = Leg::new()?;
        let handle = Handle { dialog, asks: self.asks.upgrade()?, let_go };
        Some((leg, Call { incoming: Some(*incoming), address, handle, events }))
    }

    /// Something happened to a leg: its owner is told.
    fn tell(&mut self, dialog: DialogId, event: DialogEvent) {
        if matches!(event, DialogEvent::Ended { .. }) {
            if let Some(leg) = self.legs.remove(&dialog) {
                leg.last_word.send(event);
            }
            return;
        }
        let Some(leg) = self.legs.get_mut(&dialog) else { return };
        leg.answered |= matches!(event, DialogEvent::Answered { .. });
        if leg.events.try_send(event).is_ok() {
            return;
        }
        if let Some(leg) = self.legs.remove(&dialog) {
            tracing::error!(dialog = dialog.0, "a leg's events are not read: it is ended");
            leg.last_word.send(DialogEvent::Ended { by_peer: false, cause: Cause::Internal, status: None });
        }
        let command = Command::Bye { cause: Cause::Internal };
        self.agent.handle(self.clock.now(), Input::Command { dialog, command });
    }
}

/// A message in a log: its method or status and its Call-ID, and nothing about a person. The Request-URI of our
/// own requests is a caller's address, so it is left out.
fn gist(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..bytes.len().min(2048)).unwrap_or_default());
    let mut lines = text.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let first = match words.next().unwrap_or_default() {
        "SIP/2.0" => words.next().unwrap_or_default(),
        method => method,
    };
    let call_id = lines.take_while(|line| !line.is_empty()).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let name = name.trim();
        (name.eq_ignore_ascii_case("call-id") || name.eq_ignore_ascii_case("i")).then(|| value.trim().to_owned())
    });
    format!("{first} [{}]", call_id.unwrap_or_default())
}
