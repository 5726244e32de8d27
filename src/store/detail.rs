//! An event as two columns: its word, and the rest as JSON.
//!
//! `{"event":"no_input","menu":"main"}` is kept as `no_input` and `{"menu":"main"}`.

use super::StoreError;
use crate::terms::event::Event;

/// The event's fields as a JSON object, without its word.
///
/// # Errors
/// An event that cannot be written as JSON: there is none.
pub fn of(event: &Event) -> Result<String, StoreError> {
    let text = serde_json::to_string(event).map_err(|error| StoreError::Unreadable(error.to_string()))?;
    let tag = r#"{"event":"#.len() + event.word().len() + 2;
    match text.get(tag..) {
        Some(rest) if rest.starts_with(',') => Ok(format!("{{{}", &rest[1..])),
        Some(_) | None => Ok("{}".to_owned()),
    }
}

/// The event of a word and its fields.
///
/// # Errors
/// The word is unknown or the fields do not fit it.
pub fn event(word: &str, detail: &str) -> Result<Event, StoreError> {
    let rest = detail.strip_prefix('{').map_or("}", str::trim_start);
    let comma = if rest.starts_with('}') { "" } else { "," };
    let text = format!(r#"{{"event":"{word}"{comma}{rest}"#);
    serde_json::from_str(&text).map_err(|error| StoreError::Unreadable(format!("{word}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::super::examples::{every_event, pothole};
    use super::*;

    #[test]
    fn every_event_comes_back_as_it_was() {
        for event in every_event().into_iter().chain(pothole().into_iter().map(|entry| entry.event)) {
            let detail = of(&event).unwrap();
            assert!(serde_json::from_str::<serde_json::Value>(&detail).unwrap().is_object(), "{detail}");
            assert!(!detail.contains(r#""event""#), "{detail}");
            assert_eq!(super::event(event.word(), &detail).unwrap(), event);
        }
    }

    #[test]
    fn an_unknown_word_is_an_error() {
        assert!(event("teleported", "{}").is_err() && event("no_input", "{}").is_err() && event("x", "").is_err());
    }
}
