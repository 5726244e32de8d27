//! Open or closed: named calendars with a zone, weekly hours, holidays and closures.
//!
//! What counts is what the clock on the wall shows in the calendar's zone: a line is open exactly while that
//! clock shows a time inside its hours. So on the night the clocks go back, hours that hold 01:30 hold it both
//! times; on the night they go forward, 02:30 never comes and hours that begin then begin at 03:00.
//! [`Calendar::at`] has an answer for every instant there is.

use std::sync::Arc;

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::holiday::{Observe, Set};
use crate::terms::event::Place;
use crate::terms::ids::CalendarId;

/// How far ahead the next opening or closing is looked for.
pub const HORIZON_DAYS: i64 = 400;

/// When something is open.
#[derive(Debug)]
pub struct Calendar {
    /// Its id.
    pub id: CalendarId,
    /// The zone whose wall clock counts.
    pub zone: TimeZone,
    /// The hours.
    pub hours: Hours,
    /// The holidays on which it is closed.
    pub holidays: Set,
    /// On which day a holiday that falls on a weekend counts.
    pub observe: Observe,
    /// Closed once, for a reason.
    pub closures: Vec<Closure>,
    /// Where it is written.
    pub place: Place,
}

/// Weekly hours, or none: always open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hours {
    /// Day and night; holidays and closures still count.
    Always,
    /// In these windows.
    Weekly(Vec<Window>),
}

/// Hours of some days of the week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The days on which it begins, Monday first.
    pub days: [bool; 7],
    /// The first minute.
    pub open: Time,
    /// The first minute after it; at or before `open`, it is that of the next day.
    pub close: Time,
    /// The hours in words: `08:00–18:00`.
    pub words: String,
}

/// A one-off closure, by the wall clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closure {
    /// The first moment.
    pub from: DateTime,
    /// The first moment after it.
    pub until: DateTime,
    /// Why.
    pub because: Arc<str>,
}

/// What a calendar says about an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Open.
    Open {
        /// When it closes; `None` where that is more than [`HORIZON_DAYS`] away.
        until: Option<Timestamp>,
        /// Why, in words.
        because: String,
    },
    /// Closed.
    Closed {
        /// When it opens; `None` where that is more than [`HORIZON_DAYS`] away.
        until: Option<Timestamp>,
        /// Why, in words.
        because: String,
    },
}

impl State {
    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Open { .. } => true,
            Self::Closed { .. } => false,
        }
    }
}

/// Why a calendar is open or closed; words only when asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because<'a> {
    /// Open day and night.
    Always,
    /// Inside this window.
    Window(&'a Window),
    /// Outside every window.
    Outside,
    /// A holiday; `true` where it is only observed on that day.
    Holiday(&'static str, bool),
    /// A one-off closure.
    Closure(&'a str),
}

impl Because<'_> {
    /// Whether it is open.
    pub fn is_open(self) -> bool {
        match self {
            Self::Always | Self::Window(_) => true,
            Self::Outside | Self::Holiday(..) | Self::Closure(_) => false,
        }
    }
}

impl std::fmt::Display for Because<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Always => f.write_str("open day and night"),
            Self::Window(window) => write!(f, "weekly hours {}", window.words),
            Self::Outside => f.write_str("outside the weekly hours"),
            Self::Holiday(name, false) => write!(f, "holiday: {name}"),
            Self::Holiday(name, true) => write!(f, "holiday: {name} (observed)"),
            Self::Closure(why) => write!(f, "closed once: {why}"),
        }
    }
}

impl Calendar {
    /// Open or closed at `now`, until when, and why.
    pub fn at(&self, now: Timestamp) -> State {
        let because = self.because(now);
        let until = self.next_change(now, because.is_open());
        let words = because.to_string();
        match because.is_open() {
            true => State::Open { until, because: words },
            false => State::Closed { until, because: words },
        }
    }

