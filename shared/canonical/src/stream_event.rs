//! What a provider answers: whole, or piece by piece.

use bytes::Bytes;

use crate::{ChatResponse, Delta, EmbeddingResponse, Usage};

/// A whole answer.
#[derive(Clone, Debug)]
pub struct GatewayResponse {
    /// The answer itself.
    pub body: ResponseBody,
    /// What it consumed, when the provider said so.
    pub usage: Option<Usage>,
}

/// A whole answer, as its reader left it.
#[derive(Clone, Debug)]
pub enum ResponseBody {
    /// The provider's own bytes, for a client of the same format: one JSON object.
    Raw(Bytes),
    /// What it says, for a client of another format.
    Chat(ChatResponse),
    /// The numbers of texts.
    Embedding(EmbeddingResponse),
    /// How many tokens a request has.
    Tokens {
        /// How many.
        count: u64,
        /// Whether nobody counted them.
        estimated: bool,
    },
}

/// One piece of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamEvent {
    /// What it means for the course of the answer.
    pub kind: EventKind,
    /// What was consumed so far, on events that say so.
    pub usage: Option<Usage>,
    /// The piece itself.
    pub body: EventBody,
}

/// One piece of an answer, as its reader left it.
#[derive(Clone, Debug, PartialEq)]
pub enum EventBody {
    /// The provider's own bytes, for a client of the same format: one whole frame, its end included.
    Frame(Bytes),
    /// What it says, for a client of another format; and in which choice, counted from 0. In a box,
    /// since frames come by the hundred, and lists of them grow with the largest of both.
    Delta(u32, Box<Delta>),
}

impl StreamEvent {
    /// A provider's own frame.
    pub fn frame(kind: EventKind, usage: Option<Usage>, frame: Bytes) -> Self {
        Self { kind, usage, body: EventBody::Frame(frame) }
    }

    /// A piece of a choice.
    pub fn delta(choice: u32, delta: Delta) -> Self {
        Self {
            kind: EventKind::of(&delta),
            usage: None,
            body: EventBody::Delta(choice, Box::new(delta)),
        }
    }

    /// The same event with what was consumed so far.
    #[must_use]
    pub fn with_usage(mut self, usage: Option<Usage>) -> Self {
        self.usage = usage;
        self
    }
}

/// What a piece of an answer means for its course.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Nothing that belongs to the answer: a comment, a keep-alive.
    Comment,
    /// A choice without anything that a client could use yet: a role.
    Prelude,
    /// Text, a tool call, reasoning, a refusal.
    Content,
    /// The last piece of one choice, with the reason why it ends.
    Finish,
    /// Usage alone.
    Usage,
    /// The lawful end.
    End,
}

impl EventKind {
    /// What a piece means for the course of the answer. Empty text is nothing yet.
    fn of(piece: &Delta) -> Self {
        match piece {
            Delta::Start { .. } => Self::Prelude,
            Delta::Text(text) | Delta::Refusal(text) | Delta::Reasoning(text)
                if text.is_empty() =>
            {
                Self::Prelude
            }
            Delta::Text(_)
            | Delta::Refusal(_)
            | Delta::Reasoning(_)
            | Delta::Signature(_)
            | Delta::Citation(_)
            | Delta::ToolCall { .. }
            | Delta::Arguments { .. }
            | Delta::Image(_)
            | Delta::Audio(_)
            | Delta::Video(_)
            | Delta::File(_) => Self::Content,
            Delta::Finish(_) => Self::Finish,
            Delta::Usage => Self::Usage,
            Delta::End => Self::End,
        }
    }

    /// Whether a provider that got this far is answering.
    pub fn is_meaningful(self) -> bool {
        match self {
            Self::Content | Self::Finish => true,
            Self::Comment | Self::Prelude | Self::Usage | Self::End => false,
        }
    }

    /// Whether the piece belongs to a choice.
    pub fn has_choices(self) -> bool {
        match self {
            Self::Prelude | Self::Content | Self::Finish => true,
            Self::Comment | Self::Usage | Self::End => false,
        }
    }
}
