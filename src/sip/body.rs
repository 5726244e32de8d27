//! Finding the session description in a body: alone, or as a part of a multipart body (RFC 5621).

use memchr::memmem;

use super::headers::HeaderName;
use super::message::Message;
use super::text::{decode, trim};

/// Most parts of a multipart body we look at.
const PARTS_MAX: usize = 8;

/// A body that must be understood and cannot be: 415.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsupported;

/// The session description a message carries; None where it has none.
///
/// # Errors
/// If the body is of another type and not marked as optional, or is compressed.
pub fn sdp(message: &Message) -> Result<Option<String>, Unsupported> {
    if message.body.is_empty() {
        return Ok(None);
    }
    let headers = &message.headers;
    let encoding = headers.text(&HeaderName::ContentEncoding);
    if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        return Err(Unsupported);
    }
    match headers.content_type().as_deref() {
        Some("application/sdp") => Ok(Some(decode(&message.body).into_owned())),
        Some(multipart) if multipart.starts_with("multipart/") => {
            let content_type = headers.text(&HeaderName::ContentType).unwrap_or_default();
            of_parts(&message.body, boundary(&content_type).ok_or(Unsupported)?)
        }
        None if message.body.starts_with(b"v=0") => Ok(Some(decode(&message.body).into_owned())),
        Some(_) | None => {
            let disposition = headers.text(&HeaderName::ContentDisposition).unwrap_or_default().to_ascii_lowercase();
            let optional = disposition.contains("handling=optional") || !message.is_about_a_session();
            if optional { Ok(None) } else { Err(Unsupported) }
        }
    }
}

impl Message {
    /// May its body be a session description? Then another body may not be passed over in silence.
    fn is_about_a_session(&self) -> bool {
        use super::message::Method;
        matches!(self.method(), Some(Method::Invite | Method::Update | Method::Prack | Method::Ack))
    }
}

fn boundary(content_type: &str) -> Option<&str> {
    let at = content_type.to_ascii_lowercase().find("boundary=")? + "boundary=".len();
    let rest = content_type.get(at..)?;
    let boundary = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => rest.split([';', ' ', '\t']).next()?,
    };
    (!boundary.is_empty() && boundary.len() <= 70).then_some(boundary)
}

fn of_parts(body: &[u8], boundary: &str) -> Result<Option<String>, Unsupported> {
    let delimiter = format!("--{boundary}");
    let starts: Vec<usize> = memmem::find_iter(body, delimiter.as_bytes()).take(PARTS_MAX + 1).collect();
    for pair in starts.windows(2) {
        let [start, end] = pair else { continue };
        let Some(part) = body.get(start + delimiter.len()..*end) else { continue };
        if let Some(description) = sdp_part(part) {
            return Ok(Some(decode(description).into_owned()));
        }
    }
    Ok(None)
}

/// The content of a part, if it is a session description.
fn sdp_part(part: &[u8]) -> Option<&[u8]> {
    let part = part.strip_prefix(b"\r\n").or_else(|| part.strip_prefix(b"\n"))?;
    let (head, content) = match memmem::find(part, b"\r\n\r\n") {
        Some(at) => (&part[..at], &part[at + 4..]),
        None => {
            let at = memmem::find(part, b"\n\n")?;
            (&part[..at], &part[at + 2..])
        }
    };
    let is_sdp = head.split(|byte| *byte == b'\n').any(|line| {
        let line = decode(trim(line)).to_ascii_lowercase();
        let value = line.strip_prefix("content-type:").or_else(|| line.strip_prefix("c:"));
        value.is_some_and(|value| value.trim().starts_with("application/sdp"))
    });
    let content = content.strip_suffix(b"\r\n").or_else(|| content.strip_suffix(b"\n")).unwrap_or(content);
    is_sdp.then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite(fields: &str, body: &str) -> Message {
        let text = format!(
            "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\n\
             Call-ID: x\r\nCSeq: 7 INVITE\r\n{fields}\r\n{body}"
        );
        Message::parse(text.into()).unwrap()
    }

    #[test]
    fn a_description_is_found_alone_and_among_parts() {
        assert_eq!(sdp(&invite("", "")), Ok(None));
        assert_eq!(sdp(&invite("c: application/SDP\r\n", "v=0\r\n")), Ok(Some("v=0\r\n".into())));
        let body = "--xx\r\nContent-Type: application/pidf+xml\r\n\r\n<place/>\r\n--xx\r\nContent-Type: application/sdp\r\n\
                    \r\nv=0\r\ns=-\r\n\r\n--xx--\r\n";
        let message = invite("Content-Type: multipart/mixed;boundary=\"xx\"\r\n", body);
        assert_eq!(sdp(&message), Ok(Some("v=0\r\ns=-\r\n".into())));
    }

    #[test]
    fn what_must_be_understood_and_is_not_is_refused() {
        assert_eq!(sdp(&invite("Content-Type: text/plain\r\n", "hello")), Err(Unsupported));
        let optional = "Content-Type: text/plain\r\nContent-Disposition: session;handling=optional\r\n";
        assert_eq!(sdp(&invite(optional, "hello")), Ok(None));
        assert_eq!(
            sdp(&invite("Content-Type: application/sdp\r\nContent-Encoding: gzip\r\n", "v=0")),
            Err(Unsupported)
        );
        assert_eq!(sdp(&invite("Content-Type: multipart/mixed\r\n", "v=0")), Err(Unsupported), "no boundary");
    }
}
