//! What a provider answers: whole, or piece by piece.

use bytes::Bytes;

use crate::Usage;

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The provider's own bytes: one JSON object.
    pub raw: Bytes,
    /// What it consumed, when the provider said so.
    pub usage: Option<Usage>,
}

/// One piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What it means for the course of the answer.
    pub kind: EventKind,
    /// What was consumed so far, on events that say so.
    pub usage: Option<Usage>,
    /// The provider's own bytes: one whole frame, its end included.
    pub frame: Bytes,
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
    Report,
    /// The lawful end.
    End,
}

impl EventKind {
    /// Whether a provider that got this far is answering.
    pub fn is_meaningful(self) -> bool {
        match self {
            Self::Content | Self::Finish => true,
            Self::Comment | Self::Prelude | Self::Report | Self::End => false,
        }
    }

    /// Whether the piece belongs to a choice.
    pub fn has_choices(self) -> bool {
        match self {
            Self::Prelude | Self::Content | Self::Finish => true,
            Self::Comment | Self::Report | Self::End => false,
        }
    }
}
