//! The rulebook, and the journey of one call through it.

pub mod step;
