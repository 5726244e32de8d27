//! Days of calls under a virtual clock: simulated callers and lines at the leg port, real rules, real story.
//!
//! Everything above the leg port is the server's own code; time is the runtime's paused clock, chance comes
//! from one seed. Same seed, same day, to the last line of the journal. [`day::run`] plays a day and
//! [`ledger`] holds the invariants: one outcome for each call, nobody lost, nothing left over.

pub mod caller;
pub mod day;
pub mod far_line;
pub mod ledger;
