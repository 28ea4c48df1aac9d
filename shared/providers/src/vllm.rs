//! vLLM, a server of one's own that speaks OpenAI chat.
//!
//! Sources: vllm-project/vllm pull request 37011 and harbor-framework/harbor pull request 996,
//! seen 2026-11. The `code` of an error is its status; older versions send the error flat.
//! Its completions refuse a `suffix`.

use crate::{
    CHAT, COMPLETIONS, EMBEDDINGS, Key, OPENAI_COMPATIBLE, Provider, RERANK, TRANSCRIPTIONS,
    TRANSLATIONS,
};

pub(crate) const PROVIDER: Provider = Provider {
    name: "vllm",
    base_url: "http://localhost:8000/v1",
    apis: &[CHAT, EMBEDDINGS, COMPLETIONS, TRANSCRIPTIONS, TRANSLATIONS, RERANK],
    key: Key::Optional,
    ..OPENAI_COMPATIBLE
};
