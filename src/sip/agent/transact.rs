//! The transaction tables: which machine a message meets, and what goes onto the wire.

use bytes::Bytes;

use super::respond::push_reason;
use super::{Agent, Destination, DialogId, Flow, Output, Owner};
use crate::sip::grammar::numbers::CSeq;
use crate::sip::grammar::via::Via;
use crate::sip::headers::HeaderName;
use crate::sip::message::{Message, Method};
use crate::sip::timer::Armed;
use crate::sip::transaction::invite_client::{self, InviteClient};
use crate::sip::transaction::invite_server::{self, InviteServer};
use crate::sip::transaction::non_invite_client::{self, NonInviteClient};
use crate::sip::transaction::non_invite_server::NonInviteServer;
use crate::sip::transaction::{ClientKey, ServerKey};
use crate::terms::cause::Cause;

/// A request that came in, and the way its answers go.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) message: Message,
    pub(super) key: ServerKey,
    pub(super) method: Method,
    pub(super) flow: Flow,
    pub(super) reply_to: Destination,
}

/// A server transaction in the table.
#[derive(Debug)]
pub(super) struct Serving {
    machine: Server,
    pub(super) reply_to: Destination,
    /// The call it belongs to.
    pub(super) dialog: Option<DialogId>,
    /// Its place in the list against merged requests.
    pub(super) merge: Option<u64>,
    armed: Armed,
}

#[derive(Debug)]
enum Server {
    Invite(InviteServer),
    Other(NonInviteServer),
}

/// A client transaction in the table.
#[derive(Debug)]
pub(super) struct Asking {
    machine: Client,
    pub(super) request: Message,
    pub(super) to: Destination,
    /// The call that wants to hear of it; None where nobody does any more.
    pub(super) user: Option<DialogId>,
    pub(super) cancel: Cancel,
    /// The ACKs to the 2xx of each branch, by To tag.
    pub(super) acks: Vec<(String, Destination, Bytes)>,
    armed: Armed,
}

#[derive(Debug)]
enum Client {
    Invite(InviteClient),
    Other(NonInviteClient),
}

/// Whether an INVITE of ours is to be taken back. A CANCEL waits for a provisional response (RFC 3261 §9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cancel {
    No,
    Wanted(Cause),
    Sent,
}

/// What a response means to whoever asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    News,
    Nothing,
}

impl Agent {
    pub(super) fn send(&mut self, to: Destination, bytes: Bytes, ticket: u64) {
        self.outputs.push_back(Output::Send { to, bytes, ticket });
    }

    /// The request came before: its machine deals with it. False where it is new.
    pub(super) fn on_repeated(&mut self, arrived: &Arrived) -> bool {
        let Some(serving) = self.servers.get_mut(&arrived.key) else { return false };
        let reliable = serving.reply_to.transport().is_reliable();
        let again = match (&mut serving.machine, &arrived.method) {
            // The ACK of a 2xx belongs to the dialog, even where it bears the INVITE's branch (RFC 6026 §7.1).
            (Server::Invite(InviteServer::Accepted { .. }), Method::Ack) => return false,
            (Server::Invite(machine), Method::Ack) => {
                machine.on_ack(self.now, &self.settings.pace, reliable);
                None
            }
            (Server::Invite(machine), _) => machine.on_invite(),
            (Server::Other(machine), _) => machine.on_request(),
        };
        if let Some(bytes) = again {
            self.send(arrived.reply_to, bytes, 0);
        }
        self.settle_server(&arrived.key);
        true
    }

    /// Opens the server transaction of a new request; an INVITE is answered 100 at once. False where the tables
    /// are full.
    pub(super) fn open_server(&mut self, arrived: &Arrived, dialog: Option<DialogId>, merge: Option<u64>) -> bool {
        // Requests of calls that are up are served twice as far as the limit at which new calls are refused.
        if self.servers.len() >= self.settings.limits.transactions.saturating_mul(2) {
            return false;
        }
        let machine = if arrived.method == Method::Invite {
            let mut trying = self.response(100, &arrived.message.headers, None);
            trying.headers.copy_from(&arrived.message.headers, &HeaderName::from_text("Timestamp"));
            let trying = trying.encode();
            self.send(arrived.reply_to, trying.clone(), 0);
            Server::Invite(InviteServer::new(trying))
        } else {
            Server::Other(NonInviteServer::Trying)
        };
        if let Some(merge) = merge {
            self.merged.insert(merge, arrived.key.clone());
        }
        let serving = Serving { machine, reply_to: arrived.reply_to, dialog, merge, armed: Armed::default() };
        self.servers.insert(arrived.key.clone(), serving);
        true
    }

