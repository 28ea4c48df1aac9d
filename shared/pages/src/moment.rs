//! Moments: shown in UTC by the server, and in the reader's zone by the script.

use std::fmt;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY_MS: u64 = 86_400_000;

/// A moment, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

/// A day of the calendar, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Day {
    year: u64,
    month: usize,
    day: u64,
}

impl Moment {
    /// The calendar's day, by Howard Hinnant's `civil_from_days`.
    fn civil(self) -> Day {
        // 719,468 days lie between 1 March of the year 0 and 1970.
        let days = self.0 / DAY_MS + 719_468;
        let era = days / 146_097;
        let of_era = days % 146_097;
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        // A year begins in March here, so that a leap day is the last one.
        let shifted = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        Day { year, month: usize::try_from(month).unwrap_or(1), day }
    }

    fn month_name(self) -> &'static str {
        MONTHS.get(self.civil().month - 1).copied().unwrap_or_default()
    }

    fn clock_text(self) -> String {
        let seconds = self.0 % DAY_MS / 1000;
        format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }

    /// The moment as RFC 3339 has it, with milliseconds.
    pub fn rfc3339(self) -> String {
        let Day { year, month, day } = self.civil();
        format!("{year}-{month:02}-{day:02}T{}.{:03}Z", self.clock_text(), self.0 % 1000)
    }

    /// A day such as `28 Nov`.
    pub fn day_text(self) -> String {
        format!("{} {}", self.civil().day, self.month_name())
    }

    /// A month such as `November 2026`, of which the name's first letters are enough.
    pub fn month_text(self) -> String {
        format!("{} {}", self.month_name(), self.civil().year)
    }

    fn element(self, kind: &str, text: &str) -> String {
        let full = self.rfc3339();
        // The script writes the reader's own zone over the text. Without scripts UTC stays.
        format!("<time datetime=\"{full}\" data-as=\"{kind}\" title=\"{full}\">{text}</time>")
    }

    /// A `time` element with hours, minutes and seconds.
    pub fn clock(self) -> Html {
        Html(self.element("clock", &self.clock_text()))
    }

    /// A `time` element with hours, minutes, seconds and milliseconds.
    pub fn precise(self) -> Html {
        let text = format!("{}.{:03}", self.clock_text(), self.0 % 1000);
        Html(self.element("precise", &text))
    }

    /// A `time` element with the day and the minute.
    pub fn stamp(self) -> Html {
        let clock = self.clock_text();
        let minute = clock.get(..5).unwrap_or_default();
        Html(self.element("stamp", &format!("{} {minute}", self.day_text())))
    }

    /// A `time` element with the day.
    pub fn day(self) -> Html {
        Html(self.element("day", &self.day_text()))
    }
}

/// Markup that this crate has made, and that a template does not escape again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Html(pub(crate) String);

impl fmt::Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl askama::filters::HtmlSafe for Html {}

/// Text with the five letters escaped that mean something in HTML and in its attributes.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());

    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        let shown = [0, 951_782_400_000, 1_795_874_692_118].map(|it| Moment(it).rfc3339());
        let wanted =
            ["1970-01-01T00:00:00.000Z", "2000-02-29T00:00:00.000Z", "2026-11-28T14:04:52.118Z"];
        assert_eq!(shown, wanted);
    }

    #[test]
    fn an_element_carries_the_moment_and_shows_it_in_utc() {
        let html = Moment(1_795_874_692_118).stamp().to_string();
        assert!(html.contains("datetime=\"2026-11-28T14:04:52.118Z\""), "{html}");
        assert!(html.contains(">28 Nov 14:04<"), "{html}");
    }
}
