//! OpenAI embeddings of a client: requests decoded, responses and errors encoded.

use bytes::Bytes;
use canonical::{CallSummary, EmbeddingResponse, Error, Result, Task, Usage};

use super::{FORMAT, OpenAiEmbeddings, request_decode, wire};
use crate::{Format, GatewayRequest, Inbound, InboundEmbeddings, json, openai::chat};

impl Inbound for OpenAiEmbeddings {
    fn format(&self) -> &'static Format {
        &FORMAT
    }

    fn decode(&self, body: Bytes) -> Result<GatewayRequest> {
        let raw = json::members(body)?;
        request_decode::check(&raw)?;
        let model: Option<String> = json::read(&raw, "model", "a string")?;
        let mut request = GatewayRequest::new(&FORMAT, Task::Embed, raw);
        request.model = model.filter(|it| !it.is_empty());
        Ok(request)
    }

    fn error(&self, error: &Error, request_id: &str) -> Bytes {
        // All of OpenAI's endpoints have the same errors.
        chat::error::to_client(error, request_id).into()
    }
}

impl InboundEmbeddings for OpenAiEmbeddings {
    fn encode(
        &self,
        response: &EmbeddingResponse,
        usage: Option<&Usage>,
        summary: &CallSummary,
    ) -> Bytes {
        wire::encode_response(response, &summary.model, usage)
    }
}
