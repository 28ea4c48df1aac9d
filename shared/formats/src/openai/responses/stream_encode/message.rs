//! Messages of a streamed response: the parts of their text, opened and closed.

use bytes::BytesMut;

use super::{
    super::output::{Item, Part, Status},
    events::{Stream, Within, within},
};

/// The kind of a message's text.
#[derive(Clone, Copy, Debug)]
pub(super) enum TextKind {
    /// Text of the response.
    Text,
    /// Text of a refusal.
    Refusal,
}

impl TextKind {
    /// An empty part of this kind.
    pub(super) fn empty(self) -> Part {
        match self {
            Self::Text => Part::text(String::new()),
            Self::Refusal => Part::Refusal { refusal: String::new() },
        }
    }

    /// Whether text of this kind goes on in the part.
    pub(super) fn fits(self, part: &Part) -> bool {
        matches!(
            (self, part),
            (Self::Text, Part::OutputText { .. }) | (Self::Refusal, Part::Refusal { .. })
        )
    }
}

/// The item of a message.
pub(super) fn message(id: &str, content: Vec<Part>, status: Status) -> Item {
    Item::Message { id: id.to_owned(), status, role: "assistant", content }
}

/// Closes the part that is open.
pub(super) fn end_part(stream: &mut Stream, id: &str, parts: &[Part], out: &mut BytesMut) {
    let Some(part) = parts.last() else { return };
    let content_index = Some(parts.len() - 1);
    match part {
        Part::OutputText { text, .. } => {
            let done = Within {
                content_index,
                text: Some(text),
                logprobs: Some([]),
                ..within(id, stream)
            };
            stream.send("response.output_text.done", done, out);
        }
        Part::Refusal { refusal } => {
            let done = Within { content_index, refusal: Some(refusal), ..within(id, stream) };
            stream.send("response.refusal.done", done, out);
        }
        Part::SummaryText { .. } => return,
    }
    let done = Within { content_index, part: Some(part), ..within(id, stream) };
    stream.send("response.content_part.done", done, out);
}
