//! Ollama, a server of one's own with OpenAI chat.
//!
//! Source: docs.ollama.com/api/openai-compatibility and /api/errors, seen 2026-11. It needs no
//! key, and it cuts a prompt that is too long instead of refusing it.

use crate::{
    CHAT, COMPLETIONS, EMBEDDINGS, INFILL, Key, MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider,
    SPEECH, TRANSCRIPTIONS,
};

pub(crate) const PROVIDER: Provider = Provider {
    name: "ollama",
    base_url: "http://localhost:11434/v1",
    apis: &[CHAT, EMBEDDINGS, COMPLETIONS, INFILL, TRANSCRIPTIONS, SPEECH],
    key: Key::Optional,
    compatibility: MAX_TOKENS_ONLY,
    ..OPENAI_COMPATIBLE
};
