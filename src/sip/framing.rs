//! Cutting a byte stream into messages (RFC 3261 §18.3, RFC 5626 §3.5.1).
//!
//! On a stream only Content-Length says where a message ends. Whoever gets it wrong could make us read a body as
//! the next request, so a stream with a length that is missing, not a number, contradicted or too large is broken
//! for good, and that connection alone is closed.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr_iter;

use super::message::MESSAGE_BYTES_MAX;
use super::parse::{Lines, header_field};
use super::text::number;
use crate::terms::clock::Instant;

/// The longest head (start line and headers) we take from a stream, in bytes; a longer one breaks the stream.
pub const HEAD_BYTES_MAX: usize = 32 * 1024;

/// What a stream holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The bytes of one whole message, for [`Message::parse`](super::message::Message::parse).
    Message(Bytes),
    /// A keepalive: to be answered with [`PONG`].
    Ping,
}

/// What a keepalive is answered with.
pub const PONG: &[u8] = b"\r\n";

/// A stream that cannot be read any further.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct Broken {
    /// What is wrong.
    pub fault: FramingFault,
    /// The head at fault, where it was whole: given to the core it is refused with a 400 before the close.
    pub head: Option<Bytes>,
}

/// Why a stream cannot be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FramingFault {
    /// No Content-Length.
    #[error("no Content-Length")]
    NoLength,
    /// A Content-Length that is not a number: negative, signed, too many digits, empty.
    #[error("Content-Length is not a number")]
    BadLength,
    /// Two Content-Lengths that differ.
    #[error("Content-Length stands twice and differs")]
    TwoLengths,
    /// A message longer than [`MESSAGE_BYTES_MAX`].
    #[error("a message longer than 64 KiB")]
    MessageTooLong,
    /// A head longer than [`HEAD_BYTES_MAX`].
    #[error("a head longer than 32 KiB")]
    HeadTooLong,
}

/// The framer of one connection. Push what was read, then take frames until there are none.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: BytesMut,
    /// How much of the buffer is known to hold no end of a head.
    searched: usize,
    /// How long the message at the front is, once its head is whole.
    whole: Option<usize>,
    /// When the first byte of the message at the front came.
    since: Option<Instant>,
    broken: Option<Broken>,
}

impl Framer {
    /// A framer for a new connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what was read at `now`. It is the reader's part to read no more than a bounded piece at a time and
    /// to take all frames before the next piece; the buffer then never exceeds one message and one piece.
    pub fn push(&mut self, now: Instant, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        self.note_partial(now);
    }

    /// The next frame; `None` until more bytes come. `now` dates the beginning of whatever stays behind.
    ///
    /// # Errors
    /// [`Broken`] when the stream cannot be read any further; it stays so.
    pub fn next(&mut self, now: Instant) -> Result<Option<Frame>, Broken> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        let frame = self.cut().inspect_err(|broken| self.broken = Some(broken.clone()))?;
        if frame.is_some() {
            self.since = None;
            self.note_partial(now);
        }
        Ok(frame)
    }

    /// Since when a message is unfinished; `None` between messages. A sender that lets it grow old holds a
    /// connection for nothing (slow loris): the shell, which has the clock, closes it.
    pub fn partial_since(&self) -> Option<Instant> {
        self.since
    }

    /// How many bytes wait for the rest of their message.
    pub fn partial_bytes(&self) -> usize {
        self.buffer.len()
    }

    fn note_partial(&mut self, now: Instant) {
        if self.since.is_none() && self.buffer.iter().any(|byte| !matches!(byte, b'\r' | b'\n')) {
            self.since = Some(now);
        }
    }

    fn cut(&mut self) -> Result<Option<Frame>, Broken> {
        if self.whole.is_none() {
            if self.buffer.starts_with(b"\r\n\r\n") {
                self.buffer.advance(4);
                return Ok(Some(Frame::Ping));
            }
            if !self.skip_line_ends() {
                return Ok(None);
            }
            self.whole = self.measure()?;
        }
        match self.whole {
            Some(whole) if self.buffer.len() >= whole => {
                self.whole = None;
                self.searched = 0;
                Ok(Some(Frame::Message(self.buffer.split_to(whole).freeze())))
            }
            Some(_) | None => Ok(None),
        }
    }

    /// Drops line ends before a message; `false` while there is nothing but line ends, which may yet become a ping.
    fn skip_line_ends(&mut self) -> bool {
        let Some(start) = self.buffer.iter().position(|byte| !matches!(byte, b'\r' | b'\n')) else {
            // More line ends than a ping, and none: `\n\n\n…`. They say nothing; the last three may still grow into one.
            let surplus = self.buffer.len().saturating_sub(3);
            self.buffer.advance(surplus);
            return false;
        };
        self.buffer.advance(start);
        true
    }

    /// The length of the message at the front, once its head is whole.
    fn measure(&mut self) -> Result<Option<usize>, Broken> {
        let Some(head) = self.head_end() else {
            return match self.buffer.len() > HEAD_BYTES_MAX {
                true => Err(Broken { fault: FramingFault::HeadTooLong, head: None }),
                false => Ok(None),
            };
        };
        let broken = |fault| Broken { fault, head: Some(Bytes::copy_from_slice(&self.buffer[..head])) };
        if head > HEAD_BYTES_MAX {
            return Err(Broken { fault: FramingFault::HeadTooLong, head: None });
        }
        let length = content_length(&self.buffer[..head]).map_err(broken)?;
        match head.checked_add(length) {
            Some(whole) if whole <= MESSAGE_BYTES_MAX => Ok(Some(whole)),
            Some(_) | None => Err(broken(FramingFault::MessageTooLong)),
        }
    }

    /// Where the head ends: after the first empty line.
    fn head_end(&mut self) -> Option<usize> {
        for at in memchr_iter(b'\n', &self.buffer[self.searched..]) {
            match &self.buffer[self.searched + at + 1..] {
                [b'\n', ..] => return Some(self.searched + at + 2),
                [b'\r', b'\n', ..] => return Some(self.searched + at + 3),
                _ => {}
            }
        }
        self.searched = self.buffer.len().saturating_sub(2);
        None
    }
}

