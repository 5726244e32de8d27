//! Session descriptions: what they offer, what we answer (RFC 8866, RFC 3264).
//!
//! One audio line of plain RTP is all a call here needs. Other lines are refused with port 0, in their order and
//! number. Codecs are named, never guessed: a dynamic payload type means what its rtpmap says.

mod answer;
mod read;

use std::fmt;
use std::net::{IpAddr, SocketAddr};

pub use answer::{accept_answer, answer, offer, offer_again};
pub use read::{Audio, Offer};

/// The most media lines we read in one description; more is refused.
pub const MEDIA_LINES_MAX: usize = 300;
/// The most formats we look at in one media line; later ones are passed over.
pub const FORMATS_MAX: usize = 64;
/// The most attributes we look at in one media line or session; later ones are passed over.
pub const ATTRIBUTES_MAX: usize = 512;
/// The payload type we offer for telephone-event, moved on if a codec has it.
const EVENT_PT: u8 = 101;

/// A codec we speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 µ-law, 8 kHz: North America's telephone network.
    Pcmu,
    /// G.711 A-law, 8 kHz.
    Pcma,
    /// G.722, 16 kHz audio on an RTP clock that says 8 kHz (RFC 3551 §4.5.2).
    G722,
}

impl Codec {
    /// Every codec there is.
    pub const ALL: [Self; 3] = [Self::Pcmu, Self::Pcma, Self::G722];

    /// The name in rtpmap.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
        }
    }

    /// The payload type of RFC 3551.
    pub fn static_pt(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
            Self::G722 => 9,
        }
    }

    /// The RTP clock, in Hz.
    pub fn clock(self) -> u32 {
        8_000
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A codec under its payload type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Payload {
    /// The codec.
    pub codec: Codec,
    /// Its RTP payload type, 0 to 127.
    pub pt: u8,
}

impl From<Codec> for Payload {
    fn from(codec: Codec) -> Self {
        Self { codec, pt: codec.static_pt() }
    }
}

/// Which way audio goes, seen from one side (RFC 3264 §5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// This side only sends.
    SendOnly,
    /// This side only receives.
    RecvOnly,
    /// Nothing goes either way.
    Inactive,
}

impl Direction {
    /// The direction in which this side sends and receives so.
    pub fn from_flows(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// Whether this side sends.
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether this side receives.
    pub fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The attribute's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// What this side does when the other side is limited to `theirs`.
    fn facing(self, theirs: Self) -> Self {
        Self::from_flows(self.sends() && theirs.receives(), self.receives() && theirs.sends())
    }
}

/// Our side of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// Where we receive RTP.
    pub address: IpAddr,
    /// The port of RTP; RTCP is one above.
    pub port: u16,
    /// Names the session in `o=`; stays the same for the whole call.
    pub session_id: u64,
    /// Counts our descriptions in `o=`; one more whenever what we say changes.
    pub version: u64,
    /// The codecs we are ready for, dearest first. When we answer, the other side's order counts.
    pub codecs: Vec<Payload>,
    /// Whether we speak telephone-event (RFC 4733).
    pub dtmf: bool,
    /// What we want to do; the answer may narrow it.
    pub direction: Direction,
}

/// What both sides agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// Where to send RTP. The address is unspecified (`0.0.0.0`) under the old way of holding.
    pub remote: SocketAddr,
    /// Where to send RTCP.
    pub rtcp: SocketAddr,
    /// What to send, under the payload type the other side wants.
    pub send: Payload,
    /// What may arrive, under the payload types we named.
    pub receive: Vec<Payload>,
    /// Keys as RTP events, if both sides speak them.
    pub dtmf: Option<EventPayload>,
    /// How much audio the other side wants in a packet, in milliseconds: 10 to 60.
    pub ptime_ms: u16,
    /// What our side does.
    pub direction: Direction,
    /// Whether the other side has put us on hold: it does not want to hear us now.
    pub held: bool,
}

/// The payload types of telephone-event in each way (RFC 4733).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventPayload {
    /// What we send keys under.
    pub send_pt: u8,
    /// What keys arrive under.
    pub receive_pt: u8,
}

/// Why a session description cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSdp {
    /// Not a session description; says where.
    #[error("not a session description: {0}")]
    Garbage(String),
    /// No media line at all.
    #[error("a session description without media")]
    NoMedia,
    /// More media lines than we read.
    #[error("more than 300 media lines")]
    TooManyMedia,
}

/// There is no audio line in plain RTP with a codec of ours and an address: 488.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no audio line with a common codec")]
pub struct NoCommonCodec;

/// Why an answer to our offer does not make a session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAnswer {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] BadSdp),
    /// It refuses our audio line, or answers with none of the codecs we offered.
    #[error(transparent)]
    NoCommonCodec(#[from] NoCommonCodec),
}

#[cfg(test)]
mod tests;
