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
    pending: Option<FirstHalf>,
}

/// The first half of a pair, with which a string of an event ended.
#[derive(Debug)]
struct FirstHalf {
    escape: [u8; ESCAPE],
    /// The name of the member that held the string, in its quotes; empty where none did.
    name: Vec<u8>,
}

impl Joiner {
    /// The event with its halves joined or replaced; the same bytes where there are none.
    pub(crate) fn join(&mut self, event: Bytes) -> Bytes {
        self.rewritten(&event).map_or(event, Bytes::from)
    }

    fn rewritten(&mut self, json: &[u8]) -> Option<Vec<u8>> {
        // Nearly no event holds any: one search for two bytes keeps it as it came.
        if self.pending.is_none() && !may_hold_surrogates(json) {
            return None;
        }
        let mut out = Vec::with_capacity(json.len() + ESCAPE);
        let mut at = 0;
        if let Some(start) = self.next_text(json).filter(|it| !is_second_half(json, *it)) {
            // The text goes on without the other half.
            self.pending = None;
            out.extend_from_slice(json.get(..start)?);
            out.extend_from_slice(REPLACEMENT);
            at = start;
        }
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

    /// Where the text begins that goes on with the one whose last half waits.
    fn next_text(&self, json: &[u8]) -> Option<usize> {
        let name = self.pending.as_ref().map(|it| &it.name).filter(|it| !it.is_empty())?;
        memchr::memmem::find_iter(json, name).find_map(|at| {
            let end = at + name.len();
            let value = json.get(end..)?.trim_ascii_start().strip_prefix(b":")?;
            let text = value.trim_ascii_start().strip_prefix(b"\"")?;
            Some(json.len() - text.len())
        })
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
            let escape = json.get(start..end)?.try_into().ok()?;
            let name = name_of_text(json, end).unwrap_or_default().to_vec();
            self.pending = Some(FirstHalf { escape, name });
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
                out.extend_from_slice(&first.escape);
                out.extend_from_slice(json.get(start..start + ESCAPE)?);
            }
            None => out.extend_from_slice(REPLACEMENT),
        }
        Some(())
    }
}

/// The name, in its quotes, of the member whose text has its closing quote here.
fn name_of_text(json: &[u8], end: usize) -> Option<&[u8]> {
    let is_escaped = |at: &usize| {
        let before = json.get(..*at).unwrap_or_default();
        before.iter().rev().take_while(|it| **it == b'\\').count() % 2 == 1
    };
    let start = memchr::memrchr_iter(b'"', json.get(..end)?).find(|it| !is_escaped(it))?;
    let before = json.get(..start)?.trim_ascii_end().strip_suffix(b":")?.trim_ascii_end();
    let name_start = memchr::memrchr(b'"', before.strip_suffix(b"\"")?)?;
    before.get(name_start..)
}

fn is_second_half(json: &[u8], at: usize) -> bool {
    matches!(unit(json, at), Some(0xdc00..=0xdfff))
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

    #[test]
    fn half_a_pair_that_nothing_completes_stands_where_the_text_goes_on() {
        let mut joiner = Joiner::default();
        for (event, joined) in [
            (r#"{"text":"a \"b\" \ud83d"}"#, r#"{"text":"a \"b\" "}"#),
            (r#"{"type":"ping"}"#, r#"{"type":"ping"}"#),
            (r#"{"type":"text", "text" : "c"}"#, r#"{"type":"text", "text" : "\ufffdc"}"#),
            (r#"{"text":"d"}"#, r#"{"text":"d"}"#),
            (r#"{"text":"\ud83d"}"#, r#"{"text":""}"#),
            (r#"{"text":"\ud83d\ude00"}"#, r#"{"text":"\ufffd\ud83d\ude00"}"#),
        ] {
            assert_eq!(joiner.join(Bytes::from(event)), joined, "{event}");
        }
    }
}
