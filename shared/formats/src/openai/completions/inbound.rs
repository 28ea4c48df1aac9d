//! Completions of a client: requests decoded, responses and errors encoded.

use bytes::Bytes;
use canonical::{CallSummary, ChatResponse, ContentKind, Error, Result, Task, Usage};

use super::{
    FORMAT, OpenAiCompletions, request_decode,
    response_encode::{self, EncodeContext},
    stream_encode::CompletionStreamEncoder,
};
use crate::{Format, GatewayRequest, Inbound, InboundChat, StreamEncoder, json, openai::chat};

impl Inbound for OpenAiCompletions {
    fn format(&self) -> &'static Format {
        &FORMAT
    }

    fn decode(&self, body: Bytes) -> Result<GatewayRequest> {
        let raw = json::members(body)?;
        request_decode::check_prompt(&raw)?;
        let model: Option<String> = json::read(&raw, "model", "a string")?;
        let stream = json::read(&raw, "stream", "true or false")?.unwrap_or(false);
        let wants_usage = chat::wants_usage(&raw)?;
        let has_gap = request_decode::suffix(&raw)?.is_some();

        // Not every model that continues a text can fill a gap, and Mistral has an endpoint of its
        // own for it.
        let task = if has_gap { Task::Infill } else { Task::Complete };
        let mut request = GatewayRequest::new(&FORMAT, task, raw);
        request.model = model.filter(|it| !it.is_empty());
        request.stream = stream;
        request.wants_usage = wants_usage;
        Ok(request)
    }

    fn error(&self, error: &Error, request_id: &str) -> Bytes {
        chat::error::to_client(error, request_id).into()
    }
}

impl InboundChat for OpenAiCompletions {
    fn encode(
        &self,
        response: &ChatResponse,
        usage: Option<&Usage>,
        summary: &CallSummary,
    ) -> Bytes {
        response_encode::encode(response, &EncodeContext { summary, usage, echo: "" })
    }

    fn stream_encoder(&self, request: &GatewayRequest) -> Box<dyn StreamEncoder> {
        Box::new(CompletionStreamEncoder::new(request))
    }

    fn unsupported_content(&self) -> &'static [ContentKind] {
        &[
            ContentKind::Image,
            ContentKind::Audio,
            ContentKind::Video,
            ContentKind::File,
            ContentKind::Citation,
        ]
    }
}
