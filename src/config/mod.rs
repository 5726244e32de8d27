//! The server's configuration: what was written ([`file`]) and what it means ([`settings`]).

pub mod file;
pub mod settings;
