//! Gemini's generateContent and countTokens, in and out.
//!
//! Source: the API reference of `v1beta` (ai.google.dev/api/generate-content, /caching, /tokens), the
//! guides on thinking, reasoning signatures, function calling and structured output, and the types of
//! the `google-genai` Python package 3.4, seen 2026-11. A request names neither its model nor whether
//! it wants a stream: its path does.

mod cited_text;
mod count_tokens;
mod error;
mod fields;
mod inbound;
mod media;
mod outbound;
mod quirks;
mod request_decode;
mod request_encode;
mod request_passthrough;
mod request_policy;
mod response_decode;
mod response_encode;
mod signature;
mod stream_decode;
mod stream_encode;
mod wire;

use crate::Format;

/// The format of generateContent.
#[derive(Clone, Copy, Debug)]
pub struct Gemini;

/// The format of requests that count the tokens of a conversation.
#[derive(Clone, Copy, Debug)]
pub struct GeminiCount;

/// The maker of signatures in this format.
const MAKER: &str = "gemini";

/// The part of the format that travels with a request.
pub(crate) const FORMAT: Format = Format {
    name: "gemini",
    decode: request_decode::decode,
    passthrough: request_passthrough::passthrough,
    apply_policy: request_policy::apply,
    output: crate::OutputMembers {
        within: Some("generationConfig"),
        limits: &["maxOutputTokens", "max_output_tokens"],
        choices: &["candidateCount"],
        prompts: None,
    },
    word: fields::name,
};

/// The part of the counting format that travels with a request.
pub(crate) const COUNT_FORMAT: Format = Format {
    name: "gemini_count_tokens",
    decode: count_tokens::decode,
    passthrough: count_tokens::passthrough,
    apply_policy: crate::common::request_policy::unchanged,
    output: crate::OutputMembers::NONE,
    word: fields::name,
};
