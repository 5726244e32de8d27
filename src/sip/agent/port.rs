//! The agent's border: what goes in, what comes out, in the words of a call.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use crate::terms::cause::Cause;
use crate::terms::ids::TrunkId;

/// One INVITE usage (a call leg), inbound or outbound. Process-wide and never used twice.
///
/// Inbound ones are named by the agent, outbound ones by whoever dials: see [`DialogId::inbound`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DialogId(pub u64);

impl DialogId {
    /// The `count`th inbound call: the upper half of the numbers, so that those who dial own the lower half.
    pub const fn inbound(count: u64) -> Self {
        Self(count | (1 << 63))
    }

    /// Was the call received, rather than dialled?
    pub const fn is_inbound(self) -> bool {
        self.0 >> 63 == 1
    }
}

/// How messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Datagrams: requests are sent again until they are answered.
    Udp,
    /// A stream: nothing is sent twice.
    Tcp,
}

impl Transport {
    /// As written in a Via header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }

    /// Does the transport itself deliver once and in order (RFC 3261 §17: "reliable")?
    pub const fn is_reliable(self) -> bool {
        match self {
            Self::Udp => false,
            Self::Tcp => true,
        }
    }
}

/// Where a message came from, and the way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flow {
    /// A datagram.
    Udp {
        /// The address of our socket, as in [`Listener::local`](super::Listener::local).
        local: SocketAddr,
        /// The far end.
        remote: SocketAddr,
    },
    /// A message on a stream.
    Tcp {
        /// The connection's number; never used twice.
        connection: u64,
        /// Our end.
        local: SocketAddr,
        /// The far end.
        remote: SocketAddr,
    },
}

impl Flow {
    /// The far end's address.
    pub const fn remote(&self) -> SocketAddr {
        match self {
            Self::Udp { remote, .. } | Self::Tcp { remote, .. } => *remote,
        }
    }

    /// Our own address.
    pub const fn local(&self) -> SocketAddr {
        match self {
            Self::Udp { local, .. } | Self::Tcp { local, .. } => *local,
        }
    }

    /// Its transport.
    pub const fn transport(&self) -> Transport {
        match self {
            Self::Udp { .. } => Transport::Udp,
            Self::Tcp { .. } => Transport::Tcp,
        }
    }
}

/// Where a message is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Destination {
    /// Along this flow: a datagram from that very socket, or that very connection.
    Flow(Flow),
    /// To this address; for TCP over a connection that is open to it, else over a new one.
    Address {
        /// By this transport.
        transport: Transport,
        /// The address.
        address: SocketAddr,
    },
}

impl Destination {
    /// Its transport.
    pub const fn transport(&self) -> Transport {
        match self {
            Self::Flow(flow) => flow.transport(),
            Self::Address { transport, .. } => *transport,
        }
    }

    /// The far end's address.
    pub const fn address(&self) -> SocketAddr {
        match self {
            Self::Flow(flow) => flow.remote(),
            Self::Address { address, .. } => *address,
        }
    }
}

/// What RFC 3263 needs to know to find a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// A name (an address is never asked about).
    pub host: String,
    /// The port, where the URI names one.
    pub port: Option<u16>,
    /// The transport, where the URI names one.
    pub transport: Option<Transport>,
}

/// What the agent is told.
#[derive(Clone, Debug)]
pub enum Input {
    /// One datagram, or one framed message of a stream.
    Received {
        /// How it came.
        flow: Flow,
        /// The message.
        bytes: Bytes,
    },
    /// A stream has ended. Requests that still wait on it fail over or fail.
    FlowClosed {
        /// Which.
        flow: Flow,
    },
    /// An [`Output::Send`] with this ticket could not be sent (no connection, network unreachable).
    SendFailed {
        /// [`Output::Send::ticket`].
        ticket: Ticket,
    },
    /// Call someone. The dialog ends with [`DialogEvent::Ended`] whatever happens.
    Dial {
        /// The new dialog's name: from the lower half of the numbers, never used before.
        dialog: DialogId,
        /// Whom.
        dial: Box<Dial>,
    },
    /// Do something with a dialog. What no longer fits (a command that crosses an `Ended`) is dropped.
    Command {
        /// Which.
        dialog: DialogId,
        /// What.
        command: Command,
    },
    /// The answer to [`Output::Resolve`].
    Resolved {
        /// The question's ticket.
        ticket: u64,
        /// Where the target is, in order of preference; none where it is not to be found.
        found: Vec<Destination>,
    },
    /// Take no new calls (503), or take them again.
    Draining(bool),
    /// How long messages waited before they were handed in; told a few times a second. Past a limit new
    /// calls are refused until it falls.
    Lag(Duration),
    /// Nothing but the passing of time: call when [`Agent::deadline`](super::Agent::deadline) has come.
    Tick,
}

/// Names a request on its way, for [`Input::SendFailed`]; 0 where nobody needs to know.
pub type Ticket = u64;

/// What the agent wants done.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send this message.
    Send {
        /// To.
        to: Destination,
        /// The message.
        bytes: Bytes,
        /// To be given back in [`Input::SendFailed`] where it is not 0.
        ticket: Ticket,
    },
    /// Find a target's addresses and answer with [`Input::Resolved`], always, even with nothing.
    Resolve {
        /// The question's ticket.
        ticket: u64,
        /// Whom to find.
        target: Target,
    },
    /// A call came in. Nothing was sent but 100 Trying.
    Incoming {
        /// Its name.
        dialog: DialogId,
        /// What it says.
        incoming: Box<Incoming>,
    },
    /// Something happened to a dialog.
    Event {
        /// Which.
        dialog: DialogId,
        /// What.
        event: DialogEvent,
    },
}

