//! Mistral, which speaks OpenAI chat but for its errors.
//!
//! Sources: docs.mistral.ai, *Error glossary*, seen 2026-11, and openai/openai-agents-python
//! issue 442. Errors are flat (`object`, `message`, `type`, `code`); `stream_options` is refused
//! with a 422, and the last chunk carries the usage unasked.

use formats::ChatCompatibility;

use crate::{MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, StreamUsage};

pub(crate) const PROVIDER: Provider = Provider {
    name: "mistral",
    key_variables: &["MISTRAL_API_KEY"],
    base_url: "https://api.mistral.ai/v1",
    stream_usage: StreamUsage::Always,
    compatibility: ChatCompatibility { reasoning_content: false, ..MAX_TOKENS_ONLY },
    ..OPENAI_COMPATIBLE
};
