//! Making messages: what every response and every request of ours carries.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Agent, Destination, Listener, Transport};
use crate::sip::grammar::name_addr::NameAddr;
use crate::sip::grammar::reason::Reason;
use crate::sip::grammar::uri::{SipUri, Uri};
use crate::sip::headers::{HeaderName, Headers};
use crate::sip::message::{Message, Method};
use crate::terms::cause::Cause;

/// The methods we serve.
pub(super) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO";
/// The extensions we know (RFC 3262, RFC 4028).
pub(super) const SUPPORTED: &str = "100rel, timer";
/// The same as a list.
const EXTENSIONS: [&str; 2] = ["100rel", "timer"];
const SDP: &str = "application/sdp";

impl Agent {
    /// A response with our Server header and, from 101 on, our tag.
    pub(super) fn response(&self, status: u16, request: &Headers, tag: Option<&str>) -> Message {
        let mut response = Message::response(status, reason_phrase(status), request);
        if let Some(tag) = tag {
            response.add_to_tag(tag);
        }
        response.headers.push(HeaderName::Server, self.settings.server.clone());
        match status {
            405 | 501 => response.headers.push(HeaderName::Allow, ALLOW),
            415 => response.headers.push(HeaderName::Accept, SDP),
            _ => {}
        }
        response
    }

    /// A response outside any dialog: its tag is a fingerprint of the request, the same for each repetition
    /// (RFC 3261 §8.2.7).
    pub(super) fn stateless(&self, status: u16, request: &Headers) -> Message {
        let mut hasher = DefaultHasher::new();
        self.secret.hash(&mut hasher);
        for name in [HeaderName::CallId, HeaderName::From, HeaderName::CSeq] {
            request.get(&name).hash(&mut hasher);
        }
        self.response(status, request, Some(&format!("{:016x}", hasher.finish())))
    }

    /// 101 to 299 to an INVITE, which makes a dialog: Record-Route, Contact and what we can do.
    pub(super) fn dialog_response(&self, status: u16, invite: &Headers, tag: &str, from: Destination) -> Message {
        let mut response = self.response(status, invite, Some(tag));
        response.headers.copy_from(invite, &HeaderName::RecordRoute);
        self.push_abilities(&mut response.headers, from);
        response
    }

    /// Contact, Allow and Supported.
    pub(super) fn push_abilities(&self, headers: &mut Headers, towards: Destination) {
        headers.push(HeaderName::Contact, self.contact(towards));
        headers.push(HeaderName::Allow, ALLOW);
        headers.push(HeaderName::Supported, SUPPORTED);
    }

    /// Where those on that way reach us.
    fn contact(&self, towards: Destination) -> String {
        let listener = self.listener(towards);
        let advertised = listener.advertised;
        let mut uri = SipUri::new(None, advertised.ip().into(), Some(advertised.port()));
        if listener.transport == Transport::Tcp {
            uri.params.set("transport", Some("tcp"));
        }
        NameAddr::new(Uri::Sip(uri)).to_string()
    }

    /// The listener that stands for us towards a destination: the flow's own, else the first of the transport
    /// and address family, else the first.
    pub(super) fn listener(&self, towards: Destination) -> Listener {
        let (transport, v4) = (towards.transport(), towards.address().is_ipv4());
        let listeners = &self.settings.listeners;
        let of_flow = match towards {
            Destination::Flow(flow) => listeners.iter().find(|one| {
                one.transport == transport && (one.local == flow.local() || one.advertised == flow.local())
            }),
            Destination::Address { .. } => None,
        };
        let alike = || listeners.iter().find(|one| one.transport == transport && one.local.is_ipv4() == v4);
        let same_transport = || listeners.iter().find(|one| one.transport == transport);
        let nowhere =
            Listener { transport, local: ([127, 0, 0, 1], 5060).into(), advertised: ([127, 0, 0, 1], 5060).into() };
        of_flow.or_else(alike).or_else(same_transport).copied().unwrap_or(nowhere)
    }
}

/// Puts a session description into a message.
pub(super) fn set_sdp(message: &mut Message, sdp: &str) {
    message.set_body(SDP, sdp.to_owned());
}

/// Says why, in the telephone network's words (RFC 3326).
pub(super) fn push_reason(headers: &mut Headers, cause: Cause) {
    let reason = Reason::new("Q.850", cause.q850().into(), cause.as_str());
    headers.push(HeaderName::Reason, reason.to_string());
}

/// Why a BYE or CANCEL was sent, by its Reason header; `otherwise` where it says nothing we know.
pub(super) fn read_reason(headers: &Headers, otherwise: Cause) -> Cause {
    for reason in headers.reasons() {
        let Some(cause) = reason.cause() else { continue };
        if reason.protocol.eq_ignore_ascii_case("Q.850") {
            if let Some(known) = Cause::ALL.iter().copied().find(|known| u16::from(known.q850()) == cause) {
                return if known == Cause::Normal { otherwise } else { known };
            }
        } else if reason.protocol.eq_ignore_ascii_case("SIP") && cause >= 300 {
            return Cause::from_sip_status(cause);
        }
    }
    otherwise
}

/// The extensions a request requires that we do not know: 420.
pub(super) fn unknown_extensions(headers: &Headers) -> Vec<String> {
    let required = headers.tokens(&HeaderName::Require).into_iter();
    required.filter(|one| !EXTENSIONS.iter().any(|known| one.eq_ignore_ascii_case(known))).collect()
}

/// Why a method is not served: known ones are not allowed, others not implemented.
pub(super) fn refusal_of(method: &Method) -> u16 {
    match method {
        Method::Other(_) => 501,
        Method::Register | Method::Refer | Method::Notify | Method::Subscribe | Method::Message | Method::Publish => {
            405
        }
        // These live inside a dialog, and there is none.
        Method::Bye | Method::Cancel | Method::Prack | Method::Update | Method::Info => 481,
        Method::Invite | Method::Ack | Method::Options => 400,
    }
}

/// The standard words for a status (RFC 3261 §21 and its extensions).
pub(super) const fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        183 => "Session Progress",
        200 => "OK",
        302 => "Moved Temporarily",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        410 => "Gone",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        422 => "Session Interval Too Small",
        469 => "Bad Info Package",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        580 => "Precondition Failure",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        101..=199 => "Progress",
        201..=299 => "OK",
        300..=399 => "Redirected",
        _ => "Refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peers_reason_is_believed_where_we_know_it() {
        let of = |value: &'static str| {
            let mut headers = Headers::new();
            headers.push(HeaderName::Reason, value);
            read_reason(&headers, Cause::Cancelled)
        };
        assert_eq!(of("Q.850;cause=17;text=\"busy\""), Cause::Busy);
        assert_eq!(of("Q.850;cause=16"), Cause::Cancelled, "an ordinary end says nothing new");
        assert_eq!(of("SIP;cause=200;text=\"Call completed elsewhere\""), Cause::Cancelled);
        assert_eq!(of("SIP;cause=503"), Cause::Congestion);
        assert_eq!(of("X;cause=1"), Cause::Cancelled);
    }

    #[test]
    fn our_own_reason_header_reads_back() {
        let mut headers = Headers::new();
        push_reason(&mut headers, Cause::MediaTimeout);
        assert_eq!(read_reason(&headers, Cause::Normal), Cause::SessionExpired, "one Q.850 value, two of our words");
    }
}
