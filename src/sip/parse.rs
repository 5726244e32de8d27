//! Reading a message: lines, folds, the start line, the headers nothing can be done without, the body.

use bytes::Bytes;
use memchr::memchr;

use super::grammar::uri::Uri;
use super::headers::{HeaderName, Headers};
use super::malformed::{Fault, Kind, Malformed};
use super::message::{HEADER_BYTES_MAX, HEADERS_MAX, MESSAGE_BYTES_MAX, Message, Start};
use super::method::Method;
use super::text::{decode, is_space, number, trim};

/// Reads one whole message; see [`Message::parse`].
pub(super) fn message(bytes: Bytes) -> Result<Message, Malformed> {
    let mut lines = Lines::new(&bytes);
    let Some(first) = lines.first() else {
        return Err(Malformed { fault: Fault::Empty, kind: Kind::Nothing, headers: Headers::default() });
    };
    let start = start_line(first);
    let (headers, mut fault) = read_headers(&mut lines, &bytes);
    if bytes.len() > MESSAGE_BYTES_MAX {
        fault = Some(Fault::TooLong);
    }
    let start = match start {
        Ok(start) => start,
        Err((kind, fault)) => return Err(Malformed { fault, kind, headers }),
    };
    let fault = fault.or_else(|| headers.unreadable(&start));
    let body = match fault {
        Some(fault) => Err(fault),
        None => body(&headers, bytes.slice(lines.at..)),
    };
    match body {
        Ok(body) => Ok(Message { start, headers, body }),
        Err(fault) => Err(Malformed { fault, kind: kind_of(start), headers }),
    }
}

fn kind_of(start: Start) -> Kind {
    match start {
        Start::Request { method, .. } => Kind::Request(Some(method)),
        Start::Response { .. } => Kind::Response,
    }
}

/// The lines of a head. A line ends with LF; a CR before it belongs to the end.
pub(super) struct Lines<'a> {
    bytes: &'a [u8],
    /// Where the next line begins; after the empty line, where the body begins.
    pub(super) at: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The first line that is not empty (RFC 3261 §7.5), whether or not it ends.
    pub(super) fn first(&mut self) -> Option<&'a [u8]> {
        while matches!(self.bytes.get(self.at), Some(b'\r' | b'\n')) {
            self.at += 1;
        }
        let rest = &self.bytes[self.at..];
        self.physical().or_else(|| {
            self.at = self.bytes.len();
            (!rest.is_empty()).then_some(rest)
        })
    }

    /// The next line with its folds, or an empty one at the end of the head; `None` if the bytes end before.
    pub(super) fn next(&mut self) -> Option<&'a [u8]> {
        let from = self.at;
        let mut line = self.physical()?;
        if line.is_empty() {
            return Some(line);
        }
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t')) {
            let more = self.physical()?;
            let to = more.as_ptr_range().end as usize - self.bytes.as_ptr() as usize;
            line = &self.bytes[from..to];
        }
        Some(line)
    }

    fn physical(&mut self) -> Option<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let end = memchr(b'\n', rest)?;
        self.at += end + 1;
        let line = &rest[..end];
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

/// All header fields up to the empty line, and the first thing that is wrong with them as lines.
/// A line that is no header field at all is left out: what must be there is asked for afterwards.
fn read_headers(lines: &mut Lines<'_>, bytes: &Bytes) -> (Headers, Option<Fault>) {
    let mut headers = Headers::new();
    if matches!(bytes.get(lines.at), Some(b' ' | b'\t')) {
        return (headers, Some(Fault::StartLine("it is folded")));
    }
    let mut fault = None;
    loop {
        let Some(line) = lines.next() else {
            return (headers, fault.or(Some(Fault::Headless)));
        };
        if line.is_empty() {
            return (headers, fault);
        }
        if line.len() > HEADER_BYTES_MAX {
            fault = fault.or(Some(Fault::HeaderTooLong));
            continue;
        }
        if headers.len() == HEADERS_MAX {
            return (headers, fault.or(Some(Fault::TooManyHeaders)));
        }
        if let Some((name, value)) = header_field(line) {
            if let Some(name) = HeaderName::parse(&bytes.slice_ref(name)) {
                headers.push(name, unfold(bytes, value));
            }
        }
    }
}

