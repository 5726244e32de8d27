//! The pool of RTP/RTCP port pairs.
//!
//! A pair is an even port for RTP and the odd one above it for RTCP (RFC 3550 §11). A pair that was given back
//! rests a while before it is used again, so that late packets of the former call do not reach the next one.
//! The pool is a table of atomics: giving back happens on a media thread, which never waits for a lock.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::terms::clock::{Clock, Instant};

/// Which ports RTP may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortRange {
    /// Pairs between these two ports, both included.
    Between {
        /// The lowest port.
        first: u16,
        /// The highest port.
        last: u16,
    },
    /// Whatever the system gives: for tests and for a caller's own calls, where no firewall needs to know.
    Ephemeral,
}

/// Why no session could be opened.
#[derive(Debug, thiserror::Error)]
pub enum NoPort {
    /// Every pair is in use or resting.
    #[error("every RTP port pair of the range is in use or rests after use")]
    Exhausted,
    /// The system gives no socket (e.g. too many open files).
    #[error("no RTP socket could be opened: {0}")]
    Socket(#[from] io::Error),
    /// The media thread has more commands waiting than it takes, or was shut down.
    #[error("the media thread takes no more sessions now")]
    Congested,
}

/// How many pairs are tried, when other programs hold some of them, before a call is refused.
const TRIES_MAX: usize = 64;

/// In use. Smaller values are the millisecond (of the pool's life) from which a pair may be used.
const LEASED: u64 = u64::MAX;

/// The pool; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct PortPool(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    address: IpAddr,
    first: u16,
    free_from_ms: Box<[AtomicU64]>,
    cursor: AtomicUsize,
    quarantine: Duration,
    dscp: u8,
    clock: Clock,
    start: Instant,
}

/// A pair's two sockets and the hold on its ports.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) rtp: UdpSocket,
    pub(crate) rtcp: UdpSocket,
    /// Where RTP is received.
    pub(crate) local: SocketAddr,
    _lease: Option<Lease>,
}

#[derive(Debug)]
struct Lease {
    pool: Arc<Pool>,
    index: usize,
}

impl PortPool {
    /// A pool on `address`. Packets are marked with `dscp` (RFC 2474), e.g. 46 for voice.
    pub(crate) fn new(address: IpAddr, range: PortRange, quarantine: Duration, dscp: u8, clock: Clock) -> Self {
        let (first, pairs) = match range {
            PortRange::Ephemeral => (0, 0),
            PortRange::Between { first, last } => {
                let even = first.saturating_add(first % 2);
                (even, usize::from((last.saturating_sub(even)).saturating_add(1) / 2))
            }
        };
        let free_from_ms = (0..pairs).map(|_| AtomicU64::new(0)).collect();
        let start = clock.now();
        let cursor = AtomicUsize::new(0);
        Self(Arc::new(Pool { address, first, free_from_ms, cursor, quarantine, dscp, clock, start }))
    }

