//! Time comes in by the door.
//!
//! Two times are kept apart. *Elapsed* time ([`Instant`]) never jumps and measures durations and timers;
//! *wall* time ([`Timestamp`]) says what the calendar says and may be set by hand. Under a simulation both
//! are virtual: the runtime's paused clock moves them, so a day of calls takes seconds.

use std::time::Duration;

use jiff::Timestamp;
pub use tokio::time::Instant;

/// Where the present comes from.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Virtual { wall_at_start: Timestamp, start: Instant },
}

impl Clock {
    /// The machine's clocks.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A calendar that starts at `wall` and moves with the runtime's (paused) clock.
    pub fn starting_at(wall: Timestamp) -> Self {
        Self(Source::Virtual { wall_at_start: wall, start: Instant::now() })
    }

    /// The instant now, for durations and timers. Monotonic.
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// What the calendar says now.
    #[allow(clippy::disallowed_methods, reason = "the one door by which wall time comes in")]
    pub fn wall(&self) -> Timestamp {
        match &self.0 {
            Source::System => Timestamp::now(),
            Source::Virtual { wall_at_start, start } => {
                wall_at_start.checked_add(start.elapsed()).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// Wall time as milliseconds since 1970 (UTC).
    pub fn unix_ms(&self) -> u64 {
        u64::try_from(self.wall().as_millisecond()).unwrap_or(0)
    }

    /// Waits until `span` has passed.
    pub async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn virtual_wall_time_moves_with_elapsed_time() {
        let clock = Clock::starting_at("2026-12-25T11:00:00Z".parse().unwrap());
        clock.sleep(Duration::from_secs(3600)).await;
        assert_eq!(clock.wall().to_string(), "2026-12-25T12:00:00Z");
    }
}
