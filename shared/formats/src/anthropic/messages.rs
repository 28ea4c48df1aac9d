//! Anthropic Messages, in and out, and the count of its tokens.
//!
//! Sources, seen 2026-11: the types of the `anthropic` Python package 2.12 (and 0.125 for what API
//! version 2023-06-01 still has: `temperature`, `top_p`, `top_k`), the pages on thinking, tool use,
//! structured outputs and streaming at platform.claude.com, and `@ai-sdk/anthropic` 3.0.138 for
//! what each model accepts.

mod answer;
mod blocks;
mod clean_up;
mod content;
mod empty;
mod encode;
mod error;
mod inbound;
pub(crate) mod models;
mod outbound;
mod parts;
mod pieces;
mod reader;
pub(crate) mod request;
mod response;
pub(crate) mod schema;
pub(crate) mod thinking;
mod understand;
mod wire;
mod words;
mod writer;

use crate::Format;

/// The format of `/v1/messages`.
#[derive(Clone, Copy, Debug)]
pub struct Anthropic;

/// The format of `/v1/messages/count_tokens`.
#[derive(Clone, Copy, Debug)]
pub struct AnthropicCount;

/// Who signs thoughts in this format.
pub(crate) const MAKER: &str = "anthropic";

/// What a request has to know of the format.
const FORMAT: Format =
    Format { name: "anthropic", decode: understand::understand, word: words::word };

/// What a request has to know of the format when tokens are counted.
const COUNT: Format =
    Format { name: "anthropic_count", decode: understand::understand, word: words::word };
