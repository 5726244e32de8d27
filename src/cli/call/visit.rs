//! The call itself: a SIP user agent on ports of its own, a media session, and a loop that listens.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::mpsc::Receiver as Chunks;
use std::time::Duration;

use miette::{IntoDiagnostic, Report, WrapErr};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::ear::Ear;
use super::keys::Presser;
use super::report::{Ender, Note, Teller};
use super::{Errand, KeysBy};
use crate::line::agreement::Agreement;
use crate::media::bank::PromptBank;
use crate::media::command::{MediaCommand, MediaEvent};
use crate::media::engine::{self, Engine, Session};
use crate::media::ports::PortRange;
use crate::media::recorder::{Chunk, Tap};
use crate::sip::agent::{self, Command, Dial, DialogEvent, Transport};
use crate::sip::stack::{Call, Handle, Settings as StackSettings, Stack};
use crate::sip::transport::udp;
use crate::sip::trunk::{Network, Trunk};
use crate::terms::cause::Cause;
use crate::terms::clock::{Clock, Instant};
use crate::terms::dice::Dice;
use crate::terms::key::Keys;

/// How often we listen for cues.
const TICK: Duration = Duration::from_millis(20);
/// After hanging up, how long the BYE has to arrive: once more at 500 ms, if the first one was lost.
const LAST_WORDS: Duration = Duration::from_millis(700);

/// A call under way.
struct Visit<'a> {
    clock: Clock,
    start: Instant,
    errand: Errand,
    session: Session,
    agreement: Agreement,
    call: Handle,
    chunks: Chunks<Chunk>,
    ear: Ear,
    presser: Option<Presser>,
    held: bool,
    ender: Option<Ender>,
    teller: &'a mut Teller,
}

/// Makes the call; whether all was well, and what was heard.
pub(super) async fn make(
    errand: Errand,
    clock: Clock,
    mut dice: Dice,
    teller: &mut Teller,
) -> Result<(bool, Ear), Report> {
    let own = own_address(&errand).await;
    let stack = stack(own, &errand, clock.clone(), dice.split()).await?;
    let media =
        engine::Settings { address: own, ports: PortRange::Ephemeral, shards: 1, ..engine::Settings::default() };
    let engine = Engine::start(media, PromptBank::default(), clock.clone(), dice.split()).into_diagnostic()?;
    let (session, mut heard) = engine.open(None).into_diagnostic().wrap_err("no port for audio")?;
    let mut agreement = Agreement::new(session.local_addr(), None, &errand.codecs, &mut dice);
    if errand.keys_by == KeysBy::Inband {
        agreement = agreement.with_tones();
    }
    let (tap, chunks) = Tap::new();
    session.send(MediaCommand::Record(tap)).into_diagnostic()?;

    let uri = target(&errand);
    teller.tell(&Note::Calling { uri: uri.clone(), from: errand.from.clone() });
    let dial = Dial {
        targets: vec![uri],
        from_user: errand.from.clone(),
        from_display: None,
        sdp: agreement.offer(),
        ring: errand.max,
        headers: Vec::new(),
        trunk: None,
    };
    let start = clock.now();
    let Call { handle, mut events, .. } = stack.dial(dial).await.into_diagnostic()?;
    let ear = Ear::new(errand.max.as_secs() + 5);
    let mut visit = Visit {
        clock: clock.clone(),
        start,
        errand,
        session,
        agreement,
        call: handle,
        chunks,
        ear,
        presser: None,
        held: false,
        ender: None,
        teller,
    };
    let end = visit.until_over(&mut events, &mut heard).await;
    let verdict = visit.conclude(end);
    let ear = visit.ear;
    let ended_by_us = visit.ender.is_some();
    drop(visit.call);
    if ended_by_us {
        clock.sleep(LAST_WORDS).await;
    }
    Ok((verdict, ear))
}

/// How a call ended.
#[derive(Debug)]
struct Over {
    cause: Cause,
    answered: bool,
}

