//! Transactions (RFC 3261 §17, RFC 6026): a request and all its answers, over a wire that loses and repeats.
//!
//! Four machines under the RFC's names. Each holds its last message and its own timers, says when it wants to
//! be woken, and knows neither socket nor clock. This file says which message belongs to which machine.

pub mod invite_client;
pub mod invite_server;
pub mod non_invite_client;
pub mod non_invite_server;

use std::fmt;
use std::sync::Arc;

use super::grammar::via::{MAGIC_COOKIE, Via};
use super::message::{Message, Method};

/// Names a server transaction (RFC 3261 §17.2.3): branch, sent-by and method of the request. A request whose
/// branch was not made by RFC 3261 is named by everything RFC 2543 compares.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerKey(Arc<str>);

impl ServerKey {
    /// The transaction this request belongs to; an ACK belongs to its INVITE's.
    pub fn of(request: &Message, via: &Via) -> Option<Self> {
        match request.method()? {
            Method::Ack => Self::with_method(request, via, &Method::Invite),
            method => Self::with_method(request, via, method),
        }
    }

    /// The INVITE's transaction that this CANCEL is for (RFC 3261 §9.2).
    pub fn cancelled_by(request: &Message, via: &Via) -> Option<Self> {
        Self::with_method(request, via, &Method::Invite)
    }

    fn with_method(request: &Message, via: &Via, method: &Method) -> Option<Self> {
        let branch = via.branch().unwrap_or_default();
        let port = via.port.unwrap_or(0);
        if via.has_magic_cookie() && branch.len() > MAGIC_COOKIE.len() {
            return Some(Self(format!("{branch} {}:{port} {method}", via.host).into()));
        }
        let headers = &request.headers;
        let (uri, call_id, number) = (request.uri()?, headers.call_id().ok()?, headers.cseq().ok()?.number);
        let from = headers.from().ok()?;
        let from_tag = from.tag().unwrap_or_default();
        Some(Self(format!("2543 {uri} {from_tag} {call_id} {number} {via} {method}").into()))
    }
}

/// Names a client transaction (RFC 3261 §17.1.3): a branch of our own making, and whether it is the CANCEL's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientKey {
    /// The branch's number: random, so that nobody can guess which answer we wait for.
    pub branch: u64,
    /// A CANCEL shares the branch of its INVITE.
    pub cancel: bool,
}

impl ClientKey {
    /// The transaction this response answers; None where its branch is none of ours.
    pub fn of_response(via: &Via, method: &Method) -> Option<Self> {
        let digits = via.branch()?.strip_prefix(MAGIC_COOKIE)?;
        let plain = digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let branch = plain.then(|| u64::from_str_radix(digits, 16).ok()).flatten()?;
        Some(Self { branch, cancel: *method == Method::Cancel })
    }
}

impl fmt::Display for ClientKey {
    /// The branch as it stands in the Via.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MAGIC_COOKIE}{:016x}", self.branch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, via: &str, cseq_method: &str) -> Message {
        let text = format!(
            "{method} sip:311@city.example SIP/2.0\r\nVia: {via}\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\n\
             Call-ID: x\r\nCSeq: 7 {cseq_method}\r\n\r\n"
        );
        Message::parse(text.into()).unwrap()
    }

    fn key(method: &str, via: &str) -> ServerKey {
        let request = request(method, via, method);
        ServerKey::of(&request, &request.headers.via().unwrap()).unwrap()
    }

    #[test]
    fn branch_sent_by_and_method_name_a_transaction_and_an_ack_is_its_invites() {
        let here = "SIP/2.0/UDP h:5060;branch=z9hG4bKa";
        assert_eq!(key("INVITE", here), key("ACK", here));
        assert_ne!(key("INVITE", here), key("CANCEL", here));
        assert_ne!(key("INVITE", here), key("INVITE", "SIP/2.0/UDP h:5070;branch=z9hG4bKa"), "another sent-by");
        assert_ne!(key("INVITE", here), key("INVITE", "SIP/2.0/UDP h:5060;branch=z9hG4bKb"), "another branch");
        let cancel = request("CANCEL", here, "CANCEL");
        assert_eq!(ServerKey::cancelled_by(&cancel, &cancel.headers.via().unwrap()), Some(key("INVITE", here)));
    }

    #[test]
    fn a_branch_without_the_cookie_or_with_nothing_behind_it_falls_back_on_rfc_2543() {
        for via in ["SIP/2.0/UDP h;branch=1", "SIP/2.0/UDP h", "SIP/2.0/UDP h;branch=z9hG4bK"] {
            assert_eq!(key("INVITE", via), key("ACK", via), "{via}");
        }
        assert_ne!(key("INVITE", "SIP/2.0/UDP h"), key("INVITE", "SIP/2.0/UDP i"));
    }

    #[test]
    fn only_branches_of_our_own_making_name_a_client_transaction() {
        let of = |branch: &str| {
            let via = Via::parse(format!("SIP/2.0/UDP h;branch={branch}").as_bytes()).unwrap();
            ClientKey::of_response(&via, &Method::Invite)
        };
        let ours = ClientKey { branch: 0xabc, cancel: false };
        assert_eq!(of(&ours.to_string()), Some(ours));
        for foreign in ["z9hG4bKabc", "z9hG4bK+000000000000abc", "1", "z9hG4bK0000000000000abcd"] {
            assert_eq!(of(foreign), None, "{foreign}");
        }
    }
}
