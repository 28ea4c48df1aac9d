//! Cerebras, with OpenAI chat but for its errors.
//!
//! Sources: inference-docs.cerebras.ai, *Error Codes* and *Rate Limits*, and the Python package
//! `cerebras-cloud-sdk` 1.91, seen 2026-11. Errors are flat (`message`, `type`, `param`, `code`),
//! and resets are given in fractions of seconds: `x-ratelimit-reset-requests-day`,
//! `x-ratelimit-reset-tokens-minute`.

use formats::ChatCompatibility;

use crate::{CHAT, COMPLETIONS, OPENAI_COMPATIBLE, Provider};

pub(crate) const PROVIDER: Provider = Provider {
    name: "cerebras",
    key_variables: &["CEREBRAS_API_KEY"],
    base_url: "https://api.cerebras.ai/v1",
    apis: &[CHAT, COMPLETIONS],
    compatibility: ChatCompatibility { reasoning_content: false, ..ChatCompatibility::COMMON },
    ..OPENAI_COMPATIBLE
};