impl Visit<'_> {
    async fn until_over(
        &mut self,
        events: &mut mpsc::Receiver<DialogEvent>,
        heard: &mut mpsc::Receiver<MediaEvent>,
    ) -> Over {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
        let mut interrupted = false;
        loop {
            tokio::select! {
                biased;
                event = events.recv() => match event {
                    Some(event) => if let Some(cause) = self.on_dialog(event).await {
                        return Over { cause, answered: self.presser.is_some() };
                    },
                    None => return Over { cause: Cause::Internal, answered: self.presser.is_some() },
                },
                _ = &mut interrupt, if !interrupted => {
                    interrupted = true;
                    self.hang_up(Cause::Normal).await;
                }
                event = heard.recv() => match event {
                    Some(event) => self.on_media(&event),
                    None => return Over { cause: Cause::Internal, answered: self.presser.is_some() },
                },
                _ = tick.tick() => self.listen().await,
            }
        }
    }

    /// The cause, when it is over.
    async fn on_dialog(&mut self, event: DialogEvent) -> Option<Cause> {
        match event {
            DialogEvent::Ringing { status, sdp } => {
                let after_ms = self.ms();
                self.teller.tell(&Note::Ringing { status, after_ms });
                self.accept(sdp).await;
            }
            DialogEvent::Answered { sdp } => {
                let codec = self.accept(sdp).await.unwrap_or("as before");
                let after_ms = self.ms();
                self.teller.tell(&Note::Answered { after_ms, codec });
                let (plan, after) = (std::mem::take(&mut self.errand.plan), self.errand.key_after);
                self.presser = Some(Presser::new(plan, after, self.clock.now()));
                if let Some(samples) = self.errand.speech.take() {
                    let _ = self.session.send(MediaCommand::PlayAudio { token: 1, samples: samples.into() });
                }
            }
            DialogEvent::Offered { sdp } => self.on_offer(sdp).await,
            DialogEvent::OfferAnswered { sdp } => {
                self.accept(Some(sdp)).await;
            }
            DialogEvent::Confirmed { .. } | DialogEvent::OfferRefused { .. } | DialogEvent::Info { .. } => {}
            DialogEvent::Ended { by_peer, cause, status } => {
                let after_ms = self.ms();
                let by = self.ender.unwrap_or(if by_peer { Ender::Callee } else { Ender::Network });
                self.teller.tell(&Note::Ended { by, cause, status, after_ms });
                return Some(cause);
            }
        }
        None
    }

    /// Their answer to our offer; the codec, if it is one.
    async fn accept(&mut self, sdp: Option<String>) -> Option<&'static str> {
        match self.agreement.accept(&sdp?) {
            Ok(agreed) => {
                let codec = agreed.remote.send.codec.name();
                let _ = self.session.send(MediaCommand::Remote(agreed.remote));
                Some(codec)
            }
            Err(error) => {
                tracing::warn!(%error, "the answer to our offer cannot be used");
                self.hang_up(Cause::NoCommonCodec).await;
                None
            }
        }
    }

    async fn on_offer(&mut self, sdp: Option<String>) {
        let command = match sdp.as_deref().map(|offer| self.agreement.answer(offer)) {
            None => Command::AnswerOffer { sdp: self.agreement.offer() },
            Some(Err(_)) => Command::RefuseOffer { status: 488 },
            Some(Ok((sdp, agreed))) => {
                let _ = self.session.send(MediaCommand::Remote(agreed.remote));
                if agreed.held != self.held {
                    self.held = agreed.held;
                    self.teller.tell(&Note::Hold { on_hold: self.held });
                }
                Command::AnswerOffer { sdp }
            }
        };
        let _ = self.call.send(command).await;
    }

    fn on_media(&mut self, event: &MediaEvent) {
        match event {
            MediaEvent::Heard => {
                let after_ms = self.ms();
                self.teller.tell(&Note::AudioHeard { after_ms });
            }
            MediaEvent::Silent => self.teller.tell(&Note::Silence { silent: true }),
            MediaEvent::Resumed => self.teller.tell(&Note::Silence { silent: false }),
            MediaEvent::Key { .. } | MediaEvent::Started { .. } | MediaEvent::Played { .. } => {}
            MediaEvent::Ended { why } => tracing::error!(?why, "our audio ended"),
        }
    }

    /// Takes in what was heard, presses keys whose cue has come, and hangs up when the time is over.
    async fn listen(&mut self) {
        self.take_chunks();
        let now = self.clock.now();
        let spoke = self.ear.spoke();
        if let Some(keys) = self.presser.as_mut().and_then(|presser| presser.due(now, spoke)) {
            let at_ms = self.ms();
            self.teller.tell(&Note::KeysPressed { keys: keys.to_string(), at_ms });
            self.press(keys).await;
        }
        if now >= self.start + self.errand.max && self.ender.is_none() {
            self.hang_up(Cause::Normal).await;
        }
    }

    fn take_chunks(&mut self) {
        let now = self.clock.now();
        while let Ok(chunk) = self.chunks.try_recv() {
            self.ear.hear(now, chunk.at, chunk.samples());
        }
    }

    async fn press(&mut self, keys: Keys) {
        match self.errand.keys_by {
            KeysBy::Rtp | KeysBy::Inband => {
                let inband = self.errand.keys_by == KeysBy::Inband;
                let _ = self.session.send(MediaCommand::SendKeys { keys, inband });
            }
            KeysBy::Info => {
                for key in keys.0 {
                    let body = format!("Signal={key}\r\nDuration=160\r\n");
                    let content_type = "application/dtmf-relay".to_owned();
                    let _ = self.call.send(Command::Info { content_type, body: body.into() }).await;
                }
            }
        }
    }

    async fn hang_up(&mut self, cause: Cause) {
        self.ender.get_or_insert(Ender::Us);
        let command = if self.presser.is_some() { Command::Bye { cause } } else { Command::Cancel };
        let _ = self.call.send(command).await;
    }

    /// The last words: what was heard, and whether all was well.
    fn conclude(&mut self, over: Over) -> bool {
        self.take_chunks();
        let heard = self.ear.impression();
        let left = self.presser.as_ref().map_or(0, Presser::left);
        let (well, because) = match (over.answered, over.cause, heard.heard_s > 0.0) {
            (true, Cause::Normal, true) if left > 0 => (false, "it ended before every key was pressed"),
            (false, _, _) => (false, "it was not answered"),
            (true, _, false) => (false, "nothing was heard"),
            (true, Cause::Normal, true) => (true, "answered, heard, and ended in the ordinary way"),
            (true, _, true) => (false, "the call broke off"),
        };
        self.teller.tell(&Note::Heard(heard));
        if left > 0 {
            self.teller.tell(&Note::KeysLeft { groups: left });
        }
        self.teller.tell(&Note::Verdict { well, because });
        well
    }

    fn ms(&self) -> u64 {
        u64::try_from(self.clock.now().saturating_duration_since(self.start).as_millis()).unwrap_or(u64::MAX)
    }
}

