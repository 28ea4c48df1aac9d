//! Text of clients within bounds, for messages and logs.

use std::borrow::Cow;

/// How long a name may be that a client sends: a model, a provider. In characters.
pub(crate) const MAX_NAME_CHARS: usize = 256;

/// The first 256 characters of a text; dots stand for the rest.
pub(crate) fn shorten(text: &str) -> Cow<'_, str> {
    telemetry::first_chars(text, MAX_NAME_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(shorten("model"), "model");
        let long = "é".repeat(MAX_NAME_CHARS + 1);
        assert_eq!(shorten(&long), format!("{}…", "é".repeat(MAX_NAME_CHARS)));
        assert_eq!(shorten(&"x".repeat(MAX_NAME_CHARS)).len(), MAX_NAME_CHARS);
    }
}
