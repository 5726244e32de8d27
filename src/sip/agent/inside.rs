//! Requests inside a call: BYE, changes of the session, PRACK, INFO (RFC 3261 §12.2.2, §14.2, §15.1.2).

use super::inbound::{as_refusal, start_timer};
use super::receive::explain;
use super::respond::{read_reason, refusal_of, set_sdp, unknown_extensions};
use super::session::{Awaits, Exchange, Session, Stage};
use super::transact::Arrived;
use super::{Agent, Destination, DialogEvent, End};
use crate::sip::dialog::Order;
use crate::sip::headers::HeaderName;
use crate::sip::message::{Message, Method};
use crate::sip::session_timer::{self, Agreed};
use crate::sip::{body, dialog};
use crate::terms::cause::Cause;

impl Agent {
    pub(super) fn on_inside(&mut self, session: &mut Session, arrived: Arrived) {
        let headers = &arrived.message.headers;
        let number = headers.cseq().map_or(0, |cseq| cseq.number);
        if session.dialog_of(&arrived.message).receive(number) == Order::Old {
            return self.refuse_inside(session, &arrived, 500);
        }
        if !unknown_extensions(headers).is_empty() {
            return self.refuse_inside(session, &arrived, 420);
        }
        session.path = Destination::Flow(arrived.flow);
        if headers.has_token(&HeaderName::Allow, "UPDATE") {
            session.peer_updates = true;
        }
        match arrived.method {
            Method::Bye => self.on_bye(session, &arrived),
            Method::Invite => self.on_reinvite(session, arrived),
            Method::Update => self.on_update(session, arrived),
            Method::Prack => self.on_prack(session, arrived),
            Method::Info => self.on_info(session, &arrived),
            Method::Options => {
                let mut ok = self.response(200, headers, None);
                self.push_abilities(&mut ok.headers, arrived.reply_to);
                ok.headers.push(HeaderName::Accept, "application/sdp");
                self.answer_at_once(&arrived, &ok);
            }
            ref other => {
                let status = refusal_of(other);
                self.refuse_inside(session, &arrived, status);
            }
        }
    }

    fn refuse_inside(&mut self, _session: &Session, arrived: &Arrived, status: u16) {
        self.gate.refusals.unserved += 1;
        let headers = &arrived.message.headers;
        let mut response = self.response(status, headers, None);
        explain(&mut response.headers, status, headers, self.settings.session.min.as_secs());
        if status == 500 {
            response.headers.push(HeaderName::RetryAfter, self.dice.below(3).to_string());
        }
        self.answer_at_once(arrived, &response);
    }

    /// BYE is served in every stage (RFC 3261 §15.1.2).
    fn on_bye(&mut self, session: &mut Session, arrived: &Arrived) {
        let ok = self.response(200, &arrived.message.headers, None);
        self.answer_at_once(arrived, &ok);
        let headers = &arrived.message.headers;
        match &session.stage {
            Stage::Invited(_) => {
                let cause = read_reason(headers, Cause::Cancelled);
                self.reject(session, 487, ("", None), End::theirs(cause));
            }
            Stage::Calling(calling) => {
                // The answering side may not say BYE before its 2xx; where it does, we have nothing left to ring.
                if let super::session::Attempt::Asked { client, .. } = calling.attempt {
                    self.abandon(client, Cause::Normal);
                }
                self.finish(session, Stage::Over, End::theirs(read_reason(headers, Cause::Rejected)));
            }
            Stage::Established | Stage::Leaving(_) => {
                self.refuse_pending(session);
                self.finish(session, Stage::Over, End::theirs(read_reason(headers, Cause::Normal)));
            }
            Stage::Over => {}
        }
    }

    /// An INVITE inside the dialog (RFC 3261 §14.2).
    fn on_reinvite(&mut self, session: &mut Session, arrived: Arrived) {
        match (&session.stage, &session.exchange) {
            (Stage::Leaving(_) | Stage::Over | Stage::Calling(_), _) => {
                return self.refuse_inside(session, &arrived, 481);
            }
            (_, Exchange::Ours(_)) => return self.refuse_inside(session, &arrived, 491),
            (Stage::Invited(_), _) | (_, Exchange::Theirs { .. }) => {
                return self.refuse_inside(session, &arrived, 500);
            }
            (Stage::Established, _) if session.unacked.is_some() => {
                return self.refuse_inside(session, &arrived, 500);
            }
            (Stage::Established, Exchange::Quiet) => {}
        }
        let offer = match self.read_change(&arrived.message) {
            Ok(offer) => offer,
            Err(status) => return self.refuse_inside(session, &arrived, status),
        };
        if !self.open_server(&arrived, Some(session.id), None) {
            return self.refuse_inside(session, &arrived, 503);
        }
        self.hold(session, arrived, offer);
    }

