//! Durations as Go writes them: `300ms`, `30s`, `1m30s`, `1.5h`; and days, `30d`.

use std::time::Duration;

/// The longest that a call, or anything within it, may take.
const MAX_DURATION: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest that records may be kept: ten years.
const MAX_RETENTION: Duration = Duration::from_secs(3650 * 24 * 60 * 60);
/// The units and their milliseconds, largest first; `ms` stands before `m`, which begins it.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("ms", 1), ("m", 60_000), ("s", 1_000)];
/// The decimals that a number may have: no unit is larger than a day, and a millisecond is the
/// smallest time.
const MAX_DECIMALS: usize = 8;

/// Parses a duration of at most a day.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let too_long = || "is longer than a day".to_owned();
    Some(parse(text)?).filter(|it| *it <= MAX_DURATION).ok_or_else(too_long)
}

/// Parses how long something is kept: at most ten years.
pub(super) fn retention(text: &str) -> Result<Duration, String> {
    let too_long = || "is longer than ten years".to_owned();
    Some(parse(text)?).filter(|it| *it <= MAX_RETENTION).ok_or_else(too_long)
}

/// Writes a duration in the largest unit that needs no fraction; in days from the second day on.
pub(super) fn write_duration(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let units = if duration <= MAX_DURATION { &units[1..] } else { &units[..] };
    let whole =
        units.iter().find(|(size, _)| milliseconds > 0 && milliseconds.is_multiple_of(*size));
    match whole {
        Some((size, unit)) => format!("{}{unit}", milliseconds / size),
        None if milliseconds == 0 => "0s".to_owned(),
        None => format!("{milliseconds}ms"),
    }
}

/// The duration, or the longest that there is where the text says more.
fn parse(text: &str) -> Result<Duration, String> {
    let bad = || "is not a duration: write numbers and ms, s, m, h or d, such as 30s".to_owned();
    if text.is_empty() {
        return Err(bad());
    }

    let mut total = 0_u64;
    let mut rest = text;
    while !rest.is_empty() {
        let is_numeric = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
        let (number, after) = rest.split_at(rest.bytes().take_while(is_numeric).count());
        if !number.is_empty() && after.is_empty() {
            return Err(format!(
                "{number} has no unit: write {number}s for seconds, or {number}ms"
            ));
        }
        let unit = UNITS.iter().find_map(|(name, size)| Some((after.strip_prefix(name)?, *size)));
        let (after, size) = unit.ok_or_else(bad)?;
        total = total.saturating_add(milliseconds(number, size).ok_or_else(bad)?);
        rest = after;
    }
    Ok(Duration::from_millis(total))
}

/// A number of units of this many milliseconds, or the largest number where there are more.
/// Absent where the text is no number, or needs parts of a millisecond.
fn milliseconds(number: &str, size: u64) -> Option<u64> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let are_digits = |it: &str| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit());
    if !are_digits(whole) || !are_digits(decimals) || MAX_DECIMALS < decimals.len() {
        return None;
    }
    let scale = 10_u64.pow(u32::try_from(decimals.len()).ok()?);
    let fraction = decimals.parse::<u64>().ok()?.checked_mul(size)?;
    if !fraction.is_multiple_of(scale) {
        return None;
    }
    // Too many digits mean a time beyond every bound, so that the error is about the bound.
    let whole = whole.parse::<u64>().unwrap_or(u64::MAX);
    Some(whole.saturating_mul(size).saturating_add(fraction / scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_numbers_and_units() {
        for (text, milliseconds) in [
            ("300ms", 300),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
            ("0s", 0),
            ("1.5s", 1_500),
            ("1m30s", 90_000),
            ("1h0.5m10ms", 3_630_010),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn a_duration_without_a_unit_is_refused_with_a_hint() {
        let hint = "30 has no unit: write 30s for seconds, or 30ms";
        assert_eq!(duration("30"), Err(hint.to_owned()));
        assert_eq!(duration("1m30"), Err(hint.to_owned()));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "s",
            ".5s",
            "5.s",
            "1.5.5s",
            "-1s",
            "30 s",
            "1w",
            "30S",
            "half an hour",
            "１s",
            "0.5ms",
            "1.0001s",
            "1.000000001d",
        ] {
            assert!(duration(text).unwrap_err().contains("is not a duration"), "{text}");
        }
        for text in ["25h", "2d", "99999999999999999999h", "18446744073709551615h"] {
            assert_eq!(duration(text), Err("is longer than a day".to_owned()), "{text}");
        }
        assert_eq!(retention("3651d"), Err("is longer than ten years".to_owned()));
    }

    #[test]
    fn durations_are_written_in_their_largest_whole_unit() {
        for text in ["0s", "300ms", "1500ms", "30s", "90s", "5m", "90m", "24h", "36h", "30d"] {
            assert_eq!(write_duration(retention(text).unwrap()), text);
        }
        assert_eq!(write_duration(Duration::from_secs(120)), "2m");
    }
}
