//! Amazon Bedrock's Converse and `ConverseStream`, for providers only: no client calls in this format.
//!
//! Source: the service model `bedrock-runtime/2023-09-30` in botocore 1.44.5, seen 2026-11; what a
//! model demands beside it, each in the module where it matters. The binary frames of a stream are
//! read by `aws-smithy-eventstream` (decision 0020).

mod error;
mod quirks;
mod request_encode;
mod response_decode;
mod stream_decode;
mod wire;

use bytes::Bytes;
use canonical::{Content, Conversation, GatewayResponse, ModelFacts, Result};

use crate::{
    DecodeOptions, EncodeOptions, EncodedRequest, Outbound, OutboundChat, OutboundConversation,
    OutboundText, StreamDecoder, size_limits::Bounded, split_surrogates, tool_names,
};

/// Bedrock's Converse.
#[derive(Clone, Copy, Debug)]
pub struct Bedrock;

/// The maker of signatures in this format: Claude's are the same at Anthropic's own address.
const MAKER: &str = "anthropic";
/// The start of the signature of reasoning that is encrypted.
const REDACTED: &str = "redacted:";

impl Outbound for Bedrock {
    fn name(&self) -> &'static str {
        "bedrock"
    }

    fn response(&self, body: Bytes, _options: DecodeOptions) -> Result<GatewayResponse> {
        // Always decoded: no client speaks this format, so that nothing passes through.
        response_decode::decode(&split_surrogates::replaced(body))
    }
}

impl OutboundConversation for Bedrock {
    fn encode(
        &self,
        conversation: &Conversation,
        options: &EncodeOptions<'_>,
    ) -> Result<EncodedRequest> {
        request_encode::encode(conversation, options)
    }

    fn accepts_param_name(&self, name: &str) -> bool {
        tool_names::is_plain(name, 64, b".")
    }

    fn accepts_url(&self, _part: &Content, url: &str, _facts: &ModelFacts) -> bool {
        // Bedrock fetches from S3 alone; other media come as bytes.
        url.starts_with("s3://")
    }
}

impl OutboundText for Bedrock {
    fn stream_decoder(&self, _options: DecodeOptions) -> Box<dyn StreamDecoder> {
        Box::new(Bounded::new(stream_decode::Decoder::default()))
    }
}

impl OutboundChat for Bedrock {}