    /// Open or closed at `now` and why, without looking ahead.
    pub fn because(&self, now: Timestamp) -> Because<'_> {
        self.on_the_wall(self.zone.to_datetime(now))
    }

    /// The same where the wall clock shows `wall`.
    fn on_the_wall(&self, wall: DateTime) -> Because<'_> {
        if let Some(closure) = self.closures.iter().find(|closure| closure.from <= wall && wall < closure.until) {
            return Because::Closure(&closure.because);
        }
        let today = wall.date();
        let windows = match &self.hours {
            Hours::Always => return self.holiday(today).unwrap_or(Because::Always),
            Hours::Weekly(windows) => windows,
        };
        // A night shift that began yesterday ends today, whatever day today is.
        if let Ok(yesterday) = today.yesterday() {
            let late = |window: &&Window| {
                window.overnight() && window.begins_on(yesterday.weekday()) && wall.time() < window.close
            };
            if let Some(window) = windows.iter().find(late)
                && self.holiday(yesterday).is_none()
            {
                return Because::Window(window);
            }
        }
        if let Some(holiday) = self.holiday(today) {
            return holiday;
        }
        let now = |window: &&Window| {
            window.begins_on(today.weekday())
                && window.open <= wall.time()
                && (window.overnight() || wall.time() < window.close)
        };
        windows.iter().find(now).map_or(Because::Outside, Because::Window)
    }

    fn holiday(&self, date: Date) -> Option<Because<'static>> {
        let found = self.holidays.on(date, self.observe)?;
        Some(Because::Holiday(found.name, found.observed))
    }

    /// The first instant after `now` at which open turns to closed or closed to open. Only at a window's edge,
    /// at midnight, at a closure's edge or where the clocks change can that be, so only those are tried.
    fn next_change(&self, now: Timestamp, open: bool) -> Option<Timestamp> {
        let today = self.zone.to_datetime(now).date();
        let mut edges = Vec::with_capacity(16);
        for ahead in 0..=HORIZON_DAYS {
            let Ok(day) = today.checked_add(Span::new().days(ahead)) else { break };
            edges.clear();
            self.edges_of(day, &mut edges);
            edges.sort_unstable();
            let turns = |edge: &&Timestamp| **edge > now && self.because(**edge).is_open() != open;
            if let Some(turn) = edges.iter().find(turns) {
                return Some(*turn);
            }
        }
        None
    }

    fn edges_of(&self, day: Date, edges: &mut Vec<Timestamp>) {
        let mut note = |wall: DateTime| {
            let both = self.zone.to_ambiguous_zoned(wall);
            edges.extend(both.clone().earlier().map(|zoned| zoned.timestamp()));
            edges.extend(both.later().map(|zoned| zoned.timestamp()));
        };
        note(day.to_datetime(Time::midnight()));
        if let Hours::Weekly(windows) = &self.hours {
            for window in windows {
                note(day.to_datetime(window.open));
                note(day.to_datetime(window.close));
            }
        }
        for closure in &self.closures {
            [closure.from, closure.until].into_iter().filter(|edge| edge.date() == day).for_each(&mut note);
        }
        let Ok(start) = self.zone.to_timestamp(day.to_datetime(Time::midnight())) else { return };
        let end = start.checked_add(Span::new().hours(26)).unwrap_or(Timestamp::MAX);
        edges.extend(self.zone.following(start).map(|change| change.timestamp()).take_while(|at| *at < end));
    }
}

impl Window {
    /// Whether it ends on the day after the one on which it begins.
    pub fn overnight(&self) -> bool {
        self.close <= self.open
    }

