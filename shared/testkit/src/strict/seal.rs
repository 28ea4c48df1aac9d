//! Signatures: opaque to everybody but the provider that made them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What proves to its maker that it said this.
pub(super) fn seal(maker: &str, text: &str) -> String {
    let print = hash(&[text.as_bytes()]);
    let proof = hash(&[maker.as_bytes(), &print]);
    let mark = hash(&[&proof, b"mark"]);
    // The first bytes make `+` and `/` likely, which travel worst.
    STANDARD.encode([&[0xfb, 0xef, 0xff, 0xfe][..], &print, &proof, &mark].concat())
}

/// Whether this maker made it.
pub(super) fn made_by(maker: &str, sealed: &str) -> bool {
    let Ok(bytes) = STANDARD.decode(sealed) else { return false };
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
    fn only_its_maker_knows_a_signature() {
        let sealed = seal("anthropic", "I think");
        assert!(made_by("anthropic", &sealed) && !made_by("gemini", &sealed));
        assert!(!made_by("anthropic", &sealed.replace('A', "B")) || !sealed.contains('A'));
        assert!(!made_by("anthropic", "") && sealed.contains(['+', '/']));
    }
}
