//! LM Studio, a server of one's own with OpenAI chat.
//!
//! Sources: lmstudio.ai/docs/api/openai-api, and lmstudio-ai/lmstudio-bug-tracker issue 2322,
//! seen 2026-11. A prompt that is too long, and even an unknown path, may be an error inside a
//! 200.

use crate::{CHAT, COMPLETIONS, EMBEDDINGS, Key, MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider};

pub(crate) const PROVIDER: Provider = Provider {
    name: "lmstudio",
    base_url: "http://localhost:1234/v1",
    apis: &[CHAT, EMBEDDINGS, COMPLETIONS],
    key: Key::Optional,
    compatibility: MAX_TOKENS_ONLY,
    ..OPENAI_COMPATIBLE
};
