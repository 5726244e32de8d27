//! The stack: SIP with sockets and a clock.
//!
//! ```text
//!           ┌───────────────────── one task (task.rs) ─────────────────────┐
//! UDP ◀───▶ │ sockets ─ bytes ─▶ Agent (sans-IO) ─ events ─▶ a bounded      │ ──▶ Call::events
//! TCP ◀───▶ │ connections        ▲    │                      queue a call   │
//! DNS ◀───▶ │ resolver           │    └▶ what is to be sent                 │ ──▶ calls that come in
//!           │                    └── commands, one bounded queue            │ ◀── Handle, Stack::dial
//!           └───────────────────────────────────────────────────────────────┘
//! ```
//!
//! A [`Call`] is one leg: commands go by its [`Handle`], what happens comes by its events. Dropping the
//! handle ends the leg, whatever its stage: a caller who was not answered is refused, a line that rings is
//! cancelled, a conversation is hung up. A leg whose events are not read is ended rather than let grow.

mod task;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::agent::{self, Agent, Census, Command, Dial, DialogEvent, DialogId, Incoming, Listener, Target, Transport};
use super::grammar::uri::Uri;
use super::resolve::{self, Resolver};
use super::transport::{lag, tcp, udp};
use crate::terms::clock::Clock;
use crate::terms::dice::Dice;
use task::{Ask, Task};

/// Most events that wait for the owner of a leg. Past it the leg ends with
/// [`Cause::Internal`](crate::terms::cause::Cause::Internal).
pub const EVENTS_MAX: usize = 32;
/// Most commands of all legs that wait for the stack; past it whoever commands waits, and dialling is refused.
pub const ASKS_MAX: usize = 4096;
/// Most calls that wait to be taken out of the receiver; past it callers are refused with 503.
pub const CALLS_MAX: usize = 1024;

/// What a stack is told once.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// UDP addresses to listen on; port 0 takes any free port. At least one of these or of `tcp`.
    pub udp: Vec<SocketAddr>,
    /// TCP addresses to listen on.
    pub tcp: Vec<SocketAddr>,
    /// The address others reach us by, where it is not the one we listen on (NAT). Not told to peers on
    /// this machine.
    pub advertised: Option<IpAddr>,
    /// The agent's; its listeners are filled in here.
    pub agent: agent::Settings,
    /// The resolver's.
    pub resolver: resolve::Settings,
    /// The limits of TCP.
    pub tcp_limits: tcp::Limits,
}

/// A stack could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no address to listen on.
    #[error("SIP needs an address to listen on, e.g. 127.0.0.1:5060")]
    Deaf,
    /// An address cannot be listened on.
    #[error("SIP cannot listen on {address} ({transport}): {source}")]
    Bind {
        /// UDP or TCP.
        transport: &'static str,
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// Too much is going on: dial again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the SIP stack takes no more calls now")]
pub struct Congested;

/// The stack has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the SIP stack has ended")]
pub struct Gone;

/// The handle of a stack; clones share it. It ends when the last handle, of the stack or of a leg, is gone
/// and what it owed the network is said.
#[derive(Clone, Debug)]
pub struct Stack {
    asks: mpsc::Sender<Ask>,
    let_go: mpsc::Sender<DialogId>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    last_dialog: AtomicU64,
    listeners: Vec<Listener>,
    advertised: Option<IpAddr>,
    resolver: Arc<Resolver>,
}

/// One leg.
#[derive(Debug)]
pub struct Call {
    /// What the caller said; `None` where we dialled.
    pub incoming: Option<Incoming>,
    /// Our address as this caller sees it, for the SDP; for a call we made, see [`Stack::address_towards`].
    pub address: IpAddr,
    /// The way to it. Dropping it ends the leg.
    pub handle: Handle,
    /// What happens to it: the last is always [`DialogEvent::Ended`].
    pub events: mpsc::Receiver<DialogEvent>,
}

/// The way to a leg. Dropping it ends the leg.
#[derive(Debug)]
pub struct Handle {
    dialog: DialogId,
    asks: mpsc::Sender<Ask>,
    /// A place in the queue of those that are let go, taken in advance: letting go never fails.
    let_go: Option<mpsc::OwnedPermit<DialogId>>,
}

/// What a stack holds and has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// What the agent holds.
    pub census: Census,
    /// Legs whose handle is held.
    pub legs: usize,
    /// TCP connections.
    pub connections: usize,
    /// Datagrams read.
    pub datagrams_in: u64,
    /// Datagrams sent.
    pub datagrams_out: u64,
    /// Datagrams that the kernel did not take.
    pub datagrams_unsent: u64,
    /// How long a datagram waited for us, as last measured.
    pub lag: Duration,
}

