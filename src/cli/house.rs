//! The running server's parts, and how a call that comes in meets them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use miette::{IntoDiagnostic, WrapErr};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::call::journal::{CallJournal, Record};
use crate::call::live::Live;
use crate::config::settings::{Media, Settings};
use crate::flow::story;
use crate::flow::visit::{LegIds, Visit};
use crate::line::{self, Lines};
use crate::media::bank::PromptBank;
use crate::media::engine::{self, Engine};
use crate::media::ports::PortRange;
use crate::routing::model::Rulebook;
use crate::routing::route::{Facts, TrunkKind};
use crate::sip::agent::{self, Incoming, Transport};
use crate::sip::resolve;
use crate::sip::stack::{self, Call, Stack};
use crate::store::Journal;
use crate::terms::clock::Clock;
use crate::terms::dice::Dice;
use crate::terms::event::Event;
use crate::terms::ids::{CallId, TrunkId};
use crate::terms::number::{Number, Pii};
use crate::web::Site;

/// Most characters of a number, as somebody sent it, that are kept.
const WRITTEN_MAX: usize = 64;
/// How long the last goodbyes may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// The parts of a running server.
pub(super) struct House {
    stack: Stack,
    lines: Lines,
    rulebook: Arc<Rulebook>,
    kinds: HashMap<TrunkId, TrunkKind>,
    journal: Journal,
    record: Record,
    legs: LegIds,
    live: Live,
    clock: Clock,
    dice: Mutex<Dice>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// Starts the media threads.
pub(super) fn start_engine(
    media: &Media,
    bank: PromptBank,
    clock: &Clock,
    dice: &mut Dice,
) -> Result<Engine, miette::Report> {
    let (first, last) = media.rtp_ports;
    let settings = engine::Settings {
        address: media.address,
        ports: PortRange::Between { first, last },
        shards: media.threads.unwrap_or(0),
        silence: media.silent,
        ..engine::Settings::default()
    };
    Engine::start(settings, bank, clock.clone(), dice.split()).into_diagnostic().wrap_err("no media threads")
}

impl House {
    /// Starts the SIP stack beside parts that run already. Calls come out of the receiver; give each to
    /// [`House::admit`].
    pub(super) async fn start(
        settings: &Settings,
        engine: Engine,
        rulebook: Arc<Rulebook>,
        journal: Journal,
        (clock, mut dice): (Clock, Dice),
    ) -> Result<(Self, mpsc::Receiver<Call>), miette::Report> {
        let (stack, calls) = Stack::start(stack_settings(settings), clock.clone(), dice.split())
            .await
            .into_diagnostic()
            .wrap_err("calls cannot be taken; another server may be running: choose another address with --sip")?;
        let line_settings = line::Settings {
            advertised: settings.media.public_address,
            told_the_caller: settings.told_the_caller.clone(),
            ..line::Settings::default()
        };
        let lines = Lines::new(stack.clone(), engine, line_settings, dice.split());
        let house = Self {
            stack,
            lines,
            rulebook,
            kinds: settings.sip.kinds.clone(),
            journal: journal.clone(),
            record: Arc::new(move |entry| journal.record(entry)),
            legs: LegIds::default(),
            live: Live::default(),
            clock,
            dice: Mutex::new(dice),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        Ok((house, calls))
    }

    /// Takes a call in: a task for the phone at the far end, a task for the call's story.
    pub(super) fn admit(&self, call: Call) {
        let Some((incoming, leg)) = self.lines.receive(call, self.legs.next()) else { return };
        let incoming = plain(incoming);
        let id = CallId::new(self.clock.unix_ms(), &mut self.dice.lock().unwrap_or_else(PoisonError::into_inner));
        let facts = self.facts(&incoming);
        tracing::info!(
            call = %id, sip_call_id = incoming.sip_call_id, trunk = %facts.trunk, dialled = facts.dialled, "arrived"
        );
        let arrived = arrived(&incoming, &facts, &self.rulebook);
        let journal = CallJournal::open(id, self.clock.clone(), Arc::clone(&self.record));
        let visit = Visit::new(leg, self.legs.clone(), journal);
        let up = self.live.enter();
        let (rulebook, stop) = (Arc::clone(&self.rulebook), self.stop.clone());
        self.tasks.spawn(async move {
            // Where we are told to stop now, dropping the story still writes its last line and hangs up.
            stop.run_until_cancelled(story::tell(visit, arrived, rulebook, facts, story::Settings::default())).await;
            drop(up);
        });
    }

    /// Takes no new calls from now on.
    pub(super) async fn drain(&self) {
        self.stack.drain(true).await;
    }

    /// Ends every call now: each writes its last line and hangs up.
    pub(super) async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(GOODBYE, self.tasks.wait()).await;
    }

