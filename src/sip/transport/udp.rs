//! UDP: the sockets themselves, read and written by the stack's own task.
//!
//! There is no task between a datagram and the SIP core: one wake reads up to [`BATCH_MAX`] datagrams, and a
//! reply leaves by the socket its request came to (RFC 3261 §18.2.2). A datagram that the kernel cannot take
//! at once is dropped and counted: SIP over UDP repeats what matters (timers A, E and G).

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::Poll;

use bytes::Bytes;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

/// Most datagrams read in one wake, so that timers and commands get their turn.
pub const BATCH_MAX: usize = 64;
/// What we ask the kernel to hold for us (it may give less): some 4,000 INVITEs.
const RECEIVE_BUFFER: usize = 4 << 20;
/// The largest datagram there is.
const DATAGRAM_MAX: usize = 65_535;

/// Every UDP socket of a stack.
#[derive(Debug)]
pub struct Sockets {
    sockets: Vec<Listening>,
    /// The socket to be read first: they take turns.
    turn: usize,
    buffer: Box<[u8]>,
}

#[derive(Debug)]
struct Listening {
    socket: UdpSocket,
    local: SocketAddr,
}

/// One datagram.
#[derive(Debug)]
pub struct Datagram {
    /// The socket it came to.
    pub local: SocketAddr,
    /// Who sent it.
    pub remote: SocketAddr,
    /// What it says.
    pub bytes: Bytes,
}

impl Sockets {
    /// Binds every address; port 0 asks for any free port. An address in use is an error: two servers never
    /// share a port, because each would miss half of its dialogs.
    pub fn bind(listen: &[SocketAddr]) -> io::Result<Self> {
        let sockets = listen.iter().map(|address| Listening::bind(*address)).collect::<io::Result<_>>()?;
        Ok(Self { sockets, turn: 0, buffer: vec![0; DATAGRAM_MAX].into_boxed_slice() })
    }

    /// The addresses we listen on, ports filled in.
    pub fn locals(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.sockets.iter().map(|listening| listening.local)
    }

