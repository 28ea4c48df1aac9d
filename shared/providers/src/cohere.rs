//! Cohere, by its base for OpenAI's clients.
//!
//! Sources: docs.cohere.com/docs/compatibility-api, and strandsagents.com on Cohere, seen
//! 2026-11. It refuses `stream_options`; errors are `{"message": ...}`. Neither page says that
//! `[DONE]` is sent. Reranking is at Cohere's own base (docs.cohere.com/reference/rerank).

use crate::{
    CHAT, EMBEDDINGS, MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, ProviderApi, RERANK,
    StreamUsage,
};

pub(crate) const PROVIDER: Provider = Provider {
    name: "cohere",
    key_variables: &["COHERE_API_KEY", "CO_API_KEY"],
    base_url: "https://api.cohere.ai/compatibility/v1",
    version: "/compatibility/v1",
    apis: &[CHAT, EMBEDDINGS, ProviderApi { path: "/../../v2/rerank", ..RERANK }],
    stream_usage: StreamUsage::Always,
    compatibility: MAX_TOKENS_ONLY,
    ..OPENAI_COMPATIBLE
};
