//! OpenAI, and any service that speaks OpenAI chat at a configured base URL.
//!
//! Sources: developers.openai.com, *Rate limits*, and the types of its own clients, seen 2026-11.
//! Resets are told as `6m0s` in `x-ratelimit-reset-*`, and a 429 may mean an empty purse
//! (`insufficient_quota`). Which models answer `404 This model is only supported in v1/responses`:
//! `ResponsesModel` beside `ChatModel` in the `openai` Python package 3.54, and for the pro models
//! langchain-ai/langchain pull request 35594.

use formats::StreamEnd;

use crate::{
    CHAT, COMPACTION, COMPLETIONS, EMBEDDINGS, FILES_AND_BATCHES, IMAGE_EDITS, IMAGES, INFILL,
    MODERATIONS, OPENAI_COMPATIBLE, OPENAI_ITSELF, Offered, Provider, ProviderApi, RERANK,
    RESPONSES, SPEECH, TRANSCRIPTIONS, TRANSLATIONS,
};

pub(crate) const PROVIDER: Provider = Provider {
    key_variables: &["OPENAI_API_KEY"],
    apis: &[
        CHAT,
        ProviderApi { only_for: ONLY_RESPONSES, ..RESPONSES },
        EMBEDDINGS,
        ProviderApi { offered: Offered::AtHome, ..COMPACTION },
        ProviderApi { only_for: COMPLETING, ..COMPLETIONS },
        ProviderApi { only_for: &["gpt-3.5-turbo-instruct"], ..INFILL },
        TRANSCRIPTIONS,
        TRANSLATIONS,
        SPEECH,
        IMAGES,
        IMAGE_EDITS,
        MODERATIONS,
        RERANK,
    ],
    compatibility: OPENAI_ITSELF,
    stream_end: StreamEnd::Terminator,
    collections: FILES_AND_BATCHES,
    ..OPENAI_COMPATIBLE
};

/// The models that have the older completions; `suffix` is for the first alone.
const COMPLETING: &[&str] = &["gpt-3.5-turbo-instruct", "babbage-002", "davinci-002"];

/// How the names of those models begin that have no chat endpoint.
pub(crate) const ONLY_RESPONSES: &[&str] = &[
    "codex-mini",
    "computer-use-preview",
    "gpt-5-codex",
    "gpt-5-pro",
    "gpt-5.1-codex",
    "gpt-5.2-codex",
    "gpt-5.2-pro",
    "gpt-5.3-codex",
    "gpt-5.4-pro",
    "gpt-5.5-pro",
    "gpt-5.6-cyber",
    "gpt-6-cyber",
    "gpt-6-rosalind",
    "gpt-6.2-astra-law",
    "gpt-daybreak",
    "gpt-rosalind",
    "o1-pro",
    "o3-deep-research",
    "o3-pro",
    "o4-mini-deep-research",
];
