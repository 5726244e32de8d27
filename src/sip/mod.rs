//! SIP: the core, sans-IO. Bytes and the time come in, bytes and events go out.

pub mod agent;
pub mod timer;
pub mod trunk;
