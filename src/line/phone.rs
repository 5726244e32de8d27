//! A SIP phone at the far end of a leg: its dialog, its audio, and the leg's owner, joined by one task.
//!
//! ```text
//!   SIP dialog ── events ──▶ ┌───────┐ ── Event ──▶ leg (the call)
//!              ◀─ commands ─ │ Phone │ ◀─ Command ─
//!   media session ◀────────▶ └───────┘
//! ```
//!
//! The phone ends when any of the three does, and tells the others: the dialog is ended, the session closed
//! and its port given back, and the leg hears [`Event::Ended`] exactly once, as its last word. Whatever way
//! the task itself ends, dropping what it holds does the same.

use std::net::{IpAddr, SocketAddr};

use tokio::sync::mpsc;

use super::agreement::{Agreed, Agreement};
use super::info::key_of;
use super::{Lines, Registered};
use crate::call::leg::{Command, Event, FarEnd, LegId};
use crate::media::command::{MediaCommand, MediaEvent};
use crate::media::engine::Session;
use crate::sip::agent::{self, DialogEvent, Incoming};
use crate::sip::sdp::BadAnswer;
use crate::sip::stack::Handle;
use crate::terms::cause::Cause;
use crate::terms::event::Side;

/// What callers are told who find no audio port free.
const RETRY_AFTER_S: u32 = 5;

/// One phone, and all that it holds.
pub(super) struct Phone {
    lines: Lines,
    leg: LegId,
    stage: Stage,
    /// `None` until the stack has taken the call we dial.
    dialog: Option<Handle>,
    audio: Option<Audio>,
    /// Our address, and theirs where they called.
    address: IpAddr,
    signalling: Option<IpAddr>,
    caller: Option<String>,
    /// They require reliable provisional responses, and get one before the answer.
    requires_100rel: bool,
    events: mpsc::Sender<Event>,
    /// The place of [`Event::Ended`] in the leg's queue, taken in advance.
    last_word: mpsc::OwnedPermit<Event>,
    held: bool,
}

/// How far the dialog is.
#[derive(Debug)]
enum Stage {
    /// They called and wait for an answer; with their offer, if they made one.
    Waiting { offer: Option<String> },
    /// We answered with an offer of ours; theirs comes with the ACK.
    AnswerDue,
    /// We called; it has not answered. Ringing is told once.
    Calling { rang: bool },
    /// Both can talk.
    Up,
}

/// A media session and what was agreed for it.
struct Audio {
    session: Session,
    heard: mpsc::Receiver<MediaEvent>,
    agreement: Agreement,
    _registered: Registered,
}

/// Why a phone ends.
#[derive(Debug)]
enum End {
    /// The dialog has ended.
    Dialog { by: Side, cause: Cause },
    /// We end it.
    Ours(Cause),
    /// The leg's owner has let go of it.
    LetGo,
}

impl Phone {
    /// A phone that called us.
    pub(super) fn called(
        lines: Lines,
        dialog: Handle,
        address: IpAddr,
        incoming: &Incoming,
        far_end: &FarEnd,
    ) -> Option<Self> {
        let stage = Stage::Waiting { offer: incoming.offer.clone() };
        let mut phone = Self::new(lines, stage, address, far_end)?;
        phone.dialog = Some(dialog);
        phone.signalling = Some(incoming.source.ip());
        // Lines are told a number that somebody we trust told us, or none.
        phone.caller = incoming.caller.clone().filter(|_| incoming.vouched);
        phone.requires_100rel = incoming.requires_100rel;
        Some(phone)
    }

    /// A phone that we call, and our offer to it.
    pub(super) fn calling(
        lines: Lines,
        address: IpAddr,
        (session, heard): (Session, mpsc::Receiver<MediaEvent>),
        far_end: &FarEnd,
    ) -> Option<(Self, String)> {
        let mut phone = Self::new(lines, Stage::Calling { rang: false }, address, far_end)?;
        let mut audio = phone.audio_of(session, heard);
        let offer = audio.agreement.offer();
        phone.audio = Some(audio);
        Some((phone, offer))
    }

