//! The agent: SIP for many calls, without a socket or a clock.
//!
//! Hand it what arrived ([`Agent::handle`]), take what it wants done until there is nothing more
//! ([`Agent::poll`]), and come back when it asks ([`Agent::deadline`]).
//!
//! The way of a message: `receive` reads it and finds whose it is; what repeats an earlier one goes to the
//! transaction tables (`transact`); a new call passes the gate and becomes a session (`inbound`); what belongs
//! to a call goes to it (`inside`); responses go to whoever asked (`outbound`, `offers`).

mod inbound;
mod inside;
mod offers;
mod outbound;
mod port;
mod receive;
mod respond;
mod session;
mod settings;
mod transact;

use std::collections::{HashMap, VecDeque};

pub use port::{
    Command, Destination, Dial, DialogEvent, DialogId, Flow, Incoming, Input, Output, TARGETS_MAX, Target, Ticket,
    Transport,
};
use respond::push_reason;
use session::{Session, Stage};
pub use settings::{Limits, Listener, SessionTimes, Settings, Strangers};
use transact::{Asking, Serving};

use crate::sip::gate::{Gate, Refusals};
use crate::sip::message::Method;
use crate::sip::timer::Timers;
use crate::sip::transaction::{ClientKey, ServerKey};
use crate::terms::cause::Cause;
use crate::terms::clock::Instant;
use crate::terms::dice::Dice;

/// A SIP user agent, server and client, for many calls.
#[derive(Debug)]
pub struct Agent {
    settings: Settings,
    dice: Dice,
    /// Makes the tags of stateless answers unguessable.
    secret: u64,
    now: Instant,
    gate: Gate,
    timers: Timers<Owner>,
    servers: HashMap<ServerKey, Serving>,
    clients: HashMap<ClientKey, Asking>,
    sessions: HashMap<DialogId, Box<Session>>,
    /// Whose our tags are.
    tags: HashMap<u64, DialogId>,
    /// INVITEs in progress by From tag, Call-ID and CSeq, against merged requests (RFC 3261 §8.2.2.2).
    merged: HashMap<u64, ServerKey>,
    lookups: HashMap<u64, DialogId>,
    inbound: u64,
    outputs: VecDeque<Output>,
}

/// Who is to be woken.
#[derive(Clone, Debug)]
enum Owner {
    Server(ServerKey),
    Client(ClientKey),
    Dialog(DialogId),
}

/// What an agent holds: all of it is back at 0 within 64·T1 and a little of the last call's end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Transactions of requests that came in.
    pub server_transactions: usize,
    /// Transactions of requests we sent.
    pub client_transactions: usize,
    /// Calls, early ones and those that are just being ended included.
    pub dialogs: usize,
    /// Entries in the timer queue.
    pub timers: usize,
    /// Names being looked up.
    pub lookups: usize,
}

impl Agent {
    /// An agent that knows no call yet, at `now`.
    pub fn new(now: Instant, settings: Settings, mut dice: Dice) -> Self {
        Self {
            gate: Gate::new(&settings.limits, &settings.trunks),
            secret: dice.u64(),
            settings,
            dice,
            now,
            timers: Timers::default(),
            servers: HashMap::new(),
            clients: HashMap::new(),
            sessions: HashMap::new(),
            tags: HashMap::new(),
            merged: HashMap::new(),
            lookups: HashMap::new(),
            inbound: 0,
            outputs: VecDeque::new(),
        }
    }

    /// Takes in what happened, at `now`. Whatever was due before then is done first.
    pub fn handle(&mut self, now: Instant, input: Input) {
        self.now = self.now.max(now);
        self.wake();
        match input {
            Input::Received { flow, bytes } => self.on_bytes(flow, bytes),
            // Requests on a stream that has ended are found out by their timers; answers go by the next one.
            Input::FlowClosed { .. } | Input::Tick => {}
            Input::SendFailed { ticket } => self.on_unsent(ticket),
            Input::Dial { dialog, dial } => self.on_dial(dialog, *dial),
            Input::Command { dialog, command } => self.on_command(dialog, command),
            Input::Resolved { ticket, found } => self.on_resolved(ticket, found),
            Input::Draining(draining) => self.gate.drain(draining),
            Input::Lag(lag) => self.gate.lag(lag),
        }
    }

