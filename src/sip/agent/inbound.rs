//! A call comes in: from its INVITE to the ACK of our final response.

use super::receive::{explain, unserved};
use super::respond::{read_reason, reason_phrase, set_sdp};
use super::session::{Awaits, Exchange, Invited, REPEAT, Session, Stage, Unacked};
use super::transact::Arrived;
use super::{Agent, Command, Destination, DialogEvent, DialogId, End, Incoming, Output};
use crate::sip::dialog::{Dialog, NoDialog};
use crate::sip::gate::{Refused, retry_after_s};
use crate::sip::grammar::numbers::Refresher;
use crate::sip::headers::{HeaderName, Headers};
use crate::sip::message::Message;
use crate::sip::reliable::{Sender, Waiting};
use crate::sip::session_timer::{self, Agreed, SessionTimer, Side};
use crate::sip::timer::{Again, Armed};
use crate::sip::{body, caller};
use crate::terms::cause::Cause;

impl Agent {
    /// An INVITE that belongs to no dialog. Whatever is refused here leaves no trace but a counter.
    pub(super) fn on_new_call(&mut self, arrived: Arrived, trunk: usize) {
        let merge = self.merge_of(&arrived.message.headers);
        if self.merged.contains_key(&merge) {
            return self.refuse(&arrived, 482);
        }
        if let Err(refused) = self.admit(trunk) {
            return self.refuse_for_now(&arrived, refused);
        }
        match self.read_call(&arrived, trunk) {
            Ok((session, incoming)) => {
                let dialog = session.id;
                if !self.open_server(&arrived, Some(dialog), Some(merge)) {
                    return self.refuse_for_now(&arrived, Refused::Transactions);
                }
                self.gate.enter(Some(trunk));
                self.tags.insert(session.local_tag, dialog);
                self.keep(Box::new(session));
                self.outputs.push_back(Output::Incoming { dialog, incoming: Box::new(incoming) });
            }
            Err(status) => self.refuse(&arrived, status),
        }
    }

    fn admit(&mut self, trunk: usize) -> Result<(), Refused> {
        if self.servers.len() >= self.settings.limits.transactions {
            self.gate.count(Refused::Transactions);
            return Err(Refused::Transactions);
        }
        self.gate.admit(self.now, trunk)
    }

    /// 503 with a short Retry-After.
    fn refuse_for_now(&mut self, arrived: &Arrived, _refused: Refused) {
        let mut response = self.stateless(503, &arrived.message.headers);
        let retry_after = retry_after_s(&mut self.dice);
        response.headers.push(HeaderName::RetryAfter, retry_after.to_string());
        self.send(arrived.reply_to, response.encode(), 0);
    }

    /// What the INVITE says.
    ///
    /// # Errors
    /// The status to refuse it with.
    fn read_call(&mut self, arrived: &Arrived, trunk: usize) -> Result<(Session, Incoming), u16> {
        let (message, headers) = (&arrived.message, &arrived.message.headers);
        if let Some(status) = unserved(message) {
            return Err(status);
        }
        if headers.number(&HeaderName::MaxForwards) == Ok(0) {
            return Err(483);
        }
        if !body::may_be_answered(headers) {
            return Err(406);
        }
        let offer = body::sdp(message).map_err(|body::Unsupported| 415_u16)?;
        if session_timer::answer(headers, &self.settings.session) == Agreed::TooSmall {
            return Err(422);
        }
        let local_tag = self.dice.u64();
        let dialog = Dialog::of_invite(message, &format!("{local_tag:016x}")).map_err(|error| match error {
            NoDialog::Contact | NoDialog::Route | NoDialog::Names => 400_u16,
        })?;
        let trusted = self.settings.trunks.get(trunk).is_some_and(|trunk| trunk.trusted);
        let caller = caller::of(headers, trusted);
        let requires = headers.has_token(&HeaderName::Require, "100rel");
        let incoming = Incoming {
            sip_call_id: headers.call_id().unwrap_or_default(),
            trunk: self.settings.trunks.get(trunk).map_or_else(|| "".into(), |trunk| trunk.id.clone()),
            source: arrived.flow.remote(),
            dialled: message.uri().and_then(crate::sip::grammar::uri::Uri::user).unwrap_or_default(),
            caller: caller.user,
            vouched: trusted,
            display: caller.display,
            diverted_by: caller::diverted_by(headers),
            headers: caller::kept(headers),
            offer: offer.clone(),
            requires_100rel: requires,
        };
        self.inbound += 1;
        let cseq = headers.cseq().map_or(0, |cseq| cseq.number);
        let reliable = requires.then(|| Sender::new(cseq, self.dice.u64()));
        let invited = Invited {
            server: arrived.key.clone(),
            request: message.clone(),
            offered: offer.is_some(),
            reliable,
            described: false,
            held_answer: None,
            latest: None,
            repeat_at: self.now + REPEAT,
            until: self.now + self.settings.limits.unanswered,
        };
        let session = Session {
            id: DialogId::inbound(self.inbound),
            trunk: Some(trunk),
            stage: Stage::Invited(Box::new(invited)),
            dialog,
            local_tag,
            path: Destination::Flow(arrived.flow),
            unacked: None,
            exchange: Exchange::Quiet,
            later: None,
            timer: None,
            peer_updates: headers.has_token(&HeaderName::Allow, "UPDATE"),
            local_sdp: String::new(),
            remote_sdp: offer.unwrap_or_default(),
            armed: Armed::default(),
        };
        Ok((session, incoming))
    }