    /// Waits until every phone was told goodbye, and has said so; a peer that never answers does not hold us.
    pub(super) async fn say_goodbye(&self) {
        let end = self.clock.now() + GOODBYE;
        while self.clock.now() < end {
            let Some(stats) = self.stack.stats().await else { return };
            if self.lines.legs() == 0 && stats.census.client_transactions == 0 {
                return;
            }
            self.clock.sleep(Duration::from_millis(20)).await;
        }
    }

    /// Calls that are up.
    pub(super) fn calls(&self) -> u64 {
        self.live.in_progress()
    }

    /// Where calls come in.
    pub(super) fn address(&self) -> SocketAddr {
        let local = self.stack.local(Transport::Udp).or_else(|| self.stack.local(Transport::Tcp));
        local.unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// The rulebook that new calls follow.
    pub(super) fn rulebook(&self) -> &Rulebook {
        &self.rulebook
    }

    /// The server's clock.
    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What the pages show.
    pub(super) fn site(&self, draining: Arc<AtomicBool>) -> Site {
        let rulebook = self.rulebook.hash().to_owned();
        Site { live: self.live.clone(), rulebook, draining, journal: self.journal.clone() }
    }

    fn facts(&self, incoming: &Incoming) -> Facts {
        Facts {
            // The number without the parameters that some equipment adds to it (RFC 3966: `311;phone-context=…`).
            dialled: incoming.dialled.split(';').next().unwrap_or_default().to_owned(),
            trunk: incoming.trunk.clone(),
            trunk_kind: self.kinds.get(&incoming.trunk).copied().unwrap_or(TrunkKind::Carrier),
            caller: incoming.caller.as_deref().and_then(|text| Number::read(text, "503")).map(Pii::new),
        }
    }
}

fn stack_settings(settings: &Settings) -> stack::Settings {
    let sip = &settings.sip;
    let of = |wanted: Transport| {
        sip.listen.iter().filter(|(transport, _)| *transport == wanted).map(|(_, address)| *address).collect()
    };
    stack::Settings {
        udp: of(Transport::Udp),
        tcp: of(Transport::Tcp),
        advertised: sip.public_address,
        agent: agent::Settings {
            trunks: sip.trunks.clone(),
            strangers: sip.strangers,
            session: sip.session,
            limits: sip.limits.clone(),
            ..agent::Settings::default()
        },
        resolver: resolve::Settings { hosts: settings.hosts.clone(), ..resolve::Settings::default() },
        ..stack::Settings::default()
    }
}

/// What a stranger wrote, fit for records and terminals: no control characters, no novels.
fn plain(mut incoming: Incoming) -> Incoming {
    let clean = |text: &str| text.chars().filter(|sign| !sign.is_control()).take(WRITTEN_MAX).collect::<String>();
    incoming.dialled = clean(&incoming.dialled);
    incoming.caller = incoming.caller.as_deref().map(clean);
    incoming.sip_call_id = incoming.sip_call_id.chars().filter(|sign| !sign.is_control()).take(256).collect();
    incoming.diverted_by = incoming.diverted_by.iter().map(|by| clean(by)).collect();
    incoming
}

/// The first line of a call's journal.
fn arrived(incoming: &Incoming, facts: &Facts, rulebook: &Rulebook) -> Event {
    Event::Arrived {
        trunk: facts.trunk.clone(),
        dialled: incoming.dialled.clone(),
        caller: incoming.caller.clone().map(Pii::new),
        diverted_by: incoming.diverted_by.iter().cloned().map(Pii::new).collect(),
        sip_call_id: incoming.sip_call_id.clone(),
        rulebook: rulebook.hash().to_owned(),
    }
}
