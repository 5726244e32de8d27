//! One file a verb.

pub mod calls;
mod reading;
pub mod why;
