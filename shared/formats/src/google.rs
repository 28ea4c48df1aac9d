//! Google's wire formats: Gemini's generateContent and its embeddings.

pub mod embeddings;
pub mod generate_content;
