//! Hours and days in UTC, by which records and their sums are kept.

use std::fmt;

/// Milliseconds of an hour.
const HOUR_MS: u64 = 3_600_000;
/// Hours of a day.
const HOURS_OF_DAY: u64 = 24;

/// One hour, written as `2026112810`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(u64);

/// One day, written as `20261128`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(u64);

impl Hour {
    /// The hour of a moment, in milliseconds since 1970.
    pub fn of(ms: u64) -> Self {
        Self(ms / HOUR_MS)
    }

    /// The hour with this name, such as `2026112810`.
    pub fn parse(name: &str) -> Option<Self> {
        let (day, hour) = (Day::parse(name.get(..8)?)?, name.get(8..)?);
        let hour: u64 = (hour.len() == 2).then(|| hour.parse().ok()).flatten()?;

        (hour < HOURS_OF_DAY).then(|| Self(day.0 * HOURS_OF_DAY + hour))
    }

    /// The first millisecond of the hour, since 1970.
    pub fn start(self) -> u64 {
        self.0 * HOUR_MS
    }

    /// The first millisecond after the hour, since 1970.
    pub fn end(self) -> u64 {
        self.next().start()
    }

    /// The day that the hour belongs to.
    pub fn day(self) -> Day {
        Day(self.0 / HOURS_OF_DAY)
    }

    /// Which hour of its day it is, from 0.
    pub fn of_day(self) -> u64 {
        self.0 % HOURS_OF_DAY
    }

    /// The hour after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The hour before this one.
    pub fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl Day {
    /// The day of a moment, in milliseconds since 1970.
    pub fn of(ms: u64) -> Self {
        Hour::of(ms).day()
    }

    /// The day with this name, such as `20261128`.
    pub fn parse(name: &str) -> Option<Self> {
        if name.len() != 8 || !name.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number: u64 = name.parse().ok()?;
        let day = Self(days_from_civil(number / 10_000, number / 100 % 100, number % 100));
        // A date that does not exist, such as the 30th of February, comes back as another one.
        (day.to_string() == name).then_some(day)
    }

    /// The day's name as a number: its digits are those of year, month and day.
    fn number(self) -> u64 {
        let (year, month, day) = civil_from_days(self.0);
        (year * 100 + month) * 100 + day
    }

    /// The first millisecond of the day, since 1970.
    pub fn start(self) -> u64 {
        self.first_hour().start()
    }

    /// The first hour of the day.
    pub fn first_hour(self) -> Hour {
        Hour(self.0 * HOURS_OF_DAY)
    }

    /// The last hour of the day.
    pub fn last_hour(self) -> Hour {
        Hour(self.0 * HOURS_OF_DAY + HOURS_OF_DAY - 1)
    }

    /// The day after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The day that was this many days before.
    pub fn before(self, days: u64) -> Self {
        Self(self.0.saturating_sub(days))
    }
}

impl fmt::Display for Hour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010}", self.day().number() * 100 + self.of_day())
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08}", self.number())
    }
}

/// Year, month and day of a count of days since 1970.
///
/// Source: <https://howardhinnant.github.io/date_algorithms.html>.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    // Days from the 1st of March of year 0 to 1970. Years begin with March, so that the leap day is
    // the last one.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

/// Days since 1970 of a date. Dates before 1970 are 1970's first day.
fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    let year = year.saturating_sub(u64::from(month <= 2));
    let (era, of_era) = (year / 400, year % 400);
    let shifted = (month + 9) % 12;
    let of_year = (153 * shifted + 2) / 5 + day.saturating_sub(1);
    let days = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    (era * 146_097 + days).saturating_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_read_as_it_was_written() {
        // `date -u -d '2026-11-28 10:59:59' +%s` is 1795863599.
        let hour = Hour::of(1_795_863_599_000);
        assert_eq!(hour.to_string(), "2026112810");
        assert_eq!(Hour::parse("2026112810"), Some(hour));
        assert_eq!((hour.start(), hour.end()), (1_795_860_000_000, 1_795_863_600_000));
        assert_eq!(hour.next().previous(), hour);
        assert_eq!((hour.of_day(), hour.day().first_hour().of_day()), (10, 0));
        for odd in ["", "2026112824", "20261128", "202611281x", "2026113010é", "2026023010"] {
            assert_eq!(Hour::parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn days_follow_the_calendar() {
        let mut day = Day::parse("20240227").unwrap();
        let mut names = vec![];
        for _ in 0..4 {
            names.push(day.to_string());
            day = day.next();
        }
        assert_eq!(names, ["20240227", "20240228", "20240229", "20240301"]);
        assert_eq!(Day::of(0).to_string(), "19700101");
        assert_eq!(day.before(5).to_string(), "20240226");
        assert_eq!(Day::parse("20240229").unwrap().last_hour().to_string(), "2024022923");
        assert_eq!(Day::parse("20230229"), None);
    }
}
