//! Texts within bounds, for records, logs and messages: dots stand for what was cut.

use std::borrow::Cow;

/// The mark of a text that was cut.
const CUT_MARK: &str = "…";

/// The first characters of a text.
pub fn first_chars(text: &str, max: usize) -> Cow<'_, str> {
    match text.char_indices().nth(max) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(cut_at(text, end)),
    }
}

/// The first bytes of a text, without half a character at their end.
pub fn first_bytes(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max {
        return Cow::Borrowed(text);
    }
    Cow::Owned(cut_at(text, text.floor_char_boundary(max)))
}

fn cut_at(text: &str, end: usize) -> String {
    format!("{}{CUT_MARK}", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(first_chars("aé€", 3), "aé€");
        assert_eq!(first_chars("aé€", 2), "aé…");
        assert_eq!(first_bytes("aé", 3), "aé");
        assert_eq!(first_bytes("aé", 2), "a…");
    }
}
