//! What the agent remembers of one call: its stage, its dialog, what is under way in it.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::port::{Destination, Dial, DialogId};
use crate::sip::dialog::Dialog;
use crate::sip::grammar::uri::Uri;
use crate::sip::message::Message;
use crate::sip::reliable::{Receiver, Sender};
use crate::sip::session_timer::SessionTimer;
use crate::sip::timer::{Again, Armed};
use crate::sip::transaction::{ClientKey, ServerKey};
use crate::terms::cause::Cause;
use crate::terms::clock::Instant;

/// A call. The agent holds it until its end was told *and* nothing is owed to the far end any more.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: DialogId,
    /// Which trunk's count it is in.
    pub(super) trunk: Option<usize>,
    pub(super) stage: Stage,
    pub(super) dialog: Dialog,
    /// The number our tag is made of: how requests inside the dialog find us.
    pub(super) local_tag: u64,
    /// The way the latest message of theirs came.
    pub(super) path: Destination,
    /// A 2xx of ours that was not acknowledged yet.
    pub(super) unacked: Option<Unacked>,
    pub(super) exchange: Exchange,
    /// A change of ours that waits for its turn.
    pub(super) later: Option<(Ours, Instant)>,
    pub(super) timer: Option<SessionTimer>,
    /// Do they take UPDATE?
    pub(super) peer_updates: bool,
    /// The latest session description of either side, for refreshes.
    pub(super) local_sdp: String,
    pub(super) remote_sdp: String,
    pub(super) armed: Armed,
}

/// How far a call has come.
///
/// ```text
///   INVITE came: Invited ---- 200 sent ----+--> Established --- BYE either way ---> Over
///                   | refused, CANCEL      |        | we leave, and the ACK to our 2xx is owed
///                   +--> Over              |        +--> Leaving --- ACK, or 64·T1: BYE ---> Over
///   we dial:     Calling ---- 2xx came ----+
///                   | refused, given up
///                   +--> Over
/// ```
#[derive(Debug)]
pub(super) enum Stage {
    /// Their INVITE has no final response yet.
    Invited(Box<Invited>),
    /// Our INVITE has none.
    Calling(Box<Calling>),
    /// A 2xx was sent or received.
    Established,
    /// The end was told; the BYE waits for the ACK (RFC 3261 §15).
    Leaving(Cause),
    /// The end was told and nothing is owed.
    Over,
}

/// An INVITE that waits for our final response.
#[derive(Debug)]
pub(super) struct Invited {
    pub(super) server: ServerKey,
    pub(super) request: Message,
    /// Did they make an offer?
    pub(super) offered: bool,
    /// Do they require reliable provisional responses? Then this sends them.
    pub(super) reliable: Option<Sender>,
    /// Was a session description acknowledged before the answer?
    pub(super) described: bool,
    /// The answer, where it has to wait for a PRACK.
    pub(super) held_answer: Option<String>,
    /// The latest provisional response, sent again each minute (RFC 3261 §13.3.1.1).
    pub(super) latest: Option<Bytes>,
    pub(super) repeat_at: Instant,
    pub(super) until: Instant,
}

/// A call of ours that is not answered yet.
#[derive(Debug)]
pub(super) struct Calling {
    pub(super) dial: Dial,
    pub(super) sought: VecDeque<Uri>,
    pub(super) target: Uri,
    /// Where the target is; the next ones to try.
    pub(super) places: VecDeque<Destination>,
    pub(super) attempt: Attempt,
    pub(super) early: Vec<Early>,
    pub(super) ring_until: Instant,
    /// Min-SE of a 422.
    pub(super) session_expires_s: u32,
    /// How often 422 was obeyed.
    pub(super) retries: u8,
    /// What became of the latest target that said anything.
    pub(super) failure: (Cause, Option<u16>),
}

/// What a call of ours waits for.
#[derive(Debug)]
pub(super) enum Attempt {
    /// For the address of a name.
    Looking { ticket: u64 },
    /// For an answer to an INVITE.
    Asked { client: ClientKey, to: Destination, silent_until: Option<Instant> },
}

/// A dialog that a provisional response has made.
#[derive(Debug)]
pub(super) struct Early {
    pub(super) dialog: Dialog,
    pub(super) receiver: Receiver,
    /// Came their answer in a reliable response?
    pub(super) described: Option<String>,
}

/// Most early dialogs of one INVITE; the provisional responses of further branches are passed over.
pub(super) const EARLY_MAX: usize = 8;

