//! Reliable provisional responses (RFC 3262): 18x that are repeated until their PRACK.

use std::collections::VecDeque;

use bytes::Bytes;

use super::grammar::numbers::RAck;
use super::message::Method;
use super::timer::{Again, Pace};
use crate::terms::clock::Instant;

/// Most reliable responses that wait for their turn; past it the newest takes the last one's place.
pub const WAITING_MAX: usize = 4;

/// The answering side: one response at a time is under way, the others wait (RFC 3262 §3).
#[derive(Clone, Debug)]
pub struct Sender {
    invite_cseq: u32,
    next_rseq: u32,
    under_way: Option<UnderWay>,
    waiting: VecDeque<Waiting>,
}

#[derive(Clone, Debug)]
struct UnderWay {
    rseq: u32,
    bytes: Bytes,
    has_sdp: bool,
    again: Again,
    give_up: Instant,
}

/// A response that is still to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// 101 to 199.
    pub status: u16,
    /// Its body.
    pub sdp: Option<String>,
}

/// What the passing of time brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Nothing.
    Idle,
    /// Send this again.
    Send(Bytes),
    /// No PRACK came within 64·T1: the INVITE is to be refused with a 5xx.
    GivenUp,
}

impl Sender {
    /// For an INVITE with this CSeq number; the first RSeq is drawn by lot from 1 to 2³¹−1.
    pub fn new(invite_cseq: u32, lot: u64) -> Self {
        let next_rseq = u32::try_from(lot % ((1 << 31) - 1)).unwrap_or(0) + 1;
        Self { invite_cseq, next_rseq, under_way: None, waiting: VecDeque::new() }
    }

    /// Is there room on the wire? If not, the response waits for the PRACK of the one before.
    pub fn offer(&mut self, response: Waiting) -> Option<(u32, Waiting)> {
        if self.under_way.is_none() {
            return Some((self.next_rseq, response));
        }
        if self.waiting.len() == WAITING_MAX {
            self.waiting.pop_back();
        }
        self.waiting.push_back(response);
        None
    }

    /// A response was sent under this RSeq.
    pub fn sent(&mut self, now: Instant, pace: &Pace, bytes: Bytes, has_sdp: bool) {
        let again = Again::new(now, pace.t1, pace.give_up());
        let rseq = self.next_rseq;
        self.next_rseq = self.next_rseq.saturating_add(1);
        self.under_way = Some(UnderWay { rseq, bytes, has_sdp, again, give_up: now + pace.give_up() });
    }

    /// A PRACK came: does it acknowledge the response under way?
    pub fn on_prack(&mut self, rack: &RAck) -> bool {
        let matches = self.under_way.as_ref().is_some_and(|under_way| under_way.rseq == rack.rseq);
        if matches && rack.cseq.number == self.invite_cseq && rack.cseq.method == Method::Invite {
            self.under_way = None;
            return true;
        }
        false
    }

    /// The next response whose turn has come.
    pub fn next(&mut self) -> Option<(u32, Waiting)> {
        if self.under_way.is_some() {
            return None;
        }
        self.waiting.pop_front().map(|waiting| (self.next_rseq, waiting))
    }

    /// Does the response under way carry a session description?
    pub fn describes(&self) -> bool {
        self.under_way.as_ref().is_some_and(|under_way| under_way.has_sdp)
    }

    /// Must a 2xx wait (RFC 3262 §3: a session description is still unacknowledged)?
    pub fn holds_answer(&self) -> bool {
        self.under_way.as_ref().is_some_and(|under_way| under_way.has_sdp)
            || self.waiting.iter().any(|waiting| waiting.sdp.is_some())
    }

    /// When to be woken.
    pub fn deadline(&self) -> Option<Instant> {
        self.under_way.as_ref().map(|under_way| under_way.again.at.min(under_way.give_up))
    }

    /// Time has passed.
    pub fn on_time(&mut self, now: Instant) -> Woken {
        match &mut self.under_way {
            Some(under_way) if under_way.give_up <= now => {
                self.under_way = None;
                Woken::GivenUp
            }
            Some(under_way) if under_way.again.at <= now => {
                under_way.again = under_way.again.next(now);
                Woken::Send(under_way.bytes.clone())
            }
            Some(_) | None => Woken::Idle,
        }
    }
}

/// What the asking side makes of a reliable response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// The next one: PRACK it and pass it on.
    New,
    /// A repetition: its PRACK is on its way (a transaction of its own).
    Known,
    /// One before it was lost: it will come again in its turn.
    TooEarly,
}

/// The asking side, of one early dialog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receiver(Option<u32>);

impl Receiver {
    /// A response with this RSeq came (RFC 3262 §4).
    pub fn receive(&mut self, rseq: u32) -> Received {
        match self.0 {
            None => {}
            Some(latest) if rseq <= latest => return Received::Known,
            Some(latest) if rseq != latest.saturating_add(1) => return Received::TooEarly,
            Some(_) => {}
        }
        self.0 = Some(rseq);
        Received::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::grammar::numbers::CSeq;

    fn rack(rseq: u32) -> RAck {
        RAck { rseq, cseq: CSeq { number: 7, method: Method::Invite } }
    }

    fn ringing(sdp: Option<&str>) -> Waiting {
        Waiting { status: 183, sdp: sdp.map(str::to_owned) }
    }

    #[test]
    fn one_response_at_a_time_and_the_answer_waits_for_a_description() {
        let (now, pace) = (Instant::now(), Pace::default());
        let mut sender = Sender::new(7, 41);
        assert_eq!(sender.offer(ringing(Some("v=0"))), Some((42, ringing(Some("v=0")))));
        sender.sent(now, &pace, Bytes::from_static(b"183"), true);
        assert!(sender.holds_answer());
        assert_eq!(sender.offer(ringing(None)), None, "the second waits");
        assert!(!sender.on_prack(&rack(41)), "an unknown RAck");
        assert!(sender.on_prack(&rack(42)));
        assert!(!sender.on_prack(&rack(42)), "once");
        assert_eq!(sender.next(), Some((43, ringing(None))));
        assert!(!sender.holds_answer());
    }

    #[test]
    fn it_is_repeated_until_64_t1() {
        let (now, pace) = (Instant::now(), Pace::default());
        let mut sender = Sender::new(7, 0);
        sender.sent(now, &pace, Bytes::from_static(b"183"), false);
        let mut repeated = 0;
        while let Some(at) = sender.deadline() {
            match sender.on_time(at) {
                Woken::Send(_) => repeated += 1,
                Woken::GivenUp => assert_eq!(at, now + pace.give_up()),
                Woken::Idle => unreachable!(),
            }
        }
        assert_eq!(repeated, 6);
    }

    #[test]
    fn the_asking_side_takes_them_in_order_and_once() {
        let mut receiver = Receiver::default();
        assert_eq!(receiver.receive(900), Received::New, "the first may have any number");
        assert_eq!(receiver.receive(900), Received::Known);
        assert_eq!(receiver.receive(902), Received::TooEarly);
        assert_eq!(receiver.receive(901), Received::New);
    }
}
