//! Dialogs (RFC 3261 §12): what two sides remember of each other between requests.

use bytes::Bytes;

use super::grammar::host::Host;
use super::grammar::name_addr::{Contact, NameAddr};
use super::grammar::numbers::CSeq;
use super::grammar::uri::{SipUri, Uri};
use super::headers::{HeaderName, Headers};
use super::message::{Message, Method};

/// Most proxies we keep in a route set; a dialog with more of them is refused.
pub const ROUTES_MAX: usize = 16;

/// One side of a dialog. Early and confirmed dialogs are the same; what they wait for is their session's.
#[derive(Clone, Debug)]
pub struct Dialog {
    call_id: Bytes,
    /// Our From (and their To), with our tag.
    local: Bytes,
    /// Their From (and our To), with their tag.
    remote: Bytes,
    local_tag: String,
    remote_tag: String,
    local_cseq: u32,
    /// None where they have sent no request yet.
    remote_cseq: Option<u32>,
    target: Uri,
    routes: Vec<NameAddr>,
}

/// Why no dialog can be made of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoDialog {
    /// There is no Contact with a SIP URI.
    #[error("no Contact with a SIP URI")]
    Contact,
    /// A Record-Route cannot be read, or there are too many.
    #[error("a Record-Route that cannot be read")]
    Route,
    /// A tag, Call-ID or CSeq is missing.
    #[error("no tag, Call-ID or CSeq")]
    Names,
}

/// What a CSeq number says about a request in a dialog (RFC 3261 §12.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// It is the next one, or a later one.
    New,
    /// Something with this number or a higher one was here before.
    Old,
}

impl Dialog {
    /// Our side of the dialog that an INVITE asks for (RFC 3261 §12.1.1).
    ///
    /// # Errors
    /// If the INVITE lacks what a dialog is made of.
    pub fn of_invite(invite: &Message, local_tag: &str) -> Result<Self, NoDialog> {
        let headers = &invite.headers;
        let mut to = headers.to().map_err(|_| NoDialog::Names)?;
        to.params.set("tag", local_tag);
        let from = headers.from().map_err(|_| NoDialog::Names)?;
        Ok(Self {
            call_id: headers.get(&HeaderName::CallId).ok_or(NoDialog::Names)?.clone(),
            local: Bytes::from(to.to_string()),
            remote: headers.get(&HeaderName::From).ok_or(NoDialog::Names)?.clone(),
            local_tag: local_tag.to_owned(),
            // RFC 2543 had callers without a tag (RFC 3261 §12.1.1).
            remote_tag: from.tag().unwrap_or_default().to_owned(),
            local_cseq: 0,
            remote_cseq: Some(headers.cseq().map_err(|_| NoDialog::Names)?.number),
            target: target_of(headers)?,
            routes: routes_of(headers)?,
        })
    }

    /// A dialog that is still to be: our INVITE is made of it, and a response will name the far end's side.
    pub fn outbound(call_id: &str, from: &NameAddr, to: &NameAddr, target: Uri) -> Self {
        Self {
            call_id: Bytes::from(call_id.to_owned()),
            local: Bytes::from(from.to_string()),
            remote: Bytes::from(to.to_string()),
            local_tag: from.tag().unwrap_or_default().to_owned(),
            remote_tag: String::new(),
            local_cseq: 0,
            remote_cseq: None,
            target,
            routes: Vec::new(),
        }
    }

    /// Our side of the dialog that a response to our INVITE makes (RFC 3261 §12.1.2).
    ///
    /// # Errors
    /// If the response lacks what a dialog is made of.
    pub fn of_response(invite: &Message, response: &Headers) -> Result<Self, NoDialog> {
        let headers = &invite.headers;
        let mut routes = routes_of(response)?;
        routes.reverse();
        if routes.is_empty() && headers.has(&HeaderName::Route) {
            // The INVITE was one inside a dialog: its route set stands (RFC 3261 §12.2.1.2).
            routes = headers.addresses(&HeaderName::Route).map_err(|_| NoDialog::Route)?;
        }
        let from = headers.from().map_err(|_| NoDialog::Names)?;
        let to = response.to().map_err(|_| NoDialog::Names)?;
        let target = match (target_of(response), invite.uri()) {
            (Ok(target), _) => target,
            (Err(_), Some(uri)) => uri.clone(),
            (Err(error), None) => return Err(error),
        };
        Ok(Self {
            call_id: headers.get(&HeaderName::CallId).ok_or(NoDialog::Names)?.clone(),
            local: headers.get(&HeaderName::From).ok_or(NoDialog::Names)?.clone(),
            remote: response.get(&HeaderName::To).ok_or(NoDialog::Names)?.clone(),
            local_tag: from.tag().unwrap_or_default().to_owned(),
            remote_tag: to.tag().unwrap_or_default().to_owned(),
            local_cseq: headers.cseq().map_err(|_| NoDialog::Names)?.number,
            remote_cseq: None,
            target,
            routes,
        })
    }