    /// The stack has taken the call.
    pub(super) fn dialled(mut self, dialog: Handle) -> Self {
        self.dialog = Some(dialog);
        self
    }

    fn new(lines: Lines, stage: Stage, address: IpAddr, far_end: &FarEnd) -> Option<Self> {
        let events = far_end.events.clone();
        let last_word = events.clone().try_reserve_owned().ok()?;
        Some(Self {
            lines,
            leg: far_end.id,
            stage,
            dialog: None,
            audio: None,
            address,
            signalling: None,
            caller: None,
            requires_100rel: false,
            events,
            last_word,
            held: false,
        })
    }

    /// Carries events and commands until the phone ends.
    pub(super) async fn run(mut self, mut dialog: mpsc::Receiver<DialogEvent>, mut commands: mpsc::Receiver<Command>) {
        if self.lines.0.settings.rings_first && matches!(self.stage, Stage::Waiting { .. }) {
            let _ = self.tell_dialog(agent::Command::Progress { status: 180, sdp: None }).await;
        }
        let end = loop {
            let went_on = tokio::select! {
                biased;
                event = dialog.recv() => match event {
                    Some(event) => self.on_dialog(event).await,
                    None => Err(End::Dialog { by: Side::Us, cause: Cause::Internal }),
                },
                command = commands.recv() => match command {
                    Some(command) => self.on_command(command).await,
                    None => Err(End::LetGo),
                },
                event = next_heard(&mut self.audio) => match event {
                    Some(event) => self.on_audio(event),
                    // The media thread is gone: better an end than a call in silence.
                    None => Err(End::Ours(Cause::Internal)),
                },
            };
            if let Err(end) = went_on {
                break end;
            }
        };
        self.end(end).await;
    }

    async fn end(self, end: End) {
        let (by, cause) = match end {
            End::Dialog { by, cause } => (by, cause),
            End::LetGo => (Side::Us, Cause::Normal),
            End::Ours(cause) => (Side::Us, cause),
        };
        if let (Some(dialog), End::Ours(_)) = (&self.dialog, &end) {
            let _ = dialog.send(goodbye(&self.stage, cause)).await;
        }
        // The port first, then the word: whoever hears it may count on it.
        drop(self.audio);
        self.last_word.send(Event::Ended { by, cause });
    }

    // ── the dialog ──────────────────────────────────────────────────────────────────────────────────────

    async fn on_dialog(&mut self, event: DialogEvent) -> Result<(), End> {
        match event {
            DialogEvent::Ringing { status, sdp } => {
                if let Some(sdp) = sdp {
                    self.accept(&sdp)?;
                }
                self.rings_now(status)
            }
            DialogEvent::Answered { sdp } => {
                if let Some(sdp) = sdp {
                    self.accept(&sdp)?;
                }
                self.is_up()
            }
            DialogEvent::Confirmed { sdp } => match (&self.stage, sdp) {
                (Stage::AnswerDue, None) => Err(End::Ours(Cause::ProtocolError)),
                (Stage::AnswerDue, Some(sdp)) => {
                    self.accept(&sdp)?;
                    self.is_up()
                }
                (Stage::Waiting { .. } | Stage::Calling { .. } | Stage::Up, _) => Ok(()),
            },
            DialogEvent::Offered { sdp } => self.on_offer(sdp).await,
            DialogEvent::OfferAnswered { sdp } => self.accept(&sdp),
            DialogEvent::OfferRefused { .. } => Ok(()),
            DialogEvent::Info { content_type, body } => match key_of(&content_type, &body) {
                Some(key) => self.tell_audio(MediaCommand::InfoKey(key)),
                None => Ok(()),
            },
            DialogEvent::Ended { by_peer, cause, .. } => {
                Err(End::Dialog { by: if by_peer { Side::Caller } else { Side::Us }, cause })
            }
        }
    }

