//! Media: what a caller hears, says and presses. It knows RTP and knows no SIP.
//!
//! Reading order: [`command`] (what is asked, what is told), [`engine`] (handles and threads), `shard` (one
//! thread's loop), `session` (one party's packets, sans-IO) and its parts: `rtp`, `rtcp`, `source`,
//! `player`, `keys`, `bridge`; then [`codecs`], [`bank`], [`ports`], [`recorder`].

pub mod bank;
pub mod codecs;
pub mod command;
pub mod engine;
pub mod ports;
pub mod recorder;
pub mod rtcp;
pub mod rtp;

mod bridge;
mod keys;
mod listener;
mod member;
mod player;
mod quality;
mod reception;
mod reports;
mod resample;
mod session;
mod shard;
mod sounds;
mod source;
mod tones;

pub use shard::ShardStats;
