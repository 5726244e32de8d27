//! Header fields: names we know, names we keep, and values as the bytes they came in.
//!
//! A value is never judged here. One odd byte in a display name therefore drops nothing; whoever needs the
//! meaning asks for a typed view (`sip::grammar`) and may fail alone.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use memchr::memchr3;

use super::text::{decode, is_token, trim};

macro_rules! header_names {
    ($($(#[$doc:meta])+ $name:ident = $canonical:literal, $lower:literal $(| $compact:literal)?;)+) => {
        /// The name of a header field. Known names compare by meaning (`v` is `Via`), all others without case.
        #[derive(Clone, Debug)]
        pub enum HeaderName {
            $($(#[$doc])+ $name,)+
            /// Any other token, spelt as it came.
            Other(Bytes),
        }

        impl HeaderName {
            /// The long form in the RFCs' own spelling; an unknown name as it came.
            pub fn as_str(&self) -> Cow<'_, str> {
                match self {
                    $(Self::$name => Cow::Borrowed($canonical),)+
                    Self::Other(name) => decode(name),
                }
            }

            fn known(lower: &[u8]) -> Option<Self> {
                Some(match lower {
                    $($lower $(| $compact)? => Self::$name,)+
                    _ => return None,
                })
            }
        }
    };
}

header_names! {
    /// What the sender accepts as bodies.
    Accept = "Accept", b"accept";
    /// Languages the caller's phone asks for.
    AcceptLanguage = "Accept-Language", b"accept-language";
    /// Distinctive ringing and the like.
    AlertInfo = "Alert-Info", b"alert-info";
    /// Methods the sender understands.
    Allow = "Allow", b"allow";
    /// Event packages the sender understands (RFC 6665).
    AllowEvents = "Allow-Events", b"allow-events" | b"u";
    /// Credentials for the far end (RFC 3261 §22).
    Authorization = "Authorization", b"authorization";
    /// The name of this call's signalling.
    CallId = "Call-ID", b"call-id" | b"i";
    /// Where the sender of this message is reached.
    Contact = "Contact", b"contact" | b"m";
    /// How to treat the body.
    ContentDisposition = "Content-Disposition", b"content-disposition";
    /// How the body is encoded.
    ContentEncoding = "Content-Encoding", b"content-encoding" | b"e";
    /// Octets of body.
    ContentLength = "Content-Length", b"content-length" | b"l";
    /// Media type of the body.
    ContentType = "Content-Type", b"content-type" | b"c";
    /// Number and method of the request.
    CSeq = "CSeq", b"cseq";
    /// When it was sent.
    Date = "Date", b"date";
    /// Who diverted the call (RFC 5806).
    Diversion = "Diversion", b"diversion";
    /// An event package (RFC 6665).
    Event = "Event", b"event" | b"o";
    /// How long a binding or request lasts, in seconds.
    Expires = "Expires", b"expires";
    /// Who sends the request.
    From = "From", b"from" | b"f";
    /// The way the call went before (RFC 7044).
    HistoryInfo = "History-Info", b"history-info";
    /// The package of an INFO (RFC 6086).
    InfoPackage = "Info-Package", b"info-package";
    /// Hops left.
    MaxForwards = "Max-Forwards", b"max-forwards";
    /// The shortest registration a registrar takes.
    MinExpires = "Min-Expires", b"min-expires";
    /// The shortest session interval (RFC 4028).
    MinSe = "Min-SE", b"min-se";
    /// Who the network says is calling (RFC 3325).
    PAssertedIdentity = "P-Asserted-Identity", b"p-asserted-identity";
    /// Who the caller would like to be (RFC 3325).
    PPreferredIdentity = "P-Preferred-Identity", b"p-preferred-identity";
    /// What to hide (RFC 3323).
    Privacy = "Privacy", b"privacy";
    /// Challenge of a proxy (RFC 3261 §22).
    ProxyAuthenticate = "Proxy-Authenticate", b"proxy-authenticate";
    /// Credentials for a proxy (RFC 3261 §22).
    ProxyAuthorization = "Proxy-Authorization", b"proxy-authorization";
    /// Extensions every proxy must understand.
    ProxyRequire = "Proxy-Require", b"proxy-require";
    /// Which reliable provisional response this acknowledges (RFC 3262).
    RAck = "RAck", b"rack";
    /// Why (RFC 3326).
    Reason = "Reason", b"reason";
    /// Proxies that stay on the path.
    RecordRoute = "Record-Route", b"record-route";
    /// Whom to call (RFC 3515).
    ReferTo = "Refer-To", b"refer-to" | b"r";
    /// Who asked for it (RFC 3892).
    ReferredBy = "Referred-By", b"referred-by" | b"b";
    /// The call this one takes the place of (RFC 3891).
    Replaces = "Replaces", b"replaces";
    /// Extensions the receiver must understand.
    Require = "Require", b"require";
    /// When to try again, in seconds.
    RetryAfter = "Retry-After", b"retry-after";
    /// Proxies to visit.
    Route = "Route", b"route";
    /// Number of a reliable provisional response (RFC 3262).
    RSeq = "RSeq", b"rseq";
    /// What the sender's server is.
    Server = "Server", b"server";
    /// Session interval (RFC 4028).
    SessionExpires = "Session-Expires", b"session-expires" | b"x";
    /// What it is about.
    Subject = "Subject", b"subject" | b"s";
    /// State of a subscription (RFC 6665).
    SubscriptionState = "Subscription-State", b"subscription-state";
    /// Extensions the sender understands.
    Supported = "Supported", b"supported" | b"k";
    /// To whom the request was first addressed.
    To = "To", b"to" | b"t";
    /// Extensions the receiver did not understand.
    Unsupported = "Unsupported", b"unsupported";
    /// What the sender's phone is.
    UserAgent = "User-Agent", b"user-agent";
    /// Data handed through with the call (RFC 7433).
    UserToUser = "User-to-User", b"user-to-user";
    /// The way back.
    Via = "Via", b"via" | b"v";
    /// A warning in words.
    Warning = "Warning", b"warning";
    /// Challenge of the far end (RFC 3261 §22).
    WwwAuthenticate = "WWW-Authenticate", b"www-authenticate";
}

/// Longest known name; anything longer is unknown without looking.
const KNOWN_NAME_BYTES_MAX: usize = 24;

impl HeaderName {
    /// Reads a name, long or compact, in any case; `None` if it is not a token.
    pub fn parse(bytes: &Bytes) -> Option<Self> {
        Self::parse_within(bytes, bytes)
    }

    /// Reads a name that is a part of `whole`, of which an unknown name stays a slice.
    pub(super) fn parse_within(whole: &Bytes, name: &[u8]) -> Option<Self> {
        Self::lookup(name).or_else(|| is_token(name).then(|| Self::Other(whole.slice_ref(name))))
    }

    /// A name of our own writing, e.g. `"X-Line"`. Bytes that may not stand in a name become `-`.
    pub fn from_text(name: &str) -> Self {
        let name: Vec<u8> = name.bytes().map(|byte| if is_token(&[byte]) { byte } else { b'-' }).collect();
        Self::lookup(&name).unwrap_or_else(|| Self::Other(Bytes::from(name)))
    }

    fn lookup(bytes: &[u8]) -> Option<Self> {
        let mut lower = [0_u8; KNOWN_NAME_BYTES_MAX];
        let lower = lower.get_mut(..bytes.len())?;
        lower.copy_from_slice(bytes);
        lower.make_ascii_lowercase();
        Self::known(lower)
    }
}

impl PartialEq for HeaderName {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Other(one), Self::Other(two)) => one.eq_ignore_ascii_case(two),
            (one, two) => std::mem::discriminant(one) == std::mem::discriminant(two),
        }
    }
}

