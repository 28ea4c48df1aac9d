//! What a provider answers: whole, or piece by piece.

use bytes::Bytes;

use crate::{Answer, Piece, Usage, Vectors};

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Response {
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
    Answer(Answer),
    /// The numbers of texts.
    Vectors(Vectors),
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
pub struct Event {
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
    Piece(u32, Box<Piece>),
}

impl Event {
    /// A provider's own frame.
    pub fn frame(kind: EventKind, usage: Option<Usage>, frame: Bytes) -> Self {
        Self { kind, usage, body: EventBody::Frame(frame) }
    }

    /// A piece of a choice.
    pub fn piece(choice: u32, piece: Piece) -> Self {
        Self {
            kind: EventKind::of(&piece),
            usage: None,
            body: EventBody::Piece(choice, Box::new(piece)),
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
    Report,
    /// The lawful end.
    End,
}

impl EventKind {
    /// What a piece means for the course of the answer. Empty text is nothing yet.
    fn of(piece: &Piece) -> Self {
        match piece {
            Piece::Start { .. } => Self::Prelude,
            Piece::Text(text) | Piece::Refusal(text) | Piece::Reasoning(text)
                if text.is_empty() =>
            {
                Self::Prelude
            }
            Piece::Text(_)
            | Piece::Refusal(_)
            | Piece::Reasoning(_)
            | Piece::Signature(_)
            | Piece::Citation(_)
            | Piece::ToolCall { .. }
            | Piece::Arguments { .. }
            | Piece::Image(_)
            | Piece::Audio(_)
            | Piece::Video(_)
            | Piece::File(_) => Self::Content,
            Piece::Finish(_) => Self::Finish,
            Piece::Report => Self::Report,
            Piece::End => Self::End,
        }
    }

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