/// Name and value of a header line; white space around both is not theirs. `None` without a colon.
pub(super) fn header_field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr(b':', line)?;
    Some((trim(&line[..colon]), trim(&line[colon + 1..])))
}

/// A value with each fold turned into one space (RFC 3261 §7.3.1); no copy where there is none.
fn unfold(bytes: &Bytes, value: &[u8]) -> Bytes {
    if value.is_empty() {
        return Bytes::new();
    }
    if memchr(b'\n', value).is_none() {
        return bytes.slice_ref(value);
    }
    let mut plain = Vec::with_capacity(value.len());
    for line in value.split(|byte| *byte == b'\n') {
        if !plain.is_empty() {
            plain.push(b' ');
        }
        plain.extend_from_slice(trim(line));
    }
    Bytes::from(plain)
}

/// Reads the start line, strictly: single spaces, nothing after the version (RFC 3261 §7.1, §7.2).
fn start_line(line: &[u8]) -> Result<Start, (Kind, Fault)> {
    if line.len() > HEADER_BYTES_MAX {
        return Err((Kind::Nothing, Fault::StartLine("longer than 8 KiB")));
    }
    if line.len() >= 4 && line[..4].eq_ignore_ascii_case(b"SIP/") {
        return status_line(line).map_err(|fault| (Kind::Response, fault));
    }
    let (method, rest) = line.split_at(memchr(b' ', line).unwrap_or(line.len()));
    let method = Method::parse(method);
    request_line(method.clone(), rest).map_err(|fault| {
        let kind = if rest.is_empty() { Kind::Nothing } else { Kind::Request(method) };
        (kind, fault)
    })
}

fn request_line(method: Option<Method>, rest: &[u8]) -> Result<Start, Fault> {
    let method = method.ok_or(Fault::StartLine("the method is not a token"))?;
    let rest = rest.strip_prefix(b" ").ok_or(Fault::StartLine("no Request-URI"))?;
    let at = memchr::memrchr(b' ', rest).ok_or(Fault::StartLine("no version"))?;
    let (uri, version) = (&rest[..at], &rest[at + 1..]);
    if version.len() < 4 || !version[..4].eq_ignore_ascii_case(b"SIP/") {
        return Err(Fault::StartLine("no version"));
    }
    if !version[4..].eq_ignore_ascii_case(b"2.0") {
        return Err(Fault::Version);
    }
    if uri.is_empty() || uri.iter().copied().any(is_space) {
        return Err(Fault::StartLine("white space where none may be"));
    }
    let uri = Uri::parse(uri).map_err(|bad| Fault::StartLine(bad.0))?;
    if uri.as_sip().is_some_and(|uri| !uri.headers.is_empty()) {
        return Err(Fault::StartLine("a Request-URI may not carry headers"));
    }
    Ok(Start::Request { method, uri })
}

fn status_line(line: &[u8]) -> Result<Start, Fault> {
    let rest = line[4..].strip_prefix(b"2.0 ").ok_or(Fault::Version)?;
    let (code, reason) = rest.split_at_checked(3).ok_or(Fault::StartLine("no status"))?;
    let status = number(code, 699).filter(|status| *status >= 100).ok_or(Fault::StartLine("no status"))?;
    if !matches!(reason.first(), None | Some(b' ')) {
        return Err(Fault::StartLine("no status"));
    }
    let reason = decode(trim(reason)).into_owned();
    Ok(Start::Response { status: u16::try_from(status).unwrap_or(699), reason })
}

/// The body, by Content-Length, or all that is left (RFC 3261 §18.3).
fn body(headers: &Headers, rest: Bytes) -> Result<Bytes, Fault> {
    let mut lengths = headers.all(&HeaderName::ContentLength);
    let Some(first) = lengths.next() else { return Ok(rest) };
    if lengths.any(|other| other != first) {
        return Err(Fault::Repeated(HeaderName::ContentLength));
    }
    let wrong = Fault::Header(HeaderName::ContentLength, "not a number we can hold");
    let length = number(first, u64::from(u32::MAX)).ok_or(wrong)?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > rest.len() {
        return Err(Fault::BodyTooShort);
    }
    Ok(rest.slice(..length))
}