/// The address of ours that the callee will see. Where its name is not to be found (the SIP stack has its own
/// ways to find it), this is the address that leads out into the world.
async fn own_address(errand: &Errand) -> IpAddr {
    let port = errand.uri.port.unwrap_or(5060);
    let callee = match errand.uri.host.address() {
        Some(address) => Some(SocketAddr::new(address, port)),
        None => tokio::net::lookup_host((errand.uri.host.to_string(), port)).await.ok().and_then(|mut all| all.next()),
    };
    let outside = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), port));
    let callee = callee.unwrap_or(outside);
    let any: SocketAddr = if callee.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let seen = udp::seen_by(any, callee);
    if seen.is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { seen }
}

async fn stack(own: IpAddr, errand: &Errand, clock: Clock, dice: Dice) -> Result<Stack, Report> {
    let listen = vec![SocketAddr::new(own, 0)];
    let anyone = vec![Network::new([0, 0, 0, 0].into(), 0), Network::new([0u16; 8].into(), 0)];
    let agent = agent::Settings {
        server: format!("cityline-call/{}", env!("CARGO_PKG_VERSION")),
        trunks: vec![Trunk::new("callee", anyone, false)],
        ..agent::Settings::default()
    };
    let tcp = if errand.transport == Transport::Tcp { listen.clone() } else { Vec::new() };
    let settings = StackSettings { udp: listen, tcp, agent, ..StackSettings::default() };
    let (stack, calls) = Stack::start(settings, clock, dice).await.into_diagnostic()?;
    // Nobody is at home for calls that come in: they are refused.
    drop(calls);
    Ok(stack)
}

fn target(errand: &Errand) -> String {
    let mut uri = errand.uri.clone();
    if errand.transport == Transport::Tcp && !uri.params.has("transport") {
        uri.params.set("transport", Some("tcp"));
    }
    uri.to_string()
}
