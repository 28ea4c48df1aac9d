//! Base64 as others write it: in either alphabet, padded or not, on one line or several.

use ::base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const PLAIN: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
const URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);

/// Decodes base64 of either alphabet, padded or not.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    // The standard alphabet first: nearly everything is in it, and a text without `+`, `/`, `-` and
    // `_` is the same in both.
    PLAIN.decode(text).or_else(|_| URL.decode(text)).ok()
}

/// Base64 rewritten to the standard alphabet and padded, which is all that most providers accept.
/// Google's Python SDK sends the URL-safe one (RFC 4648, section 5).
pub(crate) fn standard(mut text: String) -> String {
    if text.len().is_multiple_of(4) && text.bytes().all(is_standard) {
        return text;
    }
    if text.bytes().any(|it| !is_standard(it)) {
        // MIME breaks base64 into lines (RFC 2045), and so do programs that read it from a file.
        let rewritten = text.chars().filter(|it| !it.is_ascii_whitespace()).map(|it| match it {
            '-' => '+',
            '_' => '/',
            other => other,
        });
        text = rewritten.collect();
    }
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

/// Whether a byte is of the standard alphabet, padding included.
fn is_standard(it: u8) -> bool {
    it.is_ascii_alphanumeric() || matches!(it, b'+' | b'/' | b'=')
}

/// Some of the first bytes of base64, for a look at what they are.
pub(crate) fn head(text: &str) -> Option<Vec<u8>> {
    // Whole groups of four only: base64 that is cut within one does not decode. 24 of them give 18
    // bytes, more than any magic number here needs.
    let start = text.get(..24).or_else(|| text.get(..text.len() / 4 * 4))?;
    decode(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_safe_alphabet_becomes_the_standard_one() {
        for (given, expected) in
            [("-_-_", "+/+/"), ("QQ", "QQ=="), ("QUE=", "QUE="), ("Q-\r\nE_", "Q+E/"), ("", "")]
        {
            assert_eq!(standard(given.to_owned()), expected);
        }
    }

    #[test]
    fn base64_of_either_alphabet_is_decoded() {
        assert_eq!(decode("Z3LDvG4=").unwrap(), "grün".as_bytes());
        assert_eq!(decode("Z3LDvG4").unwrap(), "grün".as_bytes());
        assert_eq!(decode("-_8").unwrap(), [0xfb, 0xff]);
        assert!(decode("a b").is_none());
    }
}
