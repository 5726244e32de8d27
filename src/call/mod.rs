//! One caller's visit.

pub mod leg;
