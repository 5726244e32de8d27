//! Who calls, and how the call came to us: the headers of identity, as far as their sender is to be believed.

use super::grammar::name_addr::NameAddr;
use super::headers::{HeaderName, Headers};

/// Most diversions, and most headers, kept with a call.
const KEPT_MAX: usize = 8;
/// Longest header kept with a call, in bytes; longer ones are left out.
const KEPT_BYTES_MAX: usize = 256;

/// The headers kept with a call as they came.
const KEPT: [&str; 7] =
    ["User-to-User", "Referred-By", "Call-Info", "Subject", "User-Agent", "Accept-Language", "P-Charging-Vector"];

/// Who calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The user part of the address, unescaped, without parameters.
    pub user: Option<String>,
    /// The display name.
    pub display: Option<String>,
}

/// Who calls: the asserted identity where the trunk is trusted (RFC 3325), else From. Nobody where they ask
/// for privacy (RFC 3323) or call themselves anonymous.
pub fn of(headers: &Headers, trusted: bool) -> Caller {
    let private = |token: &String| ["id", "user", "header", "full"].iter().any(|word| token.eq_ignore_ascii_case(word));
    if headers.tokens(&HeaderName::Privacy).iter().any(private) {
        return Caller::default();
    }
    if trusted {
        let asserted = headers.readable_addresses(&HeaderName::PAssertedIdentity);
        let named = asserted.iter().filter(|address| user_of(address).is_some());
        // A number before a name where both are asserted.
        let number = named.clone().find(|address| user_of(address).is_some_and(|user| is_number(&user)));
        if let Some(address) = number.or_else(|| named.clone().next()) {
            return Caller { user: user_of(address), display: address.display.clone() };
        }
    }
    match headers.from() {
        Ok(from) if !is_anonymous(&from) => Caller { user: user_of(&from), display: from.display },
        Ok(_) | Err(_) => Caller::default(),
    }
}

/// Whoever sent the call on to us, the latest first: Diversion (RFC 5806), else History-Info (RFC 7044) without
/// its last entry, which is ourselves.
pub fn diverted_by(headers: &Headers) -> Vec<String> {
    let diversions = headers.readable_addresses(&HeaderName::Diversion);
    let history = headers.readable_addresses(&HeaderName::HistoryInfo);
    let by_history = history.iter().rev().skip(1).filter_map(user_of);
    let all = diversions.iter().filter_map(user_of);
    if diversions.is_empty() { by_history.take(KEPT_MAX).collect() } else { all.take(KEPT_MAX).collect() }
}

/// The headers worth keeping with a call.
pub fn kept(headers: &Headers) -> Vec<(String, String)> {
    let found = KEPT.iter().filter_map(|name| {
        let value = headers.text(&HeaderName::from_text(name))?;
        (value.len() <= KEPT_BYTES_MAX).then(|| ((*name).to_owned(), value.into_owned()))
    });
    found.take(KEPT_MAX).collect()
}

fn user_of(address: &NameAddr) -> Option<String> {
    let user = address.uri.user()?;
    let bare = user.split(';').next().unwrap_or_default();
    (!bare.is_empty()).then(|| bare.to_owned())
}

fn is_number(user: &str) -> bool {
    user.chars().all(|letter| letter.is_ascii_digit() || "+-.()".contains(letter))
}

fn is_anonymous(from: &NameAddr) -> bool {
    let invalid = from.uri.as_sip().is_some_and(|uri| uri.host.to_string().eq_ignore_ascii_case("anonymous.invalid"));
    invalid || user_of(from).is_some_and(|user| user.eq_ignore_ascii_case("anonymous"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&str, &'static str)]) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in fields {
            headers.push(HeaderName::from_text(name), *value);
        }
        headers
    }

    const FROM: (&str, &str) = ("From", "\"Ana\" <sip:+15035550100;npdi=yes@a>;tag=1");
    const ASSERTED: (&str, &str) = ("P-Asserted-Identity", "<sip:ana@a>, <tel:+15035550199>");

    #[test]
    fn the_asserted_identity_counts_on_trusted_trunks_only() {
        let both = headers(&[FROM, ASSERTED]);
        assert_eq!(of(&both, true).user.as_deref(), Some("+15035550199"));
        assert_eq!(of(&both, false), Caller { user: Some("+15035550100".into()), display: Some("Ana".into()) });
    }

    #[test]
    fn whoever_asks_for_privacy_is_nobody() {
        assert_eq!(of(&headers(&[FROM, ASSERTED, ("Privacy", "critical;id")]), true), Caller::default());
        assert_eq!(of(&headers(&[("From", "<sip:Anonymous@x>;tag=1")]), false), Caller::default());
        assert_eq!(of(&headers(&[("From", "\"A\" <sip:x@anonymous.invalid>;tag=1")]), false), Caller::default());
        assert_eq!(of(&headers(&[FROM, ("Privacy", "none")]), false).user.as_deref(), Some("+15035550100"));
    }

    #[test]
    fn diversions_are_read_latest_first_from_either_header() {
        let diversion = headers(&[("Diversion", "<sip:2@x>;reason=user-busy, <sip:1@x>;reason=unconditional")]);
        assert_eq!(diverted_by(&diversion), ["2", "1"]);
        let history = headers(&[("History-Info", "<sip:1@x>;index=1, <sip:2@x>;index=1.1, <sip:311@x>;index=1.1.1")]);
        assert_eq!(diverted_by(&history), ["2", "1"]);
    }

    #[test]
    fn what_is_too_long_is_not_kept() {
        let long: &'static str = Box::leak("x".repeat(300).into_boxed_str());
        let kept = kept(&headers(&[("Subject", long), ("User-to-User", "3132;encoding=hex")]));
        assert_eq!(kept, [("User-to-User".to_owned(), "3132;encoding=hex".to_owned())]);
    }
}