/// A 2xx to an INVITE, repeated until its ACK (RFC 3261 §13.3.1.4).
#[derive(Debug)]
pub(super) struct Unacked {
    pub(super) bytes: Bytes,
    pub(super) to: Destination,
    pub(super) cseq: u32,
    pub(super) again: Again,
    pub(super) give_up: Instant,
    pub(super) awaits: Awaits,
}

/// What the ACK brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaits {
    /// The call is up.
    Confirmation,
    /// The call is up, and the ACK carries the answer to our offer.
    Answer,
    /// Nothing: an INVITE inside the dialog.
    Nothing,
    /// The answer to the offer we made in reply to an INVITE inside the dialog.
    LaterAnswer,
}

/// An exchange inside the established dialog (one at a time, RFC 3261 §14, RFC 3311 §5).
#[derive(Debug)]
pub(super) enum Exchange {
    Quiet,
    /// Theirs, which waits for word from inside.
    Theirs {
        server: ServerKey,
        request: Box<Message>,
        offered: bool,
        until: Instant,
    },
    /// Ours, on the wire.
    Ours(Ours),
}

/// A request of ours that changes or refreshes the session.
#[derive(Clone, Debug)]
pub(super) struct Ours {
    pub(super) client: ClientKey,
    pub(super) sdp: String,
    pub(super) purpose: Purpose,
    pub(super) tries: u8,
    /// The least interval, where a 422 asked for more.
    pub(super) floor_s: u32,
    /// When an INVITE that hangs is given up.
    pub(super) until: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// [`super::Command::Offer`].
    Offer,
    /// The session timer.
    Refresh,
}

impl Session {
    /// When to be woken.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let stage = match &self.stage {
            Stage::Invited(invited) => Some(invited.deadline()),
            Stage::Calling(calling) => Some(calling.deadline()),
            Stage::Established | Stage::Leaving(_) | Stage::Over => None,
        };
        let unacked = self.unacked.as_ref().map(|unacked| unacked.again.at.min(unacked.give_up));
        let exchange = match &self.exchange {
            Exchange::Quiet => None,
            Exchange::Theirs { until, .. } => Some(*until),
            Exchange::Ours(ours) => Some(ours.until),
        };
        let timer = match self.stage {
            Stage::Established => self.timer.as_ref().map(SessionTimer::deadline),
            Stage::Invited(_) | Stage::Calling(_) | Stage::Leaving(_) | Stage::Over => None,
        };
        let later = self.later.as_ref().map(|(_, at)| *at);
        [stage, unacked, exchange, timer, later].into_iter().flatten().min()
    }

    /// Does a request with this Call-ID and From tag belong here?
    pub(super) fn owns(&self, request: &Message) -> bool {
        match &self.stage {
            Stage::Calling(calling) => calling.early.iter().any(|early| early.dialog.owns(&request.headers)),
            Stage::Invited(_) | Stage::Established | Stage::Leaving(_) | Stage::Over => {
                self.dialog.owns(&request.headers)
            }
        }
    }

    /// The dialog this request belongs to.
    pub(super) fn dialog_of(&mut self, request: &Message) -> &mut Dialog {
        if let Stage::Calling(calling) = &mut self.stage
            && let Some(early) = calling.early.iter_mut().find(|early| early.dialog.owns(&request.headers))
        {
            return &mut early.dialog;
        }
        &mut self.dialog
    }

    /// Is no offer of either side unanswered?
    pub(super) fn is_quiet(&self) -> bool {
        matches!(self.exchange, Exchange::Quiet)
    }
}

impl Invited {
    fn deadline(&self) -> Instant {
        let reliable = self.reliable.as_ref().and_then(Sender::deadline);
        let repeat = self.latest.as_ref().map(|_| self.repeat_at);
        [Some(self.until), reliable, repeat].into_iter().flatten().min().unwrap_or(self.until)
    }
}

impl Calling {
    fn deadline(&self) -> Instant {
        match &self.attempt {
            Attempt::Asked { silent_until: Some(at), .. } => self.ring_until.min(*at),
            Attempt::Asked { silent_until: None, .. } | Attempt::Looking { .. } => self.ring_until,
        }
    }

    /// Is there anywhere else to try?
    pub(super) fn has_more(&self) -> bool {
        !self.places.is_empty() || !self.sought.is_empty()
    }
}

/// How long before a waiting INVITE's provisional response is repeated.
pub(super) const REPEAT: Duration = Duration::from_secs(60);
