//! The real clock: end-to-end tests wait for other programs, always with a deadline.
#![allow(clippy::disallowed_methods, reason = "other programs live in real time")]

use std::time::{Duration, Instant};

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(20);

/// Now.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Lets `time` pass, as a caller does who listens.
pub(crate) fn pass(time: Duration) {
    std::thread::sleep(time);
}

/// Looks again and again until `look` sees something; panics, naming `what`, when `limit` has passed.
pub(crate) fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = now() + limit;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(now() < deadline, "waited {limit:?} in vain for: {what}");
        pass(POLL);
    }
}
