//! The format of a provider: requests encoded, responses decoded.

use bytes::Bytes;
use canonical::{
    Content, Conversation, Error, ErrorKind, GatewayResponse, ModelFacts, ResponseBody, Result,
};

use super::{
    FORMAT, Gemini, media, quirks::models, request_encode, response_decode, stream_decode::Decoder,
    wire,
};
use crate::{
    DecodeMode, DecodeOptions, EncodeOptions, EncodedRequest, Outbound, OutboundChat,
    OutboundConversation, OutboundText, StreamDecoder, error_body, json, size_limits,
    split_surrogates, tool_names,
};

impl Outbound for Gemini {
    fn name(&self) -> &'static str {
        FORMAT.name
    }

    fn response(&self, body: Bytes, options: DecodeOptions) -> Result<GatewayResponse> {
        let body = split_surrogates::replaced(body);
        let wire = whole(&body)?;
        let usage = wire.usage_metadata.and_then(wire::usage);
        // A response that passes through is decoded too, because a failed one is an error.
        let response = response_decode::decode(wire, &body)?;
        let body = match options.mode {
            DecodeMode::Passthrough => ResponseBody::Raw(body),
            DecodeMode::Translate => ResponseBody::Chat(response),
        };
        Ok(GatewayResponse { body, usage, facts: None })
    }
}

impl OutboundConversation for Gemini {
    fn encode(
        &self,
        conversation: &Conversation,
        options: &EncodeOptions<'_>,
    ) -> Result<EncodedRequest> {
        let mut dropped = vec![];
        let body = request_encode::encode_body(conversation, options.facts, &mut dropped)?;
        Ok(EncodedRequest { body: json::written(&body).into(), headers: vec![], dropped })
    }

    fn accepts_url(&self, _part: &Content, url: &str, facts: &ModelFacts) -> bool {
        // Elsewhere the gateway has to fetch the bytes itself.
        media::accepts_url(url, models::Family::of(facts) == models::Family::Old)
    }

    fn accepts_tool_name(&self, name: &str) -> bool {
        !name.starts_with(|it: char| !it.is_ascii_alphabetic() && it != '_')
            && tool_names::is_plain(name, 64, b".:")
    }
}

impl OutboundText for Gemini {
    fn stream_decoder(&self, options: DecodeOptions) -> Box<dyn StreamDecoder> {
        size_limits::reader(Decoder::new(options.mode), options.mode)
    }
}

impl OutboundChat for Gemini {}

fn whole(body: &Bytes) -> Result<wire::ChatResponse<'_>> {
    if !body.trim_ascii_start().starts_with(b"{") {
        // Google wraps some failures in a list.
        let listed =
            serde_json::from_slice::<Vec<wire::ChatResponse<'_>>>(body).unwrap_or_default();
        return Err(listed
            .iter()
            .find_map(|it| it.error)
            .map_or_else(unreadable, error_body::inside_success));
    }
    let wire: wire::ChatResponse<'_> = serde_json::from_slice(body)
        .map_err(|error| unreadable().caused_by(json::unquoted(&error)))?;
    wire.error.map_or(Ok(wire), |error| Err(error_body::beside(error, body)))
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Upstream, "returned no response of generateContent")
}
