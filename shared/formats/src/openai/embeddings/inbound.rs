//! From a client that wants embeddings, and back.

use bytes::Bytes;
use canonical::{CallSummary, Error, GatewayResponse, ResponseBody, Result, Task};

use super::{FORMAT, OpenAiEmbeddings, request_decode, wire};
use crate::{
    Format, GatewayRequest, Inbound, StreamEncoder, json, openai::chat::OpenAiChat,
    unstreamed::NoWriter,
};

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

    fn encode(&self, response: &GatewayResponse, summary: &CallSummary) -> Bytes {
        match &response.body {
            ResponseBody::Raw(raw) => raw.clone(),
            ResponseBody::Embedding(vectors) => {
                wire::encode_response(vectors, &summary.model, response.usage.as_ref())
            }
            ResponseBody::Chat(_) | ResponseBody::Tokens { .. } => Bytes::from_static(b"{}"),
        }
    }

    fn stream_encoder(&self, _request: &GatewayRequest) -> Box<dyn StreamEncoder> {
        Box::new(NoWriter { failure })
    }

    fn error(&self, error: &Error, request_id: &str) -> Bytes {
        failure(error, request_id)
    }
}

/// All of OpenAI's endpoints say so alike.
fn failure(error: &Error, request_id: &str) -> Bytes {
    Inbound::error(&OpenAiChat, error, request_id)
}
