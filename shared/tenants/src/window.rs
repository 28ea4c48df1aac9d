//! Windows of a ledger row: the names of counters, when each window ends, and which are stale.
//!
//! A new window is a new name and starts at zero by itself, so nothing is ever reset. All windows
//! are in UTC and all times in seconds since 1970.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Seconds of a minute.
pub(crate) const MINUTE: u64 = 60;
/// Seconds of an hour.
pub(crate) const HOUR: u64 = 3_600;
/// Seconds of a day.
pub(crate) const DAY: u64 = 86_400;
/// The first year that moments since 1970 can be in.
const FIRST_YEAR: u32 = 1970;

/// How many minutes keep their counter, the current one included. AWS accepts clocks that are up
/// to 5 minutes off, so two instances are at most 10 minutes apart: the slower one never restarts
/// a minute whose counter the faster one removed.
const KEPT_MINUTES: u64 = 11;
/// How many hours keep their counter, the current one included.
const KEPT_HOURS: u64 = 2;
/// How many days keep their counters, the current one included.
const KEPT_DAYS: u64 = 3;
/// How many budget periods keep their sums, the current one included.
const KEPT_PERIODS: u64 = 3;

/// The length of a window that counts requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Window {
    /// One minute.
    Minute,
    /// One hour.
    Hour,
    /// One day.
    Day,
}

impl Window {
    /// The length in seconds.
    pub fn seconds(self) -> u64 {
        match self {
            Self::Minute => MINUTE,
            Self::Hour => HOUR,
            Self::Day => DAY,
        }
    }

    /// The end of the window that holds `now`.
    pub fn end(self, now: u64) -> u64 {
        (now / self.seconds() + 1) * self.seconds()
    }

    /// The attribute that counts the requests of the window that holds `now`, such as `m29930400`.
    pub fn attribute(self, now: u64) -> String {
        let prefix = match self {
            Self::Minute => 'm',
            Self::Hour => 'h',
            Self::Day => 'd',
        };
        format!("{prefix}{}", now / self.seconds())
    }
}

/// The attribute that counts the input tokens of a day, given as days since 1970.
pub(crate) fn input_attribute(day: u64) -> String {
    format!("i{day}")
}

/// The attribute that counts the output tokens of a day, given as days since 1970.
pub(crate) fn output_attribute(day: u64) -> String {
    format!("o{day}")
}

/// How long a budget lasts before it starts anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BudgetPeriod {
    /// A calendar month.
    #[default]
    Month,
    /// A calendar day.
    Day,
}

/// One budget period, named by its date: `202611` is a month, `20261128` a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Period(u32);

