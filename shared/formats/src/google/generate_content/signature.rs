//! Thought signatures on the wire: Google's own, and those of others that ride along.
//!
//! `thoughtSignature` is a field of bytes, so JSON carries it as base64, and clients decode and
//! encode it again. Google takes it back in the plain alphabet and in the URL-safe one.

use std::borrow::Cow;

use ::base64::{Engine, engine::general_purpose};
use canonical::{Signature, TAG_PREFIX};

use super::MAKER;
use crate::base64::decode;

/// The value that Google accepts in place of the signature of another model's call. Source:
/// ai.google.dev/gemini-api/docs/reasoning-signatures, on histories from elsewhere, seen 2026-11.
pub(super) const SKIP: &str = "skip_thought_signature_validator";

/// How a tagged signature begins once it is base64: what the first seven letters of [`MARK`] always
/// come to, in both alphabets.
pub(super) const MARK_64: &str = "X19sZ3NpZ1";

/// Writes a signature for a client or a provider of this format.
pub(super) fn written(signature: &Signature) -> Cow<'_, str> {
    if signature.maker == MAKER {
        return Cow::Borrowed(&signature.data);
    }
    Cow::Owned(general_purpose::STANDARD.encode(signature.tagged()))
}

/// Reads a signature of this format; none where it only stands in for one.
pub(super) fn read(text: &str) -> Option<Signature> {
    if text.is_empty() || text == SKIP {
        return None;
    }
    Some(foreign(text).unwrap_or_else(|| Signature::new(MAKER, text)))
}

/// The signature of another maker that rides here.
pub(super) fn foreign(text: &str) -> Option<Signature> {
    if text.starts_with(TAG_PREFIX) {
        return Signature::from_tag(text);
    }
    if !text.starts_with(MARK_64) {
        return None;
    }
    Signature::from_tag(std::str::from_utf8(&decode(text)?).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_signature_is_base64_and_comes_back() {
        for data in ["", "Ab+/9==", "E\u{fc}~?"] {
            let signature = Signature::new("anthropic", data);
            let text = written(&signature);
            assert!(text.starts_with(MARK_64), "{text}");
            let bytes = decode(&text).unwrap();
            let again = general_purpose::URL_SAFE.encode(bytes);
            for text in [&*text, &again, again.trim_end_matches('=')] {
                assert_eq!(read(text), Some(signature.clone()));
            }
        }
    }

    #[test]
    fn googles_own_signature_stays_as_it_is() {
        let signature = Signature::new(MAKER, "c2ln/w==");
        assert_eq!(written(&signature), "c2ln/w==");
        assert_eq!(read("c2ln/w=="), Some(signature));
        assert_eq!(read(SKIP), None);
    }
}
