//! Halves of surrogate pairs in JSON text: JavaScript writes them, and strict parsers refuse them.
//!
//! Half a pair that ends one delta of a stream may find its other half at the start of the next one.

use std::borrow::Cow;

use memchr::memmem;
use serde_json::value::RawValue;

/// The escape of U+FFFD, which stands for what is no character.
const REPLACEMENT: &str = "\\ufffd";
/// How many bytes an escape such as `\ud83d` has.
const ESCAPE: usize = 6;

/// The kinds of escapes in a JSON text, as far as pairs are concerned.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Half {
    High,
    Low,
}

/// JSON text with U+FFFD for each lone surrogate; the text itself where there is none.
pub(crate) fn replace_lone(json: &str) -> Cow<'_, str> {
    if !may_have_any(json) {
        return Cow::Borrowed(json);
    }
    let mut out = String::new();
    let mut copied = 0;
    for at in lone(json) {
        out.push_str(json.get(copied..at).unwrap_or_default());
        out.push_str(REPLACEMENT);
        copied = at + ESCAPE;
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    out.push_str(json.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

/// Joins pairs that a stream has split over two of its texts.
#[derive(Clone, Debug, Default)]
pub(crate) struct PairJoiner {
    /// The escape of the high half with which the last text ended.
    held: Option<String>,
}

impl PairJoiner {
    /// The next text of the stream, a JSON string in quotes, with the half that was held before it.
    pub(crate) fn join<'a>(&mut self, json: &'a str) -> Cow<'a, str> {
        let inner = json.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
        let Some(inner) = inner.filter(|it| self.held.is_some() || may_have_any(it)) else {
            return Cow::Borrowed(json);
        };
        let mut text = self.held.take().unwrap_or_default();
        text.push_str(inner);

        // A high half at the end may still be completed.
        let last = text.len().saturating_sub(ESCAPE);
        // Six bytes that look like an escape may follow a backslash that is escaped itself; only a
        // walk from the start tells.
        if half_at(&text, last) == Some(Half::High) && lone(&text).last() == Some(last) {
            self.held = Some(text.split_off(last));
        }
        Cow::Owned(format!("\"{}\"", replace_lone(&text)))
    }

    /// The next value of the stream with the half that was held before it; none where the value is
    /// no string, or needs no change.
    pub(crate) fn join_value(&mut self, value: &RawValue) -> Option<String> {
        if !value.get().starts_with('"') {
            return None;
        }
        match self.join(value.get()) {
            Cow::Borrowed(_) => None,
            Cow::Owned(joined) => Some(joined),
        }
    }

    /// Whether a half waits for its other half.
    pub(crate) fn is_waiting(&self) -> bool {
        self.held.is_some()
    }
}

/// Whether a JSON text has escapes that could be surrogates.
pub(crate) fn may_have_any(json: &str) -> bool {
    ["\\ud", "\\uD"].iter().any(|it| memmem::find(json.as_bytes(), it.as_bytes()).is_some())
}

/// Where the escapes of lone surrogates begin.
fn lone(json: &str) -> impl DoubleEndedIterator<Item = usize> {
    let mut found = vec![];
    let mut at = 0;
    while let Some(escape) = memchr::memchr(b'\\', json.as_bytes().get(at..).unwrap_or_default()) {
        let start = at + escape;
        at = match (half_at(json, start), half_at(json, start + ESCAPE)) {
            (Some(Half::High), Some(Half::Low)) => start + 2 * ESCAPE,
            (Some(_), _) => {
                found.push(start);
                start + ESCAPE
            }
            // Any other escape, such as `\\` or `\n`: what it escapes is no escape of its own.
            (None, _) => start + 2,
        };
    }
    found.into_iter()
}

fn half_at(json: &str, at: usize) -> Option<Half> {
    let digits = json.get(at..at + ESCAPE)?.strip_prefix("\\u")?;
    match u16::from_str_radix(digits, 16).ok()? {
        0xd800..=0xdbff => Some(Half::High),
        0xdc00..=0xdfff => Some(Half::Low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_surrogate_becomes_the_replacement_character() {
        for (json, expected) in [
            (r#""cut \ud83d here""#, r#""cut \ufffd here""#),
            (r#""\uDE00""#, r#""\ufffd""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#"{"\ud800":1}"#, r#"{"\ufffd":1}"#),
        ] {
            assert_eq!(replace_lone(json), expected);
            assert!(serde_json::from_str::<serde_json::Value>(&replace_lone(json)).is_ok());
        }
    }

    #[test]
    fn pairs_and_escaped_backslashes_stay() {
        for json in [r#""\ud83d\ude00""#, r#""\\ud83d""#, r#""a\\\\ud83d b""#, r#""plain""#] {
            assert!(matches!(replace_lone(json), Cow::Borrowed(it) if it == json), "{json}");
        }
    }

    #[test]
    fn a_pair_that_is_split_over_two_texts_is_joined() {
        let mut joiner = PairJoiner::default();
        assert_eq!(joiner.join(r#""ok \ud83d""#), r#""ok ""#);
        assert!(joiner.is_waiting());
        assert_eq!(joiner.join(r#""\ude00 fine""#), r#""\ud83d\ude00 fine""#);
        assert!(!joiner.is_waiting());
    }

    #[test]
    fn a_half_whose_other_half_never_comes_is_replaced() {
        let mut joiner = PairJoiner::default();
        assert_eq!(joiner.join(r#""a\ud83d""#), r#""a""#);
        assert_eq!(joiner.join(r#""b""#), r#""\ufffdb""#);
        assert_eq!(joiner.join(r#""c""#), r#""c""#);
    }
}
