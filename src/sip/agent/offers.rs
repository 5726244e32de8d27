//! Our own changes and refreshes of a session, and what a call does when time passes (RFC 3261 §14.1, RFC 4028).

use std::time::Duration;

use bytes::Bytes;

use super::inbound::sdp_of;
use super::outbound::push_session_expires;
use super::respond::set_sdp;
use super::session::{Exchange, Ours, Purpose, REPEAT, Session, Stage};
use super::{Agent, Command, DialogEvent, DialogId, End};
use crate::sip::grammar::numbers::{Refresher, SessionExpires};
use crate::sip::headers::HeaderName;
use crate::sip::message::{Message, Method};
use crate::sip::reliable::{self, Sender};
use crate::sip::session_timer::{self, Due, SessionTimer, Side, whole_seconds};
use crate::sip::transaction::ClientKey;
use crate::terms::cause::Cause;
use crate::terms::clock::Instant;

/// How often a change of ours is tried where the far end has one of its own under way.
const TRIES_MAX: u8 = 6;
/// A refresh that finds another exchange under way waits this long.
const REFRESH_WAIT: Duration = Duration::from_secs(2);

impl Agent {
    pub(super) fn on_command(&mut self, dialog: DialogId, command: Command) {
        self.with(dialog, |agent, session| match &session.stage {
            Stage::Invited(_) => agent.on_invited_command(session, command),
            Stage::Calling(_) => match command {
                Command::Cancel => agent.stop_calling(session, Cause::Cancelled),
                Command::Bye { cause } => agent.stop_calling(session, cause),
                Command::Progress { .. }
                | Command::Answer { .. }
                | Command::Reject { .. }
                | Command::AnswerOffer { .. }
                | Command::RefuseOffer { .. }
                | Command::Offer { .. }
                | Command::Info { .. } => {}
            },
            Stage::Established => match command {
                Command::AnswerOffer { sdp } => agent.answer_offer(session, &sdp),
                Command::RefuseOffer { status } => agent.refuse_offer(session, status),
                Command::Offer { sdp } => agent.offer(session, sdp),
                Command::Info { content_type, body } => agent.inform(session, &content_type, body),
                Command::Bye { cause } => agent.hang_up(session, End::ours(cause)),
                Command::Cancel => agent.hang_up(session, End::ours(Cause::Normal)),
                // The answer was quicker than the change of mind: the call is up, and is ended.
                Command::Reject { .. } => agent.hang_up(session, End::ours(Cause::Rejected)),
                Command::Progress { .. } | Command::Answer { .. } => {}
            },
            Stage::Leaving(_) | Stage::Over => {}
        });
    }

    /// Offers a changed session. While another exchange is under way it waits; a later offer takes its place.
    fn offer(&mut self, session: &mut Session, sdp: String) {
        let client = ClientKey { branch: 0, cancel: false };
        let ours = Ours { client, sdp, purpose: Purpose::Offer, tries: 0, floor_s: 0, until: self.now };
        if session.is_quiet_for_us() && session.later.is_none() {
            self.send_change(session, ours);
        } else {
            session.later = Some((ours, self.now + self.settings.pace.t1));
        }
    }

    /// Sends an INFO (RFC 6086 §4.2.2, the old use without a package). A refusal changes nothing.
    fn inform(&mut self, session: &mut Session, content_type: &str, body: Bytes) {
        if content_type.chars().any(char::is_control) {
            return;
        }
        let mut request = session.dialog.request(Method::Info);
        request.set_body(content_type, body);
        let to = self.way(session);
        self.ask(request, to, None);
    }

    /// Sends a re-INVITE; or an UPDATE, where nothing changes and they take it.
    fn send_change(&mut self, session: &mut Session, mut ours: Ours) {
        let by_update = ours.purpose == Purpose::Refresh && session.peer_updates;
        let mut request = session.dialog.request(if by_update { Method::Update } else { Method::Invite });
        let to = self.way(session);
        self.push_abilities(&mut request.headers, to);
        let wanted = session
            .timer
            .as_ref()
            .map_or(self.settings.session.expires.as_secs(), |timer| u64::from(timer.interval_s()));
        let interval_s = u32::try_from(wanted).unwrap_or(u32::MAX).max(ours.floor_s);
        // A refresh keeps the refresher who was agreed on; whoever sends it is the UAC of it.
        let refresher = (ours.purpose == Purpose::Refresh).then_some(Refresher::Uac);
        let min_se_s = whole_seconds(self.settings.session.min).max(ours.floor_s);
        push_session_expires(&mut request.headers, &SessionExpires { interval_s, refresher }, min_se_s);
        if !by_update {
            set_sdp(&mut request, &ours.sdp);
        }
        ours.until = self.now + self.settings.pace.give_up() * 2;
        match self.ask(request, to, Some(session.id)) {
            Some(client) => {
                ours.client = client;
                session.exchange = Exchange::Ours(ours);
            }
            None => self.on_refused_change(session, &ours, 503),
        }
    }

