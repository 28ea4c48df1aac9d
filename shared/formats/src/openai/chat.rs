//! OpenAI Chat Completions, in and out.
//!
//! Source: the API reference of `POST /v1/chat/completions` and the types of the `openai` Python
//! package 3.54. Both sides are here because this is the format that most providers share.

mod answer;
mod chunks;
pub(crate) mod effort;
mod encode;
pub(crate) mod error;
mod finish;
mod forward;
mod inbound;
mod messages;
pub(crate) mod metadata;
mod mistral;
mod outbound;
mod pieces;
mod reader;
mod said;
mod thoughts;
mod understand;
mod wire;
mod writer;

use crate::Format;

pub(crate) use metadata::AttemptJson;

/// The format.
#[derive(Clone, Copy, Debug)]
pub struct OpenAiChat;

/// What a request has to know of it.
pub(crate) const FORMAT: Format = Format {
    name: "openai_chat",
    decode: understand::understand,
    word: canonical::Field::openai_chat_name,
};
