//! Anthropic, and any service with its Messages at a configured base URL.
//!
//! Sources: platform.claude.com, *API overview*, *Versions* and *Errors*, seen 2026-11. Version
//! 2026-10-21 refuses `temperature`, `top_p` and `top_k`, which older models still take, so the one
//! before it is sent unless the client names one. Waits are named in `retry-after`; 529 means that
//! it is overloaded.

use formats::{
    ProviderFormat, StreamEnd,
    anthropic::messages::{Anthropic, AnthropicCount},
};

use crate::{Auth, CHAT, OPENAI_COMPATIBLE, Provider, ProviderApi};

pub(crate) const PROVIDER: Provider = Provider {
    name: "anthropic",
    key_variables: &["ANTHROPIC_API_KEY"],
    base_url: "https://api.anthropic.com/v1",
    apis: &[
        ProviderApi { format: ProviderFormat::Chat(&Anthropic), path: "/messages", ..CHAT },
        ProviderApi {
            format: ProviderFormat::TokenCount(&AnthropicCount),
            path: "/messages/count_tokens",
            ..CHAT
        },
    ],
    auth: Auth::Header("x-api-key"),
    headers: &[("anthropic-version", "2023-06-01")],
    stream_end: StreamEnd::Terminator,
    ..OPENAI_COMPATIBLE
};