    /// A response to a request of ours inside the dialog.
    pub(super) fn on_reply(&mut self, session: &mut Session, key: ClientKey, response: &Message) {
        let Exchange::Ours(ours) = &session.exchange else { return };
        let status = response.status().unwrap_or(500);
        if ours.client != key || status < 200 {
            return;
        }
        if status >= 300 {
            return self.on_exchange_failed(session, key, status, Some(response));
        }
        let ours = ours.clone();
        session.exchange = Exchange::Quiet;
        session.dialog.refresh_target(&response.headers);
        let by_invite = response.headers.cseq().is_ok_and(|cseq| cseq.method == Method::Invite);
        if by_invite {
            self.acknowledge(key, response);
        }
        let (interval_s, refresher) = session_timer::answered(&response.headers, &self.settings.session);
        session.timer = Some(SessionTimer::new(self.now, interval_s, refresher, Side::Uac));
        session.local_sdp = ours.sdp;
        if let Some(sdp) = sdp_of(response) {
            let changed = session.remote_sdp != sdp;
            session.remote_sdp.clone_from(&sdp);
            if changed || ours.purpose == Purpose::Offer {
                self.tell(session, DialogEvent::OfferAnswered { sdp });
            }
        } else if by_invite {
            self.hang_up(session, End::ours(Cause::ProtocolError));
        }
    }

    /// A request of ours inside the dialog was refused, or timed out (`status` 408).
    pub(super) fn on_exchange_failed(
        &mut self,
        session: &mut Session,
        key: ClientKey,
        status: u16,
        response: Option<&Message>,
    ) {
        let Exchange::Ours(ours) = &session.exchange else { return };
        if ours.client != key {
            return;
        }
        let mut ours = ours.clone();
        session.exchange = Exchange::Quiet;
        ours.tries += 1;
        let again = ours.tries < TRIES_MAX;
        let retry_after = response.and_then(|response| response.headers.seconds(&HeaderName::RetryAfter).ok());
        match (status, retry_after) {
            // They know of no such call, or nobody is there (RFC 3261 §12.2.1.2).
            (408 | 481, _) => {
                let status = response.and_then(Message::status);
                self.hang_up(session, End { by_peer: status.is_some(), cause: Cause::Unreachable, status });
            }
            (491, _) if again => {
                let at = self.now + self.glare_pause(session.id);
                session.put_off(ours, at);
            }
            (500 | 503, Some(seconds)) if again && seconds <= 32 => {
                let at = self.now + Duration::from_secs(seconds.into()) + Duration::from_millis(self.dice.below(500));
                session.put_off(ours, at);
            }
            (422, _) if again => {
                let min = response.and_then(|response| response.headers.seconds(&HeaderName::MinSe).ok());
                ours.floor_s = min.unwrap_or(0).max(ours.floor_s);
                self.send_change(session, ours);
            }
            _ => self.on_refused_change(session, &ours, status),
        }
    }

    fn on_refused_change(&mut self, session: &mut Session, ours: &Ours, status: u16) {
        session.exchange = Exchange::Quiet;
        match ours.purpose {
            Purpose::Offer => self.tell(session, DialogEvent::OfferRefused { status }),
            // They answer, so they are there: try again before the session expires.
            Purpose::Refresh => {
                if let Some(timer) = &mut session.timer {
                    timer.refresh_at(self.now + self.settings.pace.give_up());
                }
            }
        }
    }

    /// RFC 3261 §14.1: whoever owns the Call-ID waits 2.1 to 4 s, the other 0 to 2 s, so that one is first.
    fn glare_pause(&mut self, dialog: DialogId) -> Duration {
        let steps = if dialog.is_inbound() { self.dice.below(200) } else { 210 + self.dice.below(190) };
        Duration::from_millis(steps * 10)
    }

