//! GitHub Models, with OpenAI chat.
//!
//! Sources: docs.github.com/rest/models/inference, seen 2026-11, and eslint/tsc-meetings pull
//! request 593. Names have a publisher (`openai/gpt-4.1`), the key is a token that may read
//! models, and a prompt above the plan's limit is a 413 with the code `tokens_limit_reached`.

use formats::ChatCompatibility;

use crate::{OPENAI_COMPATIBLE, Provider};

pub(crate) const PROVIDER: Provider = Provider {
    name: "github",
    key_variables: &["GITHUB_MODELS_TOKEN"],
    base_url: "https://models.github.ai/inference",
    version: "/inference",
    headers: &[("x-github-api-version", "2022-11-28")],
    compatibility: ChatCompatibility { reasoning_content: false, ..ChatCompatibility::COMMON },
    ..OPENAI_COMPATIBLE
};
