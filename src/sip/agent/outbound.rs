//! A call goes out: its targets, one after the other, until one answers (RFC 3261 §13.2, RFC 3263 §4.3).

use std::collections::VecDeque;

use super::inbound::sdp_of;
use super::respond::set_sdp;
use super::session::{Attempt, Calling, EARLY_MAX, Early, Exchange, Session, Stage};
use super::transact::Asking;
use super::{Agent, Destination, Dial, DialogEvent, DialogId, End, Flow, Output, TARGETS_MAX, Target, Transport};
use crate::sip::dialog::{Dialog, literal_address};
use crate::sip::grammar::name_addr::NameAddr;
use crate::sip::grammar::numbers::{CSeq, RAck, SessionExpires};
use crate::sip::grammar::uri::{SipUri, Uri};
use crate::sip::headers::{HeaderName, Headers};
use crate::sip::message::{Message, Method};
use crate::sip::reliable::{Received, Receiver};
use crate::sip::session_timer::{self, SessionTimer, Side, whole_seconds};
use crate::sip::timer::Armed;
use crate::sip::transaction::ClientKey;
use crate::terms::cause::Cause;

/// How often a 422 is obeyed.
const RETRIES_MAX: u8 = 2;

impl Agent {
    pub(super) fn on_dial(&mut self, id: DialogId, dial: Dial) {
        let refused = |agent: &mut Self, cause| {
            let event = DialogEvent::Ended { by_peer: false, cause, status: None };
            agent.outputs.push_back(Output::Event { dialog: id, event });
        };
        if self.sessions.contains_key(&id) {
            return;
        }
        if !self.gate.has_room() || self.clients.len() >= self.settings.limits.transactions {
            return refused(self, Cause::Congestion);
        }
        let targets = dial.targets.iter().take(TARGETS_MAX);
        let sought: VecDeque<Uri> = targets.filter_map(|text| plain_target(text)).collect();
        let Some(target) = sought.front().cloned() else { return refused(self, Cause::UnknownNumber) };
        let local_tag = self.dice.u64();
        let call_id = format!("{:016x}{:016x}", self.dice.u64(), self.dice.u64());
        let calling = Calling {
            ring_until: self.now + dial.ring,
            sought,
            target: target.clone(),
            places: VecDeque::new(),
            attempt: Attempt::Looking { ticket: 0 },
            early: Vec::new(),
            session_expires_s: whole_seconds(self.settings.session.expires),
            retries: 0,
            failure: (Cause::Unreachable, None),
            dial,
        };
        let nowhere = Destination::Address { transport: Transport::Udp, address: ([0, 0, 0, 0], 0).into() };
        let mut session = Session {
            id,
            trunk: None,
            local_sdp: calling.dial.sdp.clone(),
            dialog: Dialog::outbound(&call_id, &NameAddr::new(target.clone()), &NameAddr::new(target.clone()), target),
            stage: Stage::Calling(Box::new(calling)),
            local_tag,
            path: nowhere,
            unacked: None,
            exchange: Exchange::Quiet,
            later: None,
            timer: None,
            peer_updates: false,
            remote_sdp: String::new(),
            armed: Armed::default(),
        };
        self.gate.enter(None);
        self.tags.insert(local_tag, id);
        self.try_next(&mut session);
        self.keep(Box::new(session));
    }

    /// The next place of the target, or the next target; none left is the end.
    fn try_next(&mut self, session: &mut Session) {
        loop {
            let Stage::Calling(calling) = &mut session.stage else { return };
            if let Some(place) = calling.places.pop_front() {
                if self.invite(session, place) {
                    return;
                }
                continue;
            }
            let Some(target) = calling.sought.pop_front() else {
                let (cause, status) = calling.failure;
                return self.finish(session, Stage::Over, End { by_peer: status.is_some(), cause, status });
            };
            calling.target = target.clone();
            let transport = transport_of(&target);
            if let Some(address) = literal_address(&target) {
                let place = self.towards(transport.unwrap_or(Transport::Udp), address);
                calling.places.push_back(place);
                continue;
            }
            let Some(uri) = target.as_sip() else { continue };
            let ticket = self.dice.u64();
            calling.attempt = Attempt::Looking { ticket };
            self.lookups.insert(ticket, session.id);
            let target = Target { host: uri.host.to_string(), port: uri.port, transport };
            self.outputs.push_back(Output::Resolve { ticket, target });
            return;
        }
    }

