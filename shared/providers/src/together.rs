//! Together, with OpenAI chat.
//!
//! Sources: docs.together.ai, *Serverless rate limits*, and the Python package `together` 3.1.1,
//! seen 2026-11. Above the pace it grants it responds with 429, below it 503; `x-ratelimit-reset`
//! says the seconds to wait.

use crate::{
    CHAT, COMPLETIONS, EMBEDDINGS, IMAGES, MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, RERANK,
    SPEECH, TRANSCRIPTIONS, TRANSLATIONS,
};

pub(crate) const PROVIDER: Provider = Provider {
    name: "together",
    key_variables: &["TOGETHER_API_KEY"],
    base_url: "https://api.together.ai/v1",
    apis: &[CHAT, EMBEDDINGS, COMPLETIONS, TRANSCRIPTIONS, TRANSLATIONS, SPEECH, IMAGES, RERANK],
    compatibility: MAX_TOKENS_ONLY,
    ..OPENAI_COMPATIBLE
};