    /// Sends a response in its transaction. Where it does not fit any more, nothing is sent.
    pub(super) fn answer(&mut self, key: &ServerKey, response: &Message) -> Bytes {
        let bytes = response.encode();
        let Some(serving) = self.servers.get_mut(key) else { return bytes };
        let (to, status) = (serving.reply_to, response.status().unwrap_or(500));
        let (reliable, pace) = (to.transport().is_reliable(), &self.settings.pace);
        let fits = match &mut serving.machine {
            Server::Invite(machine) => machine.respond(self.now, pace, reliable, (status, bytes.clone())),
            Server::Other(machine) => machine.respond(self.now, pace, reliable, (status, bytes.clone())),
        };
        if fits {
            self.send(to, bytes.clone(), 0);
        }
        self.settle_server(key);
        bytes
    }

    /// Answers a request that has a transaction of its own and needs nothing from inside.
    pub(super) fn answer_at_once(&mut self, arrived: &Arrived, response: &Message) {
        if self.open_server(arrived, None, None) {
            self.answer(&arrived.key, response);
        } else {
            self.send(arrived.reply_to, response.encode(), 0);
        }
    }

    /// Where the answers of a transaction go.
    pub(super) fn reply_to(&self, key: &ServerKey) -> Option<Destination> {
        self.servers.get(key).map(|serving| serving.reply_to)
    }

    fn settle_server(&mut self, key: &ServerKey) {
        let Some(serving) = self.servers.get_mut(key) else { return };
        let deadline = match &serving.machine {
            Server::Invite(InviteServer::Terminated) | Server::Other(NonInviteServer::Terminated) => {
                let merge = serving.merge;
                self.servers.remove(key);
                if let Some(merge) = merge {
                    self.merged.remove(&merge);
                }
                return;
            }
            Server::Invite(machine) => machine.deadline(),
            Server::Other(machine) => machine.deadline(),
        };
        self.timers.arm(self.now, &mut serving.armed, deadline, || Owner::Server(key.clone()));
    }

    pub(super) fn wake_server(&mut self, key: &ServerKey, sequence: u64) {
        let Some(serving) = self.servers.get_mut(key) else { return };
        if !serving.armed.rang(sequence) {
            return;
        }
        let to = serving.reply_to;
        match &mut serving.machine {
            Server::Invite(machine) => match machine.on_time(self.now) {
                invite_server::Woken::Send(bytes) => self.send(to, bytes, 0),
                // Whoever does not acknowledge a refusal has gone; nothing hangs on it.
                invite_server::Woken::Idle | invite_server::Woken::Unacknowledged => {}
            },
            Server::Other(machine) => machine.on_time(self.now),
        }
        self.settle_server(key);
    }

    /// Sends a request in a new transaction. None where the tables are full.
    pub(super) fn ask(&mut self, mut request: Message, to: Destination, user: Option<DialogId>) -> Option<ClientKey> {
        if self.clients.len() >= self.settings.limits.transactions.saturating_mul(2) {
            return None;
        }
        let key = ClientKey { branch: self.dice.u64(), cancel: false };
        self.dress(&mut request, to, key);
        self.launch(key, request, to, user);
        Some(key)
    }

    /// Adds what every request of ours carries: our Via and our name.
    pub(super) fn dress(&self, request: &mut Message, to: Destination, key: ClientKey) {
        let listener = self.listener(to);
        let via = Via::new(to.transport().as_str(), listener.advertised, &key.to_string());
        request.headers.push_front(HeaderName::Via, via.to_string());
        request.headers.push(HeaderName::UserAgent, self.settings.server.clone());
    }

    fn launch(&mut self, key: ClientKey, request: Message, to: Destination, user: Option<DialogId>) {
        let (bytes, reliable, pace) = (request.encode(), to.transport().is_reliable(), &self.settings.pace);
        let machine = match request.method() {
            Some(Method::Invite) => Client::Invite(InviteClient::new(self.now, pace, reliable, bytes.clone())),
            _ => Client::Other(NonInviteClient::new(self.now, pace, reliable, bytes.clone())),
        };
        let asking =
            Asking { machine, request, to, user, cancel: Cancel::No, acks: Vec::new(), armed: Armed::default() };
        self.clients.insert(key, asking);
        self.send(to, bytes, ticket(key));
        self.settle_client(key);
    }

    /// Hands a response to its machine; says whether whoever asked is to hear of it.
    pub(super) fn judge(&mut self, key: ClientKey, response: &Message) -> Verdict {
        let (Some(asking), Some(status)) = (self.clients.get_mut(&key), response.status()) else {
            return Verdict::Nothing;
        };
        let (to, reliable, pace) = (asking.to, asking.to.transport().is_reliable(), &self.settings.pace);
        let (send, verdict) = match &mut asking.machine {
            Client::Invite(machine) => {
                let request = &asking.request;
                match machine.on_response(self.now, (pace, reliable), status, || ack_refusal(request, response)) {
                    invite_client::Heard::News => (None, Verdict::News),
                    invite_client::Heard::Refused(ack) => (Some(ack), Verdict::News),
                    invite_client::Heard::Again(ack) => (Some(ack), Verdict::Nothing),
                    invite_client::Heard::Nothing => (None, Verdict::Nothing),
                }
            }
            Client::Other(machine) => match machine.on_response(self.now, pace, reliable, status) {
                true => (None, Verdict::News),
                false => (None, Verdict::Nothing),
            },
        };
        // An INVITE inside a dialog rings nowhere: its final response comes soon, or is lost with the call.
        if status < 200
            && let Client::Invite(machine) = &mut asking.machine
            && asking.request.headers.to().is_ok_and(|to| to.tag().is_some())
        {
            machine.give_up_at(self.now + pace.give_up() * 2);
        }
        if let Some(ack) = send {
            self.send(to, ack, 0);
        }
        if status < 200
            && let Some(Asking { cancel: Cancel::Wanted(cause), .. }) = self.clients.get(&key)
        {
            self.send_cancel(key, *cause);
        }
        verdict
    }

