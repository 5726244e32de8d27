//! The INVITE client transaction (RFC 3261 §17.1.1, RFC 6026 §7.2).

use bytes::Bytes;

use crate::sip::timer::{Again, Pace};
use crate::terms::clock::Instant;

/// ```text
///                          | INVITE from TU: send
///       A: send again      V
///             +--------+-----------+
///             |        |  Calling  |-- B or transport error: tell TU ------------+
///             +------->+-----------+                                             |
///        300-699:        |   | 1xx  |  2xx: to TU                               |
///        send ACK, to TU |   V      +----------------------------+              |
///                        | +------------+ 1xx: to TU             |              |
///                        | | Proceeding |-------------------------->+           |
///                        | +------------+     2xx: to TU            |           |
///                        V   | 300-699: send ACK, to TU             V           |
///       300-699:       +-----------+                         +----------+       |
///       send ACK  +----| Completed |                         | Accepted | 2xx:  |
///                 +--->+-----------+                         +----------+ to TU |
///                            | D                                  | M          |
///                            +----------> Terminated <------------+<-----------+
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InviteClient {
    /// Sent; nothing came back yet.
    Calling {
        /// The INVITE, to be sent again.
        request: Bytes,
        /// Timer A, on an unreliable transport.
        again: Option<Again>,
        /// Timer B.
        give_up: Instant,
    },
    /// A provisional response came.
    Proceeding {
        /// When the TU will wait no longer, e.g. 64·T1 after its CANCEL (RFC 3261 §9.1).
        give_up: Option<Instant>,
    },
    /// Refused; each repeated refusal is acknowledged.
    Completed {
        /// The ACK.
        ack: Bytes,
        /// Timer D.
        until: Instant,
    },
    /// Answered; each 2xx goes to the TU, for its ACK.
    Accepted {
        /// Timer M.
        until: Instant,
    },
    /// Over.
    Terminated,
}

/// What a response means to the TU, and to the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// To the TU.
    News,
    /// To the TU, and this ACK onto the wire.
    Refused(Bytes),
    /// Known already: this ACK again.
    Again(Bytes),
    /// Nothing to do.
    Nothing,
}

/// What came of the passing of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Nothing to do.
    Idle,
    /// Send the INVITE again.
    Send(Bytes),
    /// No final response came in time (timer B): as if 408 had come (RFC 3261 §8.1.3.1).
    TimedOut,
}

impl InviteClient {
    /// The INVITE is being sent.
    pub fn new(now: Instant, pace: &Pace, reliable: bool, request: Bytes) -> Self {
        let again = (!reliable).then(|| Again::new(now, pace.t1, pace.give_up()));
        Self::Calling { request, again, give_up: now + pace.give_up() }
    }

    /// A response came; `ack` makes the ACK for a refusal (RFC 3261 §17.1.1.3).
    pub fn on_response(
        &mut self,
        now: Instant,
        wire: (&Pace, bool),
        status: u16,
        ack: impl FnOnce() -> Bytes,
    ) -> Heard {
        let (pace, reliable) = wire;
        match self {
            Self::Calling { .. } | Self::Proceeding { .. } => match status {
                100..=199 => {
                    if let Self::Calling { .. } = self {
                        *self = Self::Proceeding { give_up: None };
                    }
                    Heard::News
                }
                200..=299 => {
                    *self = Self::Accepted { until: now + pace.give_up() };
                    Heard::News
                }
                _ => {
                    let ack = ack();
                    let until = now + pace.give_up();
                    *self = if reliable { Self::Terminated } else { Self::Completed { ack: ack.clone(), until } };
                    Heard::Refused(ack)
                }
            },
            Self::Completed { ack, .. } if status >= 300 => Heard::Again(ack.clone()),
            Self::Accepted { .. } if (200..300).contains(&status) => Heard::News,
            Self::Completed { .. } | Self::Accepted { .. } | Self::Terminated => Heard::Nothing,
        }
    }