    pub(super) fn on_resolved(&mut self, ticket: u64, found: Vec<Destination>) {
        let Some(dialog) = self.lookups.remove(&ticket) else { return };
        self.with(dialog, |agent, session| {
            let Stage::Calling(calling) = &mut session.stage else { return };
            if !matches!(calling.attempt, Attempt::Looking { ticket: asked } if asked == ticket) {
                return;
            }
            calling.places = found
                .into_iter()
                .take(TARGETS_MAX)
                .map(|place| match place {
                    Destination::Address { transport, address } => agent.towards(transport, address),
                    flow @ Destination::Flow(_) => flow,
                })
                .collect();
            agent.try_next(session);
        });
    }

    /// A destination of ours: datagrams leave by the socket that our Via names.
    pub(super) fn towards(&self, transport: Transport, address: std::net::SocketAddr) -> Destination {
        let place = Destination::Address { transport, address };
        match transport {
            Transport::Udp => Destination::Flow(Flow::Udp { local: self.listener(place).local, remote: address }),
            Transport::Tcp => place,
        }
    }

    /// Sends the INVITE to a place. False where it cannot be sent.
    fn invite(&mut self, session: &mut Session, to: Destination) -> bool {
        let advertised = self.listener(to).advertised;
        let Stage::Calling(calling) = &mut session.stage else { return false };
        let user = (!calling.dial.from_user.is_empty()).then_some(calling.dial.from_user.as_str());
        let mut from = NameAddr::new(Uri::Sip(SipUri::new(user, advertised.ip().into(), None)));
        from.display.clone_from(&calling.dial.from_display);
        from.params.set("tag", &format!("{:016x}", session.local_tag));
        let call_id = String::from_utf8_lossy(session.dialog.call_id()).into_owned();
        let numbered = session.dialog.local_cseq();
        session.dialog =
            Dialog::outbound(&call_id, &from, &NameAddr::new(calling.target.clone()), calling.target.clone());
        session.dialog.count_from(numbered);
        let mut invite = session.dialog.request(Method::Invite);
        self.push_abilities(&mut invite.headers, to);
        let expires = SessionExpires { interval_s: calling.session_expires_s, refresher: None };
        invite.headers.push(HeaderName::SessionExpires, expires.to_string());
        invite.headers.push(HeaderName::MinSe, whole_seconds(self.settings.session.min).to_string());
        for (name, value) in &calling.dial.headers {
            if !name.is_empty() && !name.chars().chain(value.chars()).any(char::is_control) {
                invite.headers.push(HeaderName::from_text(name), value.clone());
            }
        }
        set_sdp(&mut invite, &calling.dial.sdp);
        session.path = to;
        let Some(client) = self.ask(invite, to, Some(session.id)) else {
            calling.failure = (Cause::Congestion, None);
            return false;
        };
        calling.early.clear();
        let silent_until = calling.has_more().then(|| self.now + self.settings.limits.silence);
        calling.attempt = Attempt::Asked { client, to, silent_until };
        true
    }

    /// A response to an INVITE of ours, first or later.
    pub(super) fn on_invite_response(&mut self, key: ClientKey, user: Option<DialogId>, response: &Message) {
        let status = response.status().unwrap_or(500);
        if (200..300).contains(&status) && self.ack_again(key, response) {
            return;
        }
        let mut taken = false;
        if let Some(dialog) = user {
            self.with(dialog, |agent, session| taken = agent.take_response(session, key, response));
        }
        if !taken && (200..300).contains(&status) {
            self.decline(key, response);
        }
    }

    /// Hands the response to the session, if it still waits for this very INVITE.
    fn take_response(&mut self, session: &mut Session, key: ClientKey, response: &Message) -> bool {
        match &session.stage {
            Stage::Calling(calling) => {
                if !matches!(calling.attempt, Attempt::Asked { client, .. } if client == key) {
                    return false;
                }
                match response.status().unwrap_or(500) {
                    100 => self.on_sign_of_life(session),
                    101..=199 => self.on_progress(session, response),
                    200..=299 => self.on_answer(session, key, response),
                    status => self.on_refusal(session, key, status, response),
                }
                true
            }
            Stage::Established if matches!(&session.exchange, Exchange::Ours(ours) if ours.client == key) => {
                self.on_reply(session, key, response);
                true
            }
            Stage::Established | Stage::Invited(_) | Stage::Leaving(_) | Stage::Over => false,
        }
    }

    fn on_sign_of_life(&mut self, session: &mut Session) {
        if let Stage::Calling(calling) = &mut session.stage
            && let Attempt::Asked { silent_until, .. } = &mut calling.attempt
        {
            *silent_until = None;
        }
    }

