//! Headers by their meaning: what the machines ask of a message.

use super::Unreadable;
use super::name_addr::{Contact, NameAddr};
use super::numbers::{CSeq, RAck, SessionExpires, seconds};
use super::reason::Reason;
use super::via::Via;
use crate::sip::headers::{HeaderName, Headers};
use crate::sip::malformed::Fault;
use crate::sip::message::Start;
use crate::sip::text::{decode, number, split, trim};

const MISSING: Unreadable = Unreadable("missing");

impl Headers {
    /// The topmost Via.
    ///
    /// # Errors
    /// If there is none or it cannot be read.
    pub fn via(&self) -> Result<Via, Unreadable> {
        let value = self.get(&HeaderName::Via).ok_or(MISSING)?;
        Via::parse(split(value, b',').next().unwrap_or_default())
    }

    /// Every Via from the top.
    ///
    /// # Errors
    /// If one cannot be read. None at all is an empty list.
    pub fn vias(&self) -> Result<Vec<Via>, Unreadable> {
        flatten(self.all(&HeaderName::Via).map(|value| Via::parse_list(value)))
    }

    /// Puts another Via in the place of the topmost one.
    pub fn set_via(&mut self, via: &Via) {
        let rest = self.get(&HeaderName::Via).and_then(|value| {
            let first = split(value, b',').next()?.len();
            value.get(first..).map(|rest| decode(rest).into_owned())
        });
        self.set_first(HeaderName::Via, format!("{via}{}", rest.unwrap_or_default()));
    }

    /// From.
    ///
    /// # Errors
    /// If it is missing or cannot be read.
    pub fn from(&self) -> Result<NameAddr, Unreadable> {
        NameAddr::parse(self.get(&HeaderName::From).ok_or(MISSING)?)
    }

    /// To.
    ///
    /// # Errors
    /// If it is missing or cannot be read.
    pub fn to(&self) -> Result<NameAddr, Unreadable> {
        NameAddr::parse(self.get(&HeaderName::To).ok_or(MISSING)?)
    }

    /// Call-ID.
    ///
    /// # Errors
    /// If it is missing or empty.
    pub fn call_id(&self) -> Result<String, Unreadable> {
        match self.text(&HeaderName::CallId) {
            Some(id) if !id.is_empty() => Ok(id.into_owned()),
            Some(_) => Err(Unreadable("empty")),
            None => Err(MISSING),
        }
    }

    /// CSeq.
    ///
    /// # Errors
    /// If it is missing or cannot be read.
    pub fn cseq(&self) -> Result<CSeq, Unreadable> {
        CSeq::parse(self.get(&HeaderName::CSeq).ok_or(MISSING)?)
    }

    /// The Contact: all addresses of all its fields, or the star.
    ///
    /// # Errors
    /// If one cannot be read. None at all is an empty list.
    pub fn contact(&self) -> Result<Contact, Unreadable> {
        let mut addresses = Vec::new();
        for value in self.all(&HeaderName::Contact) {
            match Contact::parse(value)? {
                Contact::Star => return Ok(Contact::Star),
                Contact::Addresses(more) => addresses.extend(more),
            }
        }
        Ok(Contact::Addresses(addresses))
    }

    /// All addresses of a header that lists them: Route, Record-Route, P-Asserted-Identity, Diversion,
    /// History-Info, in order.
    ///
    /// # Errors
    /// If one cannot be read. None at all is an empty list.
    pub fn addresses(&self, name: &HeaderName) -> Result<Vec<NameAddr>, Unreadable> {
        flatten(self.all(name).map(|value| NameAddr::parse_list(value)))
    }

    /// All addresses of such a header that can be read; the others are passed over.
    pub fn readable_addresses(&self, name: &HeaderName) -> Vec<NameAddr> {
        let pieces = self.all(name).flat_map(|value| split(value, b','));
        pieces.filter_map(|piece| NameAddr::parse(piece).ok()).collect()
    }

    /// All words of a header that lists them: Require, Supported, Allow, Privacy, in order and as they came.
    /// Empty words are passed over.
    pub fn tokens(&self, name: &HeaderName) -> Vec<String> {
        let comma_or_semicolon = |byte: &u8| *byte == b',' || (*name == HeaderName::Privacy && *byte == b';');
        let words = self.all(name).flat_map(|value| value.split(comma_or_semicolon)).map(trim);
        words.filter(|word| !word.is_empty()).map(|word| decode(word).into_owned()).collect()
    }

