//! A running estimate of what a stream has written so far, why the model stopped, and which it was.
//!
//! The estimate stands in for the usage of a stream that its provider does not report, or that ends
//! before the report. Frames that are passed through are scanned for the members that hold output in
//! any format; nothing is allocated for an event.

use canonical::{Delta, EventBody, EventKind, FinishReason, StreamEvent};

use super::answered_model::answered_model;

/// The weight of one token.
const TOKEN: u64 = 12;
/// The weight of an image or of another file, in tokens: the order of what providers charge.
const MEDIA_TOKENS: u64 = 1_000;

/// The longest finish reason of a provider, in bytes.
const MAX_REASON_BYTES: usize = 64;
/// How many frames are searched for the name of the model, which those who give it give at once.
const MAX_SEARCHED_FRAMES: u8 = 4;

/// The output of a stream so far.
#[derive(Debug, Default)]
pub struct OutputEstimate {
    weight: u64,
    finish_reason: Option<String>,
    answered_model: Option<String>,
    searched_frames: u8,
}

/// The kind of a JSON member's value, for the estimate.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Member {
    /// Output: text, reasoning, arguments.
    Output,
    /// The reason why the model stopped.
    FinishReason,
    /// The kind of an event.
    Type,
    /// Nothing that counts.
    Other,
}

impl OutputEstimate {
    /// How many tokens were written so far, about.
    pub fn tokens(&self) -> u64 {
        self.weight.div_ceil(TOKEN)
    }

    /// Why the model stopped: the provider's word in a frame, else the canonical one.
    pub fn finish_reason(&self) -> Option<&str> {
        self.finish_reason.as_deref()
    }

    /// The model that the provider itself named.
    pub fn answered_model(&self) -> Option<&str> {
        self.answered_model.as_deref()
    }

    /// Notes the model that a provider's own bytes name, unless one is known.
    pub fn note_model_in(&mut self, bytes: &[u8]) {
        if self.answered_model.is_none() {
            self.answered_model = answered_model(bytes);
        }
    }

    /// Notes the model that a decoded response names, unless one is known.
    pub fn note_model(&mut self, model: Option<&str>) {
        if self.answered_model.is_none() {
            self.answered_model = model.map(str::to_owned);
        }
    }

    /// Counts events.
    pub(crate) fn add(&mut self, events: &[StreamEvent]) {
        for event in events {
            if let EventBody::Frame(frame) = &event.body
                && event.kind.has_choices()
                && self.searched_frames < MAX_SEARCHED_FRAMES
            {
                self.searched_frames += 1;
                self.note_model_in(frame);
            }
            match &event.body {
                EventBody::Frame(frame) => match event.kind {
                    EventKind::Content | EventKind::Finish => self.add_frame(frame),
                    EventKind::Comment | EventKind::Prelude | EventKind::Usage | EventKind::End => {
                    }
                },
                EventBody::Delta(_, delta) => self.add_delta(delta),
            }
        }
    }

    fn add_delta(&mut self, delta: &Delta) {
        match delta {
            Delta::Text(text) | Delta::Refusal(text) | Delta::Reasoning(text) => {
                self.weight += weight(text.as_bytes());
            }
            Delta::Arguments { json, .. } => self.weight += weight(json.as_bytes()),
            Delta::ToolCall { name, .. } => self.weight += weight(name.as_bytes()),
            Delta::Image(_) | Delta::Audio(_) | Delta::Video(_) | Delta::File(_) => {
                self.weight += MEDIA_TOKENS * TOKEN;
            }
            Delta::Finish(reason) => self.note_finish(reason),
            Delta::Start { model, .. } => self.note_model(model.as_deref()),
            Delta::Signature(_) | Delta::Citation(_) | Delta::Usage | Delta::End => {}
        }
    }

    /// Counts a text.
    pub fn add_text(&mut self, text: &str) {
        self.weight += weight(text.as_bytes());
    }

    /// Notes why the model stopped.
    pub fn note_finish(&mut self, reason: &FinishReason) {
        self.finish_reason = Some(name(reason).to_owned());
    }

