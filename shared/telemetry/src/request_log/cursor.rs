//! Cursors: a place in the request log, opaque to whoever pages through it.

use std::fmt;

use crate::Hour;

/// Digits of the time at which a call ended.
const TIME_DIGITS: usize = 13;

/// A place in the request log: the key of a row, or a moment between rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    sk: String,
}

/// A text that is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoCursor;

impl Cursor {
    /// The place of a row.
    pub(crate) fn row(sk: &str) -> Self {
        Self { sk: sk.to_owned() }
    }

    /// The place before everything that ended at this moment or later, in milliseconds since 1970.
    pub fn moment(ms: u64) -> Self {
        Self { sk: moment(ms) }
    }

    /// The key of the row.
    pub(crate) fn sk(&self) -> &str {
        &self.sk
    }

    /// When the call of the row ended, in milliseconds since 1970.
    pub fn ended(&self) -> u64 {
        self.sk.get(..TIME_DIGITS).and_then(|it| it.parse().ok()).unwrap_or_default()
    }

    /// The hour in which the row lies.
    pub(crate) fn hour(&self) -> Hour {
        Hour::of(self.ended())
    }

    /// The cursor that was shown as this text.
    pub fn parse(text: &str) -> Result<Self, NoCursor> {
        // Hexadecimal digits need no escapes in a URL, whatever ids clients choose.
        let bytes: Option<Vec<u8>> = (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
            .collect();
        let sk = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or(NoCursor)?;
        // A key of any other shape would make the hour, and with it the partition, meaningless.
        let is_time =
            sk.get(..TIME_DIGITS).is_some_and(|it| it.bytes().all(|it| it.is_ascii_digit()));
        let is_key =
            matches!(sk.get(TIME_DIGITS..), Some(rest) if rest.is_empty() || rest.starts_with('#'));
        if is_time && is_key { Ok(Self { sk }) } else { Err(NoCursor) }
    }
}

/// The text that keys of rows begin with which ended at a moment.
pub(crate) fn moment(ms: u64) -> String {
    // Zeros in front make the order of texts that of times, until the year 2286.
    format!("{ms:0TIME_DIGITS$}")
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sk.bytes().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_shown() {
        for cursor in [Cursor::row("1795863599123#req_é"), Cursor::moment(1_795_863_599_123)] {
            assert_eq!(Cursor::parse(&cursor.to_string()), Ok(cursor.clone()));
            assert_eq!(cursor.ended(), 1_795_863_599_123);
        }
        for odd in ["", "3", "zz", "3137é", "313233", "31373935383633353939313233ff"] {
            assert_eq!(Cursor::parse(odd), Err(NoCursor), "{odd}");
        }
    }
}