    /// Whether a header that lists words has this one, without case: `100rel` in Supported.
    pub fn has_token(&self, name: &HeaderName, token: &str) -> bool {
        let mut words = self.all(name).flat_map(|value| value.split(|byte| *byte == b',')).map(trim);
        words.any(|word| word.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// A header that is a plain number: Max-Forwards, RSeq, Expires.
    ///
    /// # Errors
    /// If it is missing or not a number below 2³².
    pub fn number(&self, name: &HeaderName) -> Result<u32, Unreadable> {
        let value = number(self.get(name).ok_or(MISSING)?, u64::from(u32::MAX));
        value.and_then(|value| u32::try_from(value).ok()).ok_or(Unreadable("not a number"))
    }

    /// A header that is a number of seconds, whatever follows: Retry-After, Min-SE.
    ///
    /// # Errors
    /// If it is missing or does not begin with a number.
    pub fn seconds(&self, name: &HeaderName) -> Result<u32, Unreadable> {
        seconds(self.get(name).ok_or(MISSING)?)
    }

    /// Session-Expires.
    ///
    /// # Errors
    /// If it is missing or cannot be read.
    pub fn session_expires(&self) -> Result<SessionExpires, Unreadable> {
        SessionExpires::parse(self.get(&HeaderName::SessionExpires).ok_or(MISSING)?)
    }

    /// RAck.
    ///
    /// # Errors
    /// If it is missing or cannot be read.
    pub fn rack(&self) -> Result<RAck, Unreadable> {
        RAck::parse(self.get(&HeaderName::RAck).ok_or(MISSING)?)
    }

    /// Every reason that can be read.
    pub fn reasons(&self) -> Vec<Reason> {
        self.all(&HeaderName::Reason).filter_map(|value| Reason::parse_list(value).ok()).flatten().collect()
    }

    /// The media type of the body, in lower case and without parameters: `application/sdp`.
    pub fn content_type(&self) -> Option<String> {
        let value = self.get(&HeaderName::ContentType)?;
        let bare = value.split(|byte| *byte == b';').next().unwrap_or_default();
        let text: String = decode(bare).chars().filter(|character| !character.is_whitespace()).collect();
        Some(text.to_ascii_lowercase())
    }

    /// The first header without which nothing can be done and that is missing, repeated or unreadable.
    pub(in crate::sip) fn unreadable(&self, start: &Start) -> Option<Fault> {
        self.essentials(start).err()
    }

    fn essentials(&self, start: &Start) -> Result<(), Fault> {
        if !self.has(&HeaderName::Via) {
            return Err(Fault::Missing(HeaderName::Via));
        }
        self.vias().map_err(|bad| Fault::Header(HeaderName::Via, bad.0))?;
        for name in [HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq] {
            self.once(&name)?.ok_or(Fault::Missing(name))?;
        }
        self.from().map_err(|bad| Fault::Header(HeaderName::From, bad.0))?;
        self.to().map_err(|bad| Fault::Header(HeaderName::To, bad.0))?;
        self.call_id().map_err(|bad| Fault::Header(HeaderName::CallId, bad.0))?;
        let cseq = self.cseq().map_err(|bad| Fault::Header(HeaderName::CSeq, bad.0))?;
        match start {
            Start::Response { .. } => Ok(()),
            Start::Request { method, .. } if *method != cseq.method => Err(Fault::CSeqMethod),
            Start::Request { .. } => {
                self.contact().map_err(|bad| Fault::Header(HeaderName::Contact, bad.0))?;
                let Some(hops) = self.once(&HeaderName::MaxForwards)? else { return Ok(()) };
                number(hops, 255).ok_or(Fault::Header(HeaderName::MaxForwards, "not a number up to 255"))?;
                Ok(())
            }
        }
    }

    /// The only field of this name. The same value twice is forgiven, two different ones are not.
    fn once(&self, name: &HeaderName) -> Result<Option<&bytes::Bytes>, Fault> {
        let mut all = self.all(name);
        let first = all.next();
        if all.any(|other| Some(other) != first) { Err(Fault::Repeated(name.clone())) } else { Ok(first) }
    }
}

fn flatten<T>(lists: impl Iterator<Item = Result<Vec<T>, Unreadable>>) -> Result<Vec<T>, Unreadable> {
    let mut all = Vec::new();
    for list in lists {
        all.extend(list?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(HeaderName, &'static str)]) -> Headers {
        let mut headers = Headers::new();
        fields.iter().for_each(|(name, value)| headers.push(name.clone(), *value));
        headers
    }

    #[test]
    fn the_topmost_via_is_exchanged_and_the_others_stay() {
        let two = "SIP/2.0/UDP a.example;branch=z9hG4bK1;rport , SIP/2.0/TCP b.example;branch=z9hG4bK2";
        let mut headers = headers(&[(HeaderName::Via, two), (HeaderName::Via, "SIP/2.0/UDP c.example")]);
        let mut via = headers.via().unwrap();
        via.mark_received("192.0.2.7:5099".parse().unwrap());
        headers.set_via(&via);
        let hosts: Vec<_> = headers.vias().unwrap().iter().map(|via| (via.host.to_string(), via.rport())).collect();
        assert_eq!(hosts, [("a.example".into(), Some(5099)), ("b.example".into(), None), ("c.example".into(), None)]);
    }

    #[test]
    fn lists_are_gathered_over_all_their_fields() {
        let headers = headers(&[
            (HeaderName::Supported, "100rel, timer"),
            (HeaderName::Supported, ",replaces"),
            (HeaderName::Privacy, "id;critical"),
            (HeaderName::PAssertedIdentity, "\"Doe, J\" <sip:+15035550142@x.example>, tel:+15035550142"),
            (HeaderName::PAssertedIdentity, "broken>"),
            (HeaderName::ContentType, "Application / SDP ;charset=utf-8"),
        ]);
        assert_eq!(headers.tokens(&HeaderName::Supported), ["100rel", "timer", "replaces"]);
        assert_eq!(headers.tokens(&HeaderName::Privacy), ["id", "critical"]);
        assert!(headers.has_token(&HeaderName::Supported, "Timer"));
        assert!(headers.addresses(&HeaderName::PAssertedIdentity).is_err());
        assert_eq!(headers.readable_addresses(&HeaderName::PAssertedIdentity).len(), 2);
        assert_eq!(headers.content_type().as_deref(), Some("application/sdp"));
    }
}
