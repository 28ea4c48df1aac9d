//! To a provider that has OpenAI's older completions, and back.

use bytes::Bytes;
use canonical::{CanonicalRequest, Error, ErrorKind, GatewayResponse, ResponseBody, Result};

use super::{
    FORMAT, OpenAiCompletions, request_passthrough, response_decode,
    stream_decode::CompletionDecoder,
};
use crate::{
    DecodeMode, DecodeOptions, EncodeOptions, EncodedRequest, GatewayRequest, Outbound,
    StreamDecoder, bound, error_body,
};

impl Outbound for OpenAiCompletions {
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
        _canonical: &CanonicalRequest,
        _target: &EncodeOptions<'_>,
    ) -> Result<EncodedRequest> {
        Err(only_completions())
    }

    fn response(&self, body: Bytes, options: DecodeOptions) -> Result<GatewayResponse> {
        let (chat, usage) = response_decode::decode(&body)?;
        let body = match options.mode {
            DecodeMode::Passthrough => ResponseBody::Raw(body),
            DecodeMode::Translate => ResponseBody::Chat(chat),
        };
        Ok(GatewayResponse { body, usage })
    }

    fn stream_decoder(&self, options: DecodeOptions) -> Box<dyn StreamDecoder> {
        bound::reader(CompletionDecoder::new(options), options.mode)
    }

    fn error(&self, status: u16, body: &[u8]) -> Error {
        error_body::from_status(status, body)
    }
}

/// The error for a conversation at an endpoint that continues texts.
pub(super) fn only_completions() -> Error {
    let message = "takes a prompt to complete here, and no conversation";
    Error::new(ErrorKind::Unsupported, message)
}
