//! What a generated caller says, from templates, and the little it understands of what it is told.

use std::net::SocketAddr;

/// What it takes to speak in one call.
pub(crate) struct Voice<'a> {
    /// Where it speaks from.
    pub(crate) local: SocketAddr,
    /// To whom.
    pub(crate) server: SocketAddr,
    /// The run, so that two runs never share a Call-ID.
    pub(crate) run: u64,
    /// The call.
    pub(crate) call: u32,
    /// The server's tag, once it is known.
    pub(crate) to_tag: Option<&'a str>,
    /// Where audio may be sent; nobody listens there.
    pub(crate) media: u16,
}

impl Voice<'_> {
    /// The INVITE.
    pub(crate) fn invite(&self, out: &mut String) {
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {} RTP/AVP 0 8 101\r\n\
             a=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n",
            self.media
        );
        self.request(("INVITE", 1, 'i'), &sdp, out);
    }

    /// The ACK of an answer, or of a refusal (which bears the INVITE's branch).
    pub(crate) fn ack(&self, refused: bool, out: &mut String) {
        self.request(("ACK", 1, if refused { 'i' } else { 'a' }), "", out);
    }

    /// The BYE.
    pub(crate) fn bye(&self, out: &mut String) {
        self.request(("BYE", 2, 'b'), "", out);
    }

    fn request(&self, (method, cseq, branch): (&str, u8, char), body: &str, out: &mut String) {
        use std::fmt::Write as _;
        let Self { local, server, run, call, to_tag, .. } = self;
        out.clear();
        let _ = write!(
            out,
            "{method} sip:311@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{branch}{run:x}.{call}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:+15035550100@{local}>;tag=f{call}\r\nTo: <sip:311@{server}>"
        );
        if let Some(tag) = to_tag {
            let _ = write!(out, ";tag={tag}");
        }
        let _ = write!(out, "\r\nCall-ID: {call}.{run:x}@load.invalid\r\nCSeq: {cseq} {method}\r\n");
        let _ = write!(out, "Contact: <sip:load@{local}>\r\n");
        if !body.is_empty() {
            let _ = write!(out, "Content-Type: application/sdp\r\n");
        }
        let _ = write!(out, "Content-Length: {}\r\n\r\n{body}", body.len());
    }
}

/// A message from the server.
pub(crate) enum Told<'a> {
    /// An answer to one of our requests.
    Answer {
        /// The call.
        call: u32,
        /// The status.
        status: u16,
        /// Whether it answers the INVITE (else the BYE).
        to_invite: bool,
        /// The server's tag.
        to_tag: &'a str,
        /// Seconds, where it says when to come again.
        retry_after: Option<u32>,
    },
    /// The server hangs up.
    Bye {
        /// The call.
        call: u32,
        /// The answer it should get.
        answer: String,
    },
}

/// Reads what the server said; `None` for another run's words and for what needs no answer.
pub(crate) fn read(text: &str, run: u64) -> Option<Told<'_>> {
    let id = header(text, "Call-ID").or_else(|| header(text, "i"))?;
    let (call, rest) = id.split_once('.')?;
    let call = call.parse().ok()?;
    if rest.split('@').next() != Some(format!("{run:x}").as_str()) {
        return None;
    }
    if let Some(rest) = text.strip_prefix("SIP/2.0 ") {
        let status = rest.get(..3)?.parse().ok()?;
        let cseq = header(text, "CSeq")?;
        let to = header(text, "To").or_else(|| header(text, "t"))?;
        let to_tag = to.split_once(";tag=").map_or("", |(_, tag)| tag.split(';').next().unwrap_or(""));
        let retry_after = header(text, "Retry-After").and_then(|value| value.split([' ', ';']).next()?.parse().ok());
        return Some(Told::Answer { call, status, to_invite: cseq.ends_with("INVITE"), to_tag, retry_after });
    }
    text.starts_with("BYE ").then(|| Told::Bye { call, answer: answer(text) })
}

/// A 200 to any request, with the headers that must be given back.
fn answer(request: &str) -> String {
    let mut text = String::from("SIP/2.0 200 OK\r\n");
    for line in request.lines().skip(1).take_while(|line| !line.is_empty()) {
        let name = line.split(':').next().unwrap_or_default();
        if ["Via", "v", "From", "f", "To", "t", "Call-ID", "i", "CSeq"].iter().any(|own| own.eq_ignore_ascii_case(name))
        {
            text.push_str(line);
            text.push_str("\r\n");
        }
    }
    text.push_str("Content-Length: 0\r\n\r\n");
    text
}

fn header<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().take_while(|line| !line.is_empty()).find_map(|line| {
        let (left, value) = line.split_once(':')?;
        left.trim_end().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
