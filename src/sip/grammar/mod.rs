//! The typed grammar: what the header values and URIs of RFC 3261 and its extensions mean.
//!
//! Reading is tolerant where a mistake cannot change the meaning and strict where it could. Writing never
//! lets an untrusted text break out of its place: quotes are escaped, control characters never written.

pub mod host;
pub mod name_addr;
pub mod numbers;
pub mod params;
pub mod reason;
pub mod uri;
mod uri_compare;
pub mod via;
pub mod views;

/// A value that cannot be read; says why in plain words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub &'static str);

#[cfg(test)]
mod tests;
