//! OpenAI's wire formats: chat completions, responses and embeddings.

pub mod chat;
pub mod embeddings;
pub mod responses;
