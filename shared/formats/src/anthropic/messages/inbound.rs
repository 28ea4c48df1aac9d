//! Anthropic Messages of a client: requests decoded, responses and errors encoded.

use bytes::Bytes;
use canonical::{CallSummary, ChatResponse, ContentKind, Error, Result, Task, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Anthropic, FORMAT,
    error::{self, THREAD},
    response_encode,
    stream_encode::Encoder,
};
use crate::{Format, GatewayRequest, Inbound, InboundChat, RawObject, StreamEncoder, json};

/// Headers that choose which fields a request may have.
pub(super) const PASSED: &[&str] = &["anthropic-beta", "anthropic-version"];

impl Inbound for Anthropic {
    fn format(&self) -> &'static Format {
        &FORMAT
    }

    fn decode(&self, body: Bytes) -> Result<GatewayRequest> {
        let raw = json::members(body)?;
        let mut request = common(&FORMAT, Task::Chat, raw)?;
        let limit: Option<u64> = json::read(&request.raw, "max_tokens", "a whole number")?;
        // The API demands it, and so its clients always send it; to invent one would cut responses
        // of other providers.
        if limit.is_none() {
            let message = "`max_tokens` is missing; it must say how many tokens may be written.";
            return Err(Error::invalid("max_tokens", message));
        }
        let stream = json::read(&request.raw, "stream", "true or false")?;
        request.stream = stream.unwrap_or(false);
        // Usage is part of every stream of this format.
        request.wants_usage = true;
        Ok(request)
    }

    fn error(&self, error: &Error, request_id: &str) -> Bytes {
        error::to_client(error, request_id).into()
    }

    fn passthrough_headers(&self) -> &'static [&'static str] {
        PASSED
    }
}

impl InboundChat for Anthropic {
    fn encode(
        &self,
        response: &ChatResponse,
        usage: Option<&Usage>,
        summary: &CallSummary,
    ) -> Bytes {
        response_encode::encode(response, usage, summary).into()
    }

    fn stream_encoder(&self, request: &GatewayRequest) -> Box<dyn StreamEncoder> {
        let default_id = response_encode::message_id(request.arrived, &request.call_id);
        Box::new(Encoder::new(request.model.as_deref(), default_id))
    }

    fn unsupported_content(&self) -> &'static [ContentKind] {
        &[ContentKind::Image, ContentKind::Audio, ContentKind::Video, ContentKind::File]
    }
}

#[derive(Deserialize)]
struct OutputConfig<'a> {
    #[serde(borrow, default)]
    format: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Thread {
    #[serde(default)]
    previous_message_id: Option<String>,
}

/// Refuses a request that continues a stored conversation: none is stored, and another target may
/// answer each message. Anthropic's clients then send the whole conversation.
fn check_memory(raw: &RawObject) -> Result<()> {
    let thread: Option<Thread> = json::read(raw, "thread", "an object with a `type`")?;
    if thread.and_then(|it| it.previous_message_id).is_none() {
        return Ok(());
    }
    let message = format!(
        "`{THREAD}` is not supported, because no conversations are stored; send the whole conversation in `messages`."
    );
    Err(Error::invalid(THREAD, message))
}

/// Decodes what requests for a message and for a count have in common.
pub(super) fn common(
    format: &'static Format,
    task: Task,
    raw: RawObject,
) -> Result<GatewayRequest> {
    check_memory(&raw)?;
    let wanted = "a list of messages, each an object with a `role` and `content`";
    match json::list(&raw, "messages", wanted)? {
        Some(true) => {}
        Some(false) => {
            let message = "`messages` is empty; at least one is needed.";
            return Err(Error::invalid("messages", message));
        }
        None => {
            let message = format!("`messages` is missing; it must be {wanted}.");
            return Err(Error::invalid("messages", message));
        }
    }
    let model: Option<String> = json::read(&raw, "model", "a string")?;
    let has_tools = json::list(&raw, "tools", "a list of tools")?.unwrap_or(false);
    let config: Option<OutputConfig<'_>> = json::read(&raw, "output_config", "an object")?;
    // The name of structured outputs while they were a beta; SDKs of that time still send it.
    let older: Option<&RawValue> = json::read(&raw, "output_format", "an object")?;
    let has_format = config.is_some_and(|it| it.format.is_some()) || older.is_some();
    let mut request = GatewayRequest::new(format, task, raw);
    request.model = model.filter(|it| !it.is_empty());
    request.has_tools_and_format = has_tools && has_format;
    Ok(request)
}
