//! OpenAI, and any service with OpenAI chat at a configured base URL.
//!
//! Sources: developers.openai.com, *Rate limits*, and the types of its own clients, seen 2026-11.
//! Resets are given as `6m0s` in `x-ratelimit-reset-*`, and a 429 may mean spent credit
//! (`insufficient_quota`). Some models respond with `404 This model is only supported in
//! v1/responses`, and few have completions: the facts about a model say which.

use canonical::ModelApi;
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
        ProviderApi { only_with: Some(ModelApi::Responses), ..RESPONSES },
        EMBEDDINGS,
        ProviderApi { offered: Offered::AtHome, ..COMPACTION },
        ProviderApi { only_with: Some(ModelApi::Completions), ..COMPLETIONS },
        ProviderApi { only_with: Some(ModelApi::Infill), ..INFILL },
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
