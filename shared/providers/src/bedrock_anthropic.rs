//! Amazon Bedrock's own Anthropic endpoint, for Claude.
//!
//! Source: the Bedrock User Guide, *Inference using Anthropic Messages API*, seen 2026-11: the same
//! host and the same ways to prove oneself as Converse, under `/anthropic`. It counts no tokens.

use formats::{ProviderFormat, StreamEnd, anthropic::messages::Anthropic};

use crate::{Auth, CHAT, Key, OPENAI_COMPATIBLE, Provider, ProviderApi};

pub(crate) const PROVIDER: Provider = Provider {
    name: "bedrock-anthropic",
    base_url: "https://bedrock-runtime.{region}.amazonaws.com/anthropic/v1",
    version: "/anthropic/v1",
    apis: &[ProviderApi { format: ProviderFormat::Chat(&Anthropic), path: "/messages", ..CHAT }],
    auth: Auth::SigV4("bedrock"),
    key: Key::Optional,
    headers: &[("anthropic-version", "2023-06-01")],
    stream_end: StreamEnd::Terminator,
    ..OPENAI_COMPATIBLE
};
