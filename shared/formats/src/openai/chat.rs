//! OpenAI Chat Completions, in and out.
//!
//! Source: the API reference of `POST /v1/chat/completions` and the types of the `openai` Python
//! package 3.54. Both sides are here because this is the format that most providers share.

pub(crate) mod effort;
pub(crate) mod error;
mod finish_reason;
mod inbound;
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
pub(crate) use metadata::AttemptJson;

/// The format.
#[derive(Clone, Copy, Debug)]
pub struct OpenAiChat;

/// What a request has to know of it.
pub(crate) const FORMAT: Format = Format {
    name: "openai_chat",
    decode: request_decode::decode,
    apply_policy: request_policy::apply,
    word: canonical::Field::openai_chat_name,
};
