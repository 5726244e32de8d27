//! The rulebook, and the journey of one call through it.
//!
//! ```text
//!  routing-rules/*.toml ── load ──▶ Rulebook (never changes) ──▶ Journey: exit in, step out
//! ```
//! Pure but for [`load`], which reads the folder; no clock, no chance. [`step`] is the border to whoever
//! performs the steps: [`flow`](crate::flow) with real legs, `simulate` and the tests with scripted ones.

pub mod calendar;
pub mod holiday;
pub mod journey;
pub mod keys;
pub mod load;
pub mod model;
pub mod route;
pub mod step;
pub mod table;
mod written;