    /// Time has passed for a call. One thing at a time: what is still due wakes it again.
    pub(super) fn on_session_time(&mut self, session: &mut Session) {
        match &session.stage {
            Stage::Invited(_) => self.on_invited_time(session),
            Stage::Calling(_) => self.on_calling_time(session),
            Stage::Established => self.on_timer(session),
            Stage::Leaving(_) | Stage::Over => {}
        }
        self.on_unacked_time(session);
        self.on_exchange_time(session);
    }

    fn on_invited_time(&mut self, session: &mut Session) {
        let Stage::Invited(invited) = &mut session.stage else { return };
        if invited.until <= self.now {
            return self.reject(session, 480, ("", None), End::ours(Cause::NoAnswer));
        }
        let to = self.servers.get(&invited.server).map(|serving| serving.reply_to);
        match (invited.reliable.as_mut().map(|sender: &mut Sender| sender.on_time(self.now)), to) {
            (Some(reliable::Woken::Send(bytes)), Some(to)) => self.send(to, bytes, 0),
            // They ask for reliability and do not take part in it (RFC 3262 §3).
            (Some(reliable::Woken::GivenUp), _) => {
                return self.reject(session, 504, ("", None), End::ours(Cause::NetworkFailure));
            }
            (Some(reliable::Woken::Send(_) | reliable::Woken::Idle) | None, _) => {}
        }
        if invited.repeat_at <= self.now {
            invited.repeat_at = self.now + REPEAT;
            if let (Some(bytes), Some(to)) = (invited.latest.clone(), to) {
                self.send(to, bytes, 0);
            }
        }
    }

    fn on_timer(&mut self, session: &mut Session) {
        let Some(timer) = &mut session.timer else { return };
        match timer.on_time(self.now) {
            Due::Nothing => {}
            Due::Expired => self.hang_up(session, End::ours(Cause::SessionExpired)),
            Due::Refresh if session.is_quiet_for_us() => {
                let client = ClientKey { branch: 0, cancel: false };
                let (sdp, purpose) = (session.local_sdp.clone(), Purpose::Refresh);
                self.send_change(session, Ours { client, sdp, purpose, tries: 0, floor_s: 0, until: self.now });
            }
            Due::Refresh => {
                if let Some(timer) = &mut session.timer {
                    timer.refresh_at(self.now + REFRESH_WAIT);
                }
            }
        }
    }

    /// The 2xx is repeated until its ACK; without one the call ends (RFC 3261 §13.3.1.4).
    fn on_unacked_time(&mut self, session: &mut Session) {
        let Some(unacked) = &mut session.unacked else { return };
        if unacked.give_up <= self.now {
            session.unacked = None;
            match session.stage {
                Stage::Leaving(cause) => {
                    self.send_bye(session, cause);
                    session.stage = Stage::Over;
                }
                Stage::Established => self.hang_up(session, End::ours(Cause::Unreachable)),
                Stage::Invited(_) | Stage::Calling(_) | Stage::Over => {}
            }
        } else if unacked.again.at <= self.now {
            unacked.again = unacked.again.next(self.now);
            let (to, bytes) = (unacked.to, unacked.bytes.clone());
            self.send(to, bytes, 0);
        }
    }

    fn on_exchange_time(&mut self, session: &mut Session) {
        match &session.exchange {
            Exchange::Quiet => {}
            // No word from inside.
            Exchange::Theirs { until, .. } if *until <= self.now => self.refuse_offer(session, 500),
            // A ringing re-INVITE: nobody will answer it any more.
            Exchange::Ours(ours) if ours.until <= self.now => {
                let key = ours.client;
                self.abandon(key, Cause::NoAnswer);
                self.on_exchange_failed(session, key, 408, None);
            }
            Exchange::Theirs { .. } | Exchange::Ours(_) => {}
        }
        let due = session.later.as_ref().is_some_and(|(_, at)| *at <= self.now);
        if let (true, Stage::Established, Some((ours, _))) = (due, &session.stage, session.later.take_if(|_| due)) {
            if session.is_quiet_for_us() {
                self.send_change(session, ours);
            } else {
                session.later = Some((ours, self.now + self.settings.pace.t1));
            }
        }
    }
}

impl Session {
    /// A change of ours that is to be tried again; one that was asked for since takes its place.
    fn put_off(&mut self, ours: Ours, at: Instant) {
        if self.later.is_none() {
            self.later = Some((ours, at));
        }
    }

    fn is_quiet_for_us(&self) -> bool {
        self.is_quiet() && self.unacked.is_none()
    }
}