impl Eq for HeaderName {}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_str())
    }
}

/// The header fields of one message, in the order they came. Values hold no CR, LF or NUL, ever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(HeaderName, Bytes)>);

impl Headers {
    /// No headers yet.
    pub fn new() -> Self {
        Self(Vec::with_capacity(24))
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (&HeaderName, &Bytes)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// The first field of this name.
    pub fn get(&self, name: &HeaderName) -> Option<&Bytes> {
        self.all(name).next()
    }

    /// All fields of this name, in order.
    pub fn all<'a>(&'a self, name: &HeaderName) -> impl Iterator<Item = &'a Bytes> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| value)
    }

    /// Whether there is a field of this name.
    pub fn has(&self, name: &HeaderName) -> bool {
        self.get(name).is_some()
    }

    /// The first field of this name as text: UTF-8, or else Latin-1.
    pub fn text(&self, name: &HeaderName) -> Option<Cow<'_, str>> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| decode(value))
    }

    /// Appends a field. CR, LF and NUL in the value become spaces: nobody can smuggle a header through us.
    pub fn push(&mut self, name: HeaderName, value: impl Into<Bytes>) {
        self.0.push((name, clean(value.into())));
    }

    /// Appends a field whose value is known to hold no CR, LF or NUL and no white space at its ends.
    pub(super) fn push_clean(&mut self, name: HeaderName, value: Bytes) {
        self.0.push((name, value));
    }

    /// Puts a field before all others of any name (a Via of ours, a Record-Route).
    pub fn push_front(&mut self, name: HeaderName, value: impl Into<Bytes>) {
        self.0.insert(0, (name, clean(value.into())));
    }

    /// Makes this the only field of its name, in the place of the first one.
    pub fn set(&mut self, name: HeaderName, value: impl Into<Bytes>) {
        let value = clean(value.into());
        match self.0.iter().position(|(other, _)| *other == name) {
            Some(at) => {
                self.0[at].1 = value;
                let mut index = 0;
                self.0.retain(|(other, _)| {
                    index += 1;
                    index - 1 <= at || *other != name
                });
            }
            None => self.0.push((name, value)),
        }
    }

    /// Replaces the first field of this name and leaves later ones of the same name alone.
    pub fn set_first(&mut self, name: HeaderName, value: impl Into<Bytes>) {
        let value = clean(value.into());
        match self.0.iter_mut().find(|(other, _)| *other == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// Takes the first field of this name away and gives it back.
    pub fn remove_first(&mut self, name: &HeaderName) -> Option<Bytes> {
        let at = self.0.iter().position(|(other, _)| other == name)?;
        Some(self.0.remove(at).1)
    }

    /// Takes all fields of this name away.
    pub fn remove(&mut self, name: &HeaderName) {
        self.0.retain(|(other, _)| other != name);
    }

    /// Copies all fields of this name from another message, byte for byte.
    pub fn copy_from(&mut self, other: &Headers, name: &HeaderName) {
        self.0.extend(other.0.iter().filter(|(theirs, _)| theirs == name).cloned());
    }
}

/// The value without white space around it and with CR, LF and NUL as spaces; no copy where there is none.
fn clean(value: Bytes) -> Bytes {
    let trimmed = trim(&value);
    if memchr3(b'\r', b'\n', 0, trimmed).is_some() {
        let plain = |byte: &u8| if matches!(byte, b'\r' | b'\n' | 0) { b' ' } else { *byte };
        trimmed.iter().map(plain).collect()
    } else if trimmed.is_empty() {
        Bytes::new()
    } else if trimmed.len() == value.len() {
        value
    } else {
        value.slice_ref(trimmed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compact_and_long_names_in_any_case_are_the_same_header() {
        let name = |text: &'static str| HeaderName::parse(&Bytes::from_static(text.as_bytes())).unwrap();
        assert_eq!(name("v"), HeaderName::Via);
        assert_eq!(name("cALL-iD"), HeaderName::CallId);
        assert_eq!(name("x-line"), name("X-LINE"));
        assert_ne!(name("x-line"), name("x-lines"));
        assert_eq!(HeaderName::parse(&Bytes::from_static(b"bad name")), None);
    }

    #[test]
    fn every_known_name_is_found_by_its_own_spelling() {
        let longest = "p-preferred-identity";
        assert!(longest.len() <= KNOWN_NAME_BYTES_MAX);
        for text in ["P-Preferred-Identity", "Subscription-State", "Content-Disposition", "WWW-Authenticate"] {
            let name = HeaderName::from_text(text);
            assert_eq!(name.as_str(), text);
            assert!(!matches!(name, HeaderName::Other(_)), "{text}");
        }
    }

    #[test]
    fn nobody_smuggles_a_header_through_a_value() {
        let mut headers = Headers::new();
        headers.push(HeaderName::Subject, "pothole\r\nVia: SIP/2.0/UDP evil");
        assert_eq!(headers.text(&HeaderName::Subject).unwrap(), "pothole  Via: SIP/2.0/UDP evil");
    }

    #[test]
    fn set_leaves_one_and_set_first_leaves_the_rest() {
        let mut headers = Headers::new();
        headers.push(HeaderName::Via, "one");
        headers.push(HeaderName::To, "someone");
        headers.push(HeaderName::Via, "two");
        headers.set_first(HeaderName::Via, "zero");
        assert_eq!(headers.all(&HeaderName::Via).collect::<Vec<_>>(), ["zero", "two"]);
        headers.set(HeaderName::Via, "only");
        assert_eq!(headers.all(&HeaderName::Via).collect::<Vec<_>>(), ["only"]);
        assert_eq!(headers.len(), 2);
    }
}
