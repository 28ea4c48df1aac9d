//! OpenAI embeddings of a provider: requests encoded, responses decoded.

use bytes::Bytes;
use canonical::{EmbeddingRequest, Error, ErrorKind, GatewayResponse, ResponseBody, Result};

use super::{FORMAT, OpenAiEmbeddings, encoding_format, wire};
use crate::{
    DecodeMode, DecodeOptions, EncodeOptions, EncodedRequest, GatewayRequest, Outbound,
    OutboundEmbeddings, error_body, json,
};

impl Outbound for OpenAiEmbeddings {
    fn name(&self) -> &'static str {
        FORMAT.name
    }

    fn response(&self, body: Bytes, options: DecodeOptions) -> Result<GatewayResponse> {
        let response: wire::ResponseJson<'_> =
            serde_json::from_slice(&body).map_err(|it| wire::unreadable(&it))?;
        if let Some(error) = response.error {
            return Err(error_body::beside(error, &body));
        }
        let without = || Error::new(ErrorKind::Upstream, "returned a response without embeddings");
        let data = response.data.ok_or_else(without)?;
        // Counted without parsing the numbers: a response that passes through may have millions of
        // them.
        if wire::count(data)? == 0 {
            return Err(without());
        }
        let usage = response.usage.and_then(wire::usage);
        let body = match options.mode {
            DecodeMode::Translate => ResponseBody::Embedding(wire::vectors(data)?),
            DecodeMode::Passthrough => ResponseBody::Raw(body.clone()),
        };
        Ok(GatewayResponse { body, usage, facts: None })
    }
}

impl OutboundEmbeddings for OpenAiEmbeddings {
    fn encode(
        &self,
        request: &EmbeddingRequest,
        options: &EncodeOptions<'_>,
    ) -> Result<EncodedRequest> {
        let (request, dropped) = wire::encode(request, options.model);
        let body = json::written(&request).into();
        Ok(EncodedRequest { body, headers: vec![], dropped })
    }

    fn as_requested(&self, body: Bytes, request: &GatewayRequest) -> Result<Bytes> {
        encoding_format::as_requested(body, request)
    }
}
