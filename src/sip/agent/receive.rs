//! A message arrives: whose is it?

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;

use super::respond::{ALLOW, SUPPORTED, refusal_of, unknown_extensions};
use super::session::Stage;
use super::transact::{Arrived, Cancel, Verdict};
use super::{Agent, Destination, DialogId, Flow, Strangers};
use crate::sip::dialog::literal_address;
use crate::sip::gate::retry_after_s;
use crate::sip::grammar::uri::Uri;
use crate::sip::grammar::via::Via;
use crate::sip::headers::{HeaderName, Headers};
use crate::sip::message::{Fault, Message, Method};
use crate::sip::transaction::{ClientKey, ServerKey};
use crate::sip::trunk;
use crate::terms::cause::Cause;

impl Agent {
    pub(super) fn on_bytes(&mut self, flow: Flow, bytes: Bytes) {
        let message = match Message::parse(bytes) {
            Ok(message) => message,
            Err(malformed) => {
                if malformed.fault != Fault::Empty {
                    self.gate.refusals.malformed += 1;
                }
                // Whoever is nobody to us does not learn by an error that someone is here.
                if self.is_known(flow)
                    && let Some(status) = malformed.status()
                    && let (Ok(via), Some(mut answer)) = (malformed.headers.via(), malformed.answer())
                {
                    let reply_to = reply_to(flow, &via);
                    answer.headers.set_via(&marked(via, flow));
                    answer.headers.push(HeaderName::Server, self.settings.server.clone());
                    if answer.headers.to().is_ok_and(|to| to.tag().is_none()) {
                        let tagged = self.stateless(status, &malformed.headers);
                        if let Some(to) = tagged.headers.get(&HeaderName::To) {
                            answer.headers.set(HeaderName::To, to.clone());
                        }
                    }
                    self.send(reply_to, answer.encode(), 0);
                }
                return;
            }
        };
        match message.status() {
            Some(_) => self.on_response(&message),
            None => self.on_request(flow, message),
        }
    }

    fn is_known(&self, flow: Flow) -> bool {
        self.settings.strangers == Strangers::Forbid || trunk::of_source(&self.settings.trunks, flow.remote()).is_some()
    }

    fn on_request(&mut self, flow: Flow, mut message: Message) {
        let (Ok(via), Some(method)) = (message.headers.via(), message.method().cloned()) else { return };
        let Some(key) = ServerKey::of(&message, &via) else { return };
        let reply_to = reply_to(flow, &via);
        let cancelled = (method == Method::Cancel).then(|| ServerKey::cancelled_by(&message, &via)).flatten();
        message.headers.set_via(&marked(via, flow));
        let arrived = Arrived { message, key, method, flow, reply_to };
        if self.on_repeated(&arrived) {
            return;
        }
        let inside = arrived.message.headers.to().ok().and_then(|to| to.tag().map(str::to_owned));
        match (&arrived.method, inside) {
            (Method::Cancel, _) => self.on_cancel(&arrived, cancelled),
            (Method::Ack, None) => {}
            (Method::Ack, Some(tag)) => {
                if let Some(dialog) = self.dialog_by_tag(&tag, &arrived.message) {
                    self.with(dialog, |agent, session| agent.on_ack(session, &arrived));
                }
            }
            (_, Some(tag)) => match self.dialog_by_tag(&tag, &arrived.message) {
                Some(dialog) => self.with(dialog, |agent, session| agent.on_inside(session, arrived)),
                None => self.on_lost(&arrived),
            },
            (_, None) => self.on_outside(arrived),
        }
    }

    /// Whose our tag is, if Call-ID and their tag go with it.
    fn dialog_by_tag(&self, tag: &str, request: &Message) -> Option<DialogId> {
        let number = (tag.len() == 16).then(|| u64::from_str_radix(tag, 16).ok()).flatten()?;
        let dialog = *self.tags.get(&number)?;
        self.sessions.get(&dialog).filter(|session| session.owns(request)).map(|_| dialog)
    }