    /// UPDATE (RFC 3311 §5.2): with an offer it waits for word from inside, without one it only refreshes.
    fn on_update(&mut self, session: &mut Session, arrived: Arrived) {
        let offer = match self.read_change(&arrived.message) {
            Ok(offer) => offer,
            Err(status) => return self.refuse_inside(session, &arrived, status),
        };
        let overlap = match (&session.stage, &session.exchange) {
            (Stage::Leaving(_) | Stage::Over, _) => Some(481),
            (_, Exchange::Theirs { .. }) if offer.is_some() => Some(500),
            (_, Exchange::Ours(_)) | (Stage::Calling(_), _) if offer.is_some() => Some(491),
            (Stage::Invited(invited), _) if offer.is_some() && !invited.described => {
                Some(if invited.offered { 500 } else { 491 })
            }
            (Stage::Established, _) if offer.is_some() && session.unacked_offer() => Some(491),
            (Stage::Invited(_) | Stage::Calling(_) | Stage::Established, _) => None,
        };
        if let Some(status) = overlap {
            return self.refuse_inside(session, &arrived, status);
        }
        if offer.is_none() {
            session.dialog_of(&arrived.message).refresh_target(&arrived.message.headers);
            let ok = self.change_ok(session, &arrived.message, arrived.reply_to);
            return self.answer_at_once(&arrived, &ok);
        }
        if self.open_server(&arrived, Some(session.id), None) {
            self.hold(session, arrived, offer);
        } else {
            self.refuse_inside(session, &arrived, 503);
        }
    }

    /// The offer of a change, if it has one.
    fn read_change(&self, request: &Message) -> Result<Option<String>, u16> {
        if session_timer::answer(&request.headers, &self.settings.session) == Agreed::TooSmall {
            return Err(422);
        }
        body::sdp(request).map_err(|body::Unsupported| 415)
    }

    /// A change waits for word from inside.
    fn hold(&mut self, session: &mut Session, arrived: Arrived, offer: Option<String>) {
        session.dialog.refresh_target(&arrived.message.headers);
        session.exchange = Exchange::Theirs {
            server: arrived.key,
            request: Box::new(arrived.message),
            offered: offer.is_some(),
            until: self.now + self.settings.limits.offer_wait,
        };
        if let Some(offer) = &offer {
            session.remote_sdp.clone_from(offer);
        }
        self.tell(session, DialogEvent::Offered { sdp: offer });
    }

    /// The word from inside: our answer, or our offer where theirs was left to us.
    pub(super) fn answer_offer(&mut self, session: &mut Session, sdp: &str) {
        if !matches!(session.exchange, Exchange::Theirs { .. }) {
            return;
        }
        let Exchange::Theirs { server, request, offered, .. } =
            std::mem::replace(&mut session.exchange, Exchange::Quiet)
        else {
            return;
        };
        let Some(to) = self.reply_to(&server) else { return };
        let mut ok = self.change_ok(session, &request, to);
        set_sdp(&mut ok, sdp);
        sdp.clone_into(&mut session.local_sdp);
        let bytes = self.answer(&server, &ok);
        if request.method() == Some(&Method::Invite) {
            let cseq = request.headers.cseq().map_or(0, |cseq| cseq.number);
            let awaits = if offered { Awaits::Nothing } else { Awaits::LaterAnswer };
            session.unacked = Some(self.unacked(bytes, to, cseq, awaits));
        }
        if request.method() == Some(&Method::Prack) {
            self.after_prack(session);
        }
    }

    /// The word from inside: everything stays as it was.
    pub(super) fn refuse_offer(&mut self, session: &mut Session, status: u16) {
        if !matches!(session.exchange, Exchange::Theirs { .. }) {
            return;
        }
        let waiting = std::mem::replace(&mut session.exchange, Exchange::Quiet);
        let Exchange::Theirs { server, request, .. } = waiting else { return };
        let status = as_refusal(status);
        let mut response = self.response(status, &request.headers, None);
        if status == 500 {
            response.headers.push(HeaderName::RetryAfter, "1");
        }
        self.answer(&server, &response);
        if request.method() == Some(&Method::Prack) {
            self.after_prack(session);
        }
    }