    /// 101 to 199: an early dialog, and a PRACK where it was sent reliably (RFC 3262 §4).
    fn on_progress(&mut self, session: &mut Session, response: &Message) {
        self.on_sign_of_life(session);
        let Stage::Calling(calling) = &mut session.stage else { return };
        let (status, sdp) = (response.status().unwrap_or(180), sdp_of(response));
        let headers = &response.headers;
        let tag = headers.to().ok().and_then(|to| to.tag().map(str::to_owned));
        let Attempt::Asked { client, to, .. } = calling.attempt else { return };
        let reliable = headers.has_token(&HeaderName::Require, "100rel");
        if let (Some(tag), Some(asking)) = (tag, self.clients.get(&client)) {
            let known = calling.early.iter().position(|early| early.dialog.remote_tag() == tag);
            let at = match (known, Dialog::of_response(&asking.request, headers)) {
                (Some(at), _) => at,
                (None, Ok(dialog)) if calling.early.len() < EARLY_MAX => {
                    calling.early.push(Early { dialog, receiver: Receiver::default(), described: None });
                    calling.early.len() - 1
                }
                (None, Ok(_) | Err(_)) => return,
            };
            let Some(early) = calling.early.get_mut(at) else { return };
            if let (true, Ok(rseq)) = (reliable, headers.number(&HeaderName::RSeq)) {
                if early.receiver.receive(rseq) != Received::New {
                    return;
                }
                early.described = early.described.take().or_else(|| sdp.clone());
                let invite = asking.request.headers.cseq().map_or(0, |cseq| cseq.number);
                let rack = RAck { rseq, cseq: CSeq { number: invite, method: Method::Invite } };
                let mut prack = early.dialog.request(Method::Prack);
                prack.headers.push(HeaderName::RAck, rack.to_string());
                // Full tables: the far end repeats its response, and gives the call up if that does not help.
                let _ = self.ask(prack, to, None);
            }
        }
        self.tell(session, DialogEvent::Ringing { status, sdp });
    }

    /// 2xx: acknowledged, and the call is up (RFC 3261 §13.2.2.4).
    fn on_answer(&mut self, session: &mut Session, key: ClientKey, response: &Message) {
        let Some(dialog) = self.acknowledge(key, response) else { return };
        let Stage::Calling(calling) = &mut session.stage else { return };
        let early = calling.early.iter().find(|early| early.dialog.remote_tag() == dialog.remote_tag());
        let described = early.and_then(|early| early.described.clone());
        let counted = early.map_or(0, |early| early.dialog.local_cseq());
        session.dialog = dialog;
        session.dialog.count_from(counted);
        session.peer_updates = response.headers.has_token(&HeaderName::Allow, "UPDATE");
        let (interval_s, refresher) = session_timer::answered(&response.headers, &self.settings.session);
        session.timer = Some(SessionTimer::new(self.now, interval_s, refresher, Side::Uac));
        session.stage = Stage::Established;
        let sdp = if described.is_some() { None } else { sdp_of(response) };
        match (&sdp, described) {
            (Some(sdp), _) => session.remote_sdp.clone_from(sdp),
            (None, Some(described)) => session.remote_sdp = described,
            // Our offer has no answer: there is no session.
            (None, None) => return self.hang_up(session, End::ours(Cause::ProtocolError)),
        }
        self.tell(session, DialogEvent::Answered { sdp });
    }

    /// 300 to 699: obey a 422, go on to the next place, or end (RFC 3261 §8.1.3).
    fn on_refusal(&mut self, session: &mut Session, key: ClientKey, status: u16, response: &Message) {
        let Stage::Calling(calling) = &mut session.stage else { return };
        if status == 422
            && calling.retries < RETRIES_MAX
            && let Ok(min) = response.headers.seconds(&HeaderName::MinSe)
            && let Attempt::Asked { to, .. } = calling.attempt
        {
            calling.retries += 1;
            calling.session_expires_s = calling.session_expires_s.max(min);
            if self.invite(session, to) {
                return;
            }
        }
        self.on_attempt_failed(session, key, (Cause::from_sip_status(status), Some(status)));
    }

    /// This place will not have the call. Whoever is busy is so at every place of this target; whoever declines
    /// everywhere (6xx, RFC 3261 §21.6) is not asked at another.
    pub(super) fn on_attempt_failed(&mut self, session: &mut Session, key: ClientKey, why: (Cause, Option<u16>)) {
        let Stage::Calling(calling) = &mut session.stage else { return };
        if !matches!(calling.attempt, Attempt::Asked { client, .. } if client == key) {
            return;
        }
        if why.1.is_some() || calling.failure.1.is_none() {
            calling.failure = why;
        }
        if matches!(why.1, Some(486 | 487 | 600..=699)) {
            calling.places.clear();
        }
        if matches!(why.1, Some(487 | 600..=699)) {
            calling.sought.clear();
        }
        self.try_next(session);
    }

