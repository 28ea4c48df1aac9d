//! Perplexity, with OpenAI chat.
//!
//! Sources: docs.perplexity.ai, *OpenAI compatibility*, the Python package `perplexityai` 0.46,
//! and perplexityai/api-discussion issue 209, seen 2026-11. There is no version in its path,
//! every chunk carries the usage so far, most models never send `[DONE]`, and a wrong key is
//! responded in HTML. Its embeddings are numbers of 8 bits, in an encoding of its own.

use crate::{CHAT, MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, StreamUsage};

pub(crate) const PROVIDER: Provider = Provider {
    name: "perplexity",
    key_variables: &["PERPLEXITY_API_KEY", "PPLX_API_KEY"],
    base_url: "https://api.perplexity.ai",
    version: "",
    stream_usage: StreamUsage::Always,
    apis: &[CHAT],
    compatibility: MAX_TOKENS_ONLY,
    ..OPENAI_COMPATIBLE
};