    /// The TU waits for a final response no longer than this.
    pub fn give_up_at(&mut self, at: Instant) {
        if let Self::Proceeding { give_up } = self {
            *give_up = Some(give_up.map_or(at, |earlier| earlier.min(at)));
        }
    }

    /// When to be woken.
    pub fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Calling { again, give_up, .. } => Some(again.map_or(*give_up, |again| again.at.min(*give_up))),
            Self::Proceeding { give_up } => *give_up,
            Self::Completed { until, .. } | Self::Accepted { until } => Some(*until),
            Self::Terminated => None,
        }
    }

    /// Time has passed.
    pub fn on_time(&mut self, now: Instant) -> Woken {
        match self {
            Self::Calling { give_up, .. } | Self::Proceeding { give_up: Some(give_up) } if *give_up <= now => {
                *self = Self::Terminated;
                Woken::TimedOut
            }
            Self::Calling { request, again: Some(again), .. } if again.at <= now => {
                *again = again.next(now);
                Woken::Send(request.clone())
            }
            Self::Completed { until, .. } | Self::Accepted { until } if *until <= now => {
                *self = Self::Terminated;
                Woken::Idle
            }
            Self::Calling { .. }
            | Self::Proceeding { .. }
            | Self::Completed { .. }
            | Self::Accepted { .. }
            | Self::Terminated => Woken::Idle,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calling(reliable: bool) -> (InviteClient, Instant, Pace) {
        let (now, pace) = (Instant::now(), Pace::default());
        (InviteClient::new(now, &pace, reliable, Bytes::from_static(b"INVITE")), now, pace)
    }

    #[test]
    fn an_invite_nobody_hears_is_sent_seven_times_and_then_given_up() {
        let (mut machine, start, pace) = calling(false);
        let mut sent = 1;
        loop {
            let now = machine.deadline().unwrap();
            match machine.on_time(now) {
                Woken::Send(_) => sent += 1,
                Woken::TimedOut => {
                    assert_eq!(now, start + pace.give_up());
                    break;
                }
                Woken::Idle => unreachable!(),
            }
        }
        assert_eq!(sent, 7, "RFC 3261 §17.1.1.2");
    }

    #[test]
    fn a_refusal_is_acknowledged_each_time_and_told_once() {
        let (mut machine, now, pace) = calling(false);
        let ack = || Bytes::from_static(b"ACK");
        assert_eq!(machine.on_response(now, (&pace, false), 180, ack), Heard::News);
        assert_eq!(machine.deadline(), None, "a ringing phone may ring");
        assert_eq!(machine.on_response(now, (&pace, false), 486, ack), Heard::Refused(ack()));
        assert_eq!(machine.on_response(now, (&pace, false), 486, ack), Heard::Again(ack()));
        assert_eq!(machine.on_response(now, (&pace, false), 200, ack), Heard::Nothing);
        machine.on_time(now + pace.give_up());
        assert_eq!(machine, InviteClient::Terminated);
    }

    #[test]
    fn every_2xx_reaches_the_tu_until_timer_m() {
        let (mut machine, now, pace) = calling(true);
        for _ in 0..3 {
            assert_eq!(machine.on_response(now, (&pace, true), 200, Bytes::new), Heard::News);
        }
        assert_eq!(machine.on_response(now, (&pace, true), 180, Bytes::new), Heard::Nothing);
        machine.on_time(now + pace.give_up());
        assert_eq!(machine, InviteClient::Terminated);
    }

    #[test]
    fn a_cancelled_invite_without_a_final_response_is_given_up() {
        let (mut machine, now, pace) = calling(false);
        machine.on_response(now, (&pace, false), 183, Bytes::new);
        machine.give_up_at(now + pace.give_up());
        assert_eq!(machine.on_time(now + pace.give_up()), Woken::TimedOut);
    }
}