    /// Does this request belong to the dialog (RFC 3261 §12.2.2)? The local tag has been looked up already.
    pub fn owns(&self, request: &Headers) -> bool {
        let from = request.from();
        request.get(&HeaderName::CallId) == Some(&self.call_id)
            && from.is_ok_and(|from| from.tag().unwrap_or_default() == self.remote_tag)
    }

    /// Our tag.
    pub fn local_tag(&self) -> &str {
        &self.local_tag
    }

    /// Their tag.
    pub fn remote_tag(&self) -> &str {
        &self.remote_tag
    }

    /// The Call-ID.
    pub fn call_id(&self) -> &Bytes {
        &self.call_id
    }

    /// The number of our latest request.
    pub fn local_cseq(&self) -> u32 {
        self.local_cseq
    }

    /// Our number, where another early dialog of the same INVITE has gone on counting.
    pub fn count_from(&mut self, cseq: u32) {
        self.local_cseq = self.local_cseq.max(cseq);
    }

    /// Takes note of the number of a request of theirs that is no ACK and no CANCEL.
    pub fn receive(&mut self, number: u32) -> Order {
        if self.remote_cseq.is_some_and(|latest| number <= latest) {
            return Order::Old;
        }
        self.remote_cseq = Some(number);
        Order::New
    }

    /// Target refresh: where they want to be reached from now on (RFC 3261 §12.2.1.2, RFC 3311 §5.1).
    /// A message without a usable Contact changes nothing.
    pub fn refresh_target(&mut self, headers: &Headers) {
        if let Ok(target) = target_of(headers) {
            self.target = target;
        }
    }

    /// The URI whose host the next request is sent to.
    pub fn next_hop(&self) -> &Uri {
        self.routes.first().map_or(&self.target, |route| &route.uri)
    }

    /// A new request inside the dialog, without Via and Contact (RFC 3261 §12.2.1.1).
    pub fn request(&mut self, method: Method) -> Message {
        self.local_cseq = self.local_cseq.saturating_add(1);
        self.numbered(method, self.local_cseq)
    }

    /// The ACK for the 2xx to our INVITE number `cseq` (RFC 3261 §13.2.2.4).
    pub fn ack(&self, cseq: u32) -> Message {
        self.numbered(Method::Ack, cseq)
    }

    fn numbered(&self, method: Method, number: u32) -> Message {
        let strict = self.routes.first().is_some_and(|route| !is_loose(&route.uri));
        let uri = if strict { self.next_hop() } else { &self.target };
        let cseq = CSeq { number, method: method.clone() };
        let mut message = Message::request(method, uri.clone());
        for route in self.routes.iter().skip(usize::from(strict)) {
            message.headers.push(HeaderName::Route, route.to_string());
        }
        if strict {
            message.headers.push(HeaderName::Route, NameAddr::new(self.target.clone()).to_string());
        }
        message.headers.push(HeaderName::MaxForwards, "70");
        message.headers.push(HeaderName::From, self.local.clone());
        message.headers.push(HeaderName::To, self.remote.clone());
        message.headers.push(HeaderName::CallId, self.call_id.clone());
        message.headers.push(HeaderName::CSeq, cseq.to_string());
        message
    }
}

/// The address a URI names by itself, without any lookup, with the port that goes with it.
pub fn literal_address(uri: &Uri) -> Option<std::net::SocketAddr> {
    let uri = uri.as_sip()?;
    let host = uri.params.get("maddr").and_then(|host| Host::parse(host.as_bytes()).ok());
    let address = host.as_ref().unwrap_or(&uri.host).address()?;
    Some((address, uri.port.unwrap_or(5060)).into())
}