    /// Waits until some socket has a datagram. Never returns where there is no socket.
    pub async fn readable(&self) {
        poll_fn(|cx| {
            let ready = |listening: &Listening| listening.socket.poll_recv_ready(cx).is_ready();
            if self.sockets.iter().map(ready).fold(false, |any, one| any | one) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// Reads at most [`BATCH_MAX`] datagrams into `batch`, the sockets taking turns.
    pub fn receive(&mut self, batch: &mut Vec<Datagram>) {
        let count = self.sockets.len();
        let mut silent = 0;
        while batch.len() < BATCH_MAX && silent < count {
            let Some(Listening { socket, local }) = self.sockets.get(self.turn % count) else { return };
            match socket.try_recv_from(&mut self.buffer) {
                Ok((length, remote)) => {
                    silent = 0;
                    let bytes = Bytes::copy_from_slice(&self.buffer[..length]);
                    batch.push(Datagram { local: *local, remote, bytes });
                    // A busy socket keeps its turn for the batch; the next batch begins with its neighbour.
                    continue;
                }
                // An ICMP error of an earlier send comes back here as an error (RFC 1122 §4.1.3.3): SIP's own
                // timers find out; the socket is as good as before. WouldBlock means it is empty.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => silent += 1,
                Err(error) => {
                    tracing::debug!(%local, %error, "UDP receive");
                    silent += 1;
                }
            }
            self.turn = self.turn.wrapping_add(1);
        }
        self.turn = self.turn.wrapping_add(1);
    }

    /// Sends one datagram from the socket bound to `local`, or, where none is (or `None`), from one that can
    /// reach `remote`.
    pub fn send(&self, local: Option<SocketAddr>, remote: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        let socket = local
            .and_then(|local| self.sockets.iter().find(|listening| listening.local == local))
            .or_else(|| self.sockets.iter().find(|listening| listening.reaches(remote)))
            .ok_or_else(|| io::Error::new(io::ErrorKind::AddrNotAvailable, "no UDP socket of that family"))?;
        socket.socket.try_send_to(bytes, remote).map(|_| ())
    }
}

impl Listening {
    fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // The kernel's own limit (net.core.rmem_max) may cut it short; that is no reason not to serve.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        let _ = socket.set_send_buffer_size(RECEIVE_BUFFER);
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        let local = socket.local_addr()?;
        Ok(Self { socket, local })
    }

    /// Whether a datagram to `remote` can leave here: same family, and loopback only from loopback or any.
    fn reaches(&self, remote: SocketAddr) -> bool {
        let own = self.local.ip();
        self.local.is_ipv4() == remote.is_ipv4()
            && (own.is_unspecified() || own.is_loopback() == remote.ip().is_loopback())
    }
}

/// The address of ours that `remote` sees: `local` itself, or, where we listen on every address, the one the
/// kernel's routes give (asked by connecting a socket, which sends nothing).
pub fn seen_by(local: SocketAddr, remote: SocketAddr) -> std::net::IpAddr {
    if !local.ip().is_unspecified() {
        return local.ip();
    }
    let any: SocketAddr = match remote {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    std::net::UdpSocket::bind(any)
        .and_then(|socket| socket.connect(remote).and_then(|()| socket.local_addr()))
        .map_or(local.ip(), |address| address.ip())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn heard(sockets: &mut Sockets) -> Vec<Datagram> {
        tokio::time::timeout(Duration::from_secs(5), sockets.readable()).await.expect("a datagram in time");
        let mut batch = Vec::new();
        sockets.receive(&mut batch);
        batch
    }

    #[tokio::test]
    async fn a_reply_leaves_by_the_socket_the_request_came_to() {
        let any = "127.0.0.1:0".parse().unwrap();
        let mut server = Sockets::bind(&[any, any]).unwrap();
        let locals: Vec<_> = server.locals().collect();
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        for local in locals {
            client.send_to(b"question", local).await.unwrap();
            let datagram = loop {
                if let Some(datagram) = heard(&mut server).await.pop() {
                    break datagram;
                }
            };
            assert_eq!(datagram.local, local);
            server.send(Some(datagram.local), datagram.remote, b"answer").unwrap();
            let mut buffer = [0; 32];
            let (length, from) =
                tokio::time::timeout(Duration::from_secs(5), client.recv_from(&mut buffer)).await.unwrap().unwrap();
            assert_eq!((&buffer[..length], from), (&b"answer"[..], local));
        }
    }

    #[tokio::test]
    async fn a_wake_reads_a_bounded_batch_and_serves_both_families() {
        let mut server = Sockets::bind(&["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()]).unwrap();
        let locals: Vec<_> = server.locals().collect();
        let four = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let six = std::net::UdpSocket::bind("[::1]:0").unwrap();
        for _ in 0..BATCH_MAX + 10 {
            four.send_to(b"4", locals[0]).unwrap();
        }
        six.send_to(b"6", locals[1]).unwrap();
        assert_eq!(heard(&mut server).await.len(), BATCH_MAX);
        let rest = heard(&mut server).await;
        assert_eq!(rest.len(), 11);
        assert!(rest.iter().any(|datagram| datagram.remote.is_ipv6()));
    }

    #[tokio::test]
    async fn two_servers_never_share_a_port() {
        let first = Sockets::bind(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        let taken: Vec<_> = first.locals().collect();
        assert_eq!(Sockets::bind(&taken).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn a_wildcard_is_seen_under_the_address_that_routes_give() {
        let wildcard = "0.0.0.0:5060".parse().unwrap();
        assert_eq!(seen_by(wildcard, "127.0.0.1:9".parse().unwrap()), Ipv4Addr::LOCALHOST);
        let own = "127.0.0.5:5060".parse().unwrap();
        assert_eq!(seen_by(own, "127.0.0.1:9".parse().unwrap()).to_string(), "127.0.0.5");
    }
}
