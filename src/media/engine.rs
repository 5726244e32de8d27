//! The engine: handles to the media threads, and the door by which sessions are opened.
//!
//! Everything slow is done here, on the caller's side: sockets are opened, phrases looked up and encoded. A
//! media thread ("shard") is handed what is ready to be sent.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;

use super::bank::{Clip, PromptBank};
use super::codecs::Codec;
use super::command::{MediaCommand, MediaEvent, Quality, SessionId};
use super::member::{Member, Parts};
use super::player::Playlist;
use super::ports::{NoPort, PortPool, PortRange};
use super::session;
use super::shard::{Counters, Order, Shard, ShardStats, ToShard};
use super::sounds;
use crate::terms::clock::Clock;
use crate::terms::dice::Dice;

/// Most commands that wait for one shard. Past it [`Session::send`] and [`Engine::open`] refuse.
pub const COMMANDS_MAX: usize = 4096;
/// The count of sessions of a shard whose thread is gone: never the least busy one.
const GONE: usize = usize::MAX / 2;
/// Most events that wait for a session's owner; some more are kept by the shard while the owner is late.
pub const EVENTS_MAX: usize = 64;

/// What the engine may be told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address on which RTP is received. On a certain address the system itself drops strays; on the
    /// unspecified one (0.0.0.0) the engine does.
    pub address: IpAddr,
    /// Which ports.
    pub ports: PortRange,
    /// How long a pair of ports rests after use.
    pub port_rest: Duration,
    /// How many media threads; 0 means one a processor.
    pub shards: usize,
    /// After how long without a packet a party is called silent.
    pub silence: Duration,
    /// When tones in the audio are taken for keys.
    pub inband: InbandKeys,
    /// How packets are marked for routers (RFC 2474); 46 is voice.
    pub dscp: u8,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            ports: PortRange::Between { first: 20_000, last: 29_999 },
            port_rest: Duration::from_secs(1),
            shards: 0,
            silence: Duration::from_secs(20),
            inband: InbandKeys::WhenNotAgreed,
            dscp: 46,
        }
    }
}

/// When tones in the audio are taken for keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InbandKeys {
    /// Where telephone-event was not agreed with the far end.
    WhenNotAgreed,
    /// Always, for trunks that agree telephone-events and then send tones. Events still come first.
    Always,
    /// Never.
    Never,
}

/// The handle of the engine; clones share it. The threads end when the last handle and session are gone.
#[derive(Clone, Debug)]
pub struct Engine(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shards: Vec<Door>,
    pool: PortPool,
    bank: ArcSwap<PromptBank>,
    last_id: AtomicU64,
    dice: Mutex<Dice>,
    settings: Settings,
}

/// The way into one shard.
#[derive(Debug)]
struct Door {
    commands: SyncSender<ToShard>,
    sessions: Arc<AtomicUsize>,
    counters: Arc<Counters>,
}

impl Engine {
    /// Starts the media threads.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(settings: Settings, bank: PromptBank, clock: Clock, mut dice: Dice) -> io::Result<Self> {
        let count = match settings.shards {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
            count => count,
        };
        sounds::prepare();
        let shards = (0..count).map(|number| start_shard(number, &clock)).collect::<io::Result<Vec<_>>>()?;
        let pool = PortPool::new(settings.address, settings.ports, settings.port_rest, settings.dscp, clock);
        Ok(Self(Arc::new(Inner {
            shards,
            pool,
            bank: ArcSwap::from_pointee(bank),
            last_id: AtomicU64::new(0),
            dice: Mutex::new(dice.split()),
            settings,
        })))
    }

    /// Opens a session: takes a port pair and hands it to a shard, the one of `beside` where a bridge is to
    /// come. Events must be read: a session whose events pile up ends.
    ///
    /// # Errors
    /// There is no port, no socket, or the shard has too many commands waiting.
    pub fn open(&self, beside: Option<&Session>) -> Result<(Session, mpsc::Receiver<MediaEvent>), NoPort> {
        self.open_at(None, beside)
    }

    /// As [`Engine::open`]; an engine that receives on every address opens the session on `address`, if that
    /// is one of ours: the one by which the far end knows us.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn open_at(
        &self,
        address: Option<IpAddr>,
        beside: Option<&Session>,
    ) -> Result<(Session, mpsc::Receiver<MediaEvent>), NoPort> {
        let inner = &self.0;
        let shard = beside.map_or_else(|| inner.least_busy(), |session| session.shard);
        let door = inner.shards.get(shard).ok_or(NoPort::Congested)?;
        let pair = inner.pool.open(address)?;
        let local = pair.local;
        let (events, receiver) = mpsc::channel(EVENTS_MAX + 1);
        let last_word = events.clone().try_reserve_owned().map_err(|_| NoPort::Congested)?;
        let id = SessionId(inner.last_id.fetch_add(1, Ordering::Relaxed) + 1);
        let shared = Arc::new(Shared::default());
        let settings = session::Settings { silence: inner.settings.silence, inband: inner.settings.inband };
        let session = session::Session::new(settings, &mut inner.dice.lock().unwrap_or_else(PoisonError::into_inner));
        // On the unspecified address `connect` would also choose one of our own addresses, and not always
        // the one that the far end was told.
        let connects = !local.ip().is_unspecified();
        let member = Member::new(Parts { id, session, pair, events, last_word, shared: shared.clone(), connects });
        door.sessions.fetch_add(1, Ordering::Relaxed);
        match door.commands.try_send(ToShard::Open(Box::new(member))) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                door.sessions.fetch_sub(1, Ordering::Relaxed);
                return Err(NoPort::Congested);
            }
            Err(TrySendError::Disconnected(_)) => {
                // The thread is gone: let no new session choose it.
                door.sessions.store(GONE, Ordering::Relaxed);
                return Err(NoPort::Congested);
            }
        }
        let wanted = Mutex::new(Wanted::default());
        Ok((Session { engine: inner.clone(), shard, id, local, shared, wanted }, receiver))
    }

    /// Takes another prompt bank: plays asked for from now on use it, those under way go on with the old one.
    pub fn replace_prompts(&self, bank: PromptBank) {
        self.0.bank.store(Arc::new(bank));
    }

    /// Ends every session (with [`MediaEvent::Ended`]) and every thread.
    pub fn stop(&self) {
        for door in &self.0.shards {
            door.counters.stop.store(true, Ordering::Release);
            let _ = door.commands.try_send(ToShard::Stop);
        }
    }

    /// What each shard did so far.
    pub fn stats(&self) -> Vec<ShardStats> {
        self.0.shards.iter().map(|door| door.counters.read()).collect()
    }

    /// How many RTP port pairs are in use (0 where ports are ephemeral).
    pub fn ports_in_use(&self) -> usize {
        self.0.pool.in_use()
    }
}

