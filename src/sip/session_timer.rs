//! Session timers (RFC 4028): a call whose far end has silently gone is found out and ended.
//!
//! ```text
//!   0 ------------- interval/2 ------------- interval - min(32 s, interval/3) ----- interval
//!   refreshed       the refresher refreshes  whoever is not the refresher says BYE  over
//! ```

use std::time::Duration;

use super::agent::SessionTimes;
use super::grammar::numbers::{Refresher, SessionExpires};
use super::headers::{HeaderName, Headers};
use crate::terms::clock::Instant;

/// Which side of the transaction that set the timer we were (RFC 4028 names the refresher by it).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// We sent the request.
    Uac,
    /// We answered it.
    Uas,
}

/// A running session timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimer {
    interval: Duration,
    refreshed: Instant,
    /// When we refresh; None where they do, or where our refresh is on its way or has failed.
    refresh_at: Option<Instant>,
}

/// What a session timer wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing yet.
    Nothing,
    /// Refresh now.
    Refresh,
    /// The session has expired: BYE.
    Expired,
}

/// What a request with or without Session-Expires comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreed {
    /// Too short for us: 422 with our Min-SE.
    TooSmall,
    /// This timer; the value for the Session-Expires of the 2xx, and whether to Require it of them.
    Timer {
        /// Seconds.
        interval_s: u32,
        /// Who refreshes.
        refresher: Refresher,
        /// Do they know session timers? Then `Require: timer` where they are to refresh.
        known: bool,
    },
}

/// What the answering side makes of a request (RFC 4028 §9).
pub fn answer(request: &Headers, times: &SessionTimes) -> Agreed {
    let known = request.has_token(&HeaderName::Supported, "timer") || request.has_token(&HeaderName::Require, "timer");
    let (ours, min) = (whole_seconds(times.expires), whole_seconds(times.min));
    let Ok(asked) = request.session_expires() else {
        // They named none: we refresh by ourselves, which asks nothing of them but an answer.
        let floor = request.seconds(&HeaderName::MinSe).unwrap_or(0);
        return Agreed::Timer { interval_s: ours.max(floor), refresher: Refresher::Uas, known };
    };
    if asked.interval_s < min {
        // One that cannot understand 422 cannot be asked again: it gets our minimum, and we refresh.
        return if known {
            Agreed::TooSmall
        } else {
            Agreed::Timer { interval_s: min, refresher: Refresher::Uas, known }
        };
    }
    let floor = request.seconds(&HeaderName::MinSe).unwrap_or(0).max(min);
    let interval_s = asked.interval_s.min(ours.max(floor));
    let refresher = match asked.refresher {
        Some(named) if known => named,
        None if known => Refresher::Uac,
        Some(_) | None => Refresher::Uas,
    };
    Agreed::Timer { interval_s, refresher, known }
}

/// What the asking side makes of a 2xx (RFC 4028 §7.2). Without Session-Expires the far end runs no timer,
/// and we refresh by ourselves.
pub fn answered(response: &Headers, times: &SessionTimes) -> (u32, Refresher) {
    match response.session_expires() {
        // An interval below our minimum is not believed: it would have us send without pause.
        Ok(SessionExpires { interval_s, refresher }) => {
            (interval_s.max(whole_seconds(times.min)), refresher.unwrap_or(Refresher::Uac))
        }
        Err(_) => (whole_seconds(times.expires), Refresher::Uac),
    }
}

impl SessionTimer {
    /// The timer that request and answer have agreed on, from `now`.
    pub fn new(now: Instant, interval_s: u32, refresher: Refresher, side: Side) -> Self {
        let ours = matches!((refresher, side), (Refresher::Uac, Side::Uac) | (Refresher::Uas, Side::Uas));
        let interval = Duration::from_secs(interval_s.into());
        Self { interval, refreshed: now, refresh_at: ours.then(|| now + interval / 2) }
    }

    /// The refresh could not be sent now, or is to be tried again: at this time.
    pub fn refresh_at(&mut self, at: Instant) {
        self.refresh_at = Some(at);
    }

    /// The interval, in seconds.
    pub fn interval_s(&self) -> u32 {
        whole_seconds(self.interval)
    }

    /// When to be woken.
    pub fn deadline(&self) -> Instant {
        self.refresh_at.map_or_else(|| self.end(), |at| at.min(self.end()))
    }

    /// What is due now. A refresh is asked for once; whether it came off is told by a new timer.
    pub fn on_time(&mut self, now: Instant) -> Due {
        if now >= self.end() {
            Due::Expired
        } else if self.refresh_at.is_some_and(|at| at <= now) {
            self.refresh_at = None;
            Due::Refresh
        } else {
            Due::Nothing
        }
    }

    fn end(&self) -> Instant {
        self.refreshed + self.interval - (self.interval / 3).min(Duration::from_secs(32))
    }
}

/// A duration in whole seconds, for a header.
pub fn whole_seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(fields: &[(HeaderName, &'static str)]) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in fields {
            headers.push(name.clone(), *value);
        }
        headers
    }

    const SUPPORTED: (HeaderName, &str) = (HeaderName::Supported, "timer, 100rel");

    #[test]
    fn the_answering_side_keeps_a_named_refresher_and_refuses_what_is_too_short() {
        let times = SessionTimes::default();
        let of = |value| answer(&request(&[SUPPORTED, (HeaderName::SessionExpires, value)]), &times);
        assert_eq!(of("600;refresher=uas"), Agreed::Timer { interval_s: 600, refresher: Refresher::Uas, known: true });
        assert_eq!(of("600"), Agreed::Timer { interval_s: 600, refresher: Refresher::Uac, known: true });
        assert_eq!(of("86400"), Agreed::Timer { interval_s: 1800, refresher: Refresher::Uac, known: true });
        assert_eq!(of("60"), Agreed::TooSmall);
        let old = answer(&request(&[(HeaderName::SessionExpires, "60")]), &times);
        assert_eq!(old, Agreed::Timer { interval_s: 90, refresher: Refresher::Uas, known: false });
    }

    #[test]
    fn where_they_name_none_we_refresh_and_respect_their_minimum() {
        let agreed = answer(&request(&[(HeaderName::MinSe, "3600")]), &SessionTimes::default());
        assert_eq!(agreed, Agreed::Timer { interval_s: 3600, refresher: Refresher::Uas, known: false });
        assert_eq!(answered(&request(&[]), &SessionTimes::default()), (1800, Refresher::Uac));
    }

    #[test]
    fn the_refresher_refreshes_at_half_time_and_the_other_ends_it_before_the_whole() {
        let now = Instant::now();
        let secs = Duration::from_secs;
        let mut ours = SessionTimer::new(now, 1800, Refresher::Uac, Side::Uac);
        assert_eq!(ours.deadline(), now + secs(900));
        assert_eq!(ours.on_time(now + secs(899)), Due::Nothing);
        assert_eq!(ours.on_time(now + secs(900)), Due::Refresh);
        assert_eq!(ours.deadline(), now + secs(1768), "a refresh that comes to nothing is an end");
        assert_eq!(ours.on_time(now + secs(1768)), Due::Expired);
        let theirs = SessionTimer::new(now, 90, Refresher::Uac, Side::Uas);
        assert_eq!(theirs.deadline(), now + secs(60));
    }
}
