//! SIP: the wire (message, headers, grammar, framing, sdp) and the machines that stand on it, sans-IO.
//!
//! Nothing in the core reads a clock, a socket or a die: bytes and the time come in as values. The shell
//! (`stack`, `transport`, `resolve`) is where it meets the network.

pub mod agent;
pub mod body;
pub mod caller;
pub mod dialog;
pub mod framing;
pub mod gate;
pub mod grammar;
pub mod headers;
pub mod malformed;
pub mod message;
pub mod method;
mod parse;
pub mod reliable;
pub mod resolve;
pub mod sdp;
pub mod session_timer;
pub mod stack;
mod text;
pub mod timer;
pub mod transaction;
pub mod transport;
pub mod trunk;