    /// Notes why the model stopped, in the provider's own word.
    pub fn note_reason(&mut self, word: &str) {
        if is_reason(word.as_bytes()) {
            self.finish_reason = Some(word.to_owned());
        }
    }

    /// Counts a provider's own bytes: a frame, or a whole JSON response.
    pub fn add_frame(&mut self, frame: &[u8]) {
        let before = self.weight;
        let (mut member, mut at) = (Member::Other, 0);

        while let Some(quote) = quote(frame, at) {
            let end = string_end(frame, quote + 1);
            let text = frame.get(quote + 1..end).unwrap_or_default();
            at = end + 1;
            let after = find(frame, at, |byte| !byte.is_ascii_whitespace());
            if let Some(colon) = after.filter(|it| frame[*it] == b':') {
                // Only a string counts as the member's value.
                let value = find(frame, colon + 1, |byte| !byte.is_ascii_whitespace());
                let is_string = value.is_some_and(|it| frame[it] == b'"');
                member = if is_string { Member::named(text) } else { Member::Other };
                at = colon + 1;
                continue;
            }
            match std::mem::replace(&mut member, Member::Other) {
                Member::Output => self.weight += weight(text),
                Member::FinishReason if is_reason(text) => {
                    self.finish_reason = Some(String::from_utf8_lossy(text).into_owned());
                }
                // The type may stand behind the output, so that what the frame has added is taken
                // back.
                Member::Type if repeats_output(text) => {
                    self.weight = before;
                    return;
                }
                Member::FinishReason | Member::Type | Member::Other => {}
            }
        }
    }
}

impl Member {
    fn named(name: &[u8]) -> Self {
        match name {
            b"content" | b"text" | b"delta" | b"refusal" | b"arguments" | b"partial_json"
            | b"input" | b"thinking" | b"reasoning" | b"reasoning_content" => Self::Output,
            b"finish_reason" | b"finishReason" | b"stop_reason" | b"stopReason" => {
                Self::FinishReason
            }
            b"type" => Self::Type,
            _ => Self::Other,
        }
    }
}

/// Whether events of this type hold what earlier events held: all of OpenAI's Responses but its
/// deltas.
fn repeats_output(kind: &[u8]) -> bool {
    kind.starts_with(b"response.") && !kind.ends_with(b".delta")
}

/// Whether a text may be a reason to stop: one short word. Anything else might quote a prompt in the
/// log.
fn is_reason(text: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    text.len() <= MAX_REASON_BYTES && text.iter().all(is_plain)
}

/// The place of the first quote at or after `from`.
fn quote(bytes: &[u8], from: usize) -> Option<usize> {
    Some(from + memchr::memchr(b'"', bytes.get(from..)?)?)
}

/// The place of the first byte at or after `from` that fits.
pub(super) fn find(bytes: &[u8], from: usize, fits: impl Fn(u8) -> bool) -> Option<usize> {
    let offset = bytes.get(from..)?.iter().position(|byte| fits(*byte))?;
    Some(from + offset)
}

/// The place of the quote that ends a string, or the end of the bytes.
pub(super) fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(offset) = bytes.get(at..).and_then(|it| memchr::memchr2(b'"', b'\\', it)) {
        let found = at + offset;
        if bytes[found] == b'"' {
            return found;
        }
        at = found + 2;
    }
    bytes.len()
}

/// The weight of a text as it stands in JSON: 4 characters a token where letters are Latin, 2 in
/// other alphabets, 1.5 where a character is a word or a syllable.
fn weight(text: &[u8]) -> u64 {
    if text.is_ascii() && memchr::memchr(b'\\', text).is_none() {
        return u64::try_from(text.len()).unwrap_or(u64::MAX / TOKEN) * (TOKEN / 4);
    }

    let (mut weight, mut at) = (0, 0);
    while let Some(byte) = text.get(at) {
        at += 1;
        weight += match byte {
            b'\\' if text.get(at) == Some(&b'u') => {
                at += 5;
                TOKEN / 2
            }
            b'\\' => {
                at += 1;
                TOKEN / 4
            }
            // Latin letters with accents are two bytes and no more tokens than others.
            0..=0x7f | 0xc2..=0xc9 => TOKEN / 4,
            // Within a character.
            0x80..=0xbf => 0,
            // From U+3000 on: kana, ideographs, Hangul, and emoji.
            0xe3..=0xff => TOKEN * 2 / 3,
            // Cyrillic, Greek, Arabic and others: shorter tokens than Latin.
            0xc0..=0xe2 => TOKEN / 2,
        };
    }
    weight
}

