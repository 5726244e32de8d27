//! Media: what a caller hears, says and presses. It knows RTP and knows no SIP.
//!
//! Reading order: [`command`] (what is asked, what is told), [`engine`] (handles and threads), `shard` (one
//! thread's loop), `session` (one party's packets, sans-IO) and its parts: `rtp`, `rtcp`, `source`,
//! `player`, `keys`, `bridge`; then [`codecs`], [`bank`], [`ports`], [`recorder`].

pub mod bank;
pub mod codecs;
pub mod command;
pub mod engine;
mod player;
pub mod ports;
mod quality;
pub mod recorder;
mod resample;
mod shard;
mod sounds;
