//! The INVITE server transaction (RFC 3261 §17.2.1, RFC 6026 §7.1).

use bytes::Bytes;

use crate::sip::timer::{Again, Pace};
use crate::terms::clock::Instant;

/// ```text
///                        | INVITE: pass to TU, send 100
///        INVITE          V
///        send response +------------+ 101-199 from TU: send
///             +--------|            |--------+
///             |        | Proceeding |        |
///             +------->|            |<-------+
///                      +------------+
///     300-699 from TU:   |        |  2xx from TU: send
///     send, set G and H  |        +-------------------------+
///        INVITE          V                                  V
///        send response +-----------+                  +-----------+ INVITE: absorb
///             +--------|           |--------+         |           |--------+
///             |        | Completed |        | G:      | Accepted  |        | 2xx from TU:
///             +------->|           |<-------+ send    |           |<-------+ the TU sends it
///                      +-----------+                  +-----------+
///        ACK: set I      |      | H: tell TU                | L
///                        V      |                           |
///                 +-----------+ |                           |
///                 | Confirmed | |                           |
///                 +-----------+ |                           |
///                      I |      V                           V
///                        +--> Terminated <------------------+
/// ```
///
/// In Accepted the 2xx is the TU's to repeat (RFC 3261 §13.3.1.4); the ACK to it is a transaction of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InviteServer {
    /// The TU has not decided.
    Proceeding {
        /// The latest provisional response.
        latest: Bytes,
    },
    /// Refused; the ACK is awaited.
    Completed {
        /// The refusal.
        refusal: Bytes,
        /// Timer G, on an unreliable transport.
        again: Option<Again>,
        /// Timer H.
        give_up: Instant,
    },
    /// Acknowledged; late ACKs are absorbed.
    Confirmed {
        /// Timer I.
        until: Instant,
    },
    /// Answered; repeated INVITEs are absorbed.
    Accepted {
        /// Timer L.
        until: Instant,
    },
    /// Over.
    Terminated,
}

/// What came of the passing of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Nothing to do.
    Idle,
    /// Send this (again).
    Send(Bytes),
    /// No ACK came for a refusal (timer H).
    Unacknowledged,
}

impl InviteServer {
    /// An INVITE came; `trying` is the 100 that is sent at once.
    pub fn new(trying: Bytes) -> Self {
        Self::Proceeding { latest: trying }
    }

    /// The INVITE came again: what to send.
    pub fn on_invite(&self) -> Option<Bytes> {
        match self {
            Self::Proceeding { latest } => Some(latest.clone()),
            Self::Completed { refusal, .. } => Some(refusal.clone()),
            Self::Confirmed { .. } | Self::Accepted { .. } | Self::Terminated => None,
        }
    }

    /// The TU responds. False where the response does not fit the state, and is not to be sent.
    pub fn respond(&mut self, now: Instant, pace: &Pace, reliable: bool, response: (u16, Bytes)) -> bool {
        let (status, bytes) = response;
        let Self::Proceeding { latest } = self else { return false };
        match status {
            100..=199 => *latest = bytes,
            200..=299 => *self = Self::Accepted { until: now + pace.give_up() },
            _ => {
                let again = (!reliable).then(|| Again::new(now, pace.t1, pace.t2));
                *self = Self::Completed { refusal: bytes, again, give_up: now + pace.give_up() };
            }
        }
        true
    }

    /// An ACK came with the INVITE's branch.
    pub fn on_ack(&mut self, now: Instant, pace: &Pace, reliable: bool) {
        if let Self::Completed { .. } = self {
            *self = if reliable { Self::Terminated } else { Self::Confirmed { until: now + pace.t4 } };
        }
    }

    /// When to be woken.
    pub fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Proceeding { .. } | Self::Terminated => None,
            Self::Completed { again, give_up, .. } => Some(again.map_or(*give_up, |again| again.at.min(*give_up))),
            Self::Confirmed { until } | Self::Accepted { until } => Some(*until),
        }
    }

    /// Time has passed.
    pub fn on_time(&mut self, now: Instant) -> Woken {
        match self {
            Self::Completed { give_up, .. } if *give_up <= now => {
                *self = Self::Terminated;
                Woken::Unacknowledged
            }
            Self::Completed { refusal, again: Some(again), .. } if again.at <= now => {
                *again = again.next(now);
                Woken::Send(refusal.clone())
            }
            Self::Confirmed { until } | Self::Accepted { until } if *until <= now => {
                *self = Self::Terminated;
                Woken::Idle
            }
            Self::Proceeding { .. }
            | Self::Completed { .. }
            | Self::Confirmed { .. }
            | Self::Accepted { .. }
            | Self::Terminated => Woken::Idle,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const PACE: Pace = Pace { t1: Duration::from_millis(500), t2: Duration::from_secs(4), t4: Duration::from_secs(5) };

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn a_refusal_is_sent_again_until_its_ack_and_then_late_acks_are_absorbed() {
        let start = Instant::now();
        let mut machine = InviteServer::new(bytes("100"));
        assert_eq!(machine.on_invite(), Some(bytes("100")));
        assert!(machine.respond(start, &PACE, false, (486, bytes("486"))));
        let mut sent = Vec::new();
        let mut now = start;
        while now < start + Duration::from_secs(5) {
            now = machine.deadline().unwrap();
            assert_eq!(machine.on_time(now), Woken::Send(bytes("486")));
            sent.push((now - start).as_millis());
        }
        assert_eq!(sent, [500, 1500, 3500, 7500], "timer G doubles up to T2");
        machine.on_ack(now, &PACE, false);
        assert_eq!(machine, InviteServer::Confirmed { until: now + PACE.t4 });
        assert_eq!(machine.on_invite(), None);
        assert_eq!(machine.on_time(now + PACE.t4), Woken::Idle);
        assert_eq!(machine, InviteServer::Terminated);
    }

    #[test]
    fn a_refusal_nobody_acknowledges_ends_after_64_t1() {
        let start = Instant::now();
        let mut machine = InviteServer::new(bytes("100"));
        machine.respond(start, &PACE, true, (486, bytes("486")));
        assert_eq!(machine.deadline(), Some(start + Duration::from_secs(32)), "no timer G on a stream");
        assert_eq!(machine.on_time(start + Duration::from_secs(32)), Woken::Unacknowledged);
        assert_eq!(machine, InviteServer::Terminated);
    }

    #[test]
    fn an_answer_leaves_the_2xx_to_the_tu_and_absorbs_repeated_invites() {
        let start = Instant::now();
        let mut machine = InviteServer::new(bytes("100"));
        assert!(machine.respond(start, &PACE, false, (200, bytes("200"))));
        assert_eq!(machine.on_invite(), None);
        assert!(!machine.respond(start, &PACE, false, (486, bytes("486"))), "there is one final response");
        assert_eq!(machine.on_time(start + Duration::from_secs(32)), Woken::Idle);
        assert_eq!(machine, InviteServer::Terminated);
    }
}
