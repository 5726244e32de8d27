//! `cityline calendar`: a year of each calendar to look over – holidays, the days on which the clocks change,
//! and how long each is open.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use jiff::civil::{Date, date};
use jiff::{Timestamp, ToSpan};
use miette::IntoDiagnostic;
use serde_json::json;

use super::folders::Folders;
use crate::routing::calendar::{Because, Calendar, State};
use crate::routing::model::Rulebook;

/// Which year of which calendars.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    folders: Folders,
    /// The year.
    #[arg(long, value_parser = clap::value_parser!(i16).range(1970..=2200))]
    year: i16,
    /// Only this calendar.
    #[arg(long, value_name = "ID")]
    calendar: Option<String>,
    /// One JSON object a line: each day of each calendar.
    #[arg(long)]
    json: bool,
}

/// Prints the year.
///
/// # Errors
/// Where the rules cannot be used, or nothing can be printed.
pub fn run(args: Args) -> Result<ExitCode, miette::Report> {
    let book = args.folders.load_or_report()?;
    let wanted = |calendar: &&Calendar| args.calendar.as_ref().is_none_or(|id| id == calendar.id.as_str());
    let mut text = String::new();
    for calendar in book.calendars.iter().filter(wanted) {
        let days = year(calendar, args.year);
        text += &if args.json { as_json(calendar, &days) } else { as_text(&book, calendar, &days) };
    }
    if text.is_empty() {
        return Err(miette::miette!("there is no calendar `{}`", args.calendar.unwrap_or_default()));
    }
    std::io::stdout().lock().write_all(text.as_bytes()).into_diagnostic()?;
    Ok(ExitCode::SUCCESS)
}

/// One day of a calendar.
struct Day {
    date: Date,
    open_minutes: i64,
    /// Why it is closed all day, where that is a holiday or a closure.
    closed_for: Option<String>,
    /// How many hours the day has: 24, or 23 or 25 where the clocks change.
    hours: i64,
}

fn year(calendar: &Calendar, year: i16) -> Vec<Day> {
    date(year, 1, 1).series(1.day()).take_while(|day| day.year() == year).map(|day| of_day(calendar, day)).collect()
}

fn of_day(calendar: &Calendar, day: Date) -> Day {
    let midnight = |day: Date| calendar.zone.to_timestamp(day.to_datetime(jiff::civil::Time::midnight()));
    let start = midnight(day).unwrap_or(Timestamp::MIN);
    let end = day.tomorrow().and_then(midnight).unwrap_or(Timestamp::MAX);
    let (mut now, mut open_s) = (start, 0);
    while now < end {
        let (until, open) = match calendar.at(now) {
            State::Open { until, .. } => (until, true),
            State::Closed { until, .. } => (until, false),
        };
        let until = until.unwrap_or(end).min(end);
        if open {
            open_s += until.as_second() - now.as_second();
        }
        now = until;
    }
    let noon = calendar.zone.to_timestamp(day.at(12, 0, 0, 0)).unwrap_or(start);
    let closed_for = match calendar.because(noon) {
        because @ (Because::Holiday(..) | Because::Closure(_)) => Some(because.to_string()),
        Because::Always | Because::Window(_) | Because::Outside => None,
    };
    Day { date: day, open_minutes: open_s / 60, closed_for, hours: (end.as_second() - start.as_second()) / 3600 }
}

fn as_text(book: &Rulebook, calendar: &Calendar, days: &[Day]) -> String {
    let minutes: i64 = days.iter().map(|day| day.open_minutes).sum();
    let open_days = days.iter().filter(|day| day.open_minutes > 0).count();
    let lines: Vec<&str> = book
        .lines
        .iter()
        .filter(|line| book.calendars[line.calendar].id == calendar.id)
        .map(|line| line.id.as_str())
        .collect();
    let mut text = String::new();
    let _ = writeln!(text, "{} ({})", calendar.id, calendar.place);
    let _ = writeln!(text, "  open {open_days} days, {} hours {} minutes", minutes / 60, minutes % 60);
    if !lines.is_empty() {
        let _ = writeln!(text, "  lines: {}", lines.join(", "));
    }
    for day in days.iter().filter(|day| day.closed_for.is_some() || day.hours != 24) {
        let weekday = day.date.strftime("%a %-d %b %Y");
        let clocks = match day.hours {
            24 => String::new(),
            hours => format!("the clocks change: {hours} hours, open {} minutes", day.open_minutes),
        };
        let reasons = [day.closed_for.clone().unwrap_or_default(), clocks];
        let reasons: Vec<_> = reasons.into_iter().filter(|reason| !reason.is_empty()).collect();
        let _ = writeln!(text, "  {weekday:<16} {}", reasons.join("; "));
    }
    text + "\n"
}

fn as_json(calendar: &Calendar, days: &[Day]) -> String {
    let line = |day: &Day| {
        json!({
            "calendar": calendar.id.as_str(),
            "date": day.date.to_string(),
            "open_minutes": day.open_minutes,
            "closed_for": day.closed_for,
            "hours": day.hours,
        })
        .to_string()
            + "\n"
    };
    days.iter().map(line).collect()
}
