//! Mistral, with OpenAI chat but for its errors.
//!
//! Sources: docs.mistral.ai, *Error glossary*, seen 2026-11, and openai/openai-agents-python
//! issue 442. Errors are flat (`object`, `message`, `type`, `code`); `stream_options` is refused
//! with a 422, and the last chunk carries the usage unasked. A message that is left open carries
//! `prefix` (*`AssistantMessage`* in its `OpenAPI` document).
//! Gaps are filled by Codestral, at an endpoint of its own.

use canonical::ModelApi;
use formats::{ChatCompatibility, Prefill, ProviderFormat, openai::completions::MistralFim};

use crate::{
    CHAT, EMBEDDINGS, INFILL, MAX_TOKENS_ONLY, MODERATIONS, OPENAI_COMPATIBLE, Provider,
    ProviderApi, StreamUsage, TRANSCRIPTIONS,
};

pub(crate) const PROVIDER: Provider = Provider {
    name: "mistral",
    key_variables: &["MISTRAL_API_KEY"],
    base_url: "https://api.mistral.ai/v1",
    apis: &[CHAT, EMBEDDINGS, FIM, TRANSCRIPTIONS, MODERATIONS],
    stream_usage: StreamUsage::Always,
    compatibility: ChatCompatibility {
        reasoning_content: false,
        prefill: Prefill::Prefix,
        ..MAX_TOKENS_ONLY
    },
    collections: &[("files", "/files")],
    ..OPENAI_COMPATIBLE
};

const FIM: ProviderApi = ProviderApi {
    format: ProviderFormat::Infill(&MistralFim),
    path: "/fim/completions",
    only_with: Some(ModelApi::Infill),
    ..INFILL
};
