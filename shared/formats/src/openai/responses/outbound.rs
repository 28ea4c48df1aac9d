//! To a provider that speaks OpenAI Responses, and back.

use bytes::Bytes;
use canonical::{CanonicalRequest, Error, GatewayResponse, Result};

use super::{
    FORMAT, OpenAiResponses, request_encode, request_passthrough, response_decode,
    stream_decode::EventDecoder,
};
use crate::{
    DecodeOptions, EncodeOptions, EncodedRequest, GatewayRequest, Outbound, StreamDecoder, bound,
    error_body,
};

impl Outbound for OpenAiResponses {
    fn name(&self) -> &'static str {
        FORMAT.name
    }

    fn passthrough(
        &self,
        request: &GatewayRequest,
        target: &EncodeOptions<'_>,
    ) -> Result<EncodedRequest> {
        request_passthrough::passthrough(request, target)
    }

    fn encode(
        &self,
        canonical: &CanonicalRequest,
        target: &EncodeOptions<'_>,
    ) -> Result<EncodedRequest> {
        request_encode::encode(canonical.conversation()?, target)
    }

    fn response(&self, body: Bytes, reading: DecodeOptions) -> Result<GatewayResponse> {
        response_decode::decode(body, reading.mode)
    }

    fn stream_decoder(&self, reading: DecodeOptions) -> Box<dyn StreamDecoder> {
        bound::reader(EventDecoder::new(reading.mode), reading.mode)
    }

    fn error(&self, status: u16, body: &[u8]) -> Error {
        error_body::from_status(status, body)
    }
}
