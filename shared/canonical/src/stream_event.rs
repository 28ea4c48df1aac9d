//! Responses of providers as decoders give them: whole, or as the events of a stream.

use bytes::Bytes;

use crate::{ChatResponse, Delta, EmbeddingResponse, Usage};

/// A whole response.
#[derive(Clone, Debug)]
pub struct GatewayResponse {
    /// The response itself.
    pub body: ResponseBody,
    /// The usage, when the provider reported it.
    pub usage: Option<Usage>,
    /// What the decoder has read on its way; none where it looked for nothing of this.
    pub facts: Option<ResponseFacts>,
}

/// What a provider says of its own response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseFacts {
    /// The model that it names.
    pub model: Option<String>,
    /// Why the model stopped, in the provider's own word.
    pub finish_reason: Option<String>,
}

/// A whole response, as its decoder left it.
#[derive(Clone, Debug)]
pub enum ResponseBody {
    /// The provider's own bytes, for a client of the same format: one JSON object.
    Raw(Bytes),
    /// The canonical response, for a client of another format.
    Chat(ChatResponse),
    /// The vectors of an embedding request.
    Embedding(EmbeddingResponse),
    /// The token count of a request.
    Tokens {
        /// The number of tokens.
        count: u64,
        /// Whether the gateway estimated the number.
        estimated: bool,
    },
}

/// One event of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamEvent {
    /// What the event means for the course of the response.
    pub kind: EventKind,
    /// The usage so far, on events that report it.
    pub usage: Option<Usage>,
    /// The event itself.
    pub body: EventBody,
}

/// One event of a stream, as its decoder left it.
#[derive(Clone, Debug, PartialEq)]
pub enum EventBody {
    /// The provider's own bytes, for a client of the same format: one whole frame, its end included.
    Frame(Bytes),
    /// What the event adds, for a client of another format; and to which choice, counted from 0. The
    /// box keeps lists of frames small, which come by the hundred.
    Delta(u32, Box<Delta>),
}

impl StreamEvent {
    /// A provider's own frame.
    pub fn frame(kind: EventKind, usage: Option<Usage>, frame: Bytes) -> Self {
        Self { kind, usage, body: EventBody::Frame(frame) }
    }

    /// An event that adds to a choice.
    pub fn delta(choice: u32, delta: Delta) -> Self {
        Self {
            kind: EventKind::of(&delta),
            usage: None,
            body: EventBody::Delta(choice, Box::new(delta)),
        }
    }

    /// The event with the usage so far.
    #[must_use]
    pub fn with_usage(mut self, usage: Option<Usage>) -> Self {
        self.usage = usage;
        self
    }
}

/// What an event means for the course of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Nothing that belongs to the response: a comment, a keep-alive.
    Comment,
    /// A choice without anything that a client could use yet: a role.
    Prelude,
    /// Text, a tool call, reasoning, a refusal.
    Content,
    /// The end of one choice, with its reason.
    Finish,
    /// Usage alone.
    Usage,
    /// The complete end of the response.
    End,
}

impl EventKind {
    /// What a delta means for the course of the response. Empty text is nothing yet.
    fn of(delta: &Delta) -> Self {
        match delta {
            Delta::Start { .. } => Self::Prelude,
            Delta::Text(text) | Delta::Refusal(text) | Delta::Reasoning(text)
                // Some providers begin with an empty text, long before the first token.
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

    /// Whether a provider that got this far is responding.
    pub fn is_meaningful(self) -> bool {
        match self {
            // A finish without content is a response too: a model may have nothing to add.
            Self::Content | Self::Finish => true,
            // Until then the call can still fail over. Usage and the end alone show no response.
            Self::Comment | Self::Prelude | Self::Usage | Self::End => false,
        }
    }

    /// Whether the event belongs to a choice.
    pub fn has_choices(self) -> bool {
        match self {
            Self::Prelude | Self::Content | Self::Finish => true,
            Self::Comment | Self::Usage | Self::End => false,
        }
    }
}