fn name(reason: &FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::StopSequence(_) => "stop_sequence",
        FinishReason::Length => "length",
        FinishReason::ContextFull => "context_full",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::Filtered => "filtered",
        FinishReason::Refusal => "refusal",
        FinishReason::Paused => "paused",
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn frame(kind: EventKind, text: &'static str) -> StreamEvent {
        StreamEvent::frame(kind, None, Bytes::from_static(text.as_bytes()))
    }

    fn tokens(frames: &[&'static str]) -> u64 {
        let mut estimate = OutputEstimate::default();
        for text in frames {
            estimate.add(&[frame(EventKind::Content, text)]);
        }
        estimate.tokens()
    }

    #[test]
    fn frames_of_every_format_are_counted_by_what_they_write() {
        for text in [
            "data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"delta\":{\"content\":\"Hello, world\"}}]}",
            "data: {\"choices\":[{\"delta\":{\"reasoning_content\" : \"Hello, world\"}}]}",
            "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello, world\"}}",
            "data: {\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"city\\\":12\"}}",
            "data: {\"type\":\"response.output_text.delta\",\"delta\":\"Hello, world\"}",
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hello, world\"}]}}]}",
        ] {
            assert_eq!(tokens(&[text]), 3, "{text}");
        }
    }

    #[test]
    fn what_repeats_earlier_output_is_not_counted() {
        let delta = "data: {\"type\":\"response.output_text.delta\",\"delta\":\"Hello, world\"}";
        let done = "data: {\"text\":\"Hello, world\",\"type\":\"response.output_text.done\"}";
        assert_eq!(tokens(&[delta, done]), 3);
    }

    #[test]
    fn deltas_are_counted_as_frames_are() {
        let mut estimate = OutputEstimate::default();
        estimate.add(&[
            StreamEvent::delta(0, Delta::Text("Hello, world".to_owned())),
            StreamEvent::delta(0, Delta::Finish(FinishReason::Length)),
        ]);
        assert_eq!((estimate.tokens(), estimate.finish_reason()), (3, Some("length")));
    }

    #[test]
    fn scripts_differ_in_what_a_character_weighs() {
        assert_eq!(weight("東京都に住む".as_bytes()).div_ceil(TOKEN), 4);
        assert_eq!(weight("Привет!".as_bytes()).div_ceil(TOKEN), 4);
        assert_eq!(weight(b"\\n\\u00e9abcd").div_ceil(TOKEN), 2);
    }

    #[test]
    fn the_reason_to_stop_is_the_providers() {
        let mut estimate = OutputEstimate::default();
        let stop = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}";
        let open = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}";
        estimate.add(&[frame(EventKind::Content, open)]);
        assert_eq!(estimate.finish_reason(), None);
        estimate.add(&[frame(EventKind::Finish, stop)]);
        assert_eq!(estimate.finish_reason(), Some("stop"));
        let prompt = "data: {\"choices\":[{\"finish_reason\":\"as the user said\"}]}";
        estimate.add(&[frame(EventKind::Finish, prompt)]);
        assert_eq!(estimate.finish_reason(), Some("stop"));
    }

    #[test]
    fn the_first_name_of_the_model_stays() {
        let mut estimate = OutputEstimate::default();
        let named = "data: {\"model\":\"m-2026\",\"choices\":[{\"delta\":{}}]}";
        let again = "data: {\"model\":\"other\",\"choices\":[{\"delta\":{}}]}";
        estimate.add(&[frame(EventKind::Prelude, named), frame(EventKind::Content, again)]);
        assert_eq!(estimate.answered_model(), Some("m-2026"));
    }

    #[test]
    fn broken_frames_are_counted_as_far_as_they_go() {
        for text in ["", "\"", "data: {\"content\":\"ab\\", "data: {\"content\":", "\"a\":\"b"] {
            assert!(tokens(&[text]) <= 1, "{text}");
        }
    }
}
