//! To a provider that speaks this format, and back.

use bytes::Bytes;
use canonical::{
    CanonicalRequest, Content, Error, ErrorKind, GatewayResponse, ResponseBody, Result,
};

use super::{
    FORMAT, Gemini, media, quirks::models, request_encode, request_passthrough, response_decode,
    stream_decode::Decoder, wire,
};
use crate::{
    DecodeMode, DecodeOptions, EncodeOptions, EncodedRequest, GatewayRequest, Outbound,
    StreamDecoder, bound, error_body, json, split_surrogates, tool_names,
};

impl Outbound for Gemini {
    fn name(&self) -> &'static str {
        FORMAT.name
    }

    fn passthrough(
        &self,
        request: &GatewayRequest,
        target: &EncodeOptions<'_>,
    ) -> Result<EncodedRequest> {
        request_passthrough::passthrough(&request.raw, target)
    }

    fn encode(
        &self,
        canonical: &CanonicalRequest,
        target: &EncodeOptions<'_>,
    ) -> Result<EncodedRequest> {
        let mut dropped = vec![];
        let body =
            request_encode::encode_body(canonical.conversation()?, target.model, &mut dropped)?;
        Ok(EncodedRequest { body: json::written(&body).into(), headers: vec![], dropped })
    }

    fn accepts_url(&self, _part: &Content, url: &str, model: &str) -> bool {
        media::accepts_url(url, models::family(model) == models::Family::Old)
    }

    fn accepts_tool_name(&self, name: &str) -> bool {
        !name.starts_with(|it: char| !it.is_ascii_alphabetic() && it != '_')
            && tool_names::is_plain(name, 64, b".:")
    }

    fn response(&self, body: Bytes, reading: DecodeOptions) -> Result<GatewayResponse> {
        let body = split_surrogates::replaced(body);
        let wire = whole(&body)?;
        let usage = wire.usage_metadata.and_then(wire::usage);
        // Judges what a client of this format gets as well: a failed answer is none.
        let answer = response_decode::decode(wire, &body)?;
        let body = match reading.mode {
            DecodeMode::Passthrough => ResponseBody::Raw(body),
            DecodeMode::Translate => ResponseBody::Chat(answer),
        };
        Ok(GatewayResponse { body, usage })
    }

    fn stream_decoder(&self, reading: DecodeOptions) -> Box<dyn StreamDecoder> {
        bound::reader(Decoder::new(reading.mode), reading.mode)
    }

    fn error(&self, status: u16, body: &[u8]) -> Error {
        error_body::from_status(status, body)
    }
}

fn whole(body: &Bytes) -> Result<wire::ChatResponse<'_>> {
    let unreadable = || Error::new(ErrorKind::Upstream, "returned no response of generateContent");
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
    wire.error.map_or(Ok(wire), |error| Err(error_body::inside_success(error)))
}