impl Period {
    /// The period of this length that holds `now`.
    pub fn containing(now: u64, length: BudgetPeriod) -> Self {
        let (year, month, day) = civil_from_days(now / DAY);

        let month = year * 100 + month;
        let number = match length {
            BudgetPeriod::Month => month,
            BudgetPeriod::Day => month * 100 + day,
        };
        Self(u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// The period with this name, if it has the digits of a month or a day.
    pub fn parse(name: &str) -> Option<Self> {
        if !name.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number: u32 = name.parse().ok()?;
        let (month, day) = match name.len() {
            6 => (number, None),
            8 => (number / 100, Some(number % 100)),
            _ => return None,
        };
        if !(1..=12).contains(&(month % 100)) || month / 100 < FIRST_YEAR {
            return None;
        }
        let month = Self(month);
        let days = (month.end() - month.start()) / DAY;
        let exists = day.is_none_or(|day| (1..=days).contains(&u64::from(day)));
        exists.then_some(Self(number))
    }

    /// Whether the period is a month or a day.
    pub fn length(self) -> BudgetPeriod {
        if self.0 < 10_000_000 { BudgetPeriod::Month } else { BudgetPeriod::Day }
    }

    /// The first second of the period.
    pub fn start(self) -> u64 {
        let (year, month, day) = self.first_day();
        days_from_civil(year, month, day) * DAY
    }

    /// The first second after the period.
    pub fn end(self) -> u64 {
        let (year, month, day) = self.first_day();
        let days = match (self.length(), month) {
            (BudgetPeriod::Day, _) => days_from_civil(year, month, day) + 1,
            (BudgetPeriod::Month, 12) => days_from_civil(year + 1, 1, 1),
            (BudgetPeriod::Month, _) => days_from_civil(year, month + 1, 1),
        };
        days * DAY
    }

    /// The attribute of what is committed in the period: settled and held, in micro-dollars.
    pub fn committed_attribute(self) -> String {
        format!("b{self}")
    }

    /// The attribute of what is settled in the period, in micro-dollars.
    pub fn settled_attribute(self) -> String {
        format!("s{self}")
    }

    /// The attribute of what was charged for owners that never settled, in micro-dollars. The
    /// settled sum includes it.
    pub fn lost_attribute(self) -> String {
        format!("x{self}")
    }

    /// The attribute that holds the alert levels claimed and sent in the period.
    pub fn alert_attribute(self) -> String {
        format!("a{self}")
    }

    fn first_day(self) -> (u64, u64, u64) {
        let number = u64::from(self.0);
        match self.length() {
            BudgetPeriod::Month => (number / 100, number % 100, 1),
            BudgetPeriod::Day => (number / 10_000, number / 100 % 100, number % 100),
        }
    }

    /// The place of the period in the sequence of all periods of its length.
    fn index(self) -> u64 {
        let (year, month, day) = self.first_day();
        match self.length() {
            BudgetPeriod::Month => year * 12 + month,
            BudgetPeriod::Day => days_from_civil(year, month, day),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Whether an attribute belongs to a window that ended so long ago that no call compares it.
pub(crate) fn is_stale(attribute: &str, now: u64) -> bool {
    let mut characters = attribute.chars();
    let prefix = characters.next();

    let name = characters.as_str();
    match prefix {
        Some('m') => ended(name, now / MINUTE, KEPT_MINUTES),
        Some('h') => ended(name, now / HOUR, KEPT_HOURS),
        Some('d' | 'i' | 'o') => ended(name, now / DAY, KEPT_DAYS),
        Some('b' | 's' | 'x' | 'a') => is_stale_period(name, now),
        // The note of an adjustment: `j202611_<id>`.
        Some('j') => name.split_once('_').is_some_and(|(period, _)| is_stale_period(period, now)),
        _ => false,
    }
}

fn ended(index: &str, current: u64, kept: u64) -> bool {
    index.parse::<u64>().is_ok_and(|index| index.saturating_add(kept) <= current)
}

fn is_stale_period(name: &str, now: u64) -> bool {
    let Some(period) = Period::parse(name) else { return false };

    let current = Period::containing(now, period.length());
    period.index() + KEPT_PERIODS <= current.index()
}

/// The year, month and day of a day since 1970, by Howard Hinnant's `civil_from_days`.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    // Years are counted from March, so that the leap day is the last day of a year.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

/// The days since 1970 of a date, by Howard Hinnant's `days_from_civil`.
fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let year_of_era = year % 400;
    let shifted_month = (month + 9) % 12;
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (year / 400 * 146_097 + day_of_era).saturating_sub(719_468)
}

/// A moment as RFC 3339 writes it, in UTC with whole seconds.
pub fn rfc3339(moment: u64) -> String {
    let (year, month, day) = civil_from_days(moment / DAY);
    let second = moment % DAY;
    let (hour, minute) = (second / HOUR, second % HOUR / MINUTE);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}Z", second % MINUTE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-28T10:00:00Z.
    const NOW: u64 = 1_795_860_000;

    #[test]
    fn attributes_are_named_as_in_the_design() {
        assert_eq!(Window::Minute.attribute(NOW), "m29931000");
        assert_eq!(Window::Hour.attribute(NOW), "h498850");
        assert_eq!(Window::Day.attribute(NOW), "d20785");
        assert_eq!(Period::containing(NOW, BudgetPeriod::Month).committed_attribute(), "b202611");
        assert_eq!(Period::containing(NOW, BudgetPeriod::Day).settled_attribute(), "s20261128");
    }

    #[test]
    fn a_month_ends_where_the_next_begins_leap_years_included() {
        let of = |name| Period::parse(name).unwrap();
        assert_eq!(rfc3339(of("202402").end()), "2024-03-01T00:00:00Z");
        assert_eq!(of("202402").end() - of("202402").start(), 29 * DAY);
        assert_eq!(of("210002").end() - of("210002").start(), 28 * DAY);
        assert_eq!(rfc3339(of("202612").end()), "2027-01-01T00:00:00Z");
        assert_eq!(rfc3339(of("20240228").end()), "2024-02-29T00:00:00Z");
    }

    #[test]
    fn a_date_that_does_not_exist_is_no_period() {
        for wrong in
            ["20261199", "20261100", "20261131", "20260229", "202613", "000001", "00000101"]
        {
            assert_eq!(Period::parse(wrong), None, "{wrong}");
        }
        for right in ["20261130", "20240229", "202612", "197001"] {
            assert!(Period::parse(right).is_some(), "{right}");
        }
    }

    #[test]
    fn every_day_of_a_century_is_counted_once() {
        for day in 0..36_525 {
            let (year, month, date) = civil_from_days(day);
            assert_eq!(days_from_civil(year, month, date), day);
            let period = Period::containing(day * DAY, BudgetPeriod::Day);
            assert_eq!((period.start(), period.end()), (day * DAY, (day + 1) * DAY));
            let month = Period::containing(day * DAY, BudgetPeriod::Month);
            assert!(month.start() <= day * DAY && day * DAY < month.end());
        }
    }

    #[test]
    fn only_windows_long_past_are_stale() {
        let name = |prefix: char, index: u64| format!("{prefix}{index}");
        assert!(!is_stale(&name('m', NOW / MINUTE - 10), NOW));
        assert!(is_stale(&name('m', NOW / MINUTE - 11), NOW));
        assert!(!is_stale(&name('m', NOW / MINUTE + 5), NOW));
        assert!(!is_stale(&name('h', NOW / HOUR - 1), NOW));
        assert!(is_stale(&name('h', NOW / HOUR - 2), NOW));
        assert!(is_stale(&name('i', NOW / DAY - 3), NOW));
        for kept in ["b202609", "s202611", "b20261126", "live", "r_b202001", "j202611_x", "beta"] {
            assert!(!is_stale(kept, NOW), "{kept}");
        }
        for stale in ["b202608", "x202512", "a202608", "b20261125", "j202608_x"] {
            assert!(is_stale(stale, NOW), "{stale}");
        }
    }

    #[test]
    fn a_period_has_a_month_that_exists() {
        for wrong in ["", "2026", "202613", "202600", "20261301", "2026111", "+02612"] {
            assert_eq!(Period::parse(wrong), None, "{wrong}");
        }
    }
}
