//! OpenAI chat of a client: requests decoded, responses and errors encoded.

use bytes::{Bytes, BytesMut};
use canonical::{CallSummary, ChatResponse, ContentKind, Error, Result, Task, Usage};
use serde::Deserialize;

use super::{
    FORMAT, OpenAiChat, error, metadata::with_metadata, response_encode,
    stream_encode::ChatStreamEncoder,
};
use crate::{Format, GatewayRequest, Inbound, InboundChat, RawObject, StreamEncoder, json};

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: Option<bool>,
}

#[derive(Deserialize)]
struct ResponseFormat<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Option<std::borrow::Cow<'a, str>>,
}

impl Inbound for OpenAiChat {
    fn format(&self) -> &'static Format {
        &FORMAT
    }

    fn decode(&self, body: Bytes) -> Result<GatewayRequest> {
        let raw = json::members(body)?;
        check_messages(&raw)?;
        let model: Option<String> = json::read(&raw, "model", "a string")?;
        let stream = json::read(&raw, "stream", "true or false")?.unwrap_or(false);
        let wants_usage = wants_usage(&raw)?;
        let has_tools = json::list(&raw, "tools", "a list of tools")?.unwrap_or(false);
        let format: Option<ResponseFormat<'_>> =
            json::read(&raw, "response_format", "an object with a `type`")?;
        let has_format =
            // Plain text is what a response is anyway, and goes with tools at every provider.
            format.is_some_and(|it| it.kind.as_deref().is_some_and(|kind| kind != "text"));
        let mut request = GatewayRequest::new(&FORMAT, Task::Chat, raw);
        request.model = model.filter(|it| !it.is_empty());
        request.stream = stream;
        request.wants_usage = wants_usage;
        request.has_tools_and_format = has_tools && has_format;
        Ok(request)
    }

    fn error(&self, error: &Error, request_id: &str) -> Bytes {
        error::to_client(error, request_id).into()
    }

    fn add_summary(&self, response: &Bytes, summary: &CallSummary) -> Bytes {
        let mut out = BytesMut::with_capacity(response.len() + 512);
        with_metadata(response, summary, &mut out);
        out.freeze()
    }
}

impl InboundChat for OpenAiChat {
    fn encode(
        &self,
        response: &ChatResponse,
        usage: Option<&Usage>,
        summary: &CallSummary,
    ) -> Bytes {
        let response = response_encode::encode(response, usage, summary).into();
        // Clients read `x_gateway` whether or not their response was translated.
        self.add_summary(&response, summary)
    }

    fn stream_encoder(&self, request: &GatewayRequest) -> Box<dyn StreamEncoder> {
        Box::new(ChatStreamEncoder::new(request))
    }

    fn unsupported_content(&self) -> &'static [ContentKind] {
        &[ContentKind::Audio, ContentKind::Video, ContentKind::File, ContentKind::Citation]
    }
}

/// Whether a client wants a stream to report its usage.
pub(crate) fn wants_usage(raw: &RawObject) -> Result<bool> {
    let options: Option<StreamOptions> =
        json::read(raw, "stream_options", "an object such as {\"include_usage\": true}")?;
    Ok(options.and_then(|it| it.include_usage).unwrap_or(false))
}

fn check_messages(raw: &RawObject) -> Result<()> {
    let wanted = "a list of messages, each an object with a `role`";
    match json::list(raw, "messages", wanted)? {
        None => {
            Err(Error::invalid("messages", format!("`messages` is missing; it must be {wanted}.")))
        }
        Some(false) => {
            Err(Error::invalid("messages", "`messages` is empty; at least one is needed."))
        }
        Some(true) => Ok(()),
    }
}
