//! What the people who run the city's line have written, and what is wrong with it.

pub mod diagnostic;
