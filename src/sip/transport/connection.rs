//! The life of one TCP connection: bytes in, whole messages out; messages in, bytes out.
//!
//! A peer cannot make us wait for ever: a message that has begun must be whole within
//! [`Patience::message`], a new connection must say something whole within that time as well, a write must be
//! taken within it, and a connection on which nothing at all happens for [`Patience::idle`] is closed. What
//! cannot be framed ends the connection: after it there is no telling where the next message begins.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use crate::sip::agent::{Flow, Ticket};
use crate::sip::framing::{Broken, Frame, Framer, PONG};

/// Most messages that wait to be written to one connection; past it the peer does not read, and the
/// connection is closed.
pub(super) const WRITES_MAX: usize = 256;
/// How much is read at a time.
const READ: usize = 16 << 10;

/// How long a connection that cannot be read on waits for the core's refusal.
const REFUSAL: Duration = Duration::from_secs(1);

/// How long a peer may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a message that has begun, for the first one, and for taking what we write.
    pub message: Duration,
    /// For anything at all. Longer than half a session interval, so that a call keeps its connection.
    pub idle: Duration,
    /// For answering our SYN.
    pub connect: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { message: Duration::from_secs(10), idle: Duration::from_secs(32 * 60), connect: Duration::from_secs(4) }
    }
}

/// A message on its way out.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) bytes: Bytes,
    pub(super) ticket: Ticket,
}

/// What a connection tells the stack.
#[derive(Debug)]
pub enum Wire {
    /// Someone connected.
    Opened {
        /// The connection's number, our end and theirs.
        flow: Flow,
        /// The way to it.
        writer: Writer,
    },
    /// A connection that we asked for stands.
    Connected {
        /// The connection's number, our end and theirs.
        flow: Flow,
    },
    /// One whole message.
    Message {
        /// How it came.
        flow: Flow,
        /// The message.
        bytes: Bytes,
    },
    /// This message was not written.
    Unsent {
        /// The ticket of its [`Output::Send`](crate::sip::agent::Output::Send).
        ticket: Ticket,
    },
    /// The connection has ended; `flow` is `None` where it never stood.
    Closed {
        /// The connection's number.
        connection: u64,
        /// How it was known.
        flow: Option<Flow>,
    },
}

/// The way to a connection's task.
#[derive(Debug)]
pub struct Writer(pub(super) mpsc::Sender<Outgoing>);

/// One connection, as its own task sees it.
pub(super) struct Connection {
    pub(super) flow: Flow,
    pub(super) outgoing: mpsc::Receiver<Outgoing>,
    pub(super) wire: mpsc::Sender<Wire>,
    pub(super) patience: Patience,
}

/// Connects to `remote` and serves the connection until it ends.
pub(super) async fn connect(
    number: u64,
    remote: SocketAddr,
    mut outgoing: mpsc::Receiver<Outgoing>,
    wire: mpsc::Sender<Wire>,
    patience: Patience,
) {
    let connected = timeout(patience.connect, TcpStream::connect(remote)).await;
    let opened = match connected {
        Ok(Ok(stream)) => stream.local_addr().map(|local| (stream, local)),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    };
    match opened {
        Ok((stream, local)) => {
            let flow = Flow::Tcp { connection: number, local, remote };
            let _ = wire.send(Wire::Connected { flow }).await;
            Connection { flow, outgoing, wire, patience }.serve(stream).await;
        }
        Err(error) => {
            tracing::info!(%remote, %error, "TCP connect");
            let _ = wire.send(Wire::Closed { connection: number, flow: None }).await;
            give_back(&mut outgoing, &wire).await;
        }
    }
}

