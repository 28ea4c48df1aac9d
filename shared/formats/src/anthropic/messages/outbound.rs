//! Anthropic Messages of a provider: requests encoded, responses decoded.

use bytes::Bytes;
use canonical::{Conversation, GatewayResponse, Result};

use super::{
    Anthropic, FORMAT, request_encode, response_decode, stream_decode::TranslatingDecoder,
    stream_passthrough::PassthroughDecoder,
};
use crate::{
    DecodeMode, DecodeOptions, EncodeOptions, EncodedRequest, Outbound, OutboundChat,
    OutboundConversation, OutboundText, StreamDecoder, size_limits::Bounded, split_surrogates,
    tool_names,
};

impl Outbound for Anthropic {
    fn name(&self) -> &'static str {
        FORMAT.name
    }

    fn response(&self, body: Bytes, options: DecodeOptions) -> Result<GatewayResponse> {
        response_decode::decode(split_surrogates::replaced(body), options.mode)
    }
}

impl OutboundConversation for Anthropic {
    fn encode(
        &self,
        conversation: &Conversation,
        options: &EncodeOptions<'_>,
    ) -> Result<EncodedRequest> {
        request_encode::encode_chat(conversation, options)
    }

    fn accepts_tool_name(&self, name: &str) -> bool {
        tool_names::is_plain(name, 128, b"")
    }

    fn accepts_param_name(&self, name: &str) -> bool {
        tool_names::is_plain(name, 64, b".")
    }
}

impl OutboundText for Anthropic {
    fn stream_decoder(&self, options: DecodeOptions) -> Box<dyn StreamDecoder> {
        match options.mode {
            DecodeMode::Passthrough => Box::new(PassthroughDecoder::new(options.end)),
            DecodeMode::Translate => Box::new(Bounded::new(TranslatingDecoder::new(options.end))),
        }
    }
}

impl OutboundChat for Anthropic {}
