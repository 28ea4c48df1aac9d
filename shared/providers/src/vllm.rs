//! vLLM, a server of one's own with OpenAI chat.
//!
//! Sources: vllm-project/vllm pull request 37011 and harbor-framework/harbor pull request 996,
//! seen 2026-11. The `code` of an error is its status; older versions send the error flat.
//! A message that is left open takes `continue_final_message` without `add_generation_prompt`
//! (docs.vllm.ai, *OpenAI-Compatible Server*).
//! Its completions refuse a `suffix`.

use formats::{ChatCompatibility, Prefill};

use crate::{
    CHAT, COMPLETIONS, EMBEDDINGS, Key, OPENAI_COMPATIBLE, Provider, RERANK, TRANSCRIPTIONS,
    TRANSLATIONS,
};

pub(crate) const PROVIDER: Provider = Provider {
    name: "vllm",
    base_url: "http://localhost:8000/v1",
    apis: &[CHAT, EMBEDDINGS, COMPLETIONS, TRANSCRIPTIONS, TRANSLATIONS, RERANK],
    key: Key::Optional,
    compatibility: ChatCompatibility {
        prefill: Prefill::ContinueFinalMessage,
        ..ChatCompatibility::COMMON
    },
    ..OPENAI_COMPATIBLE
};