    /// A request for a dialog that is not, or not any more (RFC 3261 §12.2.2).
    fn on_lost(&mut self, arrived: &Arrived) {
        if self.is_known(arrived.flow) {
            self.refuse(arrived, 481);
        } else {
            self.gate.refusals.strangers += 1;
        }
    }

    /// A request outside any dialog: who asks, and for what?
    fn on_outside(&mut self, arrived: Arrived) {
        let Some(trunk) = trunk::of_source(&self.settings.trunks, arrived.flow.remote()) else {
            self.gate.refusals.strangers += 1;
            if self.settings.strangers == Strangers::Forbid {
                let response = self.stateless(403, &arrived.message.headers);
                self.send(arrived.reply_to, response.encode(), 0);
            }
            return;
        };
        match &arrived.method {
            Method::Invite => self.on_new_call(arrived, trunk),
            Method::Options => self.on_options(&arrived),
            other => self.refuse(&arrived, refusal_of(other)),
        }
    }

    /// OPTIONS: what we can do, and whether a call would be let in just now (RFC 3261 §11).
    fn on_options(&mut self, arrived: &Arrived) {
        let headers = &arrived.message.headers;
        if let Some(status) = unserved(&arrived.message) {
            return self.refuse(arrived, status);
        }
        let mut response;
        if self.gate.open().is_ok() {
            response = self.stateless(200, headers);
            response.headers.push(HeaderName::Allow, ALLOW);
            response.headers.push(HeaderName::Accept, "application/sdp");
            response.headers.push(HeaderName::Supported, SUPPORTED);
        } else {
            response = self.stateless(503, headers);
            let retry_after = retry_after_s(&mut self.dice);
            response.headers.push(HeaderName::RetryAfter, retry_after.to_string());
        }
        self.send(arrived.reply_to, response.encode(), 0);
    }

    /// Refuses a request without remembering it.
    pub(super) fn refuse(&mut self, arrived: &Arrived, status: u16) {
        self.gate.refusals.unserved += 1;
        let headers = &arrived.message.headers;
        let mut response = self.stateless(status, headers);
        explain(&mut response.headers, status, headers, self.settings.session.min.as_secs());
        self.send(arrived.reply_to, response.encode(), 0);
    }

    /// CANCEL (RFC 3261 §9.2). It is answered without a transaction: a repeated one meets the same answer.
    fn on_cancel(&mut self, arrived: &Arrived, invite: Option<ServerKey>) {
        let serving = invite.as_ref().and_then(|key| self.servers.get(key));
        let Some(dialog) = serving.map(|serving| serving.dialog) else {
            return self.on_lost(arrived);
        };
        let session = dialog.and_then(|dialog| self.sessions.get(&dialog));
        let tag = session.map(|session| session.dialog.local_tag().to_owned());
        let response = match tag {
            Some(tag) => self.response(200, &arrived.message.headers, Some(&tag)),
            None => self.stateless(200, &arrived.message.headers),
        };
        self.send(arrived.reply_to, response.encode(), 0);
        if let (Some(dialog), Some(invite)) = (dialog, invite) {
            self.with(dialog, |agent, session| agent.on_cancelled(session, &invite, arrived));
        }
    }

