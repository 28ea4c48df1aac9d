//! Google's wire formats: Gemini's generateContent and its embeddings.

mod embed_content;
pub mod embeddings;
pub mod generate_content;

pub use embed_content::{GeminiEmbed, GeminiEmbedBatch};
