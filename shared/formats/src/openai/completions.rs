//! OpenAI's older completions, in and out: a prompt that is continued, or a gap that is filled.
//!
//! Source: the API reference of `POST /v1/completions` and the types of the `openai` Python package
//! 3.57 (`CompletionCreateParams`, `Completion`, `CompletionChoice`). Streams are made of the same
//! objects. Targets without the endpoint are asked as a chat, with the gap described in words.

mod inbound;
mod mistral_fim;
mod outbound;
mod request_decode;
mod request_passthrough;
mod response_decode;
mod response_encode;
mod stream_decode;
mod stream_encode;

use crate::Format;

pub use mistral_fim::MistralFim;

/// The format.
#[derive(Clone, Copy, Debug)]
pub struct OpenAiCompletions;

/// The part of the format that travels with a request.
const FORMAT: Format = Format {
    name: "openai_completions",
    decode: request_decode::decode,
    passthrough: request_passthrough::passthrough,
    apply_policy: crate::common::request_policy::limit_only,
    output: crate::OutputMembers {
        within: None,
        limits: &["max_tokens"],
        choices: &["n", "best_of"],
        prompts: Some("prompt"),
    },
    word: canonical::Field::openai_chat_name,
};
