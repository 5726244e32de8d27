//! The non-INVITE server transaction (RFC 3261 §17.2.2).

use bytes::Bytes;

use crate::sip::timer::Pace;
use crate::terms::clock::Instant;

/// ```text
///                   | request: pass to TU
///                   V
///             +------------+ request: absorb
///             |   Trying   |
///             +------------+
///               |        | 1xx from TU: send
///               |        V
///               |  +------------+ request: send response
///               |  | Proceeding | 1xx from TU: send
///               |  +------------+
///       200-699 |        | 200-699 from TU: send, set J
///       from TU V        V
///             +------------+ request: send response
///             | Completed  | responses from TU: absorb
///             +------------+
///                   | J
///                   V
///              Terminated
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NonInviteServer {
    /// The TU has said nothing yet.
    Trying,
    /// The TU has sent a provisional response.
    Proceeding {
        /// The latest one.
        latest: Bytes,
    },
    /// Answered; the answer is repeated when the request is.
    Completed {
        /// The answer.
        response: Bytes,
        /// Timer J.
        until: Instant,
    },
    /// Over.
    Terminated,
}

impl NonInviteServer {
    /// The request came again: what to send.
    pub fn on_request(&self) -> Option<Bytes> {
        match self {
            Self::Trying | Self::Terminated => None,
            Self::Proceeding { latest } => Some(latest.clone()),
            Self::Completed { response, .. } => Some(response.clone()),
        }
    }

    /// The TU responds. False where there was a final response already.
    pub fn respond(&mut self, now: Instant, pace: &Pace, reliable: bool, response: (u16, Bytes)) -> bool {
        let (status, bytes) = response;
        match self {
            Self::Completed { .. } | Self::Terminated => return false,
            Self::Trying | Self::Proceeding { .. } if status < 200 => *self = Self::Proceeding { latest: bytes },
            Self::Trying | Self::Proceeding { .. } if reliable => *self = Self::Terminated,
            Self::Trying | Self::Proceeding { .. } => {
                *self = Self::Completed { response: bytes, until: now + pace.give_up() };
            }
        }
        true
    }

    /// When to be woken.
    pub fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Completed { until, .. } => Some(*until),
            Self::Trying | Self::Proceeding { .. } | Self::Terminated => None,
        }
    }

    /// Time has passed.
    pub fn on_time(&mut self, now: Instant) {
        if self.deadline().is_some_and(|until| until <= now) {
            *self = Self::Terminated;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_repeated_as_often_as_the_request_until_timer_j() {
        let (start, pace) = (Instant::now(), Pace::default());
        let mut machine = NonInviteServer::Trying;
        assert_eq!(machine.on_request(), None);
        assert!(machine.respond(start, &pace, false, (200, Bytes::from_static(b"200"))));
        assert!(!machine.respond(start, &pace, false, (500, Bytes::from_static(b"500"))));
        assert_eq!(machine.on_request(), Some(Bytes::from_static(b"200")));
        machine.on_time(start + pace.give_up() / 2);
        assert_ne!(machine, NonInviteServer::Terminated);
        machine.on_time(start + pace.give_up());
        assert_eq!(machine, NonInviteServer::Terminated);
    }

    #[test]
    fn on_a_stream_nothing_is_kept_after_the_answer() {
        let mut machine = NonInviteServer::Trying;
        machine.respond(Instant::now(), &Pace::default(), true, (200, Bytes::new()));
        assert_eq!(machine, NonInviteServer::Terminated);
    }
}
