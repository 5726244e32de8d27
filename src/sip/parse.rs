//! Reading a message: lines, folds, the start line, the headers nothing can be done without, the body.

use bytes::Bytes;
use memchr::{memchr, memchr3};

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
        if let Some((name, value)) = header_field(line)
            && let Some(name) = HeaderName::parse_within(bytes, name)
        {
            headers.push_clean(name, unfold(bytes, value));
        }
    }
}

/// Name and value of a header line; white space around both is not theirs. `None` without a colon.
pub(super) fn header_field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr(b':', line)?;
    Some((trim(&line[..colon]), trim(&line[colon + 1..])))
}

/// A value with each fold turned into one space (RFC 3261 §7.3.1), and a stray CR or NUL too; no copy where there
/// is none.
fn unfold(bytes: &Bytes, value: &[u8]) -> Bytes {
    if value.is_empty() {
        return Bytes::new();
    }
    if memchr3(b'\n', b'\r', 0, value).is_none() {
        return bytes.slice_ref(value);
    }
    let mut plain = Vec::with_capacity(value.len());
    for line in value.split(|byte| *byte == b'\n') {
        if !plain.is_empty() {
            plain.push(b' ');
        }
        plain.extend(trim(line).iter().map(|byte| if matches!(byte, b'\r' | 0) { b' ' } else { *byte }));
    }
    Bytes::copy_from_slice(trim(&plain))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ESSENTIAL: &str = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@x.example>;tag=1\r\n\
        To: <sip:311@city.example>\r\nCall-ID: 1@x\r\nCSeq: 1 OPTIONS\r\n";

    fn read(more: &str, body: &str) -> Result<Message, Malformed> {
        message(Bytes::from(format!("OPTIONS sip:311@city.example SIP/2.0\r\n{ESSENTIAL}{more}\r\n{body}")))
    }

    fn fault(more: &str) -> Fault {
        read(more, "").unwrap_err().fault
    }

    #[test]
    fn the_body_is_as_long_as_content_length_says_or_all_there_is() {
        assert_eq!(read("", "all of it").unwrap().body, "all of it");
        assert_eq!(read("l: 3\r\n", "all of it").unwrap().body, "all");
        assert_eq!(read("l: 3\r\nContent-Length: 3\r\n", "all of it").unwrap().body, "all");
        assert_eq!(read("l: 10\r\n", "all of it").unwrap_err().fault, Fault::BodyTooShort);
        assert_eq!(fault("l: 1\r\nContent-Length: 2\r\n"), Fault::Repeated(HeaderName::ContentLength));
    }

    #[test]
    fn every_limit_is_kept_and_answered() {
        assert_eq!(fault(&"X: y\r\n".repeat(HEADERS_MAX)), Fault::TooManyHeaders);
        assert_eq!(fault(&format!("X: {}\r\n", "y".repeat(HEADER_BYTES_MAX))), Fault::HeaderTooLong);
        let long = read("", &"y".repeat(MESSAGE_BYTES_MAX)).unwrap_err();
        assert_eq!((long.fault.clone(), long.status()), (Fault::TooLong, Some(513)));
        assert!(read(&"X: y\r\n".repeat(HEADERS_MAX - 5), "").is_ok());
    }

    #[test]
    fn a_head_that_does_not_end_is_refused_with_what_could_be_read() {
        let bytes = format!("OPTIONS sip:311@city.example SIP/2.0\r\n{ESSENTIAL}");
        let malformed = message(Bytes::from(bytes)).unwrap_err();
        assert_eq!((malformed.fault.clone(), malformed.status()), (Fault::Headless, Some(400)));
        assert_eq!(malformed.headers.call_id().as_deref(), Ok("1@x"));
    }

    #[test]
    fn lines_that_are_no_headers_cost_nothing_and_line_ends_may_lack_their_cr() {
        let odd = read("this is no header\r\nNa\u{ef}ve: x\r\n: empty\r\nSubject: kept\r\n", "").unwrap();
        assert_eq!(odd.headers.text(&HeaderName::Subject).unwrap(), "kept");
        let bare = format!("OPTIONS sip:311@city.example SIP/2.0\r\n{ESSENTIAL}\r\nbody").replace("\r\n", "\n");
        assert_eq!(message(Bytes::from(bare)).unwrap().body, "body");
    }

    #[test]
    fn keepalives_and_junk_are_met_with_silence() {
        for bytes in [&b""[..], b"\r\n\r\n", b"\0\0\0\0", b"hello\r\n\r\n", b"SIP/2.0 200 OK\r\n\r\n"] {
            assert_eq!(message(Bytes::from_static(bytes)).unwrap_err().status(), None, "{bytes:?}");
        }
        assert_eq!(message(Bytes::from_static(b"\r\n\r\n")).unwrap_err().fault, Fault::Empty);
    }

    #[test]
    fn an_invite_is_not_copied_when_it_is_read() {
        let bytes = Bytes::from(format!("OPTIONS sip:311@city.example SIP/2.0\r\n{ESSENTIAL}\r\nbody"));
        let range = bytes.as_ptr_range();
        let read = message(bytes.clone()).unwrap();
        let inside = |value: &Bytes| range.contains(&value.as_ptr());
        assert!(read.headers.iter().all(|(_, value)| inside(value)) && inside(&read.body));
    }

    proptest! {
        #[test]
        fn whatever_is_written_reads_the_same(
            headers in proptest::collection::vec(("[A-Za-z][A-Za-z0-9-]{0,12}x", "[ -~é\\r\\n]{0,40}"), 0..10),
            body in proptest::collection::vec(any::<u8>(), 0..80), user in "[ -~]{1,12}",
        ) {
            let mut written = read("l: 0\r\n", "").unwrap();
            written.body = Bytes::from(body);
            written.headers.set(HeaderName::ContentLength, written.body.len().to_string());
            let host = crate::sip::grammar::host::Host::Name("city.example".into());
            let uri = crate::sip::grammar::uri::SipUri::new(Some(&user), host, None).into();
            written.start = Start::Request { method: Method::Options, uri };
            for (name, value) in headers {
                written.headers.push(HeaderName::from_text(&name), value);
            }
            prop_assert_eq!(message(written.encode()), Ok(written));
        }
    }
}