    /// A command to a call that we have not answered yet.
    pub(super) fn on_invited_command(&mut self, session: &mut Session, command: Command) {
        match command {
            Command::Progress { status, sdp } => {
                self.progress(
                    session,
                    Waiting { status: if (101..200).contains(&status) { status } else { 183 }, sdp },
                );
            }
            Command::Answer { sdp } => self.accept(session, sdp),
            Command::Reject { status, reason, retry_after_s } => {
                let status = if (300..700).contains(&status) { status } else { 500 };
                self.reject(session, status, (&reason, retry_after_s), End::ours(Cause::from_sip_status(status)));
            }
            Command::Bye { cause } => self.reject(session, refusal(cause), ("", None), End::ours(cause)),
            Command::Cancel => self.reject(session, 480, ("", None), End::ours(Cause::Cancelled)),
            // An offer inside an early dialog (UPDATE or PRACK) can be pending all the same.
            Command::AnswerOffer { sdp } => self.answer_offer(session, &sdp),
            Command::RefuseOffer { status } => self.refuse_offer(session, status),
            Command::Offer { .. } | Command::Info { .. } => {}
        }
    }

    /// 101 to 199, reliably where they require it (RFC 3262 §3).
    fn progress(&mut self, session: &mut Session, response: Waiting) {
        let Stage::Invited(invited) = &mut session.stage else { return };
        match &mut invited.reliable {
            None => self.send_progress(session, None, &response),
            Some(sender) => {
                if let Some((rseq, response)) = sender.offer(response) {
                    self.send_progress(session, Some(rseq), &response);
                }
            }
        }
    }

    pub(super) fn send_progress(&mut self, session: &mut Session, rseq: Option<u32>, response: &Waiting) {
        let Stage::Invited(invited) = &mut session.stage else { return };
        let Some(to) = self.reply_to(&invited.server) else { return };
        let tag = session.dialog.local_tag();
        let mut message = self.dialog_response(response.status, &invited.request.headers, tag, to);
        if let Some(rseq) = rseq {
            message.headers.push(HeaderName::Require, "100rel");
            message.headers.push(HeaderName::RSeq, rseq.to_string());
        }
        if let Some(sdp) = &response.sdp {
            set_sdp(&mut message, sdp);
            session.local_sdp.clone_from(sdp);
        }
        let bytes = self.answer(&invited.server, &message);
        match &mut invited.reliable {
            Some(sender) => sender.sent(self.now, &self.settings.pace, bytes, response.sdp.is_some()),
            None => invited.latest = Some(bytes),
        }
        invited.repeat_at = self.now + REPEAT;
    }

    /// 200, unless a session description is still unacknowledged: then as soon as it is.
    pub(super) fn accept(&mut self, session: &mut Session, sdp: String) {
        let Stage::Invited(invited) = &mut session.stage else { return };
        if invited.reliable.as_ref().is_some_and(Sender::holds_answer) {
            invited.held_answer = Some(sdp);
            return;
        }
        let Some(to) = self.reply_to(&invited.server) else { return };
        let headers = &invited.request.headers;
        let mut ok = self.dialog_response(200, headers, session.dialog.local_tag(), to);
        session.timer = start_timer(self.now, headers, &self.settings.session, &mut ok.headers);
        // Offer and answer may be through already, in a reliable 18x and its PRACK.
        if !invited.described {
            set_sdp(&mut ok, &sdp);
        }
        let awaits = if invited.offered || invited.described { Awaits::Confirmation } else { Awaits::Answer };
        let cseq = headers.cseq().map_or(0, |cseq| cseq.number);
        let server = invited.server.clone();
        let bytes = self.answer(&server, &ok);
        session.unacked = Some(self.unacked(bytes, to, cseq, awaits));
        session.local_sdp = sdp;
        // An offer that still waits inside the early dialog has been overtaken.
        self.refuse_pending(session);
        session.stage = Stage::Established;
    }

    pub(super) fn unacked(&self, bytes: bytes::Bytes, to: Destination, cseq: u32, awaits: Awaits) -> Unacked {
        let pace = &self.settings.pace;
        let again = Again::new(self.now, pace.t1, pace.t2);
        Unacked { bytes, to, cseq, again, give_up: self.now + pace.give_up(), awaits }
    }

