//! A caller made of templates: no SIP library of ours or of anyone's, so that what it finds is not our own
//! misunderstanding twice. For the moments that SIPp's scenarios cannot time.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use super::clock;

/// One call's words, by UDP.
pub(crate) struct Caller {
    socket: UdpSocket,
    server: SocketAddr,
    local: SocketAddr,
    number: String,
    /// Its Call-ID.
    pub(crate) call_id: String,
    to_tag: Option<String>,
}

impl Caller {
    /// A caller who is about to dial `number`.
    pub(crate) fn new(server: SocketAddr, number: &str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let local = socket.local_addr().unwrap();
        let call_id = format!("{}-{}@caller.invalid", local.port(), std::process::id());
        Self { socket, server, local, number: number.to_owned(), call_id, to_tag: None }
    }

    /// Sends the INVITE; called again, it is a retransmission, byte for byte.
    pub(crate) fn invite(&self) {
        let sdp = format!(
            "v=0\r\no=caller 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {} RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n",
            self.local.port()
        );
        self.send("INVITE", "1 INVITE", "i", &sdp);
    }

    /// Takes the INVITE back.
    pub(crate) fn cancel(&self) {
        self.send("CANCEL", "1 CANCEL", "i", "");
    }

    /// Acknowledges a 200 (`branch` of its own) or a refusal (the INVITE's branch).
    pub(crate) fn ack(&self, refused: bool) {
        self.send("ACK", "1 ACK", if refused { "i" } else { "a" }, "");
    }

    /// Hangs up.
    pub(crate) fn bye(&self) {
        self.send("BYE", "2 BYE", "b", "");
    }

    /// Sends bytes as they are.
    pub(crate) fn raw(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, self.server).unwrap();
    }

    /// The next final answer to `method`; keeps the To tag of an answer to the INVITE.
    pub(crate) fn answer(&mut self, method: &str, limit: Duration) -> Option<(u16, String)> {
        let deadline = clock::now() + limit;
        let mut buffer = [0; 4096];
        while clock::now() < deadline {
            let Ok(length) = self.socket.recv(&mut buffer) else { continue };
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let Some(status) = status(&text) else { continue };
            if status >= 200 && header(&text, "CSeq").is_some_and(|cseq| cseq.ends_with(method)) {
                let tag = tag(&text);
                if method == "INVITE" && tag.is_some() {
                    self.to_tag = tag;
                }
                return Some((status, text));
            }
        }
        None
    }

    fn send(&self, method: &str, cseq: &str, branch: &str, body: &str) {
        let Self { server, local, number, call_id, .. } = self;
        let in_dialog = !matches!(method, "INVITE" | "CANCEL");
        let to_tag = self.to_tag.as_ref().filter(|_| in_dialog).map(|tag| format!(";tag={tag}")).unwrap_or_default();
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!(
            "{method} sip:{number}@{server} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {local};branch=z9hG4bK{branch}{port}{pid}\r\nMax-Forwards: 70\r\n\
             From: <sip:+15035550111@{local}>;tag=c{port}\r\nTo: <sip:{number}@{server}>{to_tag}\r\n\
             Call-ID: {call_id}\r\nCSeq: {cseq}\r\nContact: <sip:caller@{local}>\r\n\
             {content}Content-Length: {length}\r\n\r\n{body}",
            port = local.port(),
            pid = std::process::id(),
            length = body.len(),
        );
        self.raw(text.as_bytes());
    }
}

/// The status of a response.
fn status(text: &str) -> Option<u16> {
    text.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
}

/// The first header of that name, long form.
pub(crate) fn header<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.split_once(':').filter(|(left, _)| left.eq_ignore_ascii_case(name)))
        .map(|(_, value)| value.trim())
}

/// The tag of the To header.
pub(crate) fn tag(text: &str) -> Option<String> {
    let to = header(text, "To")?;
    let (_, tag) = to.split_once(";tag=")?;
    Some(tag.split(';').next().unwrap_or_default().to_owned())
}
