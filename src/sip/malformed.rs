//! What is wrong with a message, and whether its sender deserves an answer.

use super::headers::{HeaderName, Headers};
use super::message::Message;
use super::method::Method;

/// A message we cannot take. It carries what could be read, so that a refusal can be sent without any state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// What is wrong.
    pub fault: Fault,
    /// What it was, as far as can be seen.
    pub kind: Kind,
    /// The header fields that could be read.
    pub headers: Headers,
}

/// What a malformed message was meant to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A request; the method where it is readable.
    Request(Option<Method>),
    /// A response: never answered.
    Response,
    /// Not SIP at all, or only the line ends that keep a path open (RFC 5626 §3.5.1).
    Nothing,
}

/// What is wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing but line ends: a keepalive.
    #[error("nothing but line ends")]
    Empty,
    /// More than the longest message we read.
    #[error("longer than 64 KiB")]
    TooLong,
    /// The start line is neither a request's nor a response's.
    #[error("start line: {0}")]
    StartLine(&'static str),
    /// Another version of SIP than 2.0.
    #[error("not SIP/2.0")]
    Version,
    /// No empty line after the headers.
    #[error("the headers do not end")]
    Headless,
    /// More header fields than we read.
    #[error("more than 200 header fields")]
    TooManyHeaders,
    /// A header field longer than we read.
    #[error("a header field longer than 8 KiB")]
    HeaderTooLong,
    /// A header field without which nothing can be done is missing.
    #[error("no {0}")]
    Missing(HeaderName),
    /// A header field that may stand once stands more often, and the values differ.
    #[error("more than one {0}")]
    Repeated(HeaderName),
    /// A header field that must be understood cannot be.
    #[error("{0}: {1}")]
    Header(HeaderName, &'static str),
    /// The CSeq names another method than the start line.
    #[error("CSeq names another method")]
    CSeqMethod,
    /// The body is shorter than Content-Length says.
    #[error("the body is shorter than Content-Length says")]
    BodyTooShort,
}

impl Malformed {
    /// The status to answer with; `None` where silence is right: responses, ACKs, keepalives, and whatever
    /// does not say where an answer should go.
    pub fn status(&self) -> Option<u16> {
        match &self.kind {
            Kind::Response | Kind::Nothing | Kind::Request(Some(Method::Ack)) => return None,
            Kind::Request(_) => {}
        }
        self.headers.via().ok()?;
        Some(match self.fault {
            Fault::Version => 505,
            Fault::TooLong => 513,
            Fault::Empty
            | Fault::StartLine(_)
            | Fault::Headless
            | Fault::TooManyHeaders
            | Fault::HeaderTooLong
            | Fault::Missing(_)
            | Fault::Repeated(_)
            | Fault::Header(..)
            | Fault::CSeqMethod
            | Fault::BodyTooShort => 400,
        })
    }

    /// The refusal itself, stateless, without a To tag; `None` where silence is right.
    pub fn answer(&self) -> Option<Message> {
        let reason = match self.status()? {
            505 => "Version Not Supported".to_owned(),
            513 => "Message Too Large".to_owned(),
            _ => format!("Bad Request ({})", self.fault),
        };
        Some(Message::response(self.status()?, &reason, &self.headers))
    }
}
