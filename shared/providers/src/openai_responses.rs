//! Any service with OpenAI Responses at a configured base URL: OpenAI itself, vLLM, LM
//! Studio, Ollama and others.
//!
//! Sources: the API reference of `POST /v1/responses` and the types of the `openai` Python package
//! 3.54, seen 2026-11. Streams end with `response.completed` and report their usage there; some
//! imitations add `[DONE]`.

use crate::{COMPACTION, FILES_AND_BATCHES, OPENAI_COMPATIBLE, Provider, RESPONSES, StreamUsage};

pub(crate) const PROVIDER: Provider = Provider {
    name: "openai-responses",
    apis: &[RESPONSES, COMPACTION],
    stream_usage: StreamUsage::Always,
    collections: FILES_AND_BATCHES,
    ..OPENAI_COMPATIBLE
};
