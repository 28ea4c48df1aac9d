//! Fireworks, with OpenAI chat.
//!
//! Sources: docs.fireworks.ai, *Inference Error Codes* and *Rate limits*, and the npm package
//! `@ai-sdk/fireworks` 2.0, seen 2026-11. An error may be a string, and a 412 is a suspended
//! account.

use crate::{CHAT, COMPLETIONS, EMBEDDINGS, OPENAI_COMPATIBLE, Provider, RERANK};

pub(crate) const PROVIDER: Provider = Provider {
    name: "fireworks",
    key_variables: &["FIREWORKS_API_KEY"],
    base_url: "https://api.fireworks.ai/inference/v1",
    version: "/inference/v1",
    apis: &[CHAT, EMBEDDINGS, COMPLETIONS, RERANK],
    ..OPENAI_COMPATIBLE
};