impl Stack {
    /// Listens and starts. Calls that come in are taken out of the receiver.
    ///
    /// # Errors
    /// There is no address to listen on, or one that cannot be had.
    pub async fn start(
        settings: Settings,
        clock: Clock,
        mut dice: Dice,
    ) -> Result<(Self, mpsc::Receiver<Call>), StartError> {
        let Settings { udp, tcp, advertised, agent: mut agent_settings, resolver: mut resolving, tcp_limits } =
            settings;
        if udp.is_empty() && tcp.is_empty() {
            return Err(StartError::Deaf);
        }
        let (udp, tcp) = (of_this_machine(udp), of_this_machine(tcp));
        let failed = |transport, listen: &[SocketAddr], source| StartError::Bind {
            transport,
            address: listen.first().copied().unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0))),
            source,
        };
        let sockets = udp::Sockets::bind(&udp).map_err(|error| failed("UDP", &udp, error))?;
        let tcp = beside(&tcp, &sockets);
        let (connections, wire, tcp_locals) = tcp::Connections::listen(&tcp, &agent_settings.trunks, tcp_limits)
            .map_err(|error| failed("TCP", &tcp, error))?;
        let listeners = listeners(&sockets, &tcp_locals, advertised);
        agent_settings.listeners.clone_from(&listeners);
        resolving.families.v4 &= listeners.iter().any(|listener| listener.local.is_ipv4());
        resolving.families.v6 &= listeners.iter().any(|listener| listener.local.is_ipv6());
        let (asks, asked) = mpsc::channel(ASKS_MAX);
        // An ended leg keeps its place until its owner lets go of it.
        let (let_go, gone) = mpsc::channel(agent_settings.limits.calls.saturating_mul(2).clamp(16, 1 << 20));
        let (calls, receiver) = mpsc::channel(CALLS_MAX);
        let resolver = Arc::new(Resolver::new(resolving));
        let shared = Arc::new(Shared { last_dialog: AtomicU64::new(0), listeners, advertised, resolver });
        let task = Task {
            agent: Agent::new(clock.now(), agent_settings, dice.split()),
            clock,
            sockets,
            connections,
            wire,
            probe: lag::Probe::new(&mut dice),
            dice,
            asks: asks.downgrade(),
            asked,
            let_go: let_go.clone(),
            gone,
            calls,
            legs: std::collections::HashMap::new(),
            lookups: tokio::task::JoinSet::new(),
            shared: shared.clone(),
            batch: Vec::with_capacity(udp::BATCH_MAX),
            arrived_at: None,
            closing: None,
            stats: Stats::default(),
        };
        tokio::spawn(task.run());
        Ok((Self { asks, let_go, shared }, receiver))
    }

    /// Where we listen, ports filled in.
    pub fn listeners(&self) -> &[Listener] {
        &self.shared.listeners
    }

    /// Where we listen by `transport`: the first such address.
    pub fn local(&self, transport: Transport) -> Option<SocketAddr> {
        self.shared.listeners.iter().find(|listener| listener.transport == transport).map(|listener| listener.local)
    }

    /// Calls someone. What becomes of it comes by the call's events.
    ///
    /// # Errors
    /// Too much is waiting already.
    pub async fn dial(&self, dial: Dial) -> Result<Call, Congested> {
        let address = self.address_towards(&dial.targets);
        let dialog = DialogId(self.shared.last_dialog.fetch_add(1, Ordering::Relaxed) + 1);
        let permit = self.let_go.clone().try_reserve_owned().map_err(|_| Congested)?;
        let (leg, events) = task::Leg::new().ok_or(Congested)?;
        self.asks.try_send(Ask::Dial { dialog, dial: Box::new(dial), leg }).map_err(|_| Congested)?;
        let handle = Handle { dialog, asks: self.asks.clone(), let_go: Some(permit) };
        Ok(Call { incoming: None, address, handle, events })
    }

    /// Our address as the first of `targets` (SIP URIs) sees it, for the SDP of an offer.
    pub fn address_towards(&self, targets: &[String]) -> IpAddr {
        let place = targets.iter().find_map(|target| self.shared.known_place(target));
        self.shared.address_towards(None, place)
    }

    /// Takes no new calls (they get 503), or takes them again; calls that are up go on.
    pub async fn drain(&self, draining: bool) {
        let _ = self.asks.send(Ask::Draining(draining)).await;
    }

    /// What it holds and has done so far; `None` when it has ended.
    pub async fn stats(&self) -> Option<Stats> {
        let (reply, answer) = oneshot::channel();
        self.asks.send(Ask::Stats(reply)).await.ok()?;
        answer.await.ok()
    }
}