    fn begins_on(&self, day: Weekday) -> bool {
        self.days[day.to_monday_zero_offset() as usize]
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::routing::model::Rulebook;

    use super::*;

    fn portland(id: &str) -> Calendar {
        let book = Rulebook::load_unheard(Path::new("routing-rules")).unwrap();
        let book = std::sync::Arc::into_inner(book).unwrap();
        book.calendars.into_rows().into_iter().find(|calendar| calendar.id.as_str() == id).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn weekly(open: &str, close: &str) -> Calendar {
        let window = Window {
            days: [true; 7],
            open: open.parse().unwrap(),
            close: close.parse().unwrap(),
            words: format!("{open}–{close}"),
        };
        Calendar { hours: Hours::Weekly(vec![window]), holidays: Set::None, ..portland("always") }
    }

    #[test]
    fn the_edges_of_a_workday_are_exact() {
        let plan = portland("pdx311_plan");
        for (when, open, until) in [
            ("2026-11-18T07:59:59-08:00", false, "2026-11-18T08:00:00-08:00"),
            ("2026-11-18T08:00:00-08:00", true, "2026-11-18T18:00:00-08:00"),
            ("2026-11-18T17:59:59-08:00", true, "2026-11-18T18:00:00-08:00"),
            ("2026-11-18T18:00:00-08:00", false, "2026-11-19T08:00:00-08:00"),
            ("2026-11-20T18:00:00-08:00", false, "2026-11-23T08:00:00-08:00"),
            ("2026-11-25T20:00:00-08:00", false, "2026-11-27T08:00:00-08:00"),
            ("2026-03-06T19:00:00-08:00", false, "2026-03-09T08:00:00-07:00"),
        ] {
            let state = plan.at(at(when));
            let (State::Open { until: found, .. } | State::Closed { until: found, .. }) = &state;
            assert_eq!((state.is_open(), *found), (open, Some(at(until))), "{when}");
        }
    }

    #[test]
    fn holidays_and_their_names_stand_in_the_answer() {
        let plan = portland("pdx311_plan");
        for (when, words) in [
            ("2026-11-26T12:00-08:00", "holiday: Thanksgiving Day"),
            ("2026-07-03T12:00-07:00", "holiday: Independence Day (observed)"),
            ("2027-12-31T12:00-08:00", "holiday: New Year's Day (observed)"),
            ("2028-11-10T12:00-08:00", "holiday: Veterans Day (observed)"),
            ("2026-11-18T12:00-08:00", "weekly hours 08:00–18:00"),
            ("2026-11-22T12:00-08:00", "outside the weekly hours"),
        ] {
            assert_eq!(plan.because(at(when)).to_string(), words, "{when}");
        }
        let live = portland("pdx311_live");
        assert!(!live.because(at("2026-07-03T12:00-07:00")).is_open());
        assert!(!live.because(at("2026-07-04T12:00-07:00")).is_open(), "a seven-day line keeps both");
        assert!(live.because(at("2026-11-22T07:00-08:00")).is_open(), "Sundays from seven");
    }

    #[test]
    fn night_shifts_end_on_the_next_day() {
        let night = weekly("22:00", "06:00");
        for (when, open) in
            [("21:59", false), ("22:00", true), ("23:59", true), ("00:00", true), ("05:59", true), ("06:00", false)]
        {
            assert_eq!(night.because(at(&format!("2026-11-18T{when}-08:00"))).is_open(), open, "{when}");
        }
        let State::Open { until, .. } = night.at(at("2026-11-18T23:00-08:00")) else { panic!() };
        assert_eq!(until, Some(at("2026-11-19T06:00-08:00")));
    }

    #[test]
    fn a_whole_day_is_a_window_and_always_never_ends() {
        let daily = weekly("00:00", "00:00");
        for hour in 0..24 {
            assert!(daily.because(at(&format!("2026-11-18T{hour:02}:30-08:00"))).is_open());
        }
        assert_eq!(
            daily.at(at("2026-11-18T12:00-08:00")),
            State::Open { until: None, because: "weekly hours 00:00–00:00".into() }
        );
        assert_eq!(
            portland("always").at(at("2026-12-25T03:00-08:00")),
            State::Open { until: None, because: "open day and night".into() }
        );
    }

    #[test]
    fn in_spring_the_missing_hour_opens_when_the_clock_first_shows_it() {
        // 8 March 2026: 01:59:59 PST is followed by 03:00:00 PDT.
        let early = weekly("02:30", "04:00");
        let State::Closed { until, .. } = early.at(at("2026-03-08T01:59:59-08:00")) else { panic!() };
        assert_eq!(until, Some(at("2026-03-08T03:00:00-07:00")));
        assert!(early.because(at("2026-03-08T03:00:00-07:00")).is_open());
    }

    #[test]
    fn in_autumn_half_past_one_comes_twice_and_is_open_twice() {
        // 1 November 2026: 01:59:59 PDT is followed by 01:00:00 PST.
        let early = weekly("01:15", "01:45");
        let spans = [
            ("01:14:59-07:00", false),
            ("01:30-07:00", true),
            ("01:50-07:00", false),
            ("01:05-08:00", false),
            ("01:30-08:00", true),
            ("01:45-08:00", false),
        ];
        for (when, open) in spans {
            assert_eq!(early.because(at(&format!("2026-11-01T{when}"))).is_open(), open, "{when}");
        }
        let State::Closed { until, .. } = early.at(at("2026-11-01T01:50-07:00")) else { panic!() };
        assert_eq!(until, Some(at("2026-11-01T01:15-08:00")), "opens again within the hour");
    }

    #[test]
    fn a_closure_says_why_and_ends() {
        let mut plan = portland("pdx311_plan");
        let (from, until) = ("2027-02-11T12:00".parse().unwrap(), "2027-02-12T12:00".parse().unwrap());
        plan.closures.push(Closure { from, until, because: "snow".into() });
        let State::Closed { until, because } = plan.at(at("2027-02-11T13:00-08:00")) else { panic!() };
        assert_eq!((until, because.as_str()), (Some(at("2027-02-12T12:00-08:00")), "closed once: snow"));
    }

    /// `until` is found by trying edges; walking minute by minute must find the same.
    #[test]
    fn the_next_change_is_the_one_that_a_patient_walker_finds() {
        for id in ["pdx311_plan", "pdx311_live", "parking_enforcement", "county"] {
            let calendar = portland(id);
            for start in ["2026-03-07T12:00Z", "2026-10-31T12:00Z", "2027-12-30T12:00Z", "2026-07-02T12:00Z"] {
                let mut now = at(start);
                let (State::Open { until, .. } | State::Closed { until, .. }) = calendar.at(now);
                let open = calendar.because(now).is_open();
                while calendar.because(now).is_open() == open {
                    now += jiff::SignedDuration::from_mins(1);
                }
                assert_eq!(until, Some(now), "{id} {start}");
            }
        }
    }
}
