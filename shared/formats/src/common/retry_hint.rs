//! Retry delays and dates, as providers write them: `20s`, `6m0s`, `45 seconds`, `2026-12-01 at 00:00 UTC`.

use std::time::Duration;

/// The wait that a sentence names, as in "Please try again in 1m30s."
pub fn hint(message: &str) -> Option<Duration> {
    let message = message.to_ascii_lowercase();
    ["try again in ", "retry after ", "retry in ", "wait "].iter().find_map(|marker| {
        let (_, rest) = message.split_once(marker)?;
        let mut words = rest.split_whitespace();
        let first = words.next()?.trim_end_matches(['.', ',', ')', ';']);
        // `1m30s` is one word, `45 seconds` are two.
        duration(first).or_else(|| worded(first, words.next()?))
    })
}

/// Words that precede the date of a new try.
const DATE_MARKERS: &[&str] = &[
    "regain access on ",
    "try again at ",
    "try again after ",
    "reset at ",
    "resets at ",
    "reset on ",
    "resets on ",
    "until ",
];

/// The date of a new try that a sentence names, in milliseconds since 1970. Dates are taken for UTC.
pub fn date(message: &str) -> Option<u64> {
    let message = message.to_ascii_lowercase();
    DATE_MARKERS.iter().find_map(|marker| {
        let (_, rest) = message.split_once(marker)?;
        let (day, rest) = rest.split_at_checked(10)?;
        let mut numbers = day.split('-').map(str::parse::<i64>);
        let (year, month, day) =
            (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
        // Ten letters of any sentence come here; most are no date.
        if !(1970..3000).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        let time = rest.trim_start_matches(" at ").trim_start_matches(['t', ' ']);
        let seconds =
            days_since_1970(year, month, day) * 86_400 + seconds_of_day(time).unwrap_or(0);
        u64::try_from(seconds * 1000).ok()
    })
}

/// Seconds since midnight of `12:30` or `12:30:15`; none where no clock shows it.
fn seconds_of_day(text: &str) -> Option<i64> {
    let end = text.find(|it: char| !it.is_ascii_digit() && it != ':').unwrap_or(text.len());
    let mut numbers = text.get(..end)?.split(':').map(str::parse::<i64>);
    let (hour, minute) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    let second = numbers.next().and_then(Result::ok).unwrap_or(0);
    let is_time = (0..=24).contains(&hour) && minute < 60 && second <= 60;
    is_time.then(|| hour * 3600 + minute * 60 + second)
}

/// Source: Howard Hinnant, *chrono-Compatible Low-Level Date Algorithms*, `days_from_civil`.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    // The year begins in March, so that the leap day is its last.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    // From March on, months of 31 and 30 days follow each other in a pattern of five with 153 days.
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Reads `1h2m3.5s`, `120ms` and the like.
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|it: char| !it.is_ascii_digit() && it != '.')?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|it: char| !it.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        sum = sum.checked_add(scaled(number, unit)?)?;
        rest = tail;
    }
    (!text.trim().is_empty()).then_some(sum)
}

/// Reads a number and the word behind it.
fn worded(number: &str, word: &str) -> Option<Duration> {
    let word = word.trim_end_matches(['.', ',', ')', ';']).trim_end_matches('s');
    let unit = match word {
        "second" | "sec" => "s",
        "minute" | "min" => "m",
        "hour" => "h",
        "millisecond" => "ms",
        _ => return None,
    };
    scaled(number, unit)
}

fn scaled(number: &str, unit: &str) -> Option<Duration> {
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    // A provider's number may be negative, infinite or beyond any clock; none of these is a delay.
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_duration_is_read() {
        let millis = |text: &str| duration(text).map(|it| it.as_millis());
        assert_eq!(millis("20s"), Some(20_000));
        assert_eq!(millis("6m0s"), Some(360_000));
        assert_eq!(millis("1h2m3.5s"), Some(3_723_500));
        assert_eq!(millis("120ms"), Some(120));
        for nonsense in ["", "20", "s", "1x", "1..s", "-1s"] {
            assert_eq!(millis(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_sentence_names_a_date() {
        let limits = "You have reached your specified API usage limits. You will regain access on ";
        for (text, seconds) in [
            ("2026-12-01 at 00:00 UTC.", 1_796_083_200),
            ("2024-02-29 at 12:30 UTC.", 1_709_209_800),
            ("2026-12-01.", 1_796_083_200),
            ("2026-12-01T00:00:05Z.", 1_796_083_205),
        ] {
            assert_eq!(date(&format!("{limits}{text}")), Some(seconds * 1000), "{text}");
        }
        assert_eq!(date("until 2026-13-01"), None);
        assert_eq!(date("until then"), None);
    }

    #[test]
    fn a_time_that_no_clock_shows_leaves_the_date() {
        for time in
            ["25:00", "12:60", "12:00:61", "9223372036854775807:00", "00:9223372036854775807"]
        {
            assert_eq!(
                date(&format!("until 2026-12-01 {time}")),
                Some(1_796_083_200_000),
                "{time}"
            );
        }
    }

    #[test]
    fn a_sentence_names_a_wait() {
        let seconds = |text: &str| hint(text).map(|it| it.as_secs());
        assert_eq!(seconds("Limit reached. Please try again in 20s."), Some(20));
        assert_eq!(seconds("Please retry after 45 seconds."), Some(45));
        assert_eq!(seconds("Please wait 2 minutes before retrying."), Some(120));
        assert_eq!(seconds("Please wait."), None);
    }
}
