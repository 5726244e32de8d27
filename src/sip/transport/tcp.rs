//! TCP: listeners, and the table of open connections (RFC 3261 §18).
//!
//! Each connection has a task (see `connection`); what they read reaches the stack by one bounded channel.
//! A reply goes back by the connection its request came by; a request goes by a connection that is open to
//! its address, else by a new one.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::connection::{Connection, Outgoing, WRITES_MAX, connect};
pub use super::connection::{Patience, Wire, Writer};
use super::slots::{Places, Slots};
use crate::sip::agent::{Flow, Ticket};
use crate::sip::trunk::{self, Trunk};

/// Most messages read from TCP that wait for the stack; past it, connections are not read.
const WIRE_MAX: usize = 1024;
/// How long the door stays shut when the system has no more file descriptors.
const BREATH: Duration = Duration::from_millis(100);

/// The limits of TCP.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most connections in all. Past it a new one is closed at once, and we open none.
    pub connections: usize,
    /// Most connections with one source (one IPv6 /64).
    pub connections_per_source: usize,
    /// Most connections with sources that are no trunk's, together.
    pub connections_of_strangers: usize,
    /// How long a peer may take.
    pub patience: Patience,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 2048,
            connections_per_source: 128,
            connections_of_strangers: 256,
            patience: Patience::default(),
        }
    }
}

/// Every TCP connection of a stack, and the tasks that serve them; they end with it.
#[derive(Debug)]
pub struct Connections {
    open: HashMap<u64, Open>,
    by_remote: HashMap<SocketAddr, u64>,
    wire: mpsc::Sender<Wire>,
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Open {
    writer: mpsc::Sender<Outgoing>,
    remote: SocketAddr,
}

/// What the listeners and the table share.
#[derive(Debug)]
struct Shared {
    slots: Slots,
    last_number: AtomicU64,
    trunks: Vec<Trunk>,
    patience: Patience,
}

/// A message could not be handed to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotSent;

impl Connections {
    /// Listens on every address; port 0 asks for any free port. What is read comes out of the receiver, and
    /// every [`Wire`] is to be shown to [`Connections::note`]. Also gives the addresses, ports filled in.
    pub fn listen(
        listen: &[SocketAddr],
        trunks: &[Trunk],
        limits: Limits,
    ) -> io::Result<(Self, mpsc::Receiver<Wire>, Vec<SocketAddr>)> {
        let (wire, inbox) = mpsc::channel(WIRE_MAX);
        let places = Places {
            all: limits.connections,
            source: limits.connections_per_source,
            strangers: limits.connections_of_strangers,
        };
        let shared = Arc::new(Shared {
            slots: Slots::new(places),
            last_number: AtomicU64::new(0),
            trunks: trunks.to_vec(),
            patience: limits.patience,
        });
        let mut tasks = JoinSet::new();
        let mut locals = Vec::new();
        for address in listen {
            let listener = bind(*address)?;
            locals.push(listener.local_addr()?);
            tasks.spawn(accept(listener, shared.clone(), wire.clone()));
        }
        let connections = Self { open: HashMap::new(), by_remote: HashMap::new(), wire, shared, tasks };
        Ok((connections, inbox, locals))
    }

    /// Keeps the table: to be called with everything that comes out of the receiver.
    pub fn note(&mut self, wire: &Wire) {
        match wire {
            Wire::Opened { flow: Flow::Tcp { connection, remote, .. }, writer } => {
                self.open.insert(*connection, Open { writer: writer.0.clone(), remote: *remote });
                // The newest connection to an address is the one that most likely still stands.
                self.by_remote.insert(*remote, *connection);
            }
            Wire::Closed { connection, .. } => self.forget(*connection),
            Wire::Opened { .. } | Wire::Connected { .. } | Wire::Message { .. } | Wire::Unsent { .. } => {}
        }
        while self.tasks.try_join_next().is_some() {}
    }

    /// Sends by the connection with this number.
    pub fn send(&mut self, connection: u64, bytes: Bytes, ticket: Ticket) -> Result<(), NotSent> {
        let open = self.open.get(&connection).ok_or(NotSent)?;
        if open.writer.try_send(Outgoing { bytes, ticket }).is_err() {
            // It ended, or its peer does not read what we write: letting go of the writer closes it.
            self.forget(connection);
            return Err(NotSent);
        }
        Ok(())
    }

