//! To a provider that speaks OpenAI Responses, and back.

use bytes::Bytes;
use canonical::{CanonicalRequest, Error, GatewayRequest, GatewayResponse, Result};

use super::{FORMAT, OpenAiResponses, answer, encode, forward, reader::Reader};
use crate::{
    DecodeOptions, EncodeOptions, EncodedRequest, EventReader, Outbound, bound, error_body,
};

impl Outbound for OpenAiResponses {
    fn name(&self) -> &'static str {
        FORMAT.name
    }

    fn forward(
        &self,
        request: &GatewayRequest,
        target: &EncodeOptions<'_>,
    ) -> Result<EncodedRequest> {
        forward::forward(request, target)
    }

    fn encode(
        &self,
        meaning: &CanonicalRequest,
        target: &EncodeOptions<'_>,
    ) -> Result<EncodedRequest> {
        encode::encode(meaning.conversation()?, target)
    }

    fn response(&self, body: Bytes, reading: DecodeOptions) -> Result<GatewayResponse> {
        answer::read(body, reading.purpose)
    }

    fn reader(&self, reading: DecodeOptions) -> Box<dyn EventReader> {
        bound::reader(Reader::new(reading.purpose), reading.purpose)
    }

    fn error(&self, status: u16, body: &[u8]) -> Error {
        error_body::from_status(status, body)
    }
}
