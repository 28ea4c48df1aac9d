//! Bytes and numbers as text.

/// No amount has a larger exponent, or a smaller one.
const MAX_EXPONENT: i32 = 30;

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from(DIGITS[usize::from(digit)]));
        }
    }
    text
}

/// The bytes that hexadecimal digits name; nothing where they name none.
pub(crate) fn bytes(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair: &[u8]| {
        let digit = |at: usize| char::from(*pair.get(at)?).to_digit(16);
        u8::try_from(digit(0)? << 4 | digit(1)?).ok()
    };
    pairs.map(byte).collect()
}

/// A number of at least 0 without an exponent: `1e-6`, as some programs write small numbers, is
/// `0.000001`. Digits are moved and never computed. None where the text is no such number.
pub fn plain_decimal(number: &str) -> Option<String> {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let exponent: i32 = exponent.parse().ok().filter(|it: &i32| it.abs() <= MAX_EXPONENT)?;
    let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{decimals}");
    if whole.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let point = i32::try_from(whole.len()).ok()? + exponent;
    let missing = usize::try_from(-point).unwrap_or(0);
    let digits = format!("{}{digits}", "0".repeat(missing));
    let point = usize::try_from(point).unwrap_or(0);
    let digits = format!("{digits:0<point$}");
    let (whole, decimals) = digits.split_at(point);
    let decimals = decimals.trim_end_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    Some(if decimals.is_empty() { whole.to_owned() } else { format!("{whole}.{decimals}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exponent_moves_the_point() {
        for (number, plain) in [
            ("1e-6", "0.000001"),
            ("1.5E-6", "0.0000015"),
            ("12.50", "12.5"),
            ("2e3", "2000"),
            ("1.25e+1", "12.5"),
            ("0.0", "0"),
            ("10e-1", "1"),
        ] {
            assert_eq!(plain_decimal(number).as_deref(), Some(plain), "{number}");
        }
        for wrong in ["", "e1", ".5", "-1", "1e", "1e99", "1.2.3", "0x1"] {
            assert_eq!(plain_decimal(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_byte_has_two_digits() {
        assert_eq!(hexadecimal(&[0, 15, 16, 255]), "000f10ff");
        assert_eq!(bytes("000f10ff"), Some(vec![0, 15, 16, 255]));
        assert_eq!((bytes("0"), bytes("0g")), (None, None));
    }
}