    /// 300 to 699, and the end of the call.
    pub(super) fn reject(&mut self, session: &mut Session, status: u16, words: (&str, Option<u32>), end: End) {
        self.refuse_pending(session);
        let Stage::Invited(invited) = &session.stage else { return };
        let headers = &invited.request.headers;
        let mut response = self.response(status, headers, Some(session.dialog.local_tag()));
        let (reason, retry_after_s) = words;
        if !reason.is_empty() {
            let reason = reason.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
            response.start = crate::sip::message::Start::Response { status, reason };
        }
        if let Some(retry_after_s) = retry_after_s {
            response.headers.push(HeaderName::RetryAfter, retry_after_s.to_string());
        }
        explain(&mut response.headers, status, headers, self.settings.session.min.as_secs());
        self.answer(&invited.server.clone(), &response);
        self.finish(session, Stage::Over, End { status: Some(status), ..end });
    }

    /// The caller has given up (RFC 3261 §9.2): 487. After our final response it changes nothing.
    pub(super) fn on_cancelled(
        &mut self,
        session: &mut Session,
        key: &crate::sip::transaction::ServerKey,
        arrived: &Arrived,
    ) {
        let cause = read_reason(&arrived.message.headers, Cause::Cancelled);
        match &session.stage {
            Stage::Invited(invited) if invited.server == *key => {
                self.reject(session, 487, ("", None), End::theirs(cause));
            }
            Stage::Invited(_) | Stage::Calling(_) | Stage::Established | Stage::Leaving(_) | Stage::Over => {
                // A CANCEL for an INVITE inside the dialog takes back that one alone.
                if matches!(&session.exchange, Exchange::Theirs { server, .. } if server == key) {
                    self.refuse_offer(session, 487);
                }
            }
        }
    }

    /// The ACK to a 2xx.
    pub(super) fn on_ack(&mut self, session: &mut Session, arrived: &Arrived) {
        let cseq = arrived.message.headers.cseq().map_or(0, |cseq| cseq.number);
        let Some(unacked) = session.unacked.take_if(|unacked| unacked.cseq == cseq) else { return };
        if let Stage::Leaving(cause) = session.stage {
            self.send_bye(session, cause);
            session.stage = Stage::Over;
            return;
        }
        let sdp = body::sdp(&arrived.message).ok().flatten();
        match (unacked.awaits, sdp) {
            (Awaits::Confirmation, _) => self.tell(session, DialogEvent::Confirmed { sdp: None }),
            (Awaits::Nothing, _) => {}
            (Awaits::Answer, Some(sdp)) => {
                session.remote_sdp.clone_from(&sdp);
                self.tell(session, DialogEvent::Confirmed { sdp: Some(sdp) });
            }
            (Awaits::LaterAnswer, Some(sdp)) => {
                session.remote_sdp.clone_from(&sdp);
                self.tell(session, DialogEvent::OfferAnswered { sdp });
            }
            // Our offer has no answer: there is no session.
            (Awaits::Answer | Awaits::LaterAnswer, None) => self.hang_up(session, End::ours(Cause::ProtocolError)),
        }
    }

    /// The PRACK of a reliable response has come: what waited for it goes on.
    pub(super) fn after_prack(&mut self, session: &mut Session) {
        let Stage::Invited(invited) = &mut session.stage else { return };
        if let Some((rseq, response)) = invited.reliable.as_mut().and_then(Sender::next_in_turn) {
            return self.send_progress(session, Some(rseq), &response);
        }
        if let Some(sdp) = invited.held_answer.take() {
            self.accept(session, sdp);
        }
    }
}

/// The status of a refusal for this cause, where the call was not answered yet.
fn refusal(cause: Cause) -> u16 {
    match cause.sip_status() {
        status @ 300..=699 => status,
        _ => 480,
    }
}

/// The session timer that a request and our 2xx agree on; writes our side of it into the 2xx.
pub(super) fn start_timer(
    now: crate::terms::clock::Instant,
    request: &Headers,
    times: &super::SessionTimes,
    ok: &mut Headers,
) -> Option<SessionTimer> {
    let Agreed::Timer { interval_s, refresher, known } = session_timer::answer(request, times) else { return None };
    if known {
        let value = crate::sip::grammar::numbers::SessionExpires { interval_s, refresher: Some(refresher) };
        ok.push(HeaderName::SessionExpires, value.to_string());
        if refresher == Refresher::Uac {
            ok.push(HeaderName::Require, "timer");
        }
    }
    Some(SessionTimer::new(now, interval_s, refresher, Side::Uas))
}

/// Makes sure that a status of inside is one a refusal may have.
pub(super) fn as_refusal(status: u16) -> u16 {
    if (400..700).contains(&status) && !reason_phrase(status).is_empty() { status } else { 488 }
}

/// A message's session description; a body that is none is as good as none.
pub(super) fn sdp_of(message: &Message) -> Option<String> {
    body::sdp(message).ok().flatten()
}
