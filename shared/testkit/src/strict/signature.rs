//! Signatures: opaque to everyone but the provider that made them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The signature of a maker over a text.
pub(super) fn sign(maker: &str, text: &str) -> String {
    let print = hash(&[text.as_bytes()]);
    let tag = hash(&[maker.as_bytes(), &print]);
    let mark = hash(&[&tag, b"mark"]);
    // The first bytes make `+` and `/` likely, which travel worst.
    STANDARD.encode([&[0xfb, 0xef, 0xff, 0xfe][..], &print, &tag, &mark].concat())
}

/// Whether this maker made the signature.
pub(super) fn is_signed_by(maker: &str, signature: &str) -> bool {
    let Ok(bytes) = STANDARD.decode(signature) else { return false };
    bytes.len() == 28 && bytes[12..20] == hash(&[maker.as_bytes(), &bytes[4..12]])
}

/// FNV-1a.
fn hash(parts: &[&[u8]]) -> [u8; 8] {
    let mut state: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in parts.iter().flat_map(|it| it.iter().chain(&[0])) {
        state = (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    state.to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_valid_only_for_its_maker() {
        let signature = sign("anthropic", "I think");
        assert!(is_signed_by("anthropic", &signature) && !is_signed_by("gemini", &signature));
        assert!(
            !is_signed_by("anthropic", &signature.replace('A', "B")) || !signature.contains('A')
        );
        assert!(!is_signed_by("anthropic", "") && signature.contains(['+', '/']));
    }
}
