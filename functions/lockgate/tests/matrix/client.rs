//! Clients of each format: they encode a conversation, and decode a response as strictly as a test can.

use serde_json::Value;
use testkit::strict::{Format, Stop};

use crate::conversation::{Conversation, Unsupported};

pub(crate) mod anthropic;
mod decode;
pub(crate) mod gemini;
pub(crate) mod openai_chat;
pub(crate) mod openai_responses;

/// The key that the gateway demands.
pub(crate) const KEY: &str = "gateway-key";

/// A request as a client sends it.
pub(crate) struct ClientRequest {
    pub(crate) target: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Value,
}

/// A decoded response.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReceivedResponse {
    pub(crate) text: String,
    pub(crate) refusal: String,
    pub(crate) reasoning: String,
    pub(crate) calls: Vec<ToolCall>,
    /// Addresses and titles.
    pub(crate) citations: Vec<(String, String)>,
    pub(crate) stop: Stop,
    pub(crate) usage: Option<Usage>,
    pub(crate) streamed: bool,
    /// The messages that the client appends when the conversation continues.
    pub(crate) echo: Vec<Value>,
}

/// A tool call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ToolCall {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: Value,
}

/// Tokens, as far as every format reports them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) read: u64,
    pub(crate) cached: u64,
    pub(crate) written: u64,
    pub(crate) output_tokens: u64,
    pub(crate) reasoning: u64,
}

/// Why a response could not be decoded.
pub(crate) type DecodeFailure = String;

/// Encodes a request.
pub(crate) fn ask(
    client: Format,
    conversation: &Conversation,
    model: &str,
    stream: bool,
) -> Result<ClientRequest, Unsupported> {
    match client {
        Format::OpenAiChat => openai_chat::ask(conversation, model, stream),
        Format::OpenAiResponses => openai_responses::ask(conversation, model, stream),
        Format::Anthropic => anthropic::ask(conversation, model, stream),
        Format::Gemini => gemini::ask(conversation, model, stream),
        Format::Bedrock => Err(Unsupported),
    }
}

/// Decodes a response.
pub(crate) fn hear(
    client: Format,
    text: &str,
    stream: bool,
) -> Result<ReceivedResponse, DecodeFailure> {
    let whole = match (client, stream) {
        (_, false) => serde_json::from_str(text).map_err(|it| format!("{it} in {text}"))?,
        (Format::OpenAiChat, true) => openai_chat::assemble(text)?,
        (Format::OpenAiResponses, true) => openai_responses::assemble(text)?,
        (Format::Anthropic, true) => anthropic::assemble(text)?,
        (Format::Gemini, true) => gemini::assemble(text)?,
        (Format::Bedrock, true) => return Err("no client speaks it".to_owned()),
    };
    let responses = match client {
        Format::OpenAiChat => openai_chat::read(&whole),
        Format::OpenAiResponses => openai_responses::read(&whole),
        Format::Anthropic => anthropic::read(&whole),
        Format::Gemini => gemini::read(&whole),
        Format::Bedrock => Err("no client speaks it".to_owned()),
    };
    let responses = responses.map_err(|it| format!("{it} in {whole}"))?;
    Ok(ReceivedResponse { streamed: stream, ..responses })
}

/// The message of an error response. Fails where it is not of the format.
pub(crate) fn failure(client: Format, text: &str) -> Result<String, DecodeFailure> {
    let value: Value = serde_json::from_str(text).map_err(|it| format!("{it} in {text}"))?;
    let error = &value["error"];
    match client {
        Format::OpenAiChat | Format::OpenAiResponses => {
            decode::word(error, "type")?;
            decode::word(error, "code")?;
        }
        Format::Anthropic => {
            decode::says(&value, "type", "error")?;
            decode::word(error, "type")?;
        }
        Format::Gemini => {
            decode::word(error, "status")?;
            decode::number(error, "code")?;
        }
        Format::Bedrock => return Err("no client speaks it".to_owned()),
    }
    Ok(decode::word(error, "message")?.to_owned())
}
