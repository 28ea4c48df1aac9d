//! Signatures that ride in a client's fields, found and taken out of JSON text.

use canonical::TAG_PREFIX;

/// Whether a body carries any. Nearly none does, and only those that do are changed.
pub(crate) fn has(body: &[u8]) -> bool {
    memchr::memmem::find(body, TAG_PREFIX.as_bytes()).is_some()
}

/// A text without its tags: of ids, their own text is left.
pub(crate) fn off(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // The text is not parsed: a tag has no character that JSON escapes, wherever it stands.
    while let Some((before, behind)) = rest.split_once(TAG_PREFIX) {
        out.push_str(before);
        rest = behind
            .trim_start_matches(|it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-'));
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use canonical::Signature;

    use super::*;

    #[test]
    fn ids_are_left_as_they_were() {
        let signature = Signature::new("gemini", "ab+/c==");
        let text =
            format!(r#"[{{"id":"{}"}},{{"id":"call_2"}}]"#, signature.attach_to_id("call_1"));
        assert!(has(text.as_bytes()));
        assert_eq!(off(&text), r#"[{"id":"call_1"},{"id":"call_2"}]"#);
        assert!(!has(off(&text).as_bytes()));
    }
}