    /// The call ends: what still waits for a final response gets 487 (RFC 3261 §15.1.2).
    pub(super) fn refuse_pending(&mut self, session: &mut Session) {
        let pending = std::mem::replace(&mut session.exchange, Exchange::Quiet);
        if let Exchange::Theirs { server, request, .. } = pending {
            let response = self.response(487, &request.headers, None);
            self.answer(&server, &response);
        }
    }

    /// 200 to a request that changes or refreshes the session; restarts the session timer.
    fn change_ok(&mut self, session: &mut Session, request: &Message, to: Destination) -> Message {
        let mut ok = self.dialog_response(200, &request.headers, session.dialog.local_tag(), to);
        let timed = matches!(request.method(), Some(Method::Invite | Method::Update));
        if timed && let Stage::Established = session.stage {
            session.timer = start_timer(self.now, &request.headers, &self.settings.session, &mut ok.headers);
        }
        ok
    }

    /// PRACK (RFC 3262 §3).
    fn on_prack(&mut self, session: &mut Session, arrived: Arrived) {
        let headers = &arrived.message.headers;
        let Ok(rack) = headers.rack() else {
            return self.refuse_inside(session, &arrived, 400);
        };
        let sdp = match body::sdp(&arrived.message) {
            Ok(sdp) => sdp,
            Err(body::Unsupported) => return self.refuse_inside(session, &arrived, 415),
        };
        let Stage::Invited(invited) = &mut session.stage else {
            return self.refuse_inside(session, &arrived, 481);
        };
        let described = invited.reliable.as_ref().is_some_and(|sender| sender.describes());
        if !invited.reliable.as_mut().is_some_and(|sender| sender.on_prack(&rack)) {
            return self.refuse_inside(session, &arrived, 481);
        }
        let answers_us = described && !invited.described && !invited.offered;
        invited.described |= described;
        if let (Some(offer), false) = (&sdp, answers_us) {
            // A new offer in the PRACK; only where the first exchange is through (RFC 3262 §5).
            if !invited.described || !session.is_quiet() {
                return self.refuse_inside(session, &arrived, 491);
            }
            let offer = offer.clone();
            if self.open_server(&arrived, Some(session.id), None) {
                return self.hold(session, arrived, Some(offer));
            }
        }
        let ok = self.response(200, headers, None);
        self.answer_at_once(&arrived, &ok);
        if let (Some(sdp), true) = (sdp, answers_us) {
            session.remote_sdp.clone_from(&sdp);
            self.tell(session, DialogEvent::OfferAnswered { sdp });
        }
        self.after_prack(session);
    }

    /// INFO: keys, mostly. Answered at once, and handed on (RFC 6086; packages we do not know are refused).
    fn on_info(&mut self, session: &Session, arrived: &Arrived) {
        let headers = &arrived.message.headers;
        if headers.has(&HeaderName::InfoPackage) {
            return self.refuse_inside(session, arrived, 469);
        }
        let ok = self.response(200, headers, None);
        self.answer_at_once(arrived, &ok);
        if let Stage::Leaving(_) = session.stage {
            return;
        }
        let content_type = headers.content_type().unwrap_or_default();
        self.tell(session, DialogEvent::Info { content_type, body: arrived.message.body.clone() });
    }

    /// The way of the next request inside the dialog: along an open stream; to the address the dialog names; and
    /// where it names a host, or a private address behind a public one, back where their latest message came from.
    pub(super) fn way(&self, session: &Session) -> Destination {
        if session.path.transport().is_reliable() {
            return session.path;
        }
        let Some(address) = dialog::literal_address(session.dialog.next_hop()) else { return session.path };
        let seen = session.path.address();
        if is_private(address.ip()) && !is_private(seen.ip()) || address.port() == 0 {
            return session.path;
        }
        match session.path {
            Destination::Flow(super::Flow::Udp { local, .. }) if local.is_ipv4() == address.is_ipv4() => {
                Destination::Flow(super::Flow::Udp { local, remote: address })
            }
            Destination::Flow(_) | Destination::Address { .. } => self.towards(session.path.transport(), address),
        }
    }
}

impl Session {
    /// Is an offer of ours in a 2xx still without its answer?
    fn unacked_offer(&self) -> bool {
        self.unacked.as_ref().is_some_and(|unacked| matches!(unacked.awaits, Awaits::Answer | Awaits::LaterAnswer))
    }
}

fn is_private(address: std::net::IpAddr) -> bool {
    match address.to_canonical() {
        std::net::IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified(),
        std::net::IpAddr::V6(v6) => v6.is_loopback() || v6.is_unspecified() || v6.is_unique_local(),
    }
}