    /// Nobody waits for this INVITE any more: CANCEL as soon as that is allowed; a 2xx that comes all the same is
    /// acknowledged and ended.
    pub(super) fn abandon(&mut self, key: ClientKey, cause: Cause) {
        let Some(asking) = self.clients.get_mut(&key) else { return };
        asking.user = None;
        match &asking.machine {
            Client::Invite(InviteClient::Calling { .. }) => asking.cancel = Cancel::Wanted(cause),
            Client::Invite(InviteClient::Proceeding { .. }) => self.send_cancel(key, cause),
            Client::Invite(
                InviteClient::Completed { .. } | InviteClient::Accepted { .. } | InviteClient::Terminated,
            )
            | Client::Other(_) => {}
        }
    }

    fn send_cancel(&mut self, key: ClientKey, cause: Cause) {
        let give_up = self.now + self.settings.pace.give_up();
        let Some(asking) = self.clients.get_mut(&key) else { return };
        if asking.cancel == Cancel::Sent {
            return;
        }
        asking.cancel = Cancel::Sent;
        if let Client::Invite(machine) = &mut asking.machine {
            machine.give_up_at(give_up);
        }
        let to = asking.to;
        let mut cancel = like(&asking.request, Method::Cancel);
        push_reason(&mut cancel.headers, cause);
        self.settle_client(key);
        self.launch(ClientKey { cancel: true, ..key }, cancel, to, None);
    }

    /// Forgets a machine that is over, or sees that it is woken in time.
    pub(super) fn settle_client(&mut self, key: ClientKey) {
        let Some(asking) = self.clients.get_mut(&key) else { return };
        let deadline = match &asking.machine {
            Client::Invite(InviteClient::Terminated) | Client::Other(NonInviteClient::Terminated) => {
                self.clients.remove(&key);
                return;
            }
            Client::Invite(machine) => machine.deadline(),
            Client::Other(machine) => machine.deadline(),
        };
        self.timers.arm(self.now, &mut asking.armed, deadline, || Owner::Client(key));
    }

    /// Time has passed for a client machine. True where the request has timed out.
    pub(super) fn wake_client(&mut self, key: ClientKey, sequence: u64) -> bool {
        let Some(asking) = self.clients.get_mut(&key) else { return false };
        if !asking.armed.rang(sequence) {
            return false;
        }
        let to = asking.to;
        let (again, timed_out) = match &mut asking.machine {
            Client::Invite(machine) => match machine.on_time(self.now) {
                invite_client::Woken::Idle => (None, false),
                invite_client::Woken::Send(bytes) => (Some(bytes), false),
                invite_client::Woken::TimedOut => (None, true),
            },
            Client::Other(machine) => match machine.on_time(self.now) {
                non_invite_client::Woken::Idle => (None, false),
                non_invite_client::Woken::Send(bytes) => (Some(bytes), false),
                non_invite_client::Woken::TimedOut => (None, true),
            },
        };
        if let Some(bytes) = again {
            self.send(to, bytes, ticket(key));
        }
        timed_out
    }
}

/// The number under which the shell says that a request could not be sent.
pub(super) fn ticket(key: ClientKey) -> u64 {
    if key.cancel { 0 } else { key.branch }
}

/// A request that goes the very way of another one: the ACK for a refusal (RFC 3261 §17.1.1.3), a CANCEL (§9.1).
fn like(invite: &Message, method: Method) -> Message {
    let number = invite.headers.cseq().map_or(0, |cseq| cseq.number);
    let mut message = invite.clone();
    message.body = Bytes::new();
    if let crate::sip::message::Start::Request { method: of, .. } = &mut message.start {
        *of = method.clone();
    }
    let kept = [HeaderName::Route, HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::MaxForwards];
    let mut headers = crate::sip::headers::Headers::new();
    if let Some(via) = invite.headers.get(&HeaderName::Via) {
        headers.push(HeaderName::Via, via.clone());
    }
    for name in kept {
        headers.copy_from(&invite.headers, &name);
    }
    headers.push(HeaderName::CSeq, CSeq { number, method }.to_string());
    message.headers = headers;
    message
}

fn ack_refusal(invite: &Message, response: &Message) -> Bytes {
    let mut ack = like(invite, Method::Ack);
    if let Some(to) = response.headers.get(&HeaderName::To) {
        ack.headers.set(HeaderName::To, to.clone());
    }
    ack.encode()
}
