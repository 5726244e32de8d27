//! Calendars: zones, times, days, closures.

use std::ops::Range;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use super::super::calendar::{Calendar, Closure, Hours, Window};
use super::super::holiday::{Observe, Set};
use super::super::written;
use super::resolve::Resolver;
use super::source::{Found, suggest};
use crate::terms::ids::CalendarId;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Resolver<'_> {
    pub(super) fn calendar(&mut self, found: &Found<written::Calendar>) -> Option<Calendar> {
        let table = &found.table;
        let zone = self.zone(found.file, &table.zone);
        let windows: Vec<_> = table.weekly.iter().map(|window| self.window(found.file, window.get_ref())).collect();
        let closures: Vec<_> =
            table.closed.iter().map(|closure| self.closure(found.file, closure.get_ref(), closure.span())).collect();
        let holidays = self.one_of(
            found.file,
            table.holidays.as_ref(),
            &[("none", Set::None), ("federal", Set::Federal), ("oregon", Set::Oregon)],
        );
        let observe = self.one_of(
            found.file,
            table.observe.as_ref(),
            &[("observed", Observe::Observed), ("actual", Observe::Actual), ("both", Observe::Both)],
        );
        let has_holidays = table.holidays.as_ref().is_some_and(|set| set.get_ref() != "none");
        if has_holidays && table.observe.is_none() {
            let span = table.holidays.as_ref().map_or(found.span.clone(), |set| set.span());
            self.error(found.file, "missing-key", span, "it is not said when a holiday on a weekend counts")
                .remedy("add `observe = \"observed\"` (the nearest workday), \"actual\" or \"both\"");
        }
        if table.always != table.weekly.is_empty() {
            self.error(
                found.file,
                "no-hours",
                table.id.span(),
                "a calendar has either weekly hours or `always = true`",
            )
            .remedy("write `weekly = [{ days = \"mon-fri\", open = \"08:00\", close = \"17:00\" }]`");
        }
        let windows = windows.into_iter().collect::<Option<Vec<_>>>();
        Some(Calendar {
            id: CalendarId::from(table.id.get_ref().as_str()),
            zone: zone?,
            hours: if table.always { Hours::Always } else { Hours::Weekly(windows?) },
            holidays: holidays.unwrap_or(Set::None),
            observe: observe.unwrap_or(Observe::Observed),
            closures: closures.into_iter().collect::<Option<Vec<_>>>()?,
            place: self.place(found.file, &found.span),
        })
    }

    pub(super) fn zone(&mut self, file: usize, name: &written::Text) -> Option<TimeZone> {
        match TimeZone::get(name.get_ref()) {
            Ok(zone) => Some(zone),
            Err(_) => {
                let known: Vec<String> = jiff::tz::db().available().map(|zone| zone.to_string()).collect();
                let remedy = suggest(name.get_ref(), known.iter().map(String::as_str));
                let message = format!("there is no time zone `{}`", name.get_ref());
                self.error(file, "bad-zone", name.span(), message).label("not an IANA time zone").remedy(remedy);
                None
            }
        }
    }

    fn window(&mut self, file: usize, window: &written::Window) -> Option<Window> {
        let days = self.days(file, &window.days);
        let open = self.time(file, &window.open, false);
        let close = self.time(file, &window.close, true);
        let words = format!("{}–{}", window.open.get_ref(), window.close.get_ref());
        Some(Window { days: days?, open: open?, close: close?, words })
    }

    fn days(&mut self, file: usize, text: &written::Text) -> Option<[bool; 7]> {
        let mut days = [false; 7];
        for part in text.get_ref().split(',').map(str::trim) {
            let position = |name: &str| DAYS.iter().position(|day| *day == name.trim());
            let range = match part.split_once('-') {
                _ if part == "daily" => Some((0, 6)),
                Some((first, last)) => position(first).zip(position(last)),
                None => position(part).map(|day| (day, day)),
            };
            let Some((first, last)) = range else {
                let message = format!("`{part}` is not a day of the week");
                let remedy = "write `mon`, `mon-fri`, `sat,sun` or `daily`";
                self.error(file, "bad-day", text.span(), message).label("these days").remedy(remedy);
                return None;
            };
            let length = (last + 7 - first) % 7;
            (0..=length).for_each(|step| days[(first + step) % 7] = true);
        }
        Some(days)
    }

    fn time(&mut self, file: usize, text: &written::Text, closing: bool) -> Option<Time> {
        let written = text.get_ref().as_str();
        if closing && written == "24:00" {
            return Some(Time::midnight());
        }
        let parsed = written.split_once(':').filter(|(hour, minute)| hour.len() == 2 && minute.len() == 2);
        let parsed = parsed.and_then(|(hour, minute)| Some((hour.parse().ok()?, minute.parse().ok()?)));
        let time = parsed.and_then(|(hour, minute)| Time::new(hour, minute, 0, 0).ok());
        if time.is_none() {
            let message = format!("`{written}` is not a time of day");
            self.error(file, "bad-time", text.span(), message)
                .label("not `HH:MM`")
                .remedy("write e.g. `08:00` or `17:30`");
        }
        time
    }

    pub(super) fn date(&mut self, file: usize, text: &written::Text) -> Option<Date> {
        let date = text.get_ref().parse::<Date>().ok().filter(|_| text.get_ref().len() == 10);
        if date.is_none() {
            let message = format!("`{}` is not a date", text.get_ref());
            self.error(file, "bad-date", text.span(), message)
                .label("not `YYYY-MM-DD`")
                .remedy("write e.g. `2026-12-25`");
        }
        date
    }

    fn closure(&mut self, file: usize, closure: &written::Closure, span: Range<usize>) -> Option<Closure> {
        let because = closure.because.get_ref().as_str().into();
        match (&closure.date, &closure.from, &closure.until) {
            (Some(date), None, None) => {
                let date = self.date(file, date)?;
                let next = date.tomorrow().ok()?;
                let (from, until) = (date.to_datetime(Time::midnight()), next.to_datetime(Time::midnight()));
                Some(Closure { from, until, because })
            }
            (None, Some(from), Some(until)) => {
                let (from, end) = (self.moment(file, from), self.moment(file, until));
                let (from, end) = (from?, end?);
                if end <= from {
                    self.error(file, "bad-time", until.span(), "the closure ends before it begins").label("too early");
                }
                Some(Closure { from, until: end, because })
            }
            _ => {
                self.error(file, "wrong-shape", span, "a closure has either a `date`, or `from` and `until`")
                    .remedy("write `{ date = \"2026-02-13\", because = \"snow\" }`");
                None
            }
        }
    }

    fn moment(&mut self, file: usize, text: &written::Text) -> Option<DateTime> {
        let moment = text.get_ref().parse::<DateTime>().ok().filter(|_| text.get_ref().len() >= 16);
        if moment.is_none() {
            let message = format!("`{}` is not a date and time", text.get_ref());
            let remedy = "write e.g. `2026-02-13T12:00`";
            self.error(file, "bad-time", text.span(), message).label("not `YYYY-MM-DDTHH:MM`").remedy(remedy);
        }
        moment
    }
}
