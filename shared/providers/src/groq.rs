//! Groq, with OpenAI chat.
//!
//! Sources: console.groq.com/docs/errors, and the Python package `groq` 1.7.0, seen 2026-11. A
//! 413 with the code `rate_limit_exceeded` is a limit on tokens, and 498 a lack of capacity.

use formats::ChatCompatibility;

use crate::{
    CHAT, FILES_AND_BATCHES, OPENAI_COMPATIBLE, Provider, SPEECH, TRANSCRIPTIONS, TRANSLATIONS,
};

pub(crate) const PROVIDER: Provider = Provider {
    name: "groq",
    key_variables: &["GROQ_API_KEY"],
    base_url: "https://api.groq.com/openai/v1",
    version: "/openai/v1",
    apis: &[CHAT, TRANSCRIPTIONS, TRANSLATIONS, SPEECH],
    compatibility: ChatCompatibility { reasoning_content: false, ..ChatCompatibility::COMMON },
    collections: FILES_AND_BATCHES,
    ..OPENAI_COMPATIBLE
};
