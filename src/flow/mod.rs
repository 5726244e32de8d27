//! The call's story: performs, with real legs, the steps that the rules ask for.
//!
//! [`story::tell`] is the loop: ask the [`crate::routing::journey`] for the next step, perform it, tell the
//! journey how it ended. Each step has a file of its own and says in its type how it can end. A caller may
//! leave anywhere: every step gives [`visit::Left`] back through `?`, and the story's last phase (one
//! outcome, the closing line of the journal) always runs.

pub mod story;
pub mod visit;

mod close;
mod collect;
mod say;
mod transfer;

#[cfg(test)]
mod tests;