/// A call that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The Call-ID header: the name both sides' records share.
    pub sip_call_id: String,
    /// The trunk it came over.
    pub trunk: TrunkId,
    /// Where it came from.
    pub source: SocketAddr,
    /// The user part of the Request-URI, unescaped: what was dialled.
    pub dialled: String,
    /// Who calls: the asserted identity where the trunk is trusted, else the From header's user.
    /// None where they withhold it.
    pub caller: Option<String>,
    /// Whether that is vouched for: the trunk is a trusted one.
    pub vouched: bool,
    /// The display name that goes with it.
    pub display: Option<String>,
    /// Whoever sent the call on (Diversion, History-Info), the latest first; user parts.
    pub diverted_by: Vec<String>,
    /// Headers worth keeping with the call (User-to-User, Referred-By, Call-Info, Subject, User-Agent …), as they were
    /// written, at most 8 of at most 256 bytes each.
    pub headers: Vec<(String, String)>,
    /// Their offer (SDP). None where they leave the offer to us (delayed offer).
    pub offer: Option<String>,
    /// They require reliable provisional responses (RFC 3262): their equipment may count on one before the 200.
    pub requires_100rel: bool,
}

/// What may be asked of a dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Inbound, before an answer: 180 or 183; sent reliably where the caller requires it (RFC 3262).
    Progress {
        /// 101 to 199.
        status: u16,
        /// Early media: our answer to their offer (or our offer, where they sent none and require 100rel).
        sdp: Option<String>,
    },
    /// Inbound: 200. The answer to their offer, or our offer where they sent none.
    Answer {
        /// The SDP.
        sdp: String,
    },
    /// Inbound, before an answer: refuse.
    Reject {
        /// 300 to 699; anything else is sent as 500.
        status: u16,
        /// The reason phrase; the standard one where empty.
        reason: String,
        /// Retry-After, seconds.
        retry_after_s: Option<u32>,
    },
    /// The reply to [`DialogEvent::Offered`]: our answer, or our offer where theirs was left to us.
    AnswerOffer {
        /// The SDP.
        sdp: String,
    },
    /// The reply to [`DialogEvent::Offered`]: everything stays as it was.
    RefuseOffer {
        /// 400 to 699; 488 where in doubt.
        status: u16,
    },
    /// Offer a changed session (re-INVITE). Answered by [`DialogEvent::OfferAnswered`] or
    /// [`DialogEvent::OfferRefused`].
    Offer {
        /// The SDP.
        sdp: String,
    },
    /// In a conversation: an INFO, e.g. a key as `application/dtmf-relay`. Whether it is understood is not told.
    Info {
        /// Its Content-Type.
        content_type: String,
        /// Its body.
        body: Bytes,
    },
    /// Outbound, before an answer: stop ringing. In any other stage the same as [`Command::Bye`].
    Cancel,
    /// End it, whatever its stage: BYE, CANCEL or a refusal.
    Bye {
        /// Why: carried in a Reason header (RFC 3326).
        cause: Cause,
    },
}

/// What happens to a dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialogEvent {
    /// Outbound: it rings, or progresses (101 to 199).
    Ringing {
        /// The status.
        status: u16,
        /// Early media: their answer.
        sdp: Option<String>,
    },
    /// Outbound: answered.
    Answered {
        /// Their answer to our offer; None where it came earlier, in a reliable [`DialogEvent::Ringing`].
        sdp: Option<String>,
    },
    /// Inbound: our answer was acknowledged.
    Confirmed {
        /// Their answer, where the offer was ours.
        sdp: Option<String>,
    },
    /// They offer a changed session (Some) or ask us to (None). Reply with [`Command::AnswerOffer`] or
    /// [`Command::RefuseOffer`] within [`Limits::offer_wait`](super::Limits::offer_wait).
    Offered {
        /// Their offer.
        sdp: Option<String>,
    },
    /// Our [`Command::Offer`] (or a session refresh that changed something) was answered; also the answer to
    /// the offer we made in reply to `Offered { sdp: None }`.
    OfferAnswered {
        /// Their answer.
        sdp: String,
    },
    /// Our [`Command::Offer`] was refused: the session stays as it was.
    OfferRefused {
        /// Their status.
        status: u16,
    },
    /// An INFO, already answered with 200.
    Info {
        /// Its Content-Type, in small letters, without parameters (`application/dtmf-relay`).
        content_type: String,
        /// Its body.
        body: Bytes,
    },
    /// It is over. Final, and exactly once.
    Ended {
        /// Did the far end end it (BYE, CANCEL, a refusal)?
        by_peer: bool,
        /// Why.
        cause: Cause,
        /// The SIP status, where a response ended it.
        status: Option<u16>,
    },
}

/// A call to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    /// SIP URIs, tried in order; at most [`TARGETS_MAX`], the rest are not tried.
    pub targets: Vec<String>,
    /// The user part of our From.
    pub from_user: String,
    /// The display name of our From.
    pub from_display: Option<String>,
    /// Our offer.
    pub sdp: String,
    /// How long it may take in all, from the dialling to the answer.
    pub ring: Duration,
    /// Headers to add (`P-Asserted-Identity`, `Diversion`, `User-to-User` …). A name or value with a control
    /// character is left out.
    pub headers: Vec<(String, String)>,
    /// The trunk it goes over, for the record.
    pub trunk: Option<TrunkId>,
}

/// Most targets of one [`Dial`].
pub const TARGETS_MAX: usize = 8;
