//! The rulebook, and the journey of one call through it.

pub mod calendar;
pub mod holiday;
pub mod journey;
pub mod keys;
pub mod load;
pub mod model;
pub mod route;
pub mod step;
mod written;
