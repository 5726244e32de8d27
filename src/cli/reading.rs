//! What the verbs that read the record share: opening it, the city's time, numbers that do not show.

use std::io::Write;
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use miette::{IntoDiagnostic, Report, miette};
use serde::Deserialize;

use crate::store::{RulebookText, Store, StoreError, spool};
use crate::terms::number::Pii;

/// Runs `work` to its end on a small runtime of its own.
pub(super) fn wait_for<T>(work: impl Future<Output = Result<T, Report>>) -> Result<T, Report> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().into_diagnostic()?;
    runtime.block_on(work)
}

/// Opens the record in `data` for reading, whether a server runs or not.
pub(super) async fn open(data: &Path) -> Result<Store, Report> {
    Store::read_only(data).await.map_err(|error| match error {
        StoreError::Missing(_) => {
            miette!(help = "name the server's data folder with --data DIR, or start one: cityline serve", "{error}")
        }
        other => Report::msg(other),
    })
}

/// Says so where lines wait in the spool: the record is not whole yet.
pub(super) fn warn_of_spool(data: &Path) {
    let bytes = spool::waiting_bytes(data);
    if bytes > 0 {
        complain(&format!("note: {bytes} bytes of the record wait in {}", spool::folder(data).display()));
    }
}

/// Prints to standard output; a reader who has gone (`| head`) is no error.
pub(super) fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Prints a line to standard error.
pub(super) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// The city's time zone, from the rulebook that a call followed; else this machine's.
pub(super) fn zone(rulebook: Option<&RulebookText>) -> TimeZone {
    #[derive(Deserialize)]
    struct Rules {
        city: City,
    }
    #[derive(Deserialize)]
    struct City {
        zone: String,
    }
    let files = rulebook.into_iter().flat_map(|rulebook| rulebook.files.values());
    let mut zones = files.filter_map(|text| toml::from_str::<Rules>(text).ok()).map(|rules| rules.city.zone);
    zones.find_map(|name| TimeZone::get(&name).ok()).unwrap_or_else(TimeZone::system)
}

/// A wall time in the city's zone, in `format` of `strftime`.
pub(super) fn at(unix_ms: u64, zone: &TimeZone, format: &str) -> String {
    let instant = i64::try_from(unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    instant.map_or_else(|| "-".to_owned(), |instant| instant.to_zoned(zone.clone()).strftime(format).to_string())
}

/// A number as it may be shown: whole to those who may see it, else its last two digits.
pub(super) fn shown(number: &Pii<String>, whole: bool) -> String {
    let number = number.reveal();
    if whole {
        return number.clone();
    }
    // Short numbers are extensions and services: two digits of them would tell too much.
    let digits = number.chars().filter(char::is_ascii_digit).count();
    let last = number.char_indices().rev().nth(1).map_or(0, |(at, _)| at);
    if digits < 7 { "…".to_owned() } else { format!("…{}", &number[last..]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::examples::{MORNING, rulebook};

    #[test]
    fn numbers_are_masked_to_two_digits_and_short_ones_wholly() {
        let number = Pii::new("+15035550123".to_owned());
        assert_eq!((shown(&number, false), shown(&number, true)), ("…23".to_owned(), "+15035550123".to_owned()));
        assert_eq!(shown(&Pii::new("4711".to_owned()), false), "…");
        assert_eq!(shown(&Pii::new("ünïcödé1234567é".to_owned()), false), "…7é");
        assert_eq!(shown(&Pii::new(String::new()), false), "…");
    }

    #[test]
    fn time_is_the_citys_where_the_rules_name_a_zone() {
        let zone = zone(Some(&rulebook()));
        assert_eq!(at(MORNING, &zone, "%Y-%m-%d %H:%M:%S"), "2026-12-24 10:15:00");
        assert_eq!(at(u64::MAX, &zone, "%Y"), "-");
    }
}
