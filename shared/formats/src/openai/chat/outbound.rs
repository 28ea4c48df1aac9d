//! OpenAI chat of a provider: requests encoded, responses decoded.

use bytes::Bytes;
use canonical::{
    Content, Conversation, Error, ErrorKind, GatewayResponse, ModelFacts, ResponseBody, Result,
};

use super::{
    FORMAT, OpenAiChat, request_encode, response_decode, response_passthrough,
    stream_decode::ChunkDecoder, stream_passthrough::PassthroughDecoder, wire,
};
use crate::{
    DecodeMode, DecodeOptions, EncodeOptions, EncodedRequest, Outbound, OutboundChat,
    OutboundConversation, OutboundText, StreamDecoder, size_limits::Bounded,
};

impl Outbound for OpenAiChat {
    fn name(&self) -> &'static str {
        FORMAT.name
    }

    fn response(&self, body: Bytes, options: DecodeOptions) -> Result<GatewayResponse> {
        let summary: wire::ResponseSummary<'_> =
            serde_json::from_slice(&body).map_err(response_decode::not_a_response)?;
        wire::check(&summary, &body)?;
        // A success without a message is a failure that another target may not have; to a client it
        // would be an index out of range.
        if summary.choices.as_ref().is_none_or(|it| it.messages == 0) {
            return Err(Error::new(ErrorKind::Upstream, "returned a response without choices"));
        }
        let usage = summary.usage.and_then(wire::usage);
        let (body, facts) = match options.mode {
            DecodeMode::Passthrough => {
                let body = response_passthrough::passthrough(&body, &summary)?;
                (ResponseBody::Raw(body), Some(summary.facts()))
            }
            DecodeMode::Translate => (ResponseBody::Chat(response_decode::decode(&body)?), None),
        };
        Ok(GatewayResponse { body, usage, facts })
    }
}

impl OutboundConversation for OpenAiChat {
    fn encode(
        &self,
        conversation: &Conversation,
        options: &EncodeOptions<'_>,
    ) -> Result<EncodedRequest> {
        request_encode::encode(conversation, options)
    }

    fn accepts_url(&self, part: &Content, _url: &str, _facts: &ModelFacts) -> bool {
        // OpenAI's reference has URLs for images alone: `file` and `input_audio` hold bytes.
        !matches!(part, Content::File(_) | Content::Audio(_))
    }
}

impl OutboundText for OpenAiChat {
    fn stream_decoder(&self, options: DecodeOptions) -> Box<dyn StreamDecoder> {
        match options.mode {
            DecodeMode::Passthrough => Box::new(PassthroughDecoder::new(options.end)),
            DecodeMode::Translate => Box::new(Bounded::new(ChunkDecoder::new(options.end))),
        }
    }
}

impl OutboundChat for OpenAiChat {}
