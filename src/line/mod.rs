//! What is at the far end of a leg: a SIP phone ([`phone`]) with its audio, or a demonstration desk
//! ([`simulated`]) that is itself a SIP phone.
//!
//! [`Lines`] turns a call that comes in into a [`Leg`], and dials a line beside it when the leg's owner asks.

pub mod agreement;
mod info;
mod phone;
pub mod simulated;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::call::leg::{self, FarEnd, Leg, LegId};
use crate::media::codecs::Codec;
use crate::media::command::SessionId;
use crate::media::engine::{Engine, Session};
use crate::sip::agent::{self, Incoming};
use crate::sip::grammar::uri::Uri;
use crate::sip::stack::{Call, Stack};
use crate::terms::cause::Cause;
use crate::terms::dice::Dice;
use crate::terms::event::Side;
use phone::Phone;

/// What is known about all lines.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The codecs we speak, dearest first.
    pub codecs: Vec<Codec>,
    /// The user part we call lines with, and vouch for (P-Asserted-Identity), e.g. `311`.
    pub own_user: String,
    /// The display name that goes with it.
    pub own_display: Option<String>,
    /// The hosts (of a line's SIP URI) that may know who calls: bureaus of the city, never the public
    /// network. The caller's number is passed on to no other.
    pub told_the_caller: Vec<String>,
    /// The address others reach our media by, where it is not the one it is received on (NAT). Not told to
    /// peers on this machine.
    pub advertised: Option<IpAddr>,
    /// Send 180 Ringing before the answer. A line that answers at once has no use for it.
    pub rings_first: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            codecs: Codec::ALL.to_vec(),
            own_user: "311".to_owned(),
            own_display: Some("Portland 311".to_owned()),
            told_the_caller: Vec::new(),
            advertised: None,
            rings_first: false,
        }
    }
}

/// The lines of one SIP stack and one media engine. Clones share them.
#[derive(Clone, Debug)]
pub struct Lines(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    stack: Stack,
    engine: Engine,
    settings: Settings,
    dice: Mutex<Dice>,
    /// Which media session belongs to which leg, for bridging. As long as the legs.
    audio: Mutex<HashMap<LegId, SessionId>>,
}

impl Lines {
    /// Lines on `stack`, with audio by `engine`.
    pub fn new(stack: Stack, engine: Engine, settings: Settings, dice: Dice) -> Self {
        let (dice, audio) = (Mutex::new(dice), Mutex::default());
        Self(Arc::new(Inner { stack, engine, settings, dice, audio }))
    }

    /// Takes a call that came in: what the caller said, and the leg `id` on which to answer or refuse it.
    /// `None` only where the call is one we dialled.
    pub fn receive(&self, call: Call, id: LegId) -> Option<(Incoming, Leg)> {
        let Call { incoming, address, handle, events } = call;
        let incoming = incoming?;
        let (leg, far_end) = leg::leg(id);
        let phone = Phone::called(self.clone(), handle, address, &incoming, &far_end)?;
        tokio::spawn(phone.run(events, far_end.commands));
        Some((incoming, leg))
    }

    /// Dials a line whose audio lives beside `beside`'s. What becomes of it is told on its own leg.
    fn dial(&self, dial: leg::Dial, beside: Option<&Session>, caller: Option<String>) {
        let leg::Dial { line, targets, ring, leg } = dial;
        let address = self.0.stack.address_towards(&targets);
        let (session, heard) = match self.0.engine.open_at(Some(address), beside) {
            Ok(opened) => opened,
            Err(error) => {
                tracing::warn!(%line, %error, "no audio for a line");
                let _ = leg.events.try_send(leg::Event::Ended { by: Side::Us, cause: Cause::NoResource });
                return;
            }
        };
        let lines = self.clone();
        tokio::spawn(async move {
            let Some((phone, sdp)) = Phone::calling(lines.clone(), address, (session, heard), &leg) else {
                return;
            };
            let dial = lines.sip_dial(targets, ring, sdp, caller);
            let FarEnd { commands, events, .. } = leg;
            match lines.0.stack.dial(dial).await {
                Ok(call) => phone.dialled(call.handle).run(call.events, commands).await,
                Err(error) => {
                    tracing::warn!(%line, %error, "a line was not dialled");
                    let _ = events.try_send(leg::Event::Ended { by: Side::Us, cause: Cause::Congestion });
                }
            }
        });
    }

    fn sip_dial(
        &self,
        targets: Vec<String>,
        ring: std::time::Duration,
        sdp: String,
        caller: Option<String>,
    ) -> agent::Dial {
        let settings = &self.0.settings;
        let told = targets.iter().all(|target| self.is_told(target));
        let (from_user, from_display, headers) = match caller.filter(|_| told) {
            Some(caller) => {
                // RFC 3325: we vouch for a number that our trunk told us, so that it can be called back.
                let number = caller.strip_prefix('+').unwrap_or(&caller).bytes().all(|sign| sign.is_ascii_digit());
                let asserted = number.then(|| ("P-Asserted-Identity".to_owned(), format!("<tel:{caller}>")));
                (caller, None, asserted.into_iter().collect())
            }
            None => (settings.own_user.clone(), settings.own_display.clone(), Vec::new()),
        };
        agent::Dial { targets, from_user, from_display, sdp, ring, headers, trunk: None }
    }

    fn is_told(&self, target: &str) -> bool {
        let uri = Uri::parse(target.as_bytes()).ok();
        let host = uri.as_ref().and_then(Uri::as_sip).map(|sip| sip.host.to_string());
        host.is_some_and(|host| self.0.settings.told_the_caller.iter().any(|told| told.eq_ignore_ascii_case(&host)))
    }

    /// How many legs have audio now.
    pub fn legs(&self) -> usize {
        self.0.audio.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn audio_of(&self, leg: LegId) -> Option<SessionId> {
        self.0.audio.lock().unwrap_or_else(PoisonError::into_inner).get(&leg).copied()
    }

    fn register(&self, leg: LegId, session: SessionId) -> Registered {
        self.0.audio.lock().unwrap_or_else(PoisonError::into_inner).insert(leg, session);
        Registered { lines: self.clone(), leg }
    }

    fn split_dice(&self) -> Dice {
        self.0.dice.lock().unwrap_or_else(PoisonError::into_inner).split()
    }
}

/// A leg's audio can be found while this is held.
#[derive(Debug)]
struct Registered {
    lines: Lines,
    leg: LegId,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.lines.0.audio.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.leg);
    }
}

#[cfg(test)]
pub(crate) mod tests;
