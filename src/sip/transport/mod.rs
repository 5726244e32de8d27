//! The wires that SIP messages come and go by: UDP sockets read by the stack's own task, TCP connections
//! with a task each. TLS and WebSocket will be streams with a task each as well.

mod connection;
pub mod lag;
mod slots;
pub mod tcp;
pub mod udp;
