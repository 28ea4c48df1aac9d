//! Numbers as base64 (RFC 4648 section 4): what OpenAI's clients ask for by default.
//!
//! Only to write it: nobody sends numbers this way to be read here.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Adds 32-bit floats, little-endian, to a text.
pub(crate) fn write_floats(floats: &[f32], out: &mut Vec<u8>) {
    out.reserve(floats.len() * 16 / 3 + 4);
    let mut bytes = floats.iter().flat_map(|it| it.to_le_bytes());
    while let Some(first) = bytes.next() {
        let (second, third) = (bytes.next(), bytes.next());
        let group = u32::from_be_bytes([0, first, second.unwrap_or(0), third.unwrap_or(0)]);
        let digit = |shift: u32| ALPHABET[(group >> shift & 63) as usize];
        out.extend([digit(18), digit(12)]);
        out.push(if second.is_some() { digit(6) } else { b'=' });
        out.push(if third.is_some() { digit(0) } else { b'=' });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(floats: &[f32]) -> String {
        let mut out = vec![];
        write_floats(floats, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_rest_of_a_group_is_filled_up() {
        assert_eq!(written(&[]), "");
        assert_eq!(written(&[1.0]), "AACAPw==");
        assert_eq!(written(&[1.0, -2.5]), "AACAPwAAIMA=");
        assert_eq!(written(&[1.0, -2.5, 0.1]), "AACAPwAAIMDNzMw9");
    }
}
