//! NVIDIA NIM as NVIDIA hosts it, with OpenAI chat.
//!
//! Sources: NVIDIA's Python package `langchain-nvidia-ai-endpoints` 1.5.0, and
//! Alishahryar1/free-claude-code issue 690, seen 2026-11. Errors are problem documents (`status`,
//! `title`, perhaps `detail`) without a time to wait; its vision models refuse `stream_options`.

use crate::{OPENAI_COMPATIBLE, Provider};

pub(crate) const PROVIDER: Provider = Provider {
    name: "nvidia",
    key_variables: &["NVIDIA_API_KEY"],
    base_url: "https://integrate.api.nvidia.com/v1",
    ..OPENAI_COMPATIBLE
};