impl Inner {
    fn least_busy(&self) -> usize {
        let busy = |index: &usize| self.shards[*index].sessions.load(Ordering::Relaxed);
        (0..self.shards.len()).min_by_key(busy).unwrap_or(0)
    }
}

fn start_shard(number: usize, clock: &Clock) -> io::Result<Door> {
    let (commands, inbox) = sync_channel(COMMANDS_MAX);
    let (sessions, counters) = (Arc::new(AtomicUsize::new(0)), Arc::new(Counters::default()));
    let shard = Shard::new(inbox, clock.clone(), sessions.clone(), counters.clone());
    std::thread::Builder::new().name(format!("media-{number}")).spawn(move || shard.run())?;
    Ok(Door { commands, sessions, counters })
}

/// What a session's handle and its shard share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// The handle was dropped.
    pub(crate) closed: AtomicBool,
    pub(crate) quality: super::quality::Gauges,
}

/// A media session: one party's RTP and RTCP ports and all that is sent and heard there. Dropping it closes
/// it, within 20 ms.
#[derive(Debug)]
pub struct Session {
    engine: Arc<Inner>,
    shard: usize,
    id: SessionId,
    local: SocketAddr,
    shared: Arc<Shared>,
    wanted: Mutex<Wanted>,
}

/// The shard takes no more commands now: it is far behind, or was shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the media thread takes no more commands now")]
pub struct Full;

/// What must be ready before the shard needs it: the clips asked for last, in the codec agreed last.
#[derive(Debug, Default)]
struct Wanted {
    codec: Option<Codec>,
    clips: Arc<[Arc<Clip>]>,
}

impl Session {
    /// Its name.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Where it receives RTP; RTCP comes to the port above.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The port on which it receives RTP.
    pub fn local_port(&self) -> u16 {
        self.local.port()
    }

    /// What is known of its packets.
    pub fn quality(&self) -> Quality {
        self.shared.quality.read()
    }

    /// Asks something of it. Never waits.
    ///
    /// # Errors
    /// Its shard has too many commands waiting, or was shut down.
    pub fn send(&self, command: MediaCommand) -> Result<(), Full> {
        let order = self.order(command);
        let door = self.engine.shards.get(self.shard).ok_or(Full)?;
        door.commands.try_send(ToShard::Order(self.id, order)).map_err(|_| Full)
    }

    fn order(&self, command: MediaCommand) -> Order {
        match command {
            MediaCommand::Remote(remote) => {
                let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
                wanted.codec = Some(remote.send.codec);
                wanted.prepare();
                Order::Remote(Box::new(remote))
            }
            MediaCommand::Play { token, prompts, repeat } => {
                let bank = self.engine.bank.load();
                let clips = prompts.iter().map(|spoken| {
                    bank.clip(spoken).cloned().unwrap_or_else(|| {
                        tracing::error!(prompt = %spoken, "there is no such recording: it is passed over");
                        Arc::new(Clip::new(8_000, Vec::new()))
                    })
                });
                Order::Play(self.prepared(clips.collect(), Some(token), repeat))
            }
            MediaCommand::PlayAudio { token, samples } => {
                let clip = Arc::new(Clip::new(8_000, samples.to_vec()));
                Order::Play(self.prepared(Arc::new([clip]), Some(token), false))
            }
            MediaCommand::Ringback => Order::Play(Playlist::new(sounds::ringback(), None, true)),
            MediaCommand::Stop => Order::Stop,
            MediaCommand::Bridge { peer } => Order::Bridge(peer),
            MediaCommand::Unbridge => Order::Unbridge,
            MediaCommand::SendKeys { keys, inband } => Order::SendKeys(keys, inband),
            MediaCommand::InfoKey(key) => Order::InfoKey(key),
            MediaCommand::Record(tap) => Order::Record(tap),
        }
    }

    fn prepared(&self, clips: Arc<[Arc<Clip>]>, token: Option<u32>, repeat: bool) -> Playlist {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.clips = clips.clone();
        wanted.prepare();
        Playlist::new(clips, token, repeat)
    }
}

impl Wanted {
    fn prepare(&self) {
        if let Some(codec) = self.codec {
            self.clips.iter().for_each(|clip| {
                clip.prepare(codec);
            });
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