    /// Takes a pair and opens its sockets on the pool's address; where that is every address (`0.0.0.0`, `::`),
    /// on `wanted`, if it is one of ours: a socket on one address can be joined to its peer.
    pub(crate) fn open(&self, wanted: Option<IpAddr>) -> Result<Pair, NoPort> {
        match wanted.filter(|_| self.0.address.is_unspecified()) {
            None => self.open_on(self.0.address),
            Some(wanted) => match self.open_on(wanted) {
                Err(NoPort::Socket(error)) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                    self.open_on(self.0.address)
                }
                opened => opened,
            },
        }
    }

    fn open_on(&self, address: IpAddr) -> Result<Pair, NoPort> {
        if self.0.free_from_ms.is_empty() {
            return if self.0.first == 0 { self.0.open_ephemeral(address) } else { Err(NoPort::Exhausted) };
        }
        for _ in 0..TRIES_MAX {
            let lease = Lease::take(&self.0).ok_or(NoPort::Exhausted)?;
            let port = self.0.first + 2 * lease.index as u16;
            match self.0.bind_pair(address, port) {
                Ok((rtp, rtcp)) => {
                    let local = SocketAddr::new(address, port);
                    return Ok(Pair { rtp, rtcp, local, _lease: Some(lease) });
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(NoPort::Exhausted)
    }

    /// How many pairs are in use.
    pub(crate) fn in_use(&self) -> usize {
        self.0.free_from_ms.iter().filter(|pair| pair.load(Ordering::Relaxed) == LEASED).count()
    }
}

impl Pool {
    /// The system names a port, then the pair is bound by number: a socket bound by number keeps its port
    /// when it is parted from a peer (`connect` to nobody), one bound to 0 does not.
    fn open_ephemeral(&self, address: IpAddr) -> Result<Pair, NoPort> {
        let mut last_error = None;
        for _ in 0..TRIES_MAX {
            let port = self.bind(address, 0)?.local_addr()?.port() & !1;
            match self.bind_pair(address, port) {
                Ok((rtp, rtcp)) => {
                    return Ok(Pair { rtp, rtcp, local: SocketAddr::new(address, port), _lease: None });
                }
                Err(error) => last_error = Some(error),
            }
        }
        Err(last_error.map_or(NoPort::Exhausted, NoPort::Socket))
    }

    fn bind_pair(&self, address: IpAddr, port: u16) -> io::Result<(UdpSocket, UdpSocket)> {
        Ok((self.bind(address, port)?, self.bind(address, port + 1)?))
    }

    fn bind(&self, address: IpAddr, port: u16) -> io::Result<UdpSocket> {
        let address = SocketAddr::new(address, port);
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        let class = u32::from(self.dscp) << 2;
        // A network that forbids marking still carries voice.
        let _ = if address.is_ipv4() { socket.set_tos_v4(class) } else { socket.set_tclass_v6(class) };
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        Ok(socket.into())
    }

    fn now_ms(&self) -> u64 {
        self.clock.now().duration_since(self.start).as_millis() as u64
    }
}

impl Lease {
    /// The next free pair after the one taken last, so that each rests as long as it can.
    fn take(pool: &Arc<Pool>) -> Option<Self> {
        let (now, pairs) = (pool.now_ms(), pool.free_from_ms.len());
        let start = pool.cursor.fetch_add(1, Ordering::Relaxed);
        (0..pairs).map(|step| (start.wrapping_add(step)) % pairs).find_map(|index| {
            let pair = &pool.free_from_ms[index];
            let free_from = pair.load(Ordering::Acquire);
            let taken = free_from <= now
                && pair.compare_exchange(free_from, LEASED, Ordering::AcqRel, Ordering::Relaxed).is_ok();
            taken.then(|| Self { pool: pool.clone(), index })
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let free_from = self.pool.now_ms() + self.pool.quarantine.as_millis() as u64;
        self.pool.free_from_ms[self.index].store(free_from, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// A short range that is free just now.
    fn pool(pairs: u16, quarantine: Duration) -> PortPool {
        let free = PortPool::new(LOOPBACK, PortRange::Ephemeral, quarantine, 46, Clock::system());
        let first = free.open(None).unwrap().local.port().min(60_000);
        let range = PortRange::Between { first, last: first + 2 * pairs - 1 };
        PortPool::new(LOOPBACK, range, quarantine, 46, Clock::system())
    }

    #[test]
    fn rtp_is_even_and_rtcp_the_odd_port_above() {
        for range in [PortRange::Ephemeral, PortRange::Between { first: 21_001, last: 21_999 }] {
            let pool = PortPool::new(LOOPBACK, range, Duration::ZERO, 46, Clock::system());
            let pair = pool.open(None).unwrap();
            assert_eq!(pair.local.port() % 2, 0);
            assert_eq!(pair.rtcp.local_addr().unwrap().port(), pair.local.port() + 1);
        }
    }

    #[test]
    fn an_exhausted_range_says_so_and_a_dropped_pair_comes_back() {
        let pool = pool(3, Duration::ZERO);
        let mut held = Vec::new();
        while let Ok(pair) = pool.open(None) {
            held.push(pair);
        }
        assert!((1..=3).contains(&held.len()) && pool.in_use() == held.len());
        assert!(matches!(pool.open(None), Err(NoPort::Exhausted)));
        drop(held);
        assert_eq!(pool.in_use(), 0);
        assert!(pool.open(None).is_ok());
    }

    #[test]
    fn a_pair_rests_before_it_is_used_again() {
        let pool = pool(2, Duration::from_secs(60));
        while let Ok(pair) = pool.open(None) {
            drop(pair);
        }
        assert_eq!(pool.in_use(), 0, "nothing is in use, yet nothing may be taken");
    }

    #[test]
    fn an_empty_range_is_exhausted_at_once() {
        let range = PortRange::Between { first: 40_001, last: 40_001 };
        let pool = PortPool::new(LOOPBACK, range, Duration::ZERO, 46, Clock::system());
        assert!(matches!(pool.open(None), Err(NoPort::Exhausted)));
    }
}
