//! The shared words of the house. Every module may import these; these import nothing of ours.

pub mod cause;
pub mod clock;
pub mod diagnostic;
pub mod dice;
pub mod event;
pub mod ids;
pub mod key;
pub mod language;
pub mod number;
pub mod outcome;
pub mod prompt;
