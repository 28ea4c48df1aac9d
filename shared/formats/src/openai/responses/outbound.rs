//! OpenAI Responses of a provider: requests encoded, responses decoded.

use bytes::Bytes;
use canonical::{Conversation, GatewayResponse, Result};

use super::{
    FORMAT, OpenAiResponses, request_encode, response_decode, stream_decode::EventDecoder,
};
use crate::{
    DecodeOptions, EncodeOptions, EncodedRequest, Outbound, OutboundChat, OutboundConversation,
    OutboundText, StreamDecoder, size_limits,
};

impl Outbound for OpenAiResponses {
    fn name(&self) -> &'static str {
        FORMAT.name
    }

    fn response(&self, body: Bytes, options: DecodeOptions) -> Result<GatewayResponse> {
        response_decode::decode(body, options.mode)
    }
}

impl OutboundConversation for OpenAiResponses {
    fn encode(
        &self,
        conversation: &Conversation,
        options: &EncodeOptions<'_>,
    ) -> Result<EncodedRequest> {
        request_encode::encode(conversation, options)
    }
}

impl OutboundText for OpenAiResponses {
    fn stream_decoder(&self, options: DecodeOptions) -> Box<dyn StreamDecoder> {
        size_limits::reader(EventDecoder::new(options.mode), options.mode)
    }
}

impl OutboundChat for OpenAiResponses {}
