//! OpenAI, and any service that speaks OpenAI chat at a configured base URL.
//!
//! Sources: developers.openai.com, *Rate limits*, and the types of its own clients, seen 2026-11.
//! Resets are told as `6m0s` in `x-ratelimit-reset-*`, and a 429 may mean an empty purse
//! (`insufficient_quota`).

use formats::MaxTokensName;

use crate::{OPENAI_COMPATIBLE, Provider};

pub(crate) const PROVIDER: Provider =
    Provider { max_tokens_name: MaxTokensName::Completion, ..OPENAI_COMPATIBLE };