    /// A re-INVITE or UPDATE: hold, resume, another codec or address, or only a sign of life.
    async fn on_offer(&mut self, offer: Option<String>) -> Result<(), End> {
        let Some(audio) = &mut self.audio else {
            return self.tell_dialog(agent::Command::RefuseOffer { status: 488 }).await;
        };
        let Some(offer) = offer else {
            let sdp = audio.agreement.offer();
            return self.tell_dialog(agent::Command::AnswerOffer { sdp }).await;
        };
        match audio.agreement.answer(&offer) {
            Ok((sdp, agreed)) => {
                self.tell_dialog(agent::Command::AnswerOffer { sdp }).await?;
                self.apply(agreed)
            }
            Err(_) => self.tell_dialog(agent::Command::RefuseOffer { status: 488 }).await,
        }
    }

    /// Their answer to an offer of ours.
    fn accept(&mut self, sdp: &str) -> Result<(), End> {
        let Some(audio) = &self.audio else { return Ok(()) };
        let agreed = audio.agreement.accept(sdp).map_err(|error| End::Ours(cause_of(&error)))?;
        self.apply(agreed)
    }

    fn apply(&mut self, agreed: Agreed) -> Result<(), End> {
        self.tell_audio(MediaCommand::Remote(agreed.remote))?;
        if agreed.held != self.held {
            self.held = agreed.held;
            self.tell(Event::Held { on_hold: agreed.held })?;
        }
        Ok(())
    }

    fn rings_now(&mut self, status: u16) -> Result<(), End> {
        let Stage::Calling { rang } = &mut self.stage else { return Ok(()) };
        if !matches!(status, 180 | 183) || std::mem::replace(rang, true) {
            return Ok(());
        }
        self.tell(Event::Ringing)
    }

    fn is_up(&mut self) -> Result<(), End> {
        self.stage = Stage::Up;
        self.tell(Event::Answered)
    }

    // ── the leg's owner ─────────────────────────────────────────────────────────────────────────────────

    async fn on_command(&mut self, command: Command) -> Result<(), End> {
        match command {
            Command::Answer => self.answer().await,
            Command::Reject { cause } | Command::Hangup { cause } => Err(End::Ours(cause)),
            Command::Play { token, prompts, repeat } => self.tell_audio(MediaCommand::Play { token, prompts, repeat }),
            Command::Ringback => self.tell_audio(MediaCommand::Ringback),
            Command::Stop => self.tell_audio(MediaCommand::Stop),
            Command::Dial(dial) => {
                let beside = self.audio.as_ref().map(|audio| &audio.session);
                self.lines.dial(dial, beside, self.caller.clone());
                Ok(())
            }
            Command::Bridge { peer } => {
                let Some(peer) = self.lines.audio_of(peer) else {
                    tracing::debug!(?peer, "the other leg of a bridge is gone");
                    return Ok(());
                };
                self.tell_audio(MediaCommand::Bridge { peer })
            }
            Command::Unbridge => self.tell_audio(MediaCommand::Unbridge),
        }
    }

    async fn answer(&mut self) -> Result<(), End> {
        let Stage::Waiting { offer } = &mut self.stage else { return Ok(()) };
        let offer = offer.take();
        let (session, heard) = self.lines.0.engine.open_at(Some(self.address), None).map_err(|error| {
            tracing::warn!(%error, "no audio for a caller");
            End::Ours(Cause::NoResource)
        })?;
        let mut audio = self.audio_of(session, heard);
        match offer {
            Some(offer) => {
                let (sdp, agreed) = audio.agreement.answer(&offer).map_err(|error| End::Ours(cause_of(&error)))?;
                self.audio = Some(audio);
                self.apply(agreed)?;
                if self.requires_100rel {
                    // The stack holds the 200 until this is acknowledged.
                    let progress = agent::Command::Progress { status: 183, sdp: Some(sdp.clone()) };
                    self.tell_dialog(progress).await?;
                }
                self.tell_dialog(agent::Command::Answer { sdp }).await?;
                self.is_up()
            }
            None => {
                let sdp = audio.agreement.offer();
                self.audio = Some(audio);
                self.stage = Stage::AnswerDue;
                self.tell_dialog(agent::Command::Answer { sdp }).await
            }
        }
    }