fn content_length(head: &[u8]) -> Result<usize, FramingFault> {
    let mut found = None;
    let mut lines = Lines::new(head);
    lines.first();
    while let Some(line) = lines.next().filter(|line| !line.is_empty()) {
        let Some((name, value)) = header_field(line) else { continue };
        if !name.eq_ignore_ascii_case(b"content-length") && !name.eq_ignore_ascii_case(b"l") {
            continue;
        }
        let length = number(value, u64::from(u32::MAX)).and_then(|length| usize::try_from(length).ok());
        let length = length.ok_or(FramingFault::BadLength)?;
        if found.is_some_and(|other| other != length) {
            return Err(FramingFault::TwoLengths);
        }
        found = Some(length);
    }
    found.ok_or(FramingFault::NoLength)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(length: &str, body: &str) -> String {
        format!("OPTIONS sip:311@city.example SIP/2.0\r\nCall-ID: 1\r\n{length}\r\n{body}")
    }

    /// All frames of a stream that arrives in these pieces, and how it broke.
    fn frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Frame>, Option<FramingFault>) {
        let (now, mut framer, mut all) = (Instant::now(), Framer::new(), Vec::new());
        for piece in pieces {
            framer.push(now, piece);
            loop {
                match framer.next(now) {
                    Ok(Some(frame)) => all.push(frame),
                    Ok(None) => break,
                    Err(broken) => return (all, Some(broken.fault)),
                }
            }
        }
        (all, None)
    }

    fn fault(head: &str) -> Option<FramingFault> {
        frames([message(head, "").as_bytes()]).1
    }

    #[test]
    fn merged_messages_come_apart_and_pings_between_them_are_seen() {
        let (one, two) = (message("Content-Length: 2\r\n", "ab"), message("l :0\r\n", ""));
        let stream = format!("\r\n{one}\r\n\r\n{two}");
        let whole = |text: &str| Frame::Message(Bytes::copy_from_slice(text.as_bytes()));
        assert_eq!(frames([stream.as_bytes()]), (vec![whole(&one), Frame::Ping, whole(&two)], None));
    }

    #[test]
    fn a_length_nobody_can_trust_breaks_the_stream_for_good() {
        assert_eq!(fault(""), Some(FramingFault::NoLength));
        for length in ["-1", "+1", "", "4294967296", "18446744073709551616", "1 1", "0x10"] {
            assert_eq!(fault(&format!("Content-Length: {length}\r\n")), Some(FramingFault::BadLength), "{length}");
        }
        assert_eq!(fault("Content-Length: 0\r\nl: 5\r\n"), Some(FramingFault::TwoLengths));
        assert_eq!(fault("Content-Length: 65536\r\n"), Some(FramingFault::MessageTooLong));
        let now = Instant::now();
        let mut framer = Framer::new();
        framer.push(now, message("Content-Length: -1\r\n", "").as_bytes());
        let broken = framer.next(now).unwrap_err();
        assert!(broken.head.is_some_and(|head| head.ends_with(b"\r\n\r\n")));
        framer.push(now, message("Content-Length: 0\r\n", "").as_bytes());
        assert_eq!(framer.next(now).unwrap_err().fault, FramingFault::BadLength);
    }

    #[test]
    fn a_head_without_end_is_given_up() {
        let endless = "OPTIONS sip:x@y SIP/2.0\r\n".to_owned() + &"X: y\r\n".repeat(6_000);
        assert_eq!(frames([endless.as_bytes()]).1, Some(FramingFault::HeadTooLong));
    }

    #[test]
    fn a_slow_sender_is_dated_from_its_first_byte_and_line_ends_alone_are_not_late() {
        let start = Instant::now();
        let later = start + std::time::Duration::from_secs(9);
        let mut framer = Framer::new();
        framer.push(start, b"\r\n");
        assert_eq!((framer.next(start), framer.partial_since()), (Ok(None), None));
        framer.push(start, b"OPT");
        framer.push(later, b"IONS sip:x@y SIP/2.0\r\n");
        assert_eq!((framer.next(later), framer.partial_since()), (Ok(None), Some(start)));
        framer.push(later, b"l: 0\r\n\r\nBYE");
        assert!(matches!(framer.next(later), Ok(Some(Frame::Message(_)))));
        assert_eq!((framer.partial_since(), framer.partial_bytes()), (Some(later), 3));
    }

    proptest! {
        #[test]
        fn messages_are_the_same_however_the_bytes_are_split(
            bodies in proptest::collection::vec("[a-z\r\n]{0,20}", 1..5), cuts in proptest::collection::vec(0..400_usize, 0..12),
        ) {
            let stream: String = bodies.iter().map(|body| message(&format!("Content-Length: {}\r\n", body.len()), body)).collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([stream.len()]) {
                pieces.push(&stream.as_bytes()[from..cut]);
                from = cut;
            }
            prop_assert_eq!(frames(pieces), frames([stream.as_bytes()]));
            prop_assert_eq!(frames([stream.as_bytes()]).0.len(), bodies.len());
        }

        #[test]
        fn no_bytes_upset_it(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            frames([bytes.as_slice()]);
        }
    }
}
