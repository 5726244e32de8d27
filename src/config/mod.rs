//! The server's configuration: what was written ([`file`]) and what it means ([`settings`]); and how problems in
//! anything that was written are shown ([`diagnostic`]).

pub mod diagnostic;
pub mod file;
pub mod settings;
