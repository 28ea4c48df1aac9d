//! OpenAI's wire formats: chat completions, responses, embeddings and the older completions.

pub mod chat;
pub mod completions;
pub mod embeddings;
mod file_id;
pub mod responses;
mod tool_name;
