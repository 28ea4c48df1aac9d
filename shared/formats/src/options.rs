//! Options by which a request is encoded and a response is decoded: what one provider takes.

use bytes::Bytes;
use canonical::{Field, ModelFacts};

/// How a response is decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecodeOptions {
    /// Whether the response passes through.
    pub mode: DecodeMode,
    /// The event that shows that a stream is complete.
    pub end: StreamEnd,
}

/// Whether a response passes through or is translated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DecodeMode {
    /// For a client of the same format: bytes are kept, and searched only for usage, errors and the
    /// end.
    #[default]
    Passthrough,
    /// For a client of another format: everything is decoded.
    Translate,
}

/// When a provider reports the usage of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamUsage {
    /// When the request has `stream_options.include_usage`.
    // OpenAI's own API reports usage in a stream only when it is asked to.
    #[default]
    OnRequest,
    /// Always; the option is unknown or refused.
    Always,
}

/// The event that shows that a provider's stream is complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamEnd {
    /// The terminator of the format, such as `[DONE]`.
    // A stream that may end in silence must be known to: half a response would pass for a whole one
    // (decision 0011).
    #[default]
    Terminator,
    /// A finish reason; the terminator may be missing.
    FinishReason,
}

/// How a provider's OpenAI chat differs from that of others.
#[derive(Clone, Copy, Debug)]
pub struct ChatCompatibility {
    /// The name of the limit on output tokens.
    pub max_tokens_name: MaxTokensName,
    /// Whether the role `developer` is accepted; else `system` is sent instead.
    pub developer_role: bool,
    /// Whether the text of earlier reasoning is accepted as `reasoning_content`, which OpenAI itself
    /// does not have.
    pub reasoning_content: bool,
    /// How a message of the model is left open, for the model to go on with.
    pub prefill: Prefill,
}

/// How a last message of the model is left open in OpenAI chat, for the model to go on with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prefill {
    /// Not at all: the model writes another message.
    #[default]
    None,
    /// By `prefix` in the message.
    Prefix,
    /// By `continue_final_message` in the request.
    ContinueFinalMessage,
}

impl ChatCompatibility {
    /// The form that nearly every provider accepts.
    pub const COMMON: Self = Self {
        max_tokens_name: MaxTokensName::Either,
        developer_role: false,
        reasoning_content: true,
        // Left open by a provider that knows no prefill, a message is answered with another one,
        // which may begin anew.
        prefill: Prefill::None,
    };

    /// The compatibility at an address that is not the provider's own: servers that imitate OpenAI
    /// lack its newer fields.
    #[must_use]
    pub fn imitated(self) -> Self {
        match self.max_tokens_name {
            // An imitation passes over a name that it does not know, and with it the limit:
            // DeepSeek, Ollama and Cohere do so with `max_completion_tokens`.
            MaxTokensName::Completion | MaxTokensName::EitherNewer => Self::COMMON,
            max_tokens_name => Self { max_tokens_name, prefill: self.prefill, ..Self::COMMON },
        }
    }
}

impl Default for ChatCompatibility {
    fn default() -> Self {
        Self::COMMON
    }
}

/// The name that a provider's OpenAI chat has for the limit on output tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxTokensName {
    /// `max_tokens`, which every provider knows; the client's own name in a request that passes
    /// through.
    Either,
    /// `max_completion_tokens`; the client's own name in a request that passes through, because which
    /// one is accepted depends on the model and the version of the API.
    EitherNewer,
    /// `max_tokens` alone: the other is refused or ignored.
    Plain,
    /// `max_completion_tokens` alone, which OpenAI's own reasoning models demand.
    Completion,
}

impl MaxTokensName {
    /// Whether a limit is encoded as `max_completion_tokens`.
    pub(crate) fn is_newer(self) -> bool {
        matches!(self, Self::Completion | Self::EitherNewer)
    }
}

/// How a request is encoded for one provider.
#[derive(Clone, Copy, Debug, Default)]
pub struct EncodeOptions<'a> {
    /// The provider's name for the model.
    pub model: &'a str,
    /// Whether the response is to be a stream.
    pub stream: bool,
    /// When the provider reports the usage of a stream.
    pub stream_usage: StreamUsage,
    /// How the provider's OpenAI chat differs from that of others, if it has one.
    pub compatibility: ChatCompatibility,
    /// Facts about the model.
    pub facts: &'a ModelFacts,
    /// The fields that are left out: a policy or an earlier refusal of the provider wants it so.
    pub drop_fields: &'a [Field],
    /// Whether the signatures of earlier reasoning are left out, because the provider refused one.
    pub drop_signatures: bool,
}

/// A request as one provider is sent it.
#[derive(Clone, Debug, Default)]
pub struct EncodedRequest {
    /// The body.
    pub body: Bytes,
    /// The headers that belong to the body.
    pub headers: Vec<(&'static str, String)>,
    /// The fields that the body lacks: not supported, or left out.
    pub dropped: Vec<Field>,
}

/// The facts about a shipped model, for tests.
#[cfg(test)]
pub(crate) fn facts(provider_type: &str, model: &str) -> &'static ModelFacts {
    Box::leak(Box::new(model_catalog::facts(provider_type, model)))
}
