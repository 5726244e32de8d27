//! Holidays, by rule: the federal list and Oregon's (ORS 187.010).

use jiff::Span;
use jiff::civil::{Date, Weekday};

/// Which holidays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// None.
    None,
    /// 5 U.S.C. 6103: eleven days, Columbus Day (Indigenous Peoples' Day) among them. PDX 311 keeps these.
    Federal,
    /// ORS 187.010: the same without Columbus Day.
    Oregon,
}

/// On which day a holiday that falls on a weekend counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observe {
    /// On its own date, whatever day that is.
    Actual,
    /// On the Friday before a Saturday, on the Monday after a Sunday.
    Observed,
    /// On both.
    Both,
}

/// A holiday that falls on some day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holiday {
    /// Its name.
    pub name: &'static str,
    /// Whether that day is not its own date, but the one on which it is observed.
    pub observed: bool,
}

/// How a holiday's date is found.
enum When {
    /// Always on this month and day.
    Fixed(i8, i8),
    /// The `n`th such weekday of the month; −1 is the last.
    Nth(i8, i8, Weekday),
}

const COLUMBUS: &str = "Columbus Day / Indigenous Peoples' Day";

const HOLIDAYS: [(&str, When); 11] = [
    ("New Year's Day", When::Fixed(1, 1)),
    ("Martin Luther King Jr. Day", When::Nth(1, 3, Weekday::Monday)),
    ("Presidents' Day", When::Nth(2, 3, Weekday::Monday)),
    ("Memorial Day", When::Nth(5, -1, Weekday::Monday)),
    ("Juneteenth", When::Fixed(6, 19)),
    ("Independence Day", When::Fixed(7, 4)),
    ("Labor Day", When::Nth(9, 1, Weekday::Monday)),
    (COLUMBUS, When::Nth(10, 2, Weekday::Monday)),
    ("Veterans Day", When::Fixed(11, 11)),
    ("Thanksgiving Day", When::Nth(11, 4, Weekday::Thursday)),
    ("Christmas Day", When::Fixed(12, 25)),
];

impl Set {
    /// The holiday kept on `date`, if any.
    pub fn on(self, date: Date, observe: Observe) -> Option<Holiday> {
        let actual = || self.dated(date).map(|name| Holiday { name, observed: false });
        match observe {
            Observe::Actual => actual(),
            Observe::Observed => self.observed(date),
            Observe::Both => actual().or_else(|| self.observed(date)),
        }
    }

    /// The holiday whose own date this is.
    fn dated(self, date: Date) -> Option<&'static str> {
        let kept = |name: &str| match self {
            Self::None => false,
            Self::Federal => true,
            Self::Oregon => name != COLUMBUS,
        };
        let falls = |when: &When| match *when {
            When::Fixed(month, day) => (date.month(), date.day()) == (month, day),
            When::Nth(month, nth, weekday) => {
                date.month() == month
                    && date.weekday() == weekday
                    && date.nth_weekday_of_month(nth, weekday).is_ok_and(|found| found == date)
            }
        };
        HOLIDAYS.iter().find(|(name, when)| kept(name) && falls(when)).map(|(name, _)| *name)
    }

    /// The holiday that offices keep on this date: Saturday's on Friday, Sunday's on Monday.
    fn observed(self, date: Date) -> Option<Holiday> {
        let beside = |days: i64| {
            let own = date.checked_add(Span::new().days(days)).ok()?;
            Some(Holiday { name: self.dated(own)?, observed: true })
        };
        let own = || self.dated(date).map(|name| Holiday { name, observed: false });
        match date.weekday() {
            Weekday::Saturday | Weekday::Sunday => None,
            Weekday::Friday => own().or_else(|| beside(1)),
            Weekday::Monday => own().or_else(|| beside(-1)),
            Weekday::Tuesday | Weekday::Wednesday | Weekday::Thursday => own(),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn federal(y: i16, m: i8, d: i8) -> Option<Holiday> {
        Set::Federal.on(date(y, m, d), Observe::Observed)
    }

    #[test]
    fn weekend_holidays_are_kept_on_the_nearest_workday() {
        let vectors = [
            (2026, 7, 3, "Independence Day"),
            (2027, 6, 18, "Juneteenth"),
            (2027, 7, 5, "Independence Day"),
            (2027, 12, 24, "Christmas Day"),
            (2027, 12, 31, "New Year's Day"),
            (2028, 11, 10, "Veterans Day"),
            (2029, 11, 12, "Veterans Day"),
        ];
        for (y, m, d, name) in vectors {
            assert_eq!(federal(y, m, d), Some(Holiday { name, observed: true }), "{y}-{m}-{d}");
        }
        assert_eq!(federal(2028, 1, 1), None, "a Saturday: kept the day before, in another year");
    }

    #[test]
    fn thanksgiving_is_the_fourth_thursday() {
        for (year, day) in [(2025, 27), (2026, 26), (2027, 25), (2028, 23), (2029, 22), (2030, 28)] {
            assert_eq!(federal(year, 11, day).map(|found| found.name), Some("Thanksgiving Day"), "{year}");
            let others = (22..=28).filter(|other| *other != day);
            assert!(others.into_iter().all(|other| federal(year, 11, other).is_none()), "{year}");
        }
    }

    #[test]
    fn oregon_does_not_keep_columbus_day() {
        let monday = date(2026, 10, 12);
        assert!(Set::Federal.on(monday, Observe::Both).is_some());
        assert_eq!(Set::Oregon.on(monday, Observe::Both), None);
        assert_eq!(Set::None.on(date(2026, 12, 25), Observe::Both), None);
    }

    #[test]
    fn observe_says_which_of_two_days() {
        let (friday, saturday) = (date(2026, 7, 3), date(2026, 7, 4));
        let kept = |observe| (Set::Federal.on(friday, observe).is_some(), Set::Federal.on(saturday, observe).is_some());
        assert_eq!(kept(Observe::Actual), (false, true));
        assert_eq!(kept(Observe::Observed), (true, false));
        assert_eq!(kept(Observe::Both), (true, true));
    }

    #[test]
    fn eleven_days_are_kept_every_year() {
        for year in 2021..=2060 {
            let mut day = date(year, 1, 1);
            let mut kept = 0;
            while day.year() == year {
                kept += usize::from(Set::Federal.on(day, Observe::Actual).is_some());
                day = day.tomorrow().unwrap();
            }
            assert_eq!(kept, 11, "{year}");
        }
    }
}
