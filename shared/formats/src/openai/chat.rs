//! OpenAI Chat Completions, in and out.
//!
//! Source: the API reference of `POST /v1/chat/completions` and the types of the `openai` Python
//! package 3.54. Both sides are here because this is the format that most providers share.

pub(crate) mod effort;
pub(crate) mod error;
mod error_words;
mod finish_reason;
mod inbound;
mod listed_sources;
pub(crate) mod metadata;
mod outbound;
mod quirks;
mod reasoning;
mod request_decode;
mod request_encode;
mod request_passthrough;
mod request_policy;
mod response_decode;
mod response_encode;
mod response_passthrough;
mod stream_decode;
mod stream_encode;
mod stream_passthrough;
mod system_messages;
mod wire;

use crate::Format;

pub(crate) use error::LimitJson;
pub(crate) use finish_reason::plain as finish_reason;
pub(crate) use inbound::wants_usage;
pub(crate) use metadata::AttemptJson;
pub(crate) use request_passthrough::with_usage;
pub(crate) use stream_passthrough::{DONE, Frame, data_frame, decode_frame, early_end};
pub(crate) use wire::{ResponseSummary, UsageJson, check as check_response, encode_usage, usage};

/// The format.
#[derive(Clone, Copy, Debug)]
pub struct OpenAiChat;

/// The part of the format that travels with a request.
pub(crate) const FORMAT: Format = Format {
    name: "openai_chat",
    decode: request_decode::decode,
    apply_policy: request_policy::apply,
    output: crate::OutputMembers {
        within: None,
        limits: &request_policy::LIMITS,
        choices: &["n"],
        prompts: None,
    },
    passthrough: request_passthrough::passthrough,
    word: canonical::Field::openai_chat_name,
};
