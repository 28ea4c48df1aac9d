//! Google's Gemini API, in its own format.
//!
//! Sources: ai.google.dev/api (generateContent, countTokens, batchEmbedContents, errors) and the
//! `google-genai` Python package 3.4, seen 2026-11. The key travels in a header, never in the URL.
//! Streams are asked for as server-sent events, report their usage in every chunk and have no
//! terminator; failures are `{"error": {"code", "message", "status", "details"}}`, with the wait as
//! `retryDelay`.

use formats::{
    ProviderFormat,
    google::embeddings::GeminiEmbeddings,
    google::generate_content::{Gemini, GeminiCount},
};

use crate::{Auth, CHAT, OPENAI_COMPATIBLE, Provider, ProviderApi, StreamUsage};

pub(crate) const PROVIDER: Provider = Provider {
    name: "gemini",
    key_variables: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
    base_url: "https://generativelanguage.googleapis.com/v1beta",
    version: "/v1beta",
    apis: &[
        ProviderApi {
            format: ProviderFormat::Chat(&Gemini),
            path: "/models/{model}:generateContent",
            stream_path: Some("/models/{model}:streamGenerateContent?alt=sse"),
            ..CHAT
        },
        ProviderApi {
            format: ProviderFormat::TokenCount(&GeminiCount),
            path: "/models/{model}:countTokens",
            ..CHAT
        },
        ProviderApi {
            format: ProviderFormat::Embeddings(&GeminiEmbeddings),
            path: "/models/{model}:batchEmbedContents",
            ..CHAT
        },
    ],
    auth: Auth::Header("x-goog-api-key"),
    stream_usage: StreamUsage::Always,
    ..OPENAI_COMPATIBLE
};
