//! Anthropic Messages, in and out, and the count of its tokens.
//!
//! Sources, seen 2026-11: the types of the `anthropic` Python package 2.12 (and 0.125 for what API
//! version 2023-06-01 still has: `temperature`, `top_p`, `top_k`), the pages on thinking, tool use,
//! structured outputs and streaming at platform.claude.com, and `@ai-sdk/anthropic` 3.0.138 for
//! what each model accepts.

mod count_tokens;
mod error;
mod fields;
mod inbound;
mod outbound;
pub(crate) mod quirks;
mod request_decode;
pub(crate) mod request_encode;
mod request_passthrough;
mod request_policy;
mod response_decode;
mod response_encode;
mod signature;
mod stream_decode;
mod stream_encode;
mod stream_passthrough;
pub(crate) mod wire;

use crate::Format;

/// The format of `/v1/messages`.
#[derive(Clone, Copy, Debug)]
pub struct Anthropic;

/// The format of `/v1/messages/count_tokens`.
#[derive(Clone, Copy, Debug)]
pub struct AnthropicCount;

/// The maker of signatures in this format.
pub(crate) const MAKER: &str = "anthropic";

/// The part of the format that travels with a request.
const FORMAT: Format = Format {
    name: "anthropic",
    decode: request_decode::decode,
    passthrough: request_passthrough::passthrough,
    apply_policy: request_policy::apply,
    output: crate::OutputMembers { limits: &["max_tokens"], ..crate::OutputMembers::NONE },
    word: fields::name,
};

/// The part of the counting format that travels with a request.
const COUNT: Format =
    Format { name: "anthropic_count", apply_policy: request_policy::apply_to_count, ..FORMAT };
