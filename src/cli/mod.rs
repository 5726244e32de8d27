//! The verbs: one file (or folder) a verb.

pub mod calendar;
pub mod check;
pub mod folders;

pub mod simulate;
