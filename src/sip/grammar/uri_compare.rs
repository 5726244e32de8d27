//! When two URIs are the same (RFC 3261 §19.1.4, RFC 3966 §4). Not an equivalence in the mathematical sense:
//! a parameter that only one side has is mostly passed over.

use super::uri::{SipUri, TelUri, Uri, UriParams};

/// Parameters that must not stand in one URI alone.
const TELLING: [&str; 5] = ["transport", "user", "ttl", "method", "maddr"];

impl Uri {
    /// Whether both name the same resource.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sip(one), Self::Sip(two)) => one.is_same(two),
            (Self::Tel(one), Self::Tel(two)) => one.is_same(two),
            (Self::Other { scheme, rest }, Self::Other { scheme: theirs, rest: their_rest }) => {
                scheme.eq_ignore_ascii_case(theirs) && rest == their_rest
            }
            (Self::Sip(_) | Self::Tel(_) | Self::Other { .. }, _) => false,
        }
    }
}

impl SipUri {
    /// Whether both name the same resource. User and password compare with case, all else without; a port that is
    /// left out is not the same as 5060.
    pub fn is_same(&self, other: &Self) -> bool {
        let user = |uri: &Self| uri.user.as_deref().map(canonical);
        let password = |uri: &Self| uri.password.as_deref().map(canonical);
        self.secure == other.secure
            && user(self) == user(other)
            && password(self) == password(other)
            && self.host.is_same(&other.host)
            && self.port == other.port
            && params_agree(&self.params, &other.params)
            && headers(self) == headers(other)
    }
}

impl TelUri {
    /// Whether both are the same number: visual separators and case do not count.
    pub fn is_same(&self, other: &Self) -> bool {
        let digits = |uri: &Self| -> String {
            uri.number.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')')).map(|c| c.to_ascii_lowercase()).collect()
        };
        let context = |uri: &Self| uri.params.get("phone-context").map(str::to_ascii_lowercase);
        digits(self) == digits(other) && context(self) == context(other) && params_agree(&self.params, &other.params)
    }
}

fn params_agree(ours: &UriParams, theirs: &UriParams) -> bool {
    let telling = |name: &str| TELLING.iter().any(|telling| telling.eq_ignore_ascii_case(name));
    let agree = |one: &UriParams, two: &UriParams| {
        one.iter().all(|(name, value)| match two.has(name) {
            true => lower(value) == lower(two.get(name)),
            false => !telling(name),
        })
    };
    agree(ours, theirs) && agree(theirs, ours)
}

fn lower(value: Option<&str>) -> Option<String> {
    value.map(|value| canonical(value).to_ascii_lowercase())
}

/// Headers as a set: every one counts, their order does not.
fn headers(uri: &SipUri) -> Vec<(String, String)> {
    let pair = |(name, value): &(String, String)| (canonical(name).to_ascii_lowercase(), canonical(value));
    let mut headers: Vec<_> = uri.headers.iter().map(pair).collect();
    headers.sort_unstable();
    headers
}

/// Escapes of characters that need none resolved; the others kept, since `%3B` is not `;` (§19.1.4).
fn canonical(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        match escape.get(1..3).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) => out.push(char::from(byte)),
            Some(_) => out.push_str(&escape[..3].to_ascii_uppercase()),
            None => {
                out.push('%');
                rest = &escape[1..];
                continue;
            }
        }
        rest = &escape[3..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(one: &str, two: &str) -> bool {
        let (one, two): (Uri, Uri) = (one.parse().unwrap(), two.parse().unwrap());
        assert_eq!(one.is_same(&two), two.is_same(&one), "{one} {two}");
        one.is_same(&two)
    }

    #[test]
    fn the_same_resource_in_other_words_is_the_same() {
        assert!(same("sip:%61nn@City.Example;transport=TCP", "sip:ann@city.example;Transport=tcp"));
        assert!(same("sip:311@city.example", "sip:311@city.example;newparam=5"));
        assert!(same("sip:311@city.example;security=on", "sip:311@city.example;newparam=5"));
        assert!(same(
            "sip:c.example;transport=tcp?to=a%40b&Subject=x",
            "sip:c.example;transport=tcp?subject=x&to=a%40b"
        ));
        assert!(same("tel:+1-503-823-4000", "tel:+15038234000"));
        assert!(same("sip:x@[2001:DB8::1]", "sip:x@[2001:db8:0::1]"));
    }

    #[test]
    fn what_differs_in_a_telling_way_is_not() {
        assert!(!same("SIP:ANN@city.example", "sip:ann@city.example"));
        assert!(!same("sip:ann@city.example", "sip:ann@city.example:5060"));
        assert!(!same("sip:ann@city.example", "sip:ann@city.example;transport=udp"));
        assert!(!same("sip:ann@city.example", "sips:ann@city.example"));
        assert!(!same("sip:ann@city.example;x=1", "sip:ann@city.example;x=2"));
        assert!(!same("sip:ann@city.example?Subject=a", "sip:ann@city.example"));
        assert!(!same("sip:a%3Bb@city.example", "sip:a;b@city.example"));
        assert!(!same("tel:911", "sip:911@city.example"));
    }
}
