//! OpenAI's wire formats: chat completions, responses, embeddings and the older completions.

pub mod chat;
pub mod completions;
pub mod embeddings;
mod file_id;
pub mod responses;
mod tool_name;

/// Whether the name of a tool says that it takes any text, in place of arguments.
pub(crate) fn is_custom_tool(name: &str) -> bool {
    tool_name::ToolName::custom_of(name).is_some()
}