    /// Sends by a connection to `remote`: one that is open, else a new one. What a connection that cannot be
    /// made was to carry comes back as [`Wire::Unsent`].
    pub fn send_to(&mut self, remote: SocketAddr, bytes: Bytes, ticket: Ticket) -> Result<(), NotSent> {
        if let Some(connection) = self.by_remote.get(&remote).copied()
            && self.send(connection, bytes.clone(), ticket).is_ok()
        {
            return Ok(());
        }
        let slot = self.shared.slots.take(remote.ip(), false).ok_or(NotSent)?;
        let number = self.shared.next_number();
        let (writer, outgoing) = mpsc::channel(WRITES_MAX);
        let (wire, patience) = (self.wire.clone(), self.shared.patience);
        self.tasks.spawn(async move {
            connect(number, remote, outgoing, wire, patience).await;
            drop(slot);
        });
        self.open.insert(number, Open { writer, remote });
        self.by_remote.insert(remote, number);
        self.send(number, bytes, ticket)
    }

    /// How many connections are open or being opened.
    pub fn count(&self) -> usize {
        self.shared.slots.taken()
    }

    fn forget(&mut self, connection: u64) {
        let Some(open) = self.open.remove(&connection) else { return };
        if self.by_remote.get(&open.remote) == Some(&connection) {
            self.by_remote.remove(&open.remote);
        }
    }
}

impl Shared {
    fn next_number(&self) -> u64 {
        self.last_number.fetch_add(1, Ordering::Relaxed) + 1
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
        SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
    };
    if address.is_ipv6() {
        socket2::SockRef::from(&socket).set_only_v6(true)?;
    }
    // So that a restart does not wait for the old server's connections (TIME_WAIT); two listeners at a time
    // are still refused.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

/// Takes connections until the stack ends. Having no more file descriptors is survived: the ones that are
/// open go on, and the door opens again when some come back.
async fn accept(listener: TcpListener, shared: Arc<Shared>, wire: mpsc::Sender<Wire>) {
    let mut tasks = JoinSet::new();
    let mut shut = false;
    loop {
        while tasks.try_join_next().is_some() {}
        let (stream, remote) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                if !shut {
                    tracing::warn!(%error, "TCP: no connection can be taken now");
                }
                shut = true;
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        shut = false;
        let stranger = trunk::of_source(&shared.trunks, remote).is_none();
        let (Some(slot), Ok(local)) = (shared.slots.take(remote.ip(), stranger), stream.local_addr()) else {
            tracing::debug!(%remote, "TCP: too many connections");
            continue;
        };
        let flow = Flow::Tcp { connection: shared.next_number(), local, remote };
        let (writer, outgoing) = mpsc::channel(WRITES_MAX);
        if wire.send(Wire::Opened { flow, writer: Writer(writer) }).await.is_err() {
            return;
        }
        let connection = Connection { flow, outgoing, wire: wire.clone(), patience: shared.patience };
        tasks.spawn(async move {
            connection.serve(stream).await;
            drop(slot);
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_secs(5);
    const OPTIONS: &str = "OPTIONS sip:a SIP/2.0\r\nCall-ID: 1\r\nContent-Length: 4\r\n\r\nbody";

    struct Door {
        connections: Connections,
        inbox: mpsc::Receiver<Wire>,
        address: SocketAddr,
    }

    impl Door {
        fn new(limits: Limits) -> Self {
            let (connections, inbox, locals) =
                Connections::listen(&["127.0.0.1:0".parse().unwrap()], &[], limits).unwrap();
            Self { connections, inbox, address: locals[0] }
        }

        fn hasty() -> Self {
            let message = Duration::from_millis(150);
            let patience = Patience { message, idle: Duration::from_secs(60), connect: SOON };
            Self::new(Limits { patience, ..Limits::default() })
        }

        async fn next(&mut self) -> Wire {
            let wire = timeout(SOON, self.inbox.recv()).await.expect("in time").expect("open");
            self.connections.note(&wire);
            wire
        }

        async fn message(&mut self) -> (Flow, Bytes) {
            loop {
                if let Wire::Message { flow, bytes } = self.next().await {
                    return (flow, bytes);
                }
            }
        }

        async fn closed(&mut self) {
            while !matches!(self.next().await, Wire::Closed { .. }) {}
        }
    }

    async fn read(stream: &mut TcpStream, length: usize) -> Vec<u8> {
        let mut heard = vec![0; length];
        timeout(SOON, stream.read_exact(&mut heard)).await.expect("in time").unwrap();
        heard
    }

    #[tokio::test]
    async fn split_and_merged_messages_come_out_whole_and_replies_go_back() {
        let mut door = Door::new(Limits::default());
        let mut client = TcpStream::connect(door.address).await.unwrap();
        let both = format!("{OPTIONS}{OPTIONS}\r\n\r\n");
        for piece in both.as_bytes().chunks(7) {
            client.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        for _ in 0..2 {
            let (flow, bytes) = door.message().await;
            assert_eq!(bytes, OPTIONS);
            let Flow::Tcp { connection, .. } = flow else { panic!("{flow:?}") };
            door.connections.send(connection, Bytes::from_static(b"200"), 0).unwrap();
        }
        let heard = read(&mut client, 8).await;
        let text = String::from_utf8(heard).unwrap();
        assert!(text.contains("\r\n") && text.matches("200").count() == 2, "two replies and a pong: {text:?}");
        drop(client);
        door.closed().await;
        let gone = async {
            while door.connections.count() > 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(SOON, gone).await.expect("its place is free again");
    }

    #[tokio::test]
    async fn a_message_that_trickles_and_a_peer_that_says_nothing_are_cut_off() {
        let mut door = Door::hasty();
        let mut slow = TcpStream::connect(door.address).await.unwrap();
        let trickle = async {
            for byte in OPTIONS.bytes().take(70) {
                if slow.write_all(&[byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            biased;
            () = door.closed() => {}
            () = trickle => panic!("a message of 1.4 s was taken, with a patience of 0.15 s"),
        }
        let silent = TcpStream::connect(door.address).await.unwrap();
        door.closed().await;
        drop(silent);
    }

    #[tokio::test]
    async fn what_cannot_be_framed_closes_only_its_own_connection() {
        let mut door = Door::new(Limits::default());
        let mut good = TcpStream::connect(door.address).await.unwrap();
        let mut bad = TcpStream::connect(door.address).await.unwrap();
        bad.write_all(b"OPTIONS sip:a SIP/2.0\r\nContent-Length: -5\r\n\r\n").await.unwrap();
        door.closed().await;
        good.write_all(OPTIONS.as_bytes()).await.unwrap();
        assert_eq!(door.message().await.1, OPTIONS);
    }

    #[tokio::test]
    async fn one_source_has_only_so_many_connections() {
        let mut door = Door::new(Limits { connections_per_source: 2, ..Limits::default() });
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(TcpStream::connect(door.address).await.unwrap());
        }
        door.next().await;
        door.next().await;
        let end = timeout(SOON, clients[2].read(&mut [0; 8])).await.expect("in time");
        assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    }

    #[tokio::test]
    async fn we_connect_once_and_use_the_connection_again() {
        let mut far = Door::new(Limits::default());
        let mut door = Door::new(Limits::default());
        for _ in 0..2 {
            door.connections.send_to(far.address, Bytes::from_static(OPTIONS.as_bytes()), 7).unwrap();
        }
        let (first, second) = (far.message().await, far.message().await);
        assert_eq!(first.0, second.0);
        assert_eq!(door.connections.count(), 1);
    }

    #[tokio::test]
    async fn what_a_dead_address_was_to_carry_comes_back() {
        let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut door = Door::new(Limits::default());
        door.connections.send_to(dead, Bytes::from_static(OPTIONS.as_bytes()), 42).unwrap();
        loop {
            if let Wire::Unsent { ticket } = door.next().await {
                assert_eq!(ticket, 42);
                break;
            }
        }
    }
}
