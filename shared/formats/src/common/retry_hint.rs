//! How long to wait, as providers write it: `20s`, `6m0s`, `120ms`, `45 seconds`.

use std::time::Duration;

/// The wait that a sentence names, as in "Please try again in 1m30s."
pub fn hint(message: &str) -> Option<Duration> {
    let message = message.to_ascii_lowercase();
    ["try again in ", "retry after ", "retry in ", "wait "].iter().find_map(|marker| {
        let (_, rest) = message.split_once(marker)?;
        let mut words = rest.split_whitespace();
        let first = words.next()?.trim_end_matches(['.', ',', ')', ';']);
        duration(first).or_else(|| worded(first, words.next()?))
    })
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
    fn a_sentence_names_a_wait() {
        let seconds = |text: &str| hint(text).map(|it| it.as_secs());
        assert_eq!(seconds("Limit reached. Please try again in 20s."), Some(20));
        assert_eq!(seconds("Please retry after 45 seconds."), Some(45));
        assert_eq!(seconds("Please wait 2 minutes before retrying."), Some(120));
        assert_eq!(seconds("Please wait."), None);
    }
}