    /// Keeps requests with the same From tag, Call-ID and CSeq apart from repetitions (RFC 3261 §8.2.2.2).
    pub(super) fn merge_of(&self, headers: &Headers) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.secret.hash(&mut hasher);
        headers.get(&HeaderName::CallId).hash(&mut hasher);
        headers.from().ok().and_then(|from| from.tag().map(str::to_owned)).hash(&mut hasher);
        headers.cseq().map_or(0, |cseq| cseq.number).hash(&mut hasher);
        hasher.finish()
    }

    fn on_response(&mut self, response: &Message) {
        let headers = &response.headers;
        let (Ok(via), Ok(cseq)) = (headers.via(), headers.cseq()) else { return };
        let key = ClientKey::of_response(&via, &cseq.method);
        let asked = key.and_then(|key| self.clients.get(&key).map(|asking| (key, asking)));
        let Some((key, asking)) = asked else {
            self.gate.refusals.stray_responses += 1;
            return;
        };
        let only_ours = headers.all(&HeaderName::Via).count() == 1;
        if !only_ours || asking.request.method() != Some(&cseq.method) {
            self.gate.refusals.stray_responses += 1;
            return;
        }
        let (invite, user) = (cseq.method == Method::Invite, asking.user);
        if self.judge(key, response) == Verdict::News {
            match user {
                _ if invite => self.on_invite_response(key, user, response),
                Some(dialog) => self.with(dialog, |agent, session| agent.on_reply(session, key, response)),
                None => {}
            }
        }
        self.settle_client(key);
    }

    /// A request of ours got no final response, or could not be sent at all.
    pub(super) fn on_unanswered(&mut self, key: ClientKey, cause: Cause) {
        let Some(asking) = self.clients.get(&key) else { return };
        let Some(dialog) = asking.user else { return };
        self.with(dialog, |agent, session| match session.stage {
            Stage::Calling(_) => agent.on_attempt_failed(session, key, (cause, None)),
            Stage::Established => agent.on_exchange_failed(session, key, 408, None),
            Stage::Invited(_) | Stage::Leaving(_) | Stage::Over => {}
        });
    }

    /// The shell could not send a request. A broken stream is tried once more at the address the request itself
    /// names; else it has failed.
    pub(super) fn on_unsent(&mut self, ticket: u64) {
        let key = ClientKey { branch: ticket, cancel: false };
        let Some(asking) = self.clients.get_mut(&key) else { return };
        if let Destination::Flow(flow @ Flow::Tcp { .. }) = asking.to
            && let Some(address) = next_hop(&asking.request)
        {
            asking.to = Destination::Address { transport: flow.transport(), address };
            let (to, bytes) = (asking.to, asking.request.encode());
            self.send(to, bytes, ticket);
            return;
        }
        let wanted = asking.cancel == Cancel::No;
        if wanted {
            self.on_unanswered(key, Cause::NetworkFailure);
        }
        self.clients.remove(&key);
    }
}

/// Whether a request outside a dialog asks for what we cannot do, whoever asks.
pub(super) fn unserved(request: &Message) -> Option<u16> {
    let served = match request.uri()? {
        Uri::Sip(uri) => !uri.secure,
        Uri::Tel(_) => true,
        Uri::Other { .. } => false,
    };
    if !served {
        Some(416)
    } else if !unknown_extensions(&request.headers).is_empty() {
        Some(420)
    } else {
        None
    }
}

/// The headers that some refusals have to bring.
pub(super) fn explain(response: &mut Headers, status: u16, request: &Headers, min_se_s: u64) {
    match status {
        420 => response.push(HeaderName::Unsupported, unknown_extensions(request).join(", ")),
        422 => response.push(HeaderName::MinSe, min_se_s.to_string()),
        469 => response.push(HeaderName::from_text("Recv-Info"), ""),
        _ => {}
    }
}

/// The Via as the answer is to carry it: with the address the request really came from.
fn marked(mut via: Via, flow: Flow) -> Via {
    via.mark_received(flow.remote());
    via
}

/// Where the answers to a request go (RFC 3261 §18.2.2, RFC 3581 §4): back along the stream; a datagram to the
/// address it came from, and to the port it came from where they ask for that, else to the port the Via names.
fn reply_to(flow: Flow, via: &Via) -> Destination {
    match flow {
        Flow::Tcp { .. } => Destination::Flow(flow),
        Flow::Udp { local, mut remote } => {
            if !via.wants_rport() {
                remote.set_port(via.port.unwrap_or(5060));
            }
            Destination::Flow(Flow::Udp { local, remote })
        }
    }
}

/// The address a request names by itself: that of its first route, else its Request-URI.
fn next_hop(request: &Message) -> Option<std::net::SocketAddr> {
    let routes = request.headers.addresses(&HeaderName::Route).ok()?;
    routes.first().map_or_else(|| literal_address(request.uri()?), |route| literal_address(&route.uri))
}
