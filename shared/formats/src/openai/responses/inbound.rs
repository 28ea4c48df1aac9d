//! From a client that speaks OpenAI Responses, and back.

use std::borrow::Cow;

use bytes::Bytes;
use canonical::{CallSummary, ContentKind, Error, GatewayResponse, Result, Task};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    FORMAT, OpenAiResponses, compaction,
    echo::RequestEcho,
    response_encode::{self, ResponseContext},
    stream_encode::EventEncoder,
};
use crate::{Format, GatewayRequest, Inbound, RawObject, StreamEncoder, json, openai::chat};

/// What asks for a memory, and what to do without one.
const STATEFUL: &[(&str, &str)] = &[
    ("previous_response_id", "send the whole conversation in `input`"),
    ("conversation", "send the whole conversation in `input`"),
    ("prompt", "send what the template says in `instructions` and `input`"),
];

#[derive(Deserialize)]
struct Text<'a> {
    #[serde(borrow, default)]
    format: Option<TextFormat<'a>>,
}

#[derive(Deserialize)]
struct TextFormat<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Option<Cow<'a, str>>,
}

impl Inbound for OpenAiResponses {
    fn format(&self) -> &'static Format {
        &FORMAT
    }

    fn decode(&self, body: Bytes) -> Result<GatewayRequest> {
        let raw = json::members(body)?;
        check_input(&raw)?;
        check_memory(&raw)?;
        let model: Option<String> = json::read(&raw, "model", "a string")?;
        let stream = json::read(&raw, "stream", "true or false")?.unwrap_or(false);
        let has_tools = json::list(&raw, "tools", "a list of tools")?.unwrap_or(false);
        let text: Option<Text<'_>> =
            json::read(&raw, "text", "an object such as {\"format\": {\"type\": \"text\"}}")?;
        let kind = text.and_then(|it| it.format).and_then(|it| it.kind);
        let has_format = kind.is_some_and(|it| it != "text");
        let compacts = compaction::is_requested(&raw);
        let mut request = GatewayRequest::new(&FORMAT, Task::Chat, raw);
        request.compacts = compacts;
        request.model = model.filter(|it| !it.is_empty());
        request.stream = stream;
        // The last event always tells it.
        request.wants_usage = true;
        request.has_tools_and_format = has_tools && has_format;
        Ok(request)
    }

    fn encode(&self, response: &GatewayResponse, summary: &CallSummary) -> Bytes {
        // Who has the request encodes with `StreamEncoder::encode_whole`, which repeats it.
        let echo = RequestEcho::default();
        let context = ResponseContext { summary, echo: &echo, compacts: false };
        response_encode::encode(response, &context)
    }

    fn stream_encoder(&self, request: &GatewayRequest) -> Box<dyn StreamEncoder> {
        Box::new(EventEncoder::new(request))
    }

    fn unsupported_content(&self) -> &'static [ContentKind] {
        &[ContentKind::Audio, ContentKind::Video, ContentKind::File]
    }

    fn error(&self, error: &Error, request_id: &str) -> Bytes {
        chat::error::to_client(error, request_id).into()
    }
}

pub(super) fn check_input(raw: &RawObject) -> Result<()> {
    let wanted = "a text or a list of items";
    let input: Option<&RawValue> = json::read(raw, "input", wanted)?;
    match input.map(|it| it.get().as_bytes().first()) {
        Some(Some(b'"' | b'[')) => Ok(()),
        Some(_) => Err(Error::invalid("input", format!("`input` must be {wanted}."))),
        None => Err(Error::invalid("input", format!("`input` is missing; it must be {wanted}."))),
    }
}

/// Refuses what only a server with a memory can answer.
pub(super) fn check_memory(raw: &RawObject) -> Result<()> {
    for (name, instead) in STATEFUL {
        if json::read::<&RawValue>(raw, name, "absent")?.is_some() {
            let message = format!("`{name}` is not known here: nothing is stored; {instead}.");
            return Err(Error::invalid(name, message));
        }
    }
    let background: Option<bool> = json::read(raw, "background", "true or false")?;
    if background == Some(true) {
        let message = "`background` is not known here: nothing is stored; leave it out.";
        return Err(Error::invalid("background", message));
    }
    // What is meant by false is what happens anyway; anything but a boolean is a mistake.
    json::read::<bool>(raw, "store", "true or false")?;
    Ok(())
}
