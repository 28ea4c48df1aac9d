//! OpenAI Responses of a client: requests decoded, responses and errors encoded.

use std::borrow::Cow;

use bytes::Bytes;
use canonical::{CallSummary, ChatResponse, ContentKind, Error, Result, Task, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    FORMAT, OpenAiResponses, compaction,
    echo::RequestEcho,
    response_encode::{self, ResponseContext},
    stream_encode::EventEncoder,
};
use crate::{
    Format, GatewayRequest, Inbound, InboundChat, RawObject, StreamEncoder, json, openai::chat,
};

/// The fields that need stored conversations, and what to send instead.
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
        // The last event always has the usage.
        request.wants_usage = true;
        request.has_tools_and_format = has_tools && has_format;
        Ok(request)
    }

    fn error(&self, error: &Error, request_id: &str) -> Bytes {
        chat::error::to_client(error, request_id).into()
    }
}

impl InboundChat for OpenAiResponses {
    fn encode(
        &self,
        response: &ChatResponse,
        usage: Option<&Usage>,
        summary: &CallSummary,
    ) -> Bytes {
        // The encoder of a call repeats its request in place of this, with `encode_whole`.
        let echo = RequestEcho::default();
        let context = ResponseContext { usage, summary, echo: &echo, compacts: false };
        response_encode::encode(response, &context)
    }

    fn stream_encoder(&self, request: &GatewayRequest) -> Box<dyn StreamEncoder> {
        Box::new(EventEncoder::new(request))
    }

    fn unsupported_content(&self) -> &'static [ContentKind] {
        &[ContentKind::Audio, ContentKind::Video, ContentKind::File]
    }
}

pub(super) fn check_input(raw: &RawObject) -> Result<()> {
    let wanted = "a text or a list of items";
    let input: Option<&RawValue> = json::read(raw, "input", wanted)?;
    match input.map(|it| it.get().as_bytes().first()) {
        Some(Some(b'[')) if json::list(raw, "input", wanted)? == Some(false) => {
            Err(Error::invalid("input", "`input` is empty; at least one item is needed."))
        }
        Some(Some(b'"' | b'[')) => Ok(()),
        Some(_) => Err(Error::invalid("input", format!("`input` must be {wanted}."))),
        None => Err(Error::invalid("input", format!("`input` is missing; it must be {wanted}."))),
    }
}

/// Refuses what only a server that stores conversations can answer.
pub(super) fn check_memory(raw: &RawObject) -> Result<()> {
    for (name, instead) in STATEFUL {
        // Refused rather than dropped: the model would see only the end of a conversation.
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
    // Nothing is stored, whatever this says, but it has to be a boolean.
    json::read::<bool>(raw, "store", "true or false")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use canonical::ErrorKind;

    use super::*;
    use crate::{EncodeOptions, OutboundConversation, openai::chat::OpenAiChat};

    fn decode(input: &str) -> Result<GatewayRequest> {
        OpenAiResponses.decode(format!(r#"{{"model":"m","input":{input}}}"#).into())
    }

    #[test]
    fn an_input_without_items_is_refused() {
        for input in ["[]", "[ ]"] {
            let error = decode(input).unwrap_err();
            assert_eq!(error.param.as_deref(), Some("input"));
            assert!(error.message().contains("`input` is empty"), "{error}");
        }
        assert!(decode(r#"[{"role":"user","content":"Hi"}]"#).is_ok() && decode(r#""""#).is_ok());
    }

    #[test]
    fn an_input_that_no_chat_can_hold_is_never_sent_without_messages() {
        let request = decode(r#"[{"type":"web_search_call","id":"ws_1"}]"#).unwrap();
        let conversation = request.canonical().unwrap().conversation().unwrap();
        let options = EncodeOptions::default();
        let encoded = OutboundConversation::encode(&OpenAiChat, conversation, &options);
        let error = encoded.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unsupported);
    }
}