    /// The next thing to be done.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Tick`] is due, if nothing else comes first.
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.deadline()
    }

    /// What is held at present.
    pub fn census(&self) -> Census {
        Census {
            server_transactions: self.servers.len(),
            client_transactions: self.clients.len(),
            dialogs: self.sessions.len(),
            timers: self.timers.len(),
            lookups: self.lookups.len(),
        }
    }

    /// What was refused since the start.
    pub fn refusals(&self) -> Refusals {
        self.gate.refusals
    }

    /// Calls in progress.
    pub fn calls(&self) -> usize {
        self.gate.calls()
    }

    fn wake(&mut self) {
        while let Some((owner, sequence)) = self.timers.pop(self.now) {
            match owner {
                Owner::Server(key) => self.wake_server(&key, sequence),
                Owner::Client(key) => {
                    if self.wake_client(key, sequence) {
                        self.on_unanswered(key, Cause::Unreachable);
                    }
                    self.settle_client(key);
                }
                Owner::Dialog(dialog) => {
                    let rang = self.sessions.get_mut(&dialog).is_some_and(|session| session.armed.rang(sequence));
                    if rang {
                        self.with(dialog, Self::on_session_time);
                    }
                }
            }
        }
    }

    /// Works on a call: takes it out, and puts it back unless it is over.
    fn with(&mut self, id: DialogId, work: impl FnOnce(&mut Self, &mut Session)) {
        if let Some(mut session) = self.sessions.remove(&id) {
            work(self, &mut session);
            self.keep(session);
        }
    }

    fn keep(&mut self, mut session: Box<Session>) {
        if let Stage::Over = session.stage {
            self.tags.remove(&session.local_tag);
            return;
        }
        let (deadline, id) = (session.deadline(), session.id);
        self.timers.arm(self.now, &mut session.armed, deadline, || Owner::Dialog(id));
        self.sessions.insert(id, session);
    }

    fn tell(&mut self, session: &Session, event: DialogEvent) {
        self.outputs.push_back(Output::Event { dialog: session.id, event });
    }

    /// The one place where a call's end is told. The stage changes with it, so it is told once.
    fn finish(&mut self, session: &mut Session, then: Stage, end: End) {
        match session.stage {
            Stage::Over => return,
            Stage::Leaving(_) => {}
            Stage::Invited(_) | Stage::Calling(_) | Stage::Established => {
                let End { by_peer, cause, status } = end;
                self.tell(session, DialogEvent::Ended { by_peer, cause, status });
                self.gate.leave(session.trunk);
            }
        }
        session.stage = then;
    }

    /// Ends an established call from our side: BYE now, or as soon as the ACK has come.
    fn hang_up(&mut self, session: &mut Session, end: End) {
        self.refuse_pending(session);
        if session.unacked.is_some() {
            self.finish(session, Stage::Leaving(end.cause), end);
            return;
        }
        self.send_bye(session, end.cause);
        self.finish(session, Stage::Over, end);
    }

    fn send_bye(&mut self, session: &mut Session, cause: Cause) {
        let mut bye = session.dialog.request(Method::Bye);
        push_reason(&mut bye.headers, cause);
        let to = self.way(session);
        // Full tables are the one reason for a BYE that is not sent; the far end's session timer then ends it.
        let _ = self.ask(bye, to, None);
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug)]
struct End {
    by_peer: bool,
    cause: Cause,
    status: Option<u16>,
}

impl End {
    const fn ours(cause: Cause) -> Self {
        Self { by_peer: false, cause, status: None }
    }

    const fn theirs(cause: Cause) -> Self {
        Self { by_peer: true, cause, status: None }
    }
}
