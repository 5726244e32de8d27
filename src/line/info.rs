//! Keys by SIP INFO, for trunks that send neither RTP events nor tones.

use crate::terms::key::Key;

/// The key in the body of an INFO: `application/dtmf-relay` (`Signal=5`) or `application/dtmf` (`5`). `*` and
/// `#` may come as 10 and 11.
pub(super) fn key_of(content_type: &str, body: &[u8]) -> Option<Key> {
    let text = std::str::from_utf8(body).ok()?;
    let sign = match content_type {
        "application/dtmf-relay" => text.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            name.trim().eq_ignore_ascii_case("signal").then(|| value.trim())
        })?,
        "application/dtmf" => text.trim(),
        _ => return None,
    };
    let mut signs = sign.chars();
    match (signs.next(), signs.next()) {
        (Some(sign), None) => Key::from_char(sign),
        _ => sign.parse().ok().and_then(Key::from_event),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_by_info_are_read_in_both_forms() {
        let key = |content_type, body: &str| key_of(content_type, body.as_bytes()).map(Key::as_char);
        assert_eq!(key("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n"), Some('5'));
        assert_eq!(key("application/dtmf-relay", "Duration = 250\r\nsignal = # \r\n"), Some('#'));
        assert_eq!(key("application/dtmf-relay", "Signal=10\r\n"), Some('*'));
        assert_eq!(key("application/dtmf", "*\r\n"), Some('*'));
        assert_eq!(key("application/dtmf", "11"), Some('#'));
        for (content_type, body) in
            [("application/dtmf", "55"), ("application/dtmf", ""), ("application/dtmf-relay", "5"), ("text/plain", "5")]
        {
            assert_eq!(key(content_type, body), None, "{content_type}: {body:?}");
        }
    }
}
