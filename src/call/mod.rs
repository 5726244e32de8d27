//! One caller's visit: the leg port to the parties on the line, the call's own journal, and what is live now.

pub mod journal;
pub mod leg;
pub mod live;
