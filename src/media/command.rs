//! What is asked of a media session, and what it tells.
//!
//! A session's owner sends [`MediaCommand`]s by [`Session::send`](super::engine::Session::send) and reads
//! [`MediaEvent`]s from the bounded channel that [`Engine::open`](super::engine::Engine::open) gave it.

use std::net::SocketAddr;
use std::sync::Arc;

use super::codecs::Codec;
use super::recorder::Tap;
use crate::terms::event::KeySource;
use crate::terms::key::{Key, Keys};
use crate::terms::prompt::Spoken;

/// The name of a media session, unique in the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// What is asked of a session. Each takes effect at the session's next tick, 20 ms later at most.
#[derive(Clone, Debug)]
pub enum MediaCommand {
    /// Where the far end is and what was agreed with it. A later one (re-INVITE) takes the place of the
    /// former; where its address is new the source may change too.
    Remote(Remote),
    /// Play these phrases one after another, in place of anything that is being played. A phrase that the
    /// bank does not have is reported in the log and passed over.
    Play {
        /// Comes back in [`MediaEvent::Started`] and [`MediaEvent::Played`].
        token: u32,
        /// The phrases.
        prompts: Vec<Spoken>,
        /// Again from the start when they end, until stopped; then there is no `Played`.
        repeat: bool,
    },
    /// Play samples (mono, 8,000 a second) in place of anything that is being played.
    PlayAudio {
        /// As for [`MediaCommand::Play`]; the samples are phrase 0.
        token: u32,
        /// The samples.
        samples: Arc<[i16]>,
    },
    /// Play the North American ringing tone until something else is asked.
    Ringback,
    /// Stop what is being played: silence, or the bridged party.
    Stop,
    /// Join this session with `peer`, which must have been opened beside it: each hears the other, and what
    /// is being played to either stops in the same tick. One such command joins both ways.
    Bridge {
        /// The other session.
        peer: SessionId,
    },
    /// Part this session from its peer, both ways.
    Unbridge,
    /// Send keys to the far end, 100 ms each with 100 ms between.
    SendKeys {
        /// Which; those past [`SENT_KEYS_MAX`] waiting are not sent, and the log says so.
        keys: Keys,
        /// As tones in the audio, also where telephone-event (RFC 4733) was agreed. Without agreement keys
        /// always go as tones.
        inband: bool,
    },
    /// A key that came by SIP INFO: it joins the one stream of keys, and is reported unless the same press
    /// was already received in the audio.
    InfoKey(Key),
    /// Give what is heard from the far end to a recorder, from now until the session or the recorder ends.
    Record(Tap),
}

/// Most keys that wait to be sent on one session.
pub const SENT_KEYS_MAX: usize = 64;

/// The far end, as agreed by offer and answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Where its SDP asks us to send RTP. Until its own packets show another port, we send there.
    pub rtp: SocketAddr,
    /// Where its SDP asks us to send RTCP.
    pub rtcp: SocketAddr,
    /// It may be behind a NAT, so that packets may come from another address than its SDP says: the source
    /// of the first valid packet is taken. Otherwise only the address in the SDP is believed (any port).
    pub nat: bool,
    /// What we send.
    pub send: Format,
    /// What we understand, by our payload type numbers.
    pub receive: Vec<Format>,
    /// The payload type by which we send telephone-events (RFC 4733); `None` where none was agreed.
    pub keys_send_pt: Option<u8>,
    /// The payload type by which we receive telephone-events; `None` where none was agreed, and then tones
    /// are listened for in the audio.
    pub keys_receive_pt: Option<u8>,
    /// Who may send.
    pub direction: Direction,
}

/// A codec and the number it goes by in RTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// The codec.
    pub codec: Codec,
    /// Its RTP payload type, 0–127.
    pub pt: u8,
}

impl Format {
    /// `codec` under its static payload type (RFC 3551 §6).
    pub fn of(codec: Codec) -> Self {
        Self { codec, pt: codec.static_pt() }
    }
}

/// Who may send, seen from us (RFC 4566 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Both (`sendrecv`).
    Both,
    /// Only we (`sendonly`).
    SendOnly,
    /// Only the far end (`recvonly`): it put us on hold, perhaps with music.
    ReceiveOnly,
    /// Nobody (`inactive`): on hold.
    Inactive,
}

impl Direction {
    /// May we send?
    pub fn sends(self) -> bool {
        match self {
            Self::Both | Self::SendOnly => true,
            Self::ReceiveOnly | Self::Inactive => false,
        }
    }

    /// May the far end send?
    pub fn receives(self) -> bool {
        match self {
            Self::Both | Self::ReceiveOnly => true,
            Self::SendOnly | Self::Inactive => false,
        }
    }
}

/// What happens at a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaEvent {
    /// The far end pressed a key. Each press once, however often and by whichever way it was sent.
    Key {
        /// Which.
        key: Key,
        /// How it reached us.
        source: KeySource,
    },
    /// The first packet of phrase `index` of a play has just left.
    Started {
        /// The play's token.
        token: u32,
        /// Which of its phrases, from 0.
        index: u32,
    },
    /// A play ended by itself: the last packet of its last phrase has left.
    Played {
        /// The play's token.
        token: u32,
    },
    /// The first audio of the far end was received. Once in a session.
    Heard,
    /// No packet came for the time set as [`Settings::silence`](super::engine::Settings::silence).
    Silent,
    /// Packets come again after [`MediaEvent::Silent`].
    Resumed,
    /// The session is over by no wish of its owner; nothing follows.
    Ended {
        /// Why.
        why: MediaEnd,
    },
}

/// Why a session ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaEnd {
    /// Its events were not read: rather than drop a key in silence, the session ends.
    EventsUnread,
    /// The engine was shut down.
    EngineStopped,
}

/// What is known of the quality of a session's packets. Read at any time by
/// [`Session::quality`](super::engine::Session::quality); brought up to date about once a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quality {
    /// RTP packets received and accepted.
    pub received: u64,
    /// RTP packets sent.
    pub sent: u64,
    /// Packets of the far end that never came (RFC 3550 §6.4.1).
    pub lost: u64,
    /// Packets from elsewhere, dropped.
    pub strays: u64,
    /// Interarrival jitter in microseconds (RFC 3550 §6.4.1), as seen at our ticks of 20 ms.
    pub jitter_us: u32,
    /// Round trip in microseconds by the last RTCP report, at most 100 ms too long; 0 where none came.
    pub round_trip_us: u32,
    /// Share of our packets that the far end reports lost, in 1/256.
    pub far_loss_256: u8,
}
