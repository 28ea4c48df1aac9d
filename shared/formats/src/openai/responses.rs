//! OpenAI Responses, in and out, without any memory: nothing is stored, here or there.
//!
//! Source: the API reference of `POST /v1/responses` and the types of the `openai` Python package
//! 3.54. Clients who want memory send the whole conversation, which is what the reference
//! describes for `store: false`: reasoning then travels as `encrypted_content`.

mod compact;
mod compaction;
mod content;
mod echo;
mod inbound;
mod outbound;
mod output;
mod request_decode;
mod request_encode;
mod request_passthrough;
mod request_policy;
mod response_decode;
mod response_encode;
mod stream_decode;
mod stream_encode;
mod wire;

use std::borrow::Cow;

use canonical::Field;

use crate::Format;

pub use compact::OpenAiCompact;
pub(crate) use wire::usage;

/// The format.
#[derive(Clone, Copy, Debug)]
pub struct OpenAiResponses;

/// The part of the format that travels with a request.
pub(crate) const FORMAT: Format = Format {
    name: "openai_responses",
    decode: request_decode::decode,
    passthrough: request_passthrough::passthrough,
    apply_policy: request_policy::apply,
    output: crate::OutputMembers { limits: &["max_output_tokens"], ..crate::OutputMembers::NONE },
    word,
};

/// The format's own name for a field, where it differs from that of chat.
fn word(field: &Field) -> Cow<'static, str> {
    Cow::Borrowed(match field {
        Field::Refusal => "input[].content[].refusal",
        Field::ReasoningText => "input[].summary",
        Field::Citations => "input[].content[].annotations",
        Field::Image => "input[].content[].image_url",
        Field::ImageDetail => "input[].content[].detail",
        Field::Audio => "input[].content[].input_audio",
        Field::File => "input[].content[].input_file",
        Field::FileName => "input[].content[].filename",
        Field::ToolResultMedia => "input[].output[]",
        Field::Cache => "input[].content[].prompt_cache_breakpoint",
        Field::CacheTtl => "input[].content[].prompt_cache_breakpoint.ttl",
        Field::ToolStrict => "tools[].strict",
        Field::ResponseFormat => "text.format",
        Field::ResponseSchema => "text.format.schema",
        Field::ResponseName => "text.format.name",
        Field::ResponseStrict => "text.format.strict",
        Field::MaxTokens => "max_output_tokens",
        Field::Reasoning => "reasoning.effort",
        Field::Verbosity => "text.verbosity",
        other => return other.openai_chat_name(),
    })
}
