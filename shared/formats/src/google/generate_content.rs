//! Gemini's generateContent and countTokens, in and out.
//!
//! Source: the API reference of `v1beta` (ai.google.dev/api/generate-content, /caching, /tokens), the
//! guides on thinking, thought signatures, function calling and structured output, and the types of
//! the `google-genai` Python package 3.4, seen 2026-11. A request names neither its model nor whether
//! it wants a stream: its path does.

mod answer;
mod cited;
mod contents;
mod count;
mod encode;
mod error;
mod fit;
mod forward;
mod inbound;
mod media;
mod model;
mod openapi;
mod outbound;
mod parts;
mod pieces;
mod places;
mod reader;
mod request;
mod signature;
mod thinking;
mod tools;
mod turns;
mod understand;
mod wire;
mod words;
mod writer;

use crate::Format;

/// The format.
#[derive(Clone, Copy, Debug)]
pub struct Gemini;

/// The same format, where a conversation is only counted.
#[derive(Clone, Copy, Debug)]
pub struct GeminiCount;

/// Whose signatures are native here.
const MAKER: &str = "gemini";

/// What a request has to know of it.
pub(crate) const FORMAT: Format =
    Format { name: "gemini", decode: understand::understand, word: words::word };

/// What a request to count has to know of it.
pub(crate) const COUNT_FORMAT: Format =
    Format { name: "gemini_count_tokens", decode: count::understand, word: words::word };