/// Tells the stack which messages were never written.
async fn give_back(outgoing: &mut mpsc::Receiver<Outgoing>, wire: &mpsc::Sender<Wire>) {
    outgoing.close();
    while let Some(Outgoing { ticket, .. }) = outgoing.recv().await {
        if ticket != 0 {
            let _ = wire.send(Wire::Unsent { ticket }).await;
        }
    }
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the peer closed it")]
    Eof,
    #[error("we closed it")]
    LetGo,
    #[error("the peer took too long")]
    Slow,
    #[error("what came cannot be framed: {0}")]
    Framing(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Connection {
    /// Reads and writes until the connection ends, and says so.
    pub(super) async fn serve(mut self, mut stream: TcpStream) {
        let end = match self.run(&mut stream).await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        tracing::debug!(remote = %self.flow.remote(), %end, "TCP connection ended");
        drop(stream);
        let Flow::Tcp { connection, .. } = self.flow else { return };
        let _ = self.wire.send(Wire::Closed { connection, flow: Some(self.flow) }).await;
        give_back(&mut self.outgoing, &self.wire).await;
    }

    async fn run(&mut self, stream: &mut TcpStream) -> Result<std::convert::Infallible, End> {
        let _ = stream.set_nodelay(true);
        let mut framer = Framer::new();
        let mut buffer = BytesMut::with_capacity(READ);
        let mut quiet_until = Instant::now() + self.patience.message;
        loop {
            // A message that has begun keeps the deadline it began with, however slowly it trickles.
            let until = framer.partial_since().map_or(quiet_until, |since| since + self.patience.message);
            tokio::select! {
                biased;
                outgoing = self.outgoing.recv() => {
                    self.write(stream, outgoing.ok_or(End::LetGo)?).await?;
                    quiet_until = Instant::now() + self.patience.idle;
                }
                read = stream.read_buf(&mut buffer) => {
                    if read? == 0 {
                        return Err(End::Eof);
                    }
                    framer.push(Instant::now(), &buffer.split());
                    buffer.reserve(READ);
                    if self.frames(stream, &mut framer).await? {
                        quiet_until = Instant::now() + self.patience.idle;
                    }
                }
                () = sleep_until(until) => return Err(End::Slow),
            }
        }
    }

    /// Hands on every whole message in what was read; whether there was one (or a keepalive).
    async fn frames(&mut self, stream: &mut TcpStream, framer: &mut Framer) -> Result<bool, End> {
        let mut whole = false;
        loop {
            match framer.next(Instant::now()) {
                Ok(Some(Frame::Message(bytes))) => self.hand_on(bytes).await?,
                Ok(Some(Frame::Ping)) => self.write_bytes(stream, PONG).await?,
                Ok(None) => return Ok(whole),
                Err(broken) => return Err(self.refuse(stream, broken).await),
            }
            whole = true;
        }
    }

    /// A stack that is behind lets the peer wait: TCP's own flow control.
    async fn hand_on(&self, bytes: Bytes) -> Result<(), End> {
        self.wire.send(Wire::Message { flow: self.flow, bytes }).await.map_err(|_| End::LetGo)
    }

    /// The last that is read of a stream that cannot be read on: where its head is whole, the core says what
    /// is wrong with it before we close.
    async fn refuse(&mut self, stream: &mut TcpStream, broken: Broken) -> End {
        let fault = broken.fault.to_string();
        if let Some(head) = broken.head
            && self.hand_on(head).await.is_ok()
            && let Ok(Some(refusal)) = timeout(REFUSAL, self.outgoing.recv()).await
        {
            let _ = self.write(stream, refusal).await;
        }
        End::Framing(fault)
    }

    async fn write(&self, stream: &mut TcpStream, Outgoing { bytes, ticket }: Outgoing) -> Result<(), End> {
        let written = self.write_bytes(stream, &bytes).await;
        if written.is_err() && ticket != 0 {
            let _ = self.wire.send(Wire::Unsent { ticket }).await;
        }
        written
    }

    async fn write_bytes(&self, stream: &mut TcpStream, bytes: &[u8]) -> Result<(), End> {
        match timeout(self.patience.message, stream.write_all(bytes)).await {
            Ok(written) => Ok(written?),
            Err(_) => Err(End::Slow),
        }
    }
}
