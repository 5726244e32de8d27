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