    /// The target is silent, and there is another: go on to that one (exercised on the session's timer).
    pub(super) fn on_calling_time(&mut self, session: &mut Session) {
        let Stage::Calling(calling) = &mut session.stage else { return };
        if calling.ring_until <= self.now {
            return self.stop_calling(session, Cause::NoAnswer);
        }
        if let Attempt::Asked { client, silent_until: Some(at), .. } = calling.attempt
            && at <= self.now
        {
            self.abandon(client, Cause::NoAnswer);
            self.on_attempt_failed(session, client, (Cause::Unreachable, None));
        }
    }

    /// We stop ringing.
    pub(super) fn stop_calling(&mut self, session: &mut Session, cause: Cause) {
        let Stage::Calling(calling) = &session.stage else { return };
        match calling.attempt {
            Attempt::Asked { client, .. } => self.abandon(client, cause),
            Attempt::Looking { ticket } => {
                self.lookups.remove(&ticket);
            }
        }
        self.finish(session, Stage::Over, End::ours(cause));
    }

    /// ACKs a 2xx and remembers the ACK for its repetitions.
    pub(super) fn acknowledge(&mut self, key: ClientKey, response: &Message) -> Option<Dialog> {
        let asking = self.clients.get(&key)?;
        let dialog = Dialog::of_response(&asking.request, &response.headers).ok()?;
        let cseq = asking.request.headers.cseq().map_or(0, |cseq| cseq.number);
        let to = self.way_of_ack(asking, &dialog);
        let mut ack = dialog.ack(cseq);
        let branch = ClientKey { branch: self.dice.u64(), cancel: false };
        self.dress(&mut ack, to, branch);
        let bytes = ack.encode();
        self.send(to, bytes.clone(), 0);
        let asking = self.clients.get_mut(&key)?;
        if asking.acks.len() < EARLY_MAX {
            asking.acks.push((dialog.remote_tag().to_owned(), to, bytes));
        }
        Some(dialog)
    }

    fn way_of_ack(&self, asking: &Asking, dialog: &Dialog) -> Destination {
        match (asking.to, literal_address(dialog.next_hop())) {
            (Destination::Flow(Flow::Udp { .. }), Some(address)) => self.towards(Transport::Udp, address),
            (to, _) => to,
        }
    }

    fn ack_again(&mut self, key: ClientKey, response: &Message) -> bool {
        let Some(asking) = self.clients.get(&key) else { return false };
        let to = response.headers.to();
        let tag = to.as_ref().ok().and_then(|to| to.tag()).unwrap_or_default();
        let Some((_, to, ack)) = asking.acks.iter().find(|(known, ..)| known == tag).cloned() else { return false };
        self.send(to, ack, 0);
        true
    }

    /// A 2xx nobody wants (another branch, or after our CANCEL): ACK, and BYE unless the dialog is an older one.
    fn decline(&mut self, key: ClientKey, response: &Message) {
        let Some(mut dialog) = self.acknowledge(key, response) else { return };
        let Some(asking) = self.clients.get(&key) else { return };
        let inside = asking.request.headers.to().is_ok_and(|to| to.tag().is_some());
        if !inside {
            let to = self.way_of_ack(asking, &dialog);
            let mut bye = dialog.request(Method::Bye);
            super::push_reason(&mut bye.headers, Cause::Cancelled);
            let _ = self.ask(bye, to, None);
        }
    }
}

/// A target as we may dial it: a SIP URI without headers.
fn plain_target(text: &str) -> Option<Uri> {
    let uri = Uri::parse(text.trim().as_bytes()).ok()?;
    let plain = uri.as_sip().is_some_and(|uri| uri.headers.is_empty() && !uri.secure);
    plain.then_some(uri)
}

fn transport_of(uri: &Uri) -> Option<Transport> {
    let transport = uri.as_sip()?.params.get("transport")?;
    if transport.eq_ignore_ascii_case("tcp") {
        Some(Transport::Tcp)
    } else {
        transport.eq_ignore_ascii_case("udp").then_some(Transport::Udp)
    }
}

/// The Session-Expires and Min-SE of a refresh.
pub(super) fn push_session_expires(headers: &mut Headers, value: &SessionExpires, min_se_s: u32) {
    headers.push(HeaderName::SessionExpires, value.to_string());
    headers.push(HeaderName::MinSe, min_se_s.to_string());
}
