//! DeepSeek, with OpenAI chat.
//!
//! Sources: api-docs.deepseek.com, *Error Codes* and *Rate Limit*, and the npm package
//! `@ai-sdk/deepseek` 2.0, seen 2026-11. When busy it sends `: keep-alive` comments, or empty lines
//! before a whole response. There is no version in its path, and a 402 means that no money is left.
//! A message that is left open carries `prefix` (*Chat Prefix Completion*), at `/beta` alone.
//! Completions are a beta, under a path of their own: api-docs.deepseek.com, *FIM Completion
//! (Beta)*.

use formats::{ChatCompatibility, Prefill};

use crate::{CHAT, COMPLETIONS, INFILL, MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, ProviderApi};

pub(crate) const PROVIDER: Provider = Provider {
    name: "deepseek",
    key_variables: &["DEEPSEEK_API_KEY"],
    base_url: "https://api.deepseek.com",
    version: "",
    apis: &[CHAT, BETA_COMPLETIONS, BETA_INFILL],
    compatibility: ChatCompatibility { prefill: Prefill::Prefix, ..MAX_TOKENS_ONLY },
    ..OPENAI_COMPATIBLE
};

/// Completions and gaps, which the beta has.
const BETA_COMPLETIONS: ProviderApi = ProviderApi { path: "/beta/completions", ..COMPLETIONS };
const BETA_INFILL: ProviderApi = ProviderApi { path: "/beta/completions", ..INFILL };
