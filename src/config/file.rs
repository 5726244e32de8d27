//! What an operator writes: the configuration file (`deploy/demo.toml` is an example of every key).
//!
//! Unknown keys are refused. What the words mean is [`super::settings`]' business.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::routing::route::TrunkKind;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Signalling.
    pub sip: SipFile,
    /// Audio.
    #[serde(default)]
    pub media: MediaFile,
    /// The HTTP listener; none where left out.
    pub http: Option<HttpFile>,
    /// Where the record is kept.
    pub data: DirFile,
    /// Where the rulebook is.
    pub rules: DirFile,
    /// Where the prompts are.
    pub prompts: DirFile,
    /// Who may call.
    #[serde(default)]
    pub trunk: Vec<TrunkFile>,
    /// How lines are reached.
    #[serde(default)]
    pub outbound: OutboundFile,
    /// The demonstration's desks; none where left out.
    pub desks: Option<DesksFile>,
}

/// `[sip]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SipFile {
    /// `transport:address:port`, e.g. `udp:127.0.0.1:5060`, `tcp:[::1]:5060`; port 0 takes any free one.
    pub listen: Vec<Spanned<String>>,
    /// A source that no trunk knows: `ignore` or `forbid` (403). Default `ignore`.
    #[serde(default)]
    pub unknown_source: UnknownSource,
    /// Most calls at once, those to lines included; beyond them a quick 503. Default 5000.
    pub calls_max: Option<u32>,
    /// Most new calls a second; beyond them a quick 503. Default: as many as the machine takes.
    pub calls_per_second_max: Option<u32>,
    /// Shortest session interval we agree to, in seconds (RFC 4028 Min-SE). Default 90.
    pub session_min_s: Option<u32>,
    /// The session interval we ask for, in seconds (RFC 4028). Default 1800.
    pub session_s: Option<u32>,
    /// The address put into Contact and Via where the peer must see another than the socket's (NAT).
    pub public_address: Option<Spanned<String>>,
}

/// What becomes of a source that no trunk knows.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum UnknownSource {
    /// Not a word: scanners learn nothing.
    #[default]
    Ignore,
    /// 403 Forbidden.
    Forbid,
}

/// `[media]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MediaFile {
    /// First and last UDP port for audio. Default 30000 to 39999.
    pub rtp_ports: Option<Spanned<(u16, u16)>>,
    /// Threads that carry audio. Default: one for each core.
    pub threads: Option<usize>,
    /// No audio for so long is noted, in seconds. Default 20.
    pub silent_s: Option<u32>,
    /// The address put into SDP where the peer must see another than the socket's (NAT).
    pub public_address: Option<Spanned<String>>,
}

/// `[http]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpFile {
    /// `address:port`
    pub listen: Spanned<String>,
}

/// `[data]`, `[rules]`, `[prompts]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirFile {
    /// A folder; a relative one is meant from where the server is started.
    pub dir: String,
}

/// `[[trunk]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrunkFile {
    /// Its name in the record.
    pub id: Spanned<String>,
    /// What kind of peer it is.
    pub kind: TrunkKind,
    /// The networks it calls from, e.g. `192.0.2.0/24`.
    pub networks: Vec<Spanned<String>>,
    /// Whether its word about who is calling is believed (P-Asserted-Identity). Default no.
    #[serde(default)]
    pub trusted: bool,
    /// Most calls at once by this trunk; beyond them a quick 503.
    pub calls_max: Option<u32>,
    /// Most new calls a second by this trunk; beyond them a quick 503.
    pub calls_per_second_max: Option<u32>,
}

/// `[outbound]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutboundFile {
    /// Addresses of host names, asked before any name server: `"name" = "address:port"`.
    #[serde(default)]
    pub hosts: BTreeMap<String, Spanned<String>>,
}

/// `[desks]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DesksFile {
    /// `address:port` (UDP and TCP) where the demonstration's bureau lines are answered.
    pub listen: Spanned<String>,
}
