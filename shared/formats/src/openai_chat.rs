//! OpenAI Chat Completions, in and out.
//!
//! Source: the API reference of `POST /v1/chat/completions` and the types of the `openai` Python
//! package 3.54. Both sides are here because this is the format that most providers share.

mod error;
mod inbound;
mod outbound;
mod reader;
mod wire;
mod writer;

/// The format.
#[derive(Clone, Copy, Debug)]
pub struct OpenAiChat;
