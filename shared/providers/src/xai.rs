//! xAI, with OpenAI chat but for its errors.
//!
//! Sources: docs.x.ai/api, the npm package `@ai-sdk/xai` 3.0, and i-am-bee/beeai-framework issue
//! 447, seen 2026-11. Errors are `{"code": "a sentence", "error": "a sentence"}`, and a wrong key
//! is a 400, not a 401.

use crate::{CHAT, IMAGE_EDITS, IMAGES, OPENAI_COMPATIBLE, Provider};

pub(crate) const PROVIDER: Provider = Provider {
    name: "xai",
    key_variables: &["XAI_API_KEY"],
    base_url: "https://api.x.ai/v1",
    apis: &[CHAT, IMAGES, IMAGE_EDITS],
    ..OPENAI_COMPATIBLE
};
