//! SIP, sans-IO: the wire (message, headers, grammar, framing, sdp) and the machines that stand on it.
//!
//! Nothing here reads a clock, a socket or a die: bytes and the time come in as values.

pub mod agent;
pub mod body;
pub mod caller;
pub mod dialog;
pub mod gate;
pub mod grammar;
pub mod headers;
pub mod malformed;
pub mod message;
pub mod method;
mod parse;
pub mod reliable;
pub mod session_timer;
mod text;
pub mod timer;
pub mod transaction;
pub mod trunk;
