//! The non-INVITE client transaction (RFC 3261 §17.1.2).

use bytes::Bytes;

use crate::sip::timer::{Again, Pace};
use crate::terms::clock::Instant;

/// ```text
///                    | request from TU: send
///        E: send     V
///        again  +----------+
///          +----|  Trying  |-- F or transport error: tell TU --+
///          +--->+----------+                                   |
///       200-699:   |     | 1xx: to TU                          |
///       to TU      |     V                                     |
///                  | +------------+ E: send again (every T2)   |
///                  | | Proceeding |-- F or transport error: ---+
///                  | +------------+   tell TU                  |
///                  V     V 200-699: to TU                      |
///               +-----------+                                  |
///               | Completed | any response: absorb             |
///               +-----------+                                  |
///                    | K                                       |
///                    +----------> Terminated <-----------------+
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NonInviteClient {
    /// Sent; nothing came back yet.
    Trying(Waiting),
    /// A provisional response came.
    Proceeding(Waiting),
    /// Answered; repeated answers are absorbed.
    Completed {
        /// Timer K.
        until: Instant,
    },
    /// Over.
    Terminated,
}

/// A request without a final response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    request: Bytes,
    /// Timer E, on an unreliable transport.
    again: Option<Again>,
    /// Timer F.
    give_up: Instant,
}

/// What came of the passing of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Nothing to do.
    Idle,
    /// Send the request again.
    Send(Bytes),
    /// No final response came in time (timer F).
    TimedOut,
}

impl NonInviteClient {
    /// The request is being sent.
    pub fn new(now: Instant, pace: &Pace, reliable: bool, request: Bytes) -> Self {
        let again = (!reliable).then(|| Again::new(now, pace.t1, pace.t2));
        Self::Trying(Waiting { request, again, give_up: now + pace.give_up() })
    }

    /// A response came. Is it news to the TU?
    pub fn on_response(&mut self, now: Instant, pace: &Pace, reliable: bool, status: u16) -> bool {
        match self {
            Self::Trying(waiting) | Self::Proceeding(waiting) if status < 200 => {
                let mut waiting = waiting.clone();
                waiting.again = waiting.again.map(|again| again.then_every(pace.t2));
                *self = Self::Proceeding(waiting);
                true
            }
            Self::Trying(_) | Self::Proceeding(_) => {
                *self = if reliable { Self::Terminated } else { Self::Completed { until: now + pace.t4 } };
                true
            }
            Self::Completed { .. } | Self::Terminated => false,
        }
    }

    /// When to be woken.
    pub fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Trying(waiting) | Self::Proceeding(waiting) => {
                Some(waiting.again.map_or(waiting.give_up, |again| again.at.min(waiting.give_up)))
            }
            Self::Completed { until } => Some(*until),
            Self::Terminated => None,
        }
    }

    /// Time has passed.
    pub fn on_time(&mut self, now: Instant) -> Woken {
        match self {
            Self::Trying(waiting) | Self::Proceeding(waiting) => {
                if waiting.give_up <= now {
                    *self = Self::Terminated;
                    return Woken::TimedOut;
                }
                match &mut waiting.again {
                    Some(again) if again.at <= now => {
                        *again = again.next(now);
                        Woken::Send(waiting.request.clone())
                    }
                    Some(_) | None => Woken::Idle,
                }
            }
            Self::Completed { until } => {
                if *until <= now {
                    *self = Self::Terminated;
                }
                Woken::Idle
            }
            Self::Terminated => Woken::Idle,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_nobody_hears_is_sent_eleven_times_and_then_given_up() {
        let (start, pace) = (Instant::now(), Pace::default());
        let mut machine = NonInviteClient::new(start, &pace, false, Bytes::from_static(b"BYE"));
        let mut sent = 1;
        while let Some(now) = machine.deadline() {
            match machine.on_time(now) {
                Woken::Send(_) => sent += 1,
                Woken::TimedOut => assert_eq!(now, start + pace.give_up()),
                Woken::Idle => unreachable!(),
            }
        }
        assert_eq!(sent, 11, "RFC 3261 §17.1.2.2");
    }

    #[test]
    fn a_final_response_is_news_once_and_repeats_are_absorbed_for_t4() {
        let (start, pace) = (Instant::now(), Pace::default());
        let mut machine = NonInviteClient::new(start, &pace, false, Bytes::new());
        assert!(machine.on_response(start, &pace, false, 100));
        assert!(machine.on_response(start, &pace, false, 200));
        assert!(!machine.on_response(start, &pace, false, 200));
        assert_eq!(machine.on_time(start + pace.t4), Woken::Idle);
        assert_eq!(machine, NonInviteClient::Terminated);
    }
}
