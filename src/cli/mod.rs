//! The verbs: one file (or folder) a verb.

pub mod call;
