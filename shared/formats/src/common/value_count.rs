//! How many values a JSON text has, without parsing it.

use memchr::{memchr, memchr2, memchr3_iter};

/// How many values a JSON text has, about, without parsing it: each begins behind a comma or a bracket.
/// None in what is no JSON object.
pub fn value_count(body: &[u8]) -> usize {
    if body.trim_ascii_start().first() != Some(&b'{') {
        return 0;
    }
    let (mut count, mut rest) = (0, body);
    loop {
        let (outside, string) = rest.split_at(memchr(b'"', rest).unwrap_or(rest.len()));
        count += memchr3_iter(b',', b'[', b'{', outside).count();
        let Some(after) = string.get(1..).and_then(behind_string) else { return count };
        rest = after;
    }
}

/// What follows a JSON string, of whose text the first quote was taken.
fn behind_string(mut text: &[u8]) -> Option<&[u8]> {
    loop {
        let at = memchr2(b'"', b'\\', text)?;
        let is_end = text.get(at) == Some(&b'"');
        // What an escape begins with may be a quote.
        text = text.get(at + if is_end { 1 } else { 2 }..)?;
        if is_end {
            return Some(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_outside_of_strings() {
        assert_eq!(value_count(br#"{"a": [1, 2], "b": {}}"#), 5);
        assert_eq!(value_count(br#"{"a": "1, 2 \" [,"}"#), 1);
        assert_eq!(value_count(br#"{"a": "\\", "b": 1}"#), 2);
        assert_eq!(value_count(br#"{"a": "cut \"#), 1);
        assert_eq!(value_count(b"--form, with, commas"), 0);
    }
}