impl Handle {
    /// The leg's name in the stack.
    pub fn dialog(&self) -> DialogId {
        self.dialog
    }

    /// Asks something of the leg; waits while the stack has [`ASKS_MAX`] of these before it. What no longer
    /// fits (the leg has ended meanwhile) is dropped.
    ///
    /// # Errors
    /// The stack has ended.
    pub async fn send(&self, command: Command) -> Result<(), Gone> {
        self.asks.send(Ask::Command { dialog: self.dialog, command }).await.map_err(|_| Gone)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(permit) = self.let_go.take() {
            permit.send(self.dialog);
        }
    }
}

/// Leaves out addresses that this machine does not have, as `::1` where there is no IPv6, as long as others
/// remain: half a front door is better than none. Where none remains, binding says what is wrong.
fn of_this_machine(listen: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let is_ours = |address: &SocketAddr| match std::net::UdpSocket::bind((address.ip(), 0)) {
        Ok(_) => true,
        Err(error) => {
            tracing::warn!(%address, %error, "SIP cannot listen here: this machine has no such address");
            false
        }
    };
    let ours: Vec<SocketAddr> = listen.iter().copied().filter(is_ours).collect();
    if ours.is_empty() { listen } else { ours }
}

impl Shared {
    /// Our address as `remote` sees it, on the socket bound to `local` or on any.
    fn address_towards(&self, local: Option<SocketAddr>, remote: Option<SocketAddr>) -> IpAddr {
        let of_family = |v4: bool| self.listeners.iter().find(|listener| listener.local.is_ipv4() == v4);
        let usual = || self.listeners.first().map_or(IpAddr::from([127, 0, 0, 1]), |known| known.advertised.ip());
        let Some(remote) = remote else { return usual() };
        if let Some(advertised) = self.advertised
            && !remote.ip().is_loopback()
            && advertised.is_ipv4() == remote.is_ipv4()
        {
            return advertised;
        }
        match local.or_else(|| of_family(remote.is_ipv4()).map(|listener| listener.local)) {
            Some(local) => udp::seen_by(local, remote),
            None => usual(),
        }
    }

    /// Where a URI leads, if that can be said without asking anyone.
    fn known_place(&self, target: &str) -> Option<SocketAddr> {
        let uri = Uri::parse(target.as_bytes()).ok()?;
        let sip = uri.as_sip()?;
        let target = Target { host: sip.host.to_string(), port: sip.port, transport: None };
        self.resolver.at_once(&target)?.first().map(agent::Destination::address)
    }
}

/// TCP addresses with port 0 take the port of a UDP socket on the same address, so that one SIP URI means
/// both.
fn beside(tcp: &[SocketAddr], sockets: &udp::Sockets) -> Vec<SocketAddr> {
    let port = |address: &SocketAddr| {
        let same = sockets.locals().find(|local| address.port() == 0 && local.ip() == address.ip());
        same.unwrap_or(*address)
    };
    tcp.iter().map(port).collect()
}

fn listeners(sockets: &udp::Sockets, tcp: &[SocketAddr], advertised: Option<IpAddr>) -> Vec<Listener> {
    let udp = sockets.locals().map(|local| (Transport::Udp, local));
    let tcp = tcp.iter().map(|local| (Transport::Tcp, *local));
    let listener = |(transport, local): (Transport, SocketAddr)| {
        let fits = advertised.filter(|address| address.is_ipv4() == local.is_ipv4() && !local.ip().is_loopback());
        let ip = fits.unwrap_or_else(|| usual_address(local));
        Listener { transport, local, advertised: SocketAddr::new(ip, local.port()) }
    };
    udp.chain(tcp).map(listener).collect()
}

/// Of a socket on every address: the one that leads out into the world, or loopback where none does. (No
/// packet is sent to the documentation address.)
fn usual_address(local: SocketAddr) -> IpAddr {
    let (outside, own): (SocketAddr, IpAddr) = match local {
        SocketAddr::V4(_) => (([192, 0, 2, 1], 9).into(), [127, 0, 0, 1].into()),
        SocketAddr::V6(_) => (([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 9).into(), IpAddr::from([0u16, 0, 0, 0, 0, 0, 0, 1])),
    };
    let seen = udp::seen_by(local, outside);
    if seen.is_unspecified() { own } else { seen }
}

#[cfg(test)]
mod tests;
