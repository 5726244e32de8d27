//! A SIP message: its start line, its headers, its body; read from bytes and written back.
//!
//! Reading is byte-tolerant and cheap: header values and the body are slices of the datagram they came in.

use bytes::{Bytes, BytesMut};

use super::grammar::uri::Uri;
use super::headers::{HeaderName, Headers};
pub use super::malformed::{Fault, Malformed};
pub use super::method::Method;

/// The longest message we read, in bytes (the longest UDP datagram); a longer one is answered 513.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// The most header fields we read in one message; more is answered 400.
pub const HEADERS_MAX: usize = 200;
/// The longest header field we read, folds included, in bytes; a longer one is answered 400.
pub const HEADER_BYTES_MAX: usize = 8 * 1024;

/// One request or response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The start line.
    pub start: Start,
    /// The header fields in order.
    pub headers: Headers,
    /// The body, exactly as long as the message says it is.
    pub body: Bytes,
}

/// The first line of a message (RFC 3261 §7.1, §7.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// What is asked, and of whom.
    Request {
        /// What is asked.
        method: Method,
        /// The Request-URI.
        uri: Uri,
    },
    /// How a request was answered.
    Response {
        /// The status code, 100 to 699.
        status: u16,
        /// The same in words.
        reason: String,
    },
}

impl Message {
    /// Reads one datagram, or one message that the stream framer cut out.
    ///
    /// Without a Content-Length the rest of the bytes is the body; with a shorter one the rest is ignored
    /// (RFC 3261 §18.3). What comes back as `Ok` has a Via, From, To, Call-ID and CSeq that can be read.
    ///
    /// # Errors
    /// [`Malformed`] says what is wrong, and whether and how to answer.
    pub fn parse(bytes: Bytes) -> Result<Self, Malformed> {
        super::parse::message(bytes)
    }

    /// A request with no headers yet.
    pub fn request(method: Method, uri: Uri) -> Self {
        Self { start: Start::Request { method, uri }, headers: Headers::new(), body: Bytes::new() }
    }

    /// A response to the request whose headers these are: every Via, From, To, Call-ID and CSeq copied as they
    /// came (RFC 3261 §8.2.6.2). The To tag is the caller's to add: [`Message::add_to_tag`].
    pub fn response(status: u16, reason: &str, request: &Headers) -> Self {
        let mut headers = Headers::new();
        for name in [HeaderName::Via, HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq] {
            headers.copy_from(request, &name);
        }
        let reason = reason.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
        Self { start: Start::Response { status, reason }, headers, body: Bytes::new() }
    }

    /// The method, if this is a request.
    pub fn method(&self) -> Option<&Method> {
        match &self.start {
            Start::Request { method, .. } => Some(method),
            Start::Response { .. } => None,
        }
    }

    /// The Request-URI, if this is a request.
    pub fn uri(&self) -> Option<&Uri> {
        match &self.start {
            Start::Request { uri, .. } => Some(uri),
            Start::Response { .. } => None,
        }
    }

    /// The status code, if this is a response.
    pub fn status(&self) -> Option<u16> {
        match self.start {
            Start::Request { .. } => None,
            Start::Response { status, .. } => Some(status),
        }
    }

    /// Adds our tag to the To header, unless it has one or cannot be read.
    pub fn add_to_tag(&mut self, tag: &str) {
        if let Ok(mut to) = self.headers.to()
            && to.tag().is_none()
        {
            to.params.set("tag", tag);
            self.headers.set_first(HeaderName::To, to.to_string());
        }
    }

    /// Puts a body and its media type in.
    pub fn set_body(&mut self, content_type: &str, body: impl Into<Bytes>) {
        self.headers.set(HeaderName::ContentType, content_type.to_owned());
        self.body = body.into();
    }

    /// The message as it goes on the wire. Content-Length is always written, and always right.
    pub fn encode(&self) -> Bytes {
        let room = self.headers.iter().map(|(_, value)| value.len() + 28).sum::<usize>();
        let mut out = BytesMut::with_capacity(room + self.body.len() + 160);
        match &self.start {
            Start::Request { method, uri } => {
                out.extend_from_slice(format!("{method} {uri} SIP/2.0\r\n").as_bytes());
            }
            Start::Response { status, reason } => {
                out.extend_from_slice(format!("SIP/2.0 {status:03} {reason}\r\n").as_bytes());
            }
        }
        let mut length_written = false;
        for (name, value) in self.headers.iter() {
            if *name == HeaderName::ContentLength {
                if !length_written {
                    write_length(&mut out, self.body.len());
                }
                length_written = true;
                continue;
            }
            match name {
                HeaderName::Other(name) => out.extend_from_slice(name),
                known => out.extend_from_slice(known.as_str().as_bytes()),
            }
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        }
        if !length_written {
            write_length(&mut out, self.body.len());
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
        out.freeze()
    }
}

fn write_length(out: &mut BytesMut, length: usize) {
    out.extend_from_slice(format!("Content-Length: {length}\r\n").as_bytes());
}
