//! Completions of a provider: responses decoded. Requests only pass through.

use bytes::Bytes;
use canonical::{GatewayResponse, ResponseBody, Result};

use super::{FORMAT, OpenAiCompletions, response_decode, stream_decode::CompletionDecoder};
use crate::{DecodeMode, DecodeOptions, Outbound, OutboundText, StreamDecoder, size_limits};

impl Outbound for OpenAiCompletions {
    fn name(&self) -> &'static str {
        FORMAT.name
    }

    fn response(&self, body: Bytes, options: DecodeOptions) -> Result<GatewayResponse> {
        // Decoded for a client of the same format too: a response without completions is a failure.
        let (chat, usage) = response_decode::decode(&body)?;
        let body = match options.mode {
            DecodeMode::Passthrough => ResponseBody::Raw(body),
            DecodeMode::Translate => ResponseBody::Chat(chat),
        };
        Ok(GatewayResponse { body, usage, facts: None })
    }
}

impl OutboundText for OpenAiCompletions {
    fn stream_decoder(&self, options: DecodeOptions) -> Box<dyn StreamDecoder> {
        size_limits::reader(CompletionDecoder::new(options), options.mode)
    }
}
