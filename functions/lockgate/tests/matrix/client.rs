//! Clients of each format: they write a conversation, and read an answer as closely as a test can.

use serde_json::Value;
use testkit::strict::{Dialect, Stop};

use crate::talk::{Talk, Unsayable};

pub(crate) mod anthropic;
pub(crate) mod gemini;
pub(crate) mod openai_chat;
pub(crate) mod openai_responses;
mod read;

/// The key that the gateway demands.
pub(crate) const KEY: &str = "gateway-key";

/// A request as a client sends it.
pub(crate) struct Asking {
    pub(crate) target: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Value,
}

/// An answer as a client understands it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    pub(crate) text: String,
    pub(crate) refusal: String,
    pub(crate) thought: String,
    pub(crate) calls: Vec<Called>,
    /// Addresses and titles.
    pub(crate) citations: Vec<(String, String)>,
    pub(crate) stop: Stop,
    pub(crate) usage: Option<Used>,
    pub(crate) streamed: bool,
    /// What the client puts behind its question when it goes on.
    pub(crate) echo: Vec<Value>,
}

/// A wish to have a tool called.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Called {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: Value,
}

/// Tokens, as far as every format tells them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) read: u64,
    pub(crate) cached: u64,
    pub(crate) written: u64,
    pub(crate) wrote: u64,
    pub(crate) thought: u64,
}

/// Why an answer could not be read.
pub(crate) type Misread = String;

/// Writes a question.
pub(crate) fn ask(
    client: Dialect,
    talk: &Talk,
    model: &str,
    stream: bool,
) -> Result<Asking, Unsayable> {
    match client {
        Dialect::OpenAiChat => openai_chat::ask(talk, model, stream),
        Dialect::OpenAiResponses => openai_responses::ask(talk, model, stream),
        Dialect::Anthropic => anthropic::ask(talk, model, stream),
        Dialect::Gemini => gemini::ask(talk, model, stream),
        Dialect::Bedrock => Err(Unsayable),
    }
}

/// Reads an answer.
pub(crate) fn hear(client: Dialect, text: &str, stream: bool) -> Result<Heard, Misread> {
    let whole = match (client, stream) {
        (_, false) => serde_json::from_str(text).map_err(|it| format!("{it} in {text}"))?,
        (Dialect::OpenAiChat, true) => openai_chat::assemble(text)?,
        (Dialect::OpenAiResponses, true) => openai_responses::assemble(text)?,
        (Dialect::Anthropic, true) => anthropic::assemble(text)?,
        (Dialect::Gemini, true) => gemini::assemble(text)?,
        (Dialect::Bedrock, true) => return Err("no client speaks it".to_owned()),
    };
    let heard = match client {
        Dialect::OpenAiChat => openai_chat::read(&whole),
        Dialect::OpenAiResponses => openai_responses::read(&whole),
        Dialect::Anthropic => anthropic::read(&whole),
        Dialect::Gemini => gemini::read(&whole),
        Dialect::Bedrock => Err("no client speaks it".to_owned()),
    };
    let heard = heard.map_err(|it| format!("{it} in {whole}"))?;
    Ok(Heard { streamed: stream, ..heard })
}

/// What a failure says: its status word and its message. Fails where it is not of the format.
pub(crate) fn failure(client: Dialect, text: &str) -> Result<String, Misread> {
    let value: Value = serde_json::from_str(text).map_err(|it| format!("{it} in {text}"))?;
    let error = &value["error"];
    match client {
        Dialect::OpenAiChat | Dialect::OpenAiResponses => {
            read::word(error, "type")?;
            read::word(error, "code")?;
        }
        Dialect::Anthropic => {
            read::says(&value, "type", "error")?;
            read::word(error, "type")?;
        }
        Dialect::Gemini => {
            read::word(error, "status")?;
            read::number(error, "code")?;
        }
        Dialect::Bedrock => return Err("no client speaks it".to_owned()),
    }
    Ok(read::word(error, "message")?.to_owned())
}
