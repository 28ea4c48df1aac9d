//! Jina, which has embeddings and reranking, and no chat.
//!
//! Source: api.jina.ai/redoc, seen 2026-11. Embeddings have OpenAI's shape; the usage of both
//! reports the total of tokens.

use crate::{EMBEDDINGS, OPENAI_COMPATIBLE, Provider, RERANK};

pub(crate) const PROVIDER: Provider = Provider {
    name: "jina",
    key_variables: &["JINA_API_KEY"],
    base_url: "https://api.jina.ai/v1",
    apis: &[EMBEDDINGS, RERANK],
    ..OPENAI_COMPATIBLE
};
