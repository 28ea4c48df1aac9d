//! Chat responses, whole or as the deltas of a stream.
//!
//! A member is here if at least two formats have it.

use crate::{Citation, Media, Part, Signature};

/// A whole chat response.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatResponse {
    /// The provider's id of the response.
    pub id: Option<String>,
    /// The provider's name for the model.
    pub model: Option<String>,
    /// The choices that were requested; never empty.
    pub choices: Vec<Choice>,
}

/// One of the choices that were requested.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// What the choice holds, in order.
    pub parts: Vec<Part>,
    /// Why the choice ends.
    pub finish_reason: FinishReason,
}

/// Why a choice ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The response is complete.
    Stop,
    /// One of the client's stop texts came up; which one, where the provider names it.
    StopSequence(Option<String>),
    /// The limit on output tokens was reached.
    Length,
    /// The context window is full.
    ContextFull,
    /// The model waits for the results of tool calls.
    ToolCalls,
    /// A content filter stopped the response.
    Filtered,
    /// The model refused.
    Refusal,
    /// The provider paused a long response, to be continued by another request.
    Paused,
}

/// What one event of a stream adds to a response.
///
/// A complete stream is [`Delta::Start`], any number of others, one [`Delta::Finish`] for each choice
/// and one [`Delta::End`]. Usage is a member of the event, whatever its delta.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// The response has begun, without content yet.
    Start {
        /// The provider's id of the response.
        id: Option<String>,
        /// The provider's name for the model.
        model: Option<String>,
    },
    /// More text.
    Text(String),
    /// More of a refusal.
    Refusal(String),
    /// More reasoning.
    Reasoning(String),
    /// The signature of the reasoning before it, which it ends; with none open, it stands for reasoning
    /// that nobody may read.
    Signature(Signature),
    /// A source that the text before it cites.
    Citation(Citation),
    /// The beginning of a tool call. Its arguments follow.
    ToolCall {
        /// The number of the call within its choice, counted from 0.
        call: usize,
        /// The id that the call's result refers to. Never empty.
        id: String,
        /// The name of the tool.
        name: String,
        /// The signature with which the provider recognizes the call.
        signature: Option<Signature>,
    },
    /// More of a call's arguments: JSON text. None at all means `{}`.
    Arguments {
        /// The number of the call.
        call: usize,
        /// The text that is added.
        json: String,
    },
    /// An image.
    Image(Media),
    /// Audio.
    Audio(Media),
    /// Video.
    Video(Media),
    /// A file.
    File(Media),
    /// The end of a choice.
    Finish(FinishReason),
    /// Nothing but the usage of the event.
    Usage,
    /// The complete end of the response.
    End,
}
