//! Ids of calls, which begin with the time of arrival so that a call is found by its id alone.
//!
//! The layout is that of a ULID: 48 bits of milliseconds and 80 random bits in Crockford's base 32.
//! Source: <https://github.com/ulid/spec>.

/// What every id begins with.
const PREFIX: &str = "req_";
/// Crockford's alphabet in lower case: no i, l, o, u.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// What each byte stands for as a digit.
const VALUES: [Option<u8>; 256] = {
    let mut values = [None; 256];
    let mut value = 0;
    while value < 32 {
        values[ALPHABET[value as usize] as usize] = Some(value);
        value += 1;
    }
    values
};
/// Digits of the time.
const TIME_DIGITS: usize = 10;
/// Digits of the random part.
const RANDOM_DIGITS: usize = 16;

/// The id of a call that arrived at `arrived`, in milliseconds since 1970.
pub fn call_id(arrived: u64, random: u128) -> String {
    let mut id = String::with_capacity(PREFIX.len() + TIME_DIGITS + RANDOM_DIGITS);
    id.push_str(PREFIX);
    push_digits(&mut id, arrived.into(), TIME_DIGITS);
    push_digits(&mut id, random, RANDOM_DIGITS);
    id
}

/// When the call with this id arrived, in milliseconds since 1970; none for an id that a client
/// chose.
pub fn arrival_of(id: &str) -> Option<u64> {
    let digits = id.strip_prefix(PREFIX)?;
    // A client may send any `X-Request-ID`, so that the shape is checked whole before the time is
    // believed.
    if digits.len() != TIME_DIGITS + RANDOM_DIGITS {
        return None;
    }
    let (time, random) = digits.as_bytes().split_at_checked(TIME_DIGITS)?;
    let is_random = random.iter().all(|digit| value(*digit).is_some());
    let time = time.iter().try_fold(0, |ms, digit| Some(ms << 5 | value(*digit)?));
    time.filter(|_| is_random)
}

fn push_digits(text: &mut String, number: u128, digits: usize) {
    for place in (0..digits).rev() {
        let digit = usize::try_from(number >> (5 * place) & 31).unwrap_or_default();
        text.push(char::from(ALPHABET[digit]));
    }
}

fn value(digit: u8) -> Option<u64> {
    VALUES[usize::from(digit)].map(u64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_when_its_call_arrived() {
        let id = call_id(1_795_863_599_123, u128::MAX);
        assert_eq!(id, "req_01m8gwzp0kzzzzzzzzzzzzzzzz");
        assert_eq!(arrival_of(&id), Some(1_795_863_599_123));
        assert!(call_id(1, 9) < call_id(2, 0));
    }

    #[test]
    fn an_id_of_a_client_tells_nothing() {
        for id in ["", "req_1", "job 7/a", "req_01k5zzzzzzzzzzzzzzzzzzzzzu", "req_é"] {
            assert_eq!(arrival_of(id), None, "{id}");
        }
    }
}
