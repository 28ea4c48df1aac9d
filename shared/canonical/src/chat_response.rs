//! What a model answers, whole or in pieces, in the words that at least two formats share.

use crate::{Citation, Media, Part, Signature};

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatResponse {
    /// The provider's own name for it.
    pub id: Option<String>,
    /// The model, by the provider's own name.
    pub model: Option<String>,
    /// One for each that was asked for; never empty.
    pub choices: Vec<Choice>,
}

/// One of the answers that were asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// What is said, in order.
    pub parts: Vec<Part>,
    /// Why it ends.
    pub finish_reason: FinishReason,
}

/// Why an answer ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// It is said.
    Stop,
    /// One of the client's texts came up; which one, where the provider says so.
    StopSequence(Option<String>),
    /// It may write no more.
    Length,
    /// The model holds no more.
    ContextFull,
    /// Tools are to be called.
    ToolCalls,
    /// Something did not let it pass.
    Filtered,
    /// The model refuses.
    Refusal,
    /// The provider paused a long turn, to be taken up again.
    Paused,
}

/// One piece of an answer.
///
/// A lawful stream is [`Delta::Start`], any number of others, one [`Delta::Finish`] for each choice
/// and one [`Delta::End`]. Usage rides on the event, whatever its piece.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// The answer has begun; nothing is said yet.
    Start {
        /// The provider's own name for it.
        id: Option<String>,
        /// The model, by the provider's own name.
        model: Option<String>,
    },
    /// More text.
    Text(String),
    /// More of a refusal.
    Refusal(String),
    /// More of a thought.
    Reasoning(String),
    /// Proves, and ends, the thought that is being written; with none of them open, it is a thought
    /// of its own that nobody may read.
    Signature(Signature),
    /// Where the text that was just written comes from.
    Citation(Citation),
    /// A tool is to be called. Its arguments follow.
    ToolCall {
        /// Which call of this choice, counted from 0.
        call: usize,
        /// What its result will refer to. Never empty.
        id: String,
        /// The tool.
        name: String,
        /// What proves the call to the provider.
        signature: Option<Signature>,
    },
    /// More of a call's arguments: JSON text. None at all means `{}`.
    Arguments {
        /// Which call.
        call: usize,
        /// The text.
        json: String,
    },
    /// A picture.
    Image(Media),
    /// Sound.
    Audio(Media),
    /// Moving pictures.
    Video(Media),
    /// A file.
    File(Media),
    /// Nothing more is said in this choice.
    Finish(FinishReason),
    /// Nothing but what the event says of usage.
    Usage,
    /// The lawful end.
    End,
}
