//! To a provider that speaks OpenAI embeddings, and back.

use bytes::Bytes;
use canonical::{
    CanonicalRequest, Error, ErrorKind, GatewayRequest, GatewayResponse, ResponseBody, Result,
};

use super::{FORMAT, OpenAiEmbeddings, wire};
use crate::{
    DecodeMode, DecodeOptions, EncodeOptions, EncodedRequest, EventReader, Outbound, error_body,
    json, unstreamed,
};

impl Outbound for OpenAiEmbeddings {
    fn name(&self) -> &'static str {
        FORMAT.name
    }

    fn forward(
        &self,
        request: &GatewayRequest,
        target: &EncodeOptions<'_>,
    ) -> Result<EncodedRequest> {
        let mut edits = json::Edits::new(&request.raw);
        edits.set("model", json::quoted(target.model));
        Ok(EncodedRequest { body: edits.apply(), ..EncodedRequest::default() })
    }

    fn encode(
        &self,
        meaning: &CanonicalRequest,
        target: &EncodeOptions<'_>,
    ) -> Result<EncodedRequest> {
        let (question, dropped) = wire::question(meaning.embedding()?, target.model);
        let body = json::written(&question).into();
        Ok(EncodedRequest { body, headers: vec![], dropped })
    }

    fn response(&self, body: Bytes, reading: DecodeOptions) -> Result<GatewayResponse> {
        let answer: wire::ChatResponse<'_> =
            serde_json::from_slice(&body).map_err(|it| wire::unreadable(&it))?;
        if let Some(error) = answer.error {
            return Err(error_body::inside_success(error));
        }
        let without = || Error::new(ErrorKind::Upstream, "it answered without any embedding");
        let data = answer.data.ok_or_else(without)?;
        if wire::count(data)? == 0 {
            return Err(without());
        }
        let usage = answer.usage.and_then(wire::usage);
        let body = match reading.purpose {
            DecodeMode::Translate => ResponseBody::Vectors(wire::vectors(data)?),
            DecodeMode::Forward => ResponseBody::Raw(body.clone()),
        };
        Ok(GatewayResponse { body, usage })
    }

    fn reader(&self, _reading: DecodeOptions) -> Box<dyn EventReader> {
        Box::new(unstreamed::NoReader)
    }

    fn error(&self, status: u16, body: &[u8]) -> Error {
        error_body::from_status(status, body)
    }
}
