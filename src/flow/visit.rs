//! One caller's visit as the steps see it: what can be asked of the caller's leg, and what comes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::call::journal::CallJournal;
use crate::call::leg::{self, Command, FarEnd, Leg, LegId};
use crate::routing::keys::Typed;
use crate::terms::cause::Cause;
use crate::terms::clock::Instant;
use crate::terms::event::{Event, Heard, Side};
use crate::terms::key::Key;
use crate::terms::outcome::Outcome;
use crate::terms::prompt::Spoken;

/// Most keys of one call that are written down: a flood must not fill the record.
const KEYS_NOTED_MAX: u32 = 500;
/// How long a caller may be without any audio, after the media timeout has told us, before we hang up.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// The caller left, or had to be let go. Ends the story wherever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Who ended it.
    pub by: Side,
    /// Why.
    pub cause: Cause,
}

/// What a step may want to know of an event at the caller's leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happening {
    /// A key was pressed; the step says what becomes of it.
    Key(Key),
    /// Everything that was to be played was played.
    PlayedOut,
    /// Something that is written down and concerns no step.
    Noted,
}

/// Gives every leg of the process a name of its own.
#[derive(Clone, Debug, Default)]
pub struct LegIds(Arc<AtomicU64>);

impl LegIds {
    /// A name that no other leg has.
    pub fn next(&self) -> LegId {
        LegId(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// One caller's visit: owned by the call's task, never shared.
#[derive(Debug)]
pub struct Visit {
    leg: Leg,
    legs: LegIds,
    journal: CallJournal,
    answered: bool,
    typed: Typed,
    playing: Option<Playing>,
    tokens: u32,
    keys_noted: u32,
    silent_until: Option<Instant>,
    talking: Option<Outcome>,
    waiting_since: Option<Instant>,
}

/// What is being played to the caller.
#[derive(Debug)]
struct Playing {
    token: u32,
    prompts: Vec<Spoken>,
    current: Option<(usize, Instant)>,
}

impl Visit {
    /// A visit by `leg`, written down in `journal`.
    pub fn new(leg: Leg, legs: LegIds, journal: CallJournal) -> Self {
        Self {
            leg,
            legs,
            journal,
            answered: false,
            typed: Typed::default(),
            playing: None,
            tokens: 0,
            keys_noted: 0,
            silent_until: None,
            talking: None,
            waiting_since: None,
        }
    }

    /// Writes a line of the journal.
    pub(super) fn note(&mut self, event: Event) {
        self.journal.note(event);
    }

    /// The present, for durations.
    pub(super) fn now(&self) -> Instant {
        self.journal.clock().now()
    }

    /// The present, for calendars.
    pub(super) fn wall(&self) -> jiff::Timestamp {
        self.journal.clock().wall()
    }

    /// The leg the caller is on.
    pub(super) fn leg_id(&self) -> LegId {
        self.leg.id
    }

    /// A second leg, for a line: our end and the far end to be dialled.
    pub(super) fn new_leg(&self) -> (Leg, FarEnd) {
        leg::leg(self.legs.next())
    }

    /// Asks something of the caller's leg.
    pub(super) async fn command(&mut self, command: Command) -> Result<(), Left> {
        if self.leg.commands.send(command).await.is_ok() {
            return Ok(());
        }
        // The far end has let go; its last word says why.
        while let Some(event) = self.leg.events.recv().await {
            self.take(event)?;
        }
        Err(Left { by: Side::Us, cause: Cause::Internal })
    }

    /// Answers the call, and waits until it is answered: there may be no codec or port to answer with.
    pub(super) async fn answer(&mut self) -> Result<(), Left> {
        self.command(Command::Answer).await?;
        while !self.answered {
            self.next().await?;
        }
        Ok(())
    }

    /// Begins to play `prompts`, in place of whatever is being played.
    pub(super) async fn play(&mut self, prompts: &[Spoken], repeat: bool) -> Result<(), Left> {
        self.finish_playing(Heard::Replaced);
        self.tokens += 1;
        let token = self.tokens;
        self.playing = Some(Playing { token, prompts: prompts.to_vec(), current: None });
        self.command(Command::Play { token, prompts: prompts.to_vec(), repeat }).await
    }

    /// Lets the caller hear that it rings.
    pub(super) async fn ringback(&mut self) -> Result<(), Left> {
        self.finish_playing(Heard::Replaced);
        self.command(Command::Ringback).await
    }

    /// Stops what is being played because the caller pressed a key.
    pub(super) async fn interrupt(&mut self) -> Result<(), Left> {
        if self.playing.is_none() {
            return Ok(());
        }
        self.finish_playing(Heard::Interrupted);
        self.command(Command::Stop).await
    }

    /// Waits for the next thing that happens at the caller's leg. May be dropped at any await: nothing is lost.
    pub(super) async fn next(&mut self) -> Result<Happening, Left> {
        // Whoever speaks with a line may be muted; the line and the session timer say when nobody is there.
        let patience = self.silent_until.filter(|_| self.talking.is_none());
        let event = tokio::select! {
            biased;
            event = self.leg.events.recv() => event,
            () = until(patience) => {
                self.finish_playing(Heard::CallerLeft);
                return Err(Left { by: Side::Us, cause: Cause::MediaTimeout });
            }
        };
        match event {
            Some(event) => self.take(event),
            None => Err(Left { by: Side::Us, cause: Cause::Internal }),
        }
    }

    /// As [`Visit::next`], but no longer than to `deadline`: `None` says that it has passed.
    pub(super) async fn next_until(&mut self, deadline: Option<Instant>) -> Result<Option<Happening>, Left> {
        tokio::select! {
            biased;
            happening = self.next() => happening.map(Some),
            () = until(deadline) => Ok(None),
        }
    }

    /// Keeps a key for a later step; one too many is written down and dropped.
    pub(super) fn keep(&mut self, key: Key) {
        self.typed.push(key);
    }

    /// Whether keys are kept.
    pub(super) fn has_kept(&self) -> bool {
        !self.typed.is_empty()
    }

    /// Drops the keys that were kept.
    pub(super) fn flush_kept(&mut self) {
        self.typed.clear();
    }

    /// Gives the kept keys to a step.
    pub(super) fn take_typed(&mut self) -> Typed {
        std::mem::take(&mut self.typed)
    }

    /// Takes back the keys that a step did not use.
    pub(super) fn keep_typed(&mut self, typed: Typed) {
        self.typed = typed;
    }

    /// The caller now speaks with a line; if they leave, this is the outcome. Keys are no longer written down:
    /// they are for the line, and may be a card number (R084). `None`: they no longer do.
    pub(super) fn set_talking(&mut self, outcome: Option<Outcome>) {
        self.talking = outcome;
    }

    /// The caller waits for a person from now on (`true`), or no longer.
    pub(super) fn set_waiting(&mut self, waiting: bool) {
        self.waiting_since = waiting.then(|| self.now());
    }

    /// What is being played has been replaced by something that is not a prompt (a bridge).
    pub(super) fn playback_replaced(&mut self) {
        self.finish_playing(Heard::Replaced);
    }

    /// The one outcome of a caller who left, where the rules' answer for this place is `otherwise`. A call that
    /// we lost, having answered it, is our failure and not the caller's leaving; one that went silent or whose
    /// peer is gone is a caller who left.
    pub(super) fn outcome_of_leaving(&self, left: Left, otherwise: Outcome, short_abandon: Duration) -> Outcome {
        if let Some(outcome) = self.talking {
            return outcome;
        }
        match (left.by, left.cause) {
            (Side::Us, Cause::Internal) => return Outcome::TechnicalFailure,
            (Side::Us, _) if !self.answered => return Outcome::Refused,
            (Side::Us, Cause::NoResource | Cause::Congestion | Cause::ProtocolError | Cause::NoCommonCodec) => {
                return Outcome::TechnicalFailure;
            }
            (Side::Us | Side::Caller | Side::FarEnd, _) => {}
        }
        match (otherwise, self.waiting_since) {
            (Outcome::AbandonedQueue, Some(since)) if self.now().saturating_duration_since(since) <= short_abandon => {
                Outcome::ShortAbandon
            }
            _ => otherwise,
        }
    }

    /// The last phase: hangs up if the caller is still there, and writes the closing line.
    pub(super) fn end(mut self, outcome: Outcome, by: Side, cause: Cause) {
        self.finish_playing(Heard::CallerLeft);
        // Where the queue of commands is full the leg hangs up all the same, when it is dropped below.
        let _ = self.leg.commands.try_send(Command::Hangup { cause });
        self.journal.end(outcome, by, cause);
    }

    fn take(&mut self, event: leg::Event) -> Result<Happening, Left> {
        match event {
            leg::Event::Key { key, source } => {
                self.note_key(key, source);
                return Ok(Happening::Key(key));
            }
            leg::Event::Started { token, index } => self.prompt_started(token, index as usize),
            leg::Event::Played { token } => {
                if self.playing.as_ref().is_some_and(|playing| playing.token == token) {
                    self.finish_playing(Heard::Whole);
                    return Ok(Happening::PlayedOut);
                }
            }
            leg::Event::Heard => self.note(Event::AudioHeard),
            leg::Event::Silent => {
                self.silent_until = Some(self.now() + SILENCE_MAX);
                self.note(Event::AudioLost { side: Side::Caller });
            }
            leg::Event::Resumed => self.silent_until = None,
            leg::Event::Held { on_hold } => {
                self.silent_until = None;
                self.note(Event::HoldChanged { on_hold });
            }
            leg::Event::Ended { by, cause } => {
                self.finish_playing(Heard::CallerLeft);
                return Err(Left { by, cause });
            }
            leg::Event::Answered => {
                self.answered = true;
                self.note(Event::Answered);
            }
            leg::Event::Ringing => {}
        }
        Ok(Happening::Noted)
    }

    fn note_key(&mut self, key: Key, source: crate::terms::event::KeySource) {
        self.keys_noted = self.keys_noted.saturating_add(1);
        if self.keys_noted <= KEYS_NOTED_MAX {
            let key = self.talking.is_none().then_some(key);
            self.note(Event::KeyPressed { key, source });
        } else if self.keys_noted == KEYS_NOTED_MAX + 1 {
            self.note(Event::Noted { text: format!("more than {KEYS_NOTED_MAX} keys: no more are written down") });
        }
    }

    fn prompt_started(&mut self, token: u32, index: usize) {
        let now = self.now();
        let Some(playing) = self.playing.as_mut().filter(|playing| playing.token == token) else { return };
        let previous = playing.current.replace((index, now));
        let ended = previous.and_then(|(at, since)| Some((playing.prompts.get(at)?.clone(), since)));
        let started = playing.prompts.get(index).cloned();
        if let Some((prompt, since)) = ended {
            self.note(Event::PromptEnded { prompt, heard: Heard::Whole, ms: ms(now - since) });
        }
        if let Some(prompt) = started {
            self.note(Event::PromptStarted { prompt });
        }
    }

    fn finish_playing(&mut self, heard: Heard) {
        let now = self.now();
        let Some(playing) = self.playing.take() else { return };
        let Some((index, since)) = playing.current else { return };
        if let Some(prompt) = playing.prompts.into_iter().nth(index) {
            self.note(Event::PromptEnded { prompt, heard, ms: ms(now - since) });
        }
    }
}

/// Waits until `deadline`; for ever where there is none.
pub(super) async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn ms(span: Duration) -> u32 {
    u32::try_from(span.as_millis()).unwrap_or(u32::MAX)
}