fn is_loose(uri: &Uri) -> bool {
    uri.as_sip().is_some_and(|uri: &SipUri| uri.params.has("lr"))
}

fn target_of(headers: &Headers) -> Result<Uri, NoDialog> {
    match headers.contact() {
        Ok(Contact::Addresses(addresses)) => match addresses.into_iter().next().map(|address| address.uri) {
            Some(uri @ Uri::Sip(_)) => Ok(uri),
            Some(Uri::Tel(_) | Uri::Other { .. }) | None => Err(NoDialog::Contact),
        },
        Ok(Contact::Star) | Err(_) => Err(NoDialog::Contact),
    }
}

fn routes_of(headers: &Headers) -> Result<Vec<NameAddr>, NoDialog> {
    let routes = headers.addresses(&HeaderName::RecordRoute).map_err(|_| NoDialog::Route)?;
    let usable = routes.len() <= ROUTES_MAX && routes.iter().all(|route| route.uri.as_sip().is_some());
    if usable { Ok(routes) } else { Err(NoDialog::Route) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite(more: &str) -> Message {
        let text = format!(
            "INVITE sip:311@city.example SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\n\
             From: \"Jos\u{e9}\" <sip:a@b>;tag=theirs\r\nTo: <sip:311@city.example>\r\nCall-ID: x\r\n\
             CSeq: 7 INVITE\r\n{more}\r\n"
        );
        Message::parse(text.into()).unwrap()
    }

    fn text(message: &Message) -> String {
        String::from_utf8_lossy(&message.encode()).into_owned()
    }

    #[test]
    fn requests_of_the_answering_side_turn_from_and_to_around_and_follow_the_record_route() {
        let invite = invite(
            "Contact: <sip:phone@192.0.2.9:5070>\r\nRecord-Route: <sip:p1.example;lr>\r\nRecord-Route: <sip:p2.example;lr>\r\n",
        );
        let mut dialog = Dialog::of_invite(&invite, "ours").unwrap();
        let bye = text(&dialog.request(Method::Bye));
        assert!(bye.starts_with("BYE sip:phone@192.0.2.9:5070 SIP/2.0\r\n"), "{bye}");
        assert!(bye.contains("Route: <sip:p1.example;lr>\r\nRoute: <sip:p2.example;lr>\r\n"), "{bye}");
        assert!(bye.contains("From: <sip:311@city.example>;tag=ours\r\n"), "{bye}");
        assert!(bye.contains("To: \"Jos\u{e9}\" <sip:a@b>;tag=theirs\r\n"), "{bye}");
        assert!(bye.contains("CSeq: 1 BYE\r\n"), "{bye}");
    }

    #[test]
    fn the_calling_side_turns_the_record_route_around_and_a_strict_router_becomes_the_request_uri() {
        let invite = invite("");
        let response = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\nFrom: <sip:a@b>;tag=theirs\r\n\
             To: <sip:311@city.example>;tag=far\r\nCall-ID: x\r\nCSeq: 7 INVITE\r\nContact: <sip:city@192.0.2.1>\r\n\
             Record-Route: <sip:p1.example;lr>, <sip:p2.example>\r\n\r\n";
        let response = Message::parse(response.into()).unwrap();
        let dialog = Dialog::of_response(&invite, &response.headers).unwrap();
        let ack = text(&dialog.ack(7));
        assert!(ack.starts_with("ACK sip:p2.example SIP/2.0\r\n"), "{ack}");
        assert!(ack.contains("Route: <sip:p1.example;lr>\r\nRoute: <sip:city@192.0.2.1>\r\n"), "{ack}");
        assert!(ack.contains("CSeq: 7 ACK\r\n"), "{ack}");
    }

    #[test]
    fn an_invite_without_a_sip_contact_makes_no_dialog() {
        for contact in ["", "Contact: *\r\n", "Contact: <tel:+1503>\r\n"] {
            assert_eq!(Dialog::of_invite(&invite(contact), "t").unwrap_err(), NoDialog::Contact, "{contact}");
        }
    }

    #[test]
    fn a_request_number_counts_once() {
        let mut dialog = Dialog::of_invite(&invite("Contact: <sip:a@192.0.2.9>\r\n"), "t").unwrap();
        assert_eq!(dialog.receive(7), Order::Old);
        assert_eq!(dialog.receive(9), Order::New);
        assert_eq!(dialog.receive(8), Order::Old);
    }
}
