//! Surrogate pairs that a server split over two events of a stream, joined in the events' bytes.
//!
//! `surrogates` replaces halves that nothing completes.

use std::borrow::Cow;

use bytes::Bytes;

use crate::surrogates;

/// The length of `\u` and four digits.
const ESCAPE: usize = 6;
/// The escape in place of a half without the other.
const REPLACEMENT: &[u8] = b"\\ufffd";

/// A body whose lone halves are replaced; the same bytes where there are none.
pub(crate) fn replaced(body: Bytes) -> Bytes {
    let Ok(text) = std::str::from_utf8(&body) else { return body };
    match surrogates::replace_lone(text) {
        Cow::Borrowed(_) => body,
        Cow::Owned(replaced) => replaced.into(),
    }
}

/// Joins halves over the events of one stream.
#[derive(Debug, Default)]
pub(crate) struct Joiner {
    /// The first half of a pair, as the escape with which a string of the last event ended.
    pending: Option<[u8; ESCAPE]>,
}

impl Joiner {
    /// The event with its halves joined or replaced; the same bytes where there are none.
    pub(crate) fn join(&mut self, event: Bytes) -> Bytes {
        self.rewritten(&event).map_or(event, Bytes::from)
    }

    fn rewritten(&mut self, json: &[u8]) -> Option<Vec<u8>> {
        // Nearly no event holds any: one search for two bytes keeps it as it came.
        if !may_hold_surrogates(json) {
            return None;
        }
        let mut out = Vec::with_capacity(json.len() + ESCAPE);
        let mut at = 0;
        while let Some(found) = json.get(at..).and_then(|rest| memchr::memchr(b'\\', rest)) {
            let start = at + found;
            out.extend_from_slice(json.get(at..start)?);
            match unit(json, start) {
                Some(0xd800..=0xdbff) => at = self.first_half(json, start, &mut out)?,
                Some(0xdc00..=0xdfff) => {
                    self.second_half(json, start, &mut out)?;
                    at = start + ESCAPE;
                }
                _ => {
                    let end = (start + 2).min(json.len());
                    out.extend_from_slice(json.get(start..end)?);
                    at = end;
                }
            }
        }
        out.extend_from_slice(json.get(at..)?);
        (out != json).then_some(out)
    }

    /// Writes a first half, with its second one where that follows; and gives the place behind.
    fn first_half(&mut self, json: &[u8], start: usize, out: &mut Vec<u8>) -> Option<usize> {
        let end = start + ESCAPE;
        if let Some(0xdc00..=0xdfff) = unit(json, end) {
            out.extend_from_slice(json.get(start..end + ESCAPE)?);
            return Some(end + ESCAPE);
        }
        // Only the end of a string can wait for the next event.
        if json.get(end) == Some(&b'"') {
            self.pending = json.get(start..end)?.try_into().ok();
        } else {
            out.extend_from_slice(REPLACEMENT);
        }
        Some(end)
    }

    /// Writes a second half behind the first one of an earlier event.
    fn second_half(&mut self, json: &[u8], start: usize, out: &mut Vec<u8>) -> Option<()> {
        // Only the first character of a string can complete what another string began.
        let begins = start.checked_sub(1).and_then(|it| json.get(it)) == Some(&b'"');
        match self.pending.take_if(|_| begins) {
            Some(first) => {
                out.extend_from_slice(&first);
                out.extend_from_slice(json.get(start..start + ESCAPE)?);
            }
            None => out.extend_from_slice(REPLACEMENT),
        }
        Some(())
    }
}

/// Whether there may be any, without a look at every byte.
fn may_hold_surrogates(json: &[u8]) -> bool {
    [&b"\\ud"[..], b"\\uD"].iter().any(|it| memchr::memmem::find(json, it).is_some())
}

/// The UTF-16 code unit of an escape.
fn unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + ESCAPE)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_over_two_events_is_joined() {
        let mut joiner = Joiner::default();
        assert_eq!(joiner.join(Bytes::from(r#"{"a":"ok \ud83d"}"#)), r#"{"a":"ok "}"#);
        assert_eq!(
            joiner.join(Bytes::from(r#"{"a":"\ude00 fine"}"#)),
            r#"{"a":"\ud83d\ude00 fine"}"#
        );
        assert_eq!(joiner.join(Bytes::from(r#"{"a":"\ude00"}"#)), r#"{"a":"\ufffd"}"#);
    }
}
