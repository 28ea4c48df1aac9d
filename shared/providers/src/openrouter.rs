//! OpenRouter, with OpenAI chat for many providers.
//!
//! Sources: openrouter.ai/docs, *Errors and Debugging* and *Streaming*, seen 2026-11. An error's
//! `code` is a number and its cause is in `metadata.raw`; failures while writing come inside a
//! 200, and comments such as `: OPENROUTER PROCESSING` come before the first chunk.

use crate::{CHAT, COMPLETIONS, EMBEDDINGS, OPENAI_COMPATIBLE, Provider};

pub(crate) const PROVIDER: Provider = Provider {
    name: "openrouter",
    key_variables: &["OPENROUTER_API_KEY"],
    base_url: "https://openrouter.ai/api/v1",
    version: "/api/v1",
    apis: &[CHAT, EMBEDDINGS, COMPLETIONS],
    ..OPENAI_COMPATIBLE
};