    fn audio_of(&self, session: Session, heard: mpsc::Receiver<MediaEvent>) -> Audio {
        let settings = &self.lines.0.settings;
        let (bound, local_peer) = (session.local_addr(), self.signalling.is_some_and(|address| address.is_loopback()));
        let ip = match settings.advertised {
            Some(advertised) if !bound.ip().is_loopback() && !local_peer => advertised,
            Some(_) | None if bound.ip().is_unspecified() => self.address,
            Some(_) | None => bound.ip(),
        };
        let rtp = SocketAddr::new(ip, bound.port());
        let mut dice = self.lines.split_dice();
        let agreement = Agreement::new(rtp, self.signalling, &settings.codecs, &mut dice);
        let registered = self.lines.register(self.leg, session.id());
        Audio { session, heard, agreement, _registered: registered }
    }

    // ── the audio ───────────────────────────────────────────────────────────────────────────────────────

    fn on_audio(&mut self, event: MediaEvent) -> Result<(), End> {
        match event {
            MediaEvent::Key { key, source } => self.tell(Event::Key { key, source }),
            MediaEvent::Started { token, index } => self.tell(Event::Started { token, index }),
            MediaEvent::Played { token } => self.tell(Event::Played { token }),
            MediaEvent::Heard => self.tell(Event::Heard),
            MediaEvent::Silent => self.tell(Event::Silent),
            MediaEvent::Resumed => self.tell(Event::Resumed),
            MediaEvent::Ended { why } => {
                tracing::error!(?why, "the audio of a leg ended by itself");
                Err(End::Ours(Cause::Internal))
            }
        }
    }

    // ── telling ─────────────────────────────────────────────────────────────────────────────────────────

    fn tell(&self, event: Event) -> Result<(), End> {
        self.events.try_send(event).map_err(|error| match error {
            mpsc::error::TrySendError::Closed(_) => End::LetGo,
            mpsc::error::TrySendError::Full(_) => {
                tracing::error!(leg = self.leg.0, "a leg's events are not read: it is ended");
                End::Ours(Cause::Internal)
            }
        })
    }

    async fn tell_dialog(&self, command: agent::Command) -> Result<(), End> {
        let Some(dialog) = &self.dialog else { return Ok(()) };
        dialog.send(command).await.map_err(|_| End::Dialog { by: Side::Us, cause: Cause::Internal })
    }

    /// Before an answer there is no audio, and nothing to be told to it.
    fn tell_audio(&self, command: MediaCommand) -> Result<(), End> {
        let Some(audio) = &self.audio else { return Ok(()) };
        audio.session.send(command).map_err(|_| End::Ours(Cause::NoResource))
    }
}

/// How a phone in this stage is told that it is over.
fn goodbye(stage: &Stage, cause: Cause) -> agent::Command {
    match stage {
        Stage::Waiting { .. } => agent::Command::Reject {
            status: if cause == Cause::Normal { 480 } else { cause.sip_status() },
            reason: String::new(),
            retry_after_s: (cause.sip_status() == 503).then_some(RETRY_AFTER_S),
        },
        Stage::Calling { .. } => agent::Command::Cancel,
        Stage::AnswerDue | Stage::Up => agent::Command::Bye { cause },
    }
}

fn cause_of(error: &BadAnswer) -> Cause {
    match error {
        BadAnswer::Unreadable(_) => Cause::ProtocolError,
        BadAnswer::NoCommonCodec(_) => Cause::NoCommonCodec,
    }
}

async fn next_heard(audio: &mut Option<Audio>) -> Option<MediaEvent> {
    match audio {
        Some(audio) => audio.heard.recv().await,
        None => std::future::pending().await,
    }
}
