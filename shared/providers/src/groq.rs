//! Groq, with OpenAI chat.
//!
//! Sources: console.groq.com/docs/errors, and the Python package `groq` 1.7.0, seen 2026-11. A
//! 413 with the code `rate_limit_exceeded` is a limit on tokens, and 498 a lack of capacity.

use formats::ChatCompatibility;

use crate::{CHAT, OPENAI_COMPATIBLE, Provider};

pub(crate) const PROVIDER: Provider = Provider {
    name: "groq",
    key_variables: &["GROQ_API_KEY"],
    base_url: "https://api.groq.com/openai/v1",
    version: "/openai/v1",
    apis: &[CHAT],
    compatibility: ChatCompatibility { reasoning_content: false, ..ChatCompatibility::COMMON },
    ..OPENAI_COMPATIBLE
};
