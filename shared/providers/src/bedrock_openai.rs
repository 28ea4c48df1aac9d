//! Amazon Bedrock's own OpenAI endpoint, for the models that have it.
//!
//! Source: the Bedrock User Guide, *Inference using OpenAI APIs* and *Endpoints*, seen 2026-11: the
//! same host and the same ways to prove oneself as Converse, under `/openai/v1`.

use crate::{Auth, CHAT, Key, OPENAI_COMPATIBLE, Provider};

pub(crate) const PROVIDER: Provider = Provider {
    name: "bedrock-openai",
    base_url: "https://bedrock-runtime.{region}.amazonaws.com/openai/v1",
    version: "/openai/v1",
    apis: &[CHAT],
    auth: Auth::SigV4("bedrock"),
    key: Key::Optional,
    ..OPENAI_COMPATIBLE
};
