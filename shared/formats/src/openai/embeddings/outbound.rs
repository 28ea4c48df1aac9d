//! To a provider that speaks OpenAI embeddings, and back.

use bytes::Bytes;
use canonical::{CanonicalRequest, Error, ErrorKind, GatewayResponse, ResponseBody, Result};

use super::{FORMAT, OpenAiEmbeddings, wire};
use crate::{
    DecodeMode, DecodeOptions, EncodeOptions, EncodedRequest, GatewayRequest, Outbound,
    StreamDecoder, error_body, json, unstreamed,
};

impl Outbound for OpenAiEmbeddings {
    fn name(&self) -> &'static str {
        FORMAT.name
    }

    fn passthrough(
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
        canonical: &CanonicalRequest,
        target: &EncodeOptions<'_>,
    ) -> Result<EncodedRequest> {
        let (request, dropped) = wire::encode(canonical.embedding()?, target.model);
        let body = json::written(&request).into();
        Ok(EncodedRequest { body, headers: vec![], dropped })
    }

    fn response(&self, body: Bytes, reading: DecodeOptions) -> Result<GatewayResponse> {
        let response: wire::ResponseJson<'_> =
            serde_json::from_slice(&body).map_err(|it| wire::unreadable(&it))?;
        if let Some(error) = response.error {
            return Err(error_body::inside_success(error));
        }
        let without = || Error::new(ErrorKind::Upstream, "it answered without any embedding");
        let data = response.data.ok_or_else(without)?;
        if wire::count(data)? == 0 {
            return Err(without());
        }
        let usage = response.usage.and_then(wire::usage);
        let body = match reading.mode {
            DecodeMode::Translate => ResponseBody::Embedding(wire::vectors(data)?),
            DecodeMode::Passthrough => ResponseBody::Raw(body.clone()),
        };
        Ok(GatewayResponse { body, usage })
    }

    fn stream_decoder(&self, _reading: DecodeOptions) -> Box<dyn StreamDecoder> {
        Box::new(unstreamed::NoReader)
    }

    fn error(&self, status: u16, body: &[u8]) -> Error {
        error_body::from_status(status, body)
    }
}
