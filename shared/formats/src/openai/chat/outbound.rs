//! To a provider that speaks OpenAI chat, and back.

use bytes::Bytes;
use canonical::{
    CanonicalRequest, Content, Error, ErrorKind, GatewayResponse, ResponseBody, Result,
};

use super::{
    FORMAT, OpenAiChat, answer, encode, forward, pieces::PieceReader, reader::Reader, wire,
};
use crate::{
    DecodeMode, DecodeOptions, EncodeOptions, EncodedRequest, GatewayRequest, Outbound,
    StreamDecoder, bound::Bounded, error_body, json,
};

impl Outbound for OpenAiChat {
    fn name(&self) -> &'static str {
        FORMAT.name
    }

    fn passthrough(
        &self,
        request: &GatewayRequest,
        target: &EncodeOptions<'_>,
    ) -> Result<EncodedRequest> {
        forward::forward(request, target)
    }

    fn encode(
        &self,
        canonical: &CanonicalRequest,
        target: &EncodeOptions<'_>,
    ) -> Result<EncodedRequest> {
        encode::encode(canonical.conversation()?, target)
    }

    fn accepts_url(&self, part: &Content, _url: &str, _model: &str) -> bool {
        !matches!(part, Content::File(_) | Content::Audio(_))
    }

    fn response(&self, body: Bytes, reading: DecodeOptions) -> Result<GatewayResponse> {
        let answer: wire::ChatResponse<'_> = serde_json::from_slice(&body).map_err(not_one)?;
        if let Some(error) = answer.error {
            return Err(error_body::inside_success(error));
        }
        let choices = answer.choices.unwrap_or_default();
        if choices.count == 0 {
            return Err(Error::new(ErrorKind::Upstream, "it answered without any choice"));
        }
        if choices.failed {
            return Err(Error::new(ErrorKind::Upstream, "it gave up: finish reason `error`"));
        }
        let usage = answer.usage.and_then(wire::usage);
        let body = match reading.mode {
            DecodeMode::Passthrough => ResponseBody::Raw(body),
            DecodeMode::Translate => ResponseBody::Chat(answer::read(&body).map_err(not_one)?),
        };
        Ok(GatewayResponse { body, usage })
    }

    fn stream_decoder(&self, reading: DecodeOptions) -> Box<dyn StreamDecoder> {
        match reading.mode {
            DecodeMode::Passthrough => Box::new(Reader::new(reading.end)),
            DecodeMode::Translate => Box::new(Bounded::new(PieceReader::new(reading.end))),
        }
    }

    fn error(&self, status: u16, body: &[u8]) -> Error {
        error_body::from_status(status, body)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is made for `map_err`")]
fn not_one(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Upstream, "it answered what is not a chat completion")
        .caused_by(json::unquoted(&error))
}
