//! To a provider that speaks Anthropic Messages, and back.

use bytes::Bytes;
use canonical::{CanonicalRequest, Error, ErrorKind, GatewayResponse, ResponseBody, Result};
use serde::Deserialize;

use super::{
    Anthropic, AnthropicCount, COUNT, FORMAT, request_encode, request_passthrough, response_decode,
    stream_decode::TranslatingDecoder, stream_passthrough::PassthroughDecoder,
};
use crate::{
    DecodeMode, DecodeOptions, EncodeOptions, EncodedRequest, GatewayRequest, Outbound,
    StreamDecoder, bound::Bounded, error_body, json, split_surrogates, tool_names,
};

impl Outbound for Anthropic {
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
        canonical: &CanonicalRequest,
        target: &EncodeOptions<'_>,
    ) -> Result<EncodedRequest> {
        request_encode::encode_chat(canonical.conversation()?, target)
    }

    fn accepts_tool_name(&self, name: &str) -> bool {
        tool_names::is_plain(name, 128, b"")
    }

    fn accepts_param_name(&self, name: &str) -> bool {
        tool_names::is_plain(name, 64, b".")
    }

    fn response(&self, body: Bytes, reading: DecodeOptions) -> Result<GatewayResponse> {
        response_decode::decode(split_surrogates::replaced(body), reading.mode)
    }

    fn stream_decoder(&self, reading: DecodeOptions) -> Box<dyn StreamDecoder> {
        match reading.mode {
            DecodeMode::Passthrough => Box::new(PassthroughDecoder::new(reading.end)),
            DecodeMode::Translate => Box::new(Bounded::new(TranslatingDecoder::new(reading.end))),
        }
    }

    fn error(&self, status: u16, body: &[u8]) -> Error {
        error_body::from_status(status, body)
    }
}

#[derive(Deserialize)]
struct Count {
    input_tokens: Option<u64>,
}

impl Outbound for AnthropicCount {
    fn name(&self) -> &'static str {
        COUNT.name
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
        canonical: &CanonicalRequest,
        target: &EncodeOptions<'_>,
    ) -> Result<EncodedRequest> {
        request_encode::encode_count(canonical.conversation()?, target)
    }

    fn response(&self, body: Bytes, reading: DecodeOptions) -> Result<GatewayResponse> {
        let none = || Error::new(ErrorKind::Upstream, "returned no count of tokens");
        response_decode::check_error(&body)?;
        let count: Count = serde_json::from_slice(&body)
            .map_err(|error| none().caused_by(json::unquoted(&error)))?;
        let count = count.input_tokens.ok_or_else(none)?;
        let body = match reading.mode {
            DecodeMode::Passthrough => ResponseBody::Raw(body),
            DecodeMode::Translate => ResponseBody::Tokens { count, estimated: false },
        };
        Ok(GatewayResponse { body, usage: None })
    }

    fn stream_decoder(&self, reading: DecodeOptions) -> Box<dyn StreamDecoder> {
        Anthropic.stream_decoder(reading)
    }

    fn error(&self, status: u16, body: &[u8]) -> Error {
        Anthropic.error(status, body)
    }
}

#[cfg(test)]
mod tests {
    use canonical::Field;

    use super::*;
    use crate::Inbound;

    fn sent(client: &dyn Inbound, provider: &dyn Outbound, body: &'static str) -> EncodedRequest {
        let mut request = client.decode(Bytes::from_static(body.as_bytes())).unwrap();
        request.headers = vec![("anthropic-beta", "b1".to_owned())];
        let target = EncodeOptions {
            model: "m",
            drop_fields: &[Field::ResponseFormat],
            ..EncodeOptions::default()
        };
        provider.passthrough(&request, &target).unwrap()
    }

    #[test]
    fn only_what_must_change_is_changed() {
        let body = r#"{"model":"x", "max_tokens":1,"messages":[{"role":"user","content":"a"}],
            "output_config":{"effort":"low", "format":{"type":"json_schema","schema":{}}}}"#;
        let encoded = sent(&Anthropic, &Anthropic, body);
        let expected = body
            .replace(r#", "format":{"type":"json_schema","schema":{}}"#, "")
            .replace(r#""x""#, r#""m""#);
        assert_eq!(encoded.body, expected);
        assert_eq!(encoded.dropped, [Field::ResponseFormat]);
        assert_eq!(encoded.headers, [("anthropic-beta", "b1".to_owned())]);
    }

    #[test]
    fn tokens_are_counted() {
        let body = r#"{"model":"x","messages":[{"role":"user","content":"a"}]}"#;
        let encoded = sent(&AnthropicCount, &AnthropicCount, body);
        assert_eq!(encoded.body, body.replace(r#""x""#, r#""m""#));
        let answer = Bytes::from_static(br#"{"input_tokens":2095}"#);
        let translate = DecodeOptions { mode: DecodeMode::Translate, ..DecodeOptions::default() };
        let response = Outbound::response(&AnthropicCount, answer.clone(), translate).unwrap();
        let summary = canonical::CallSummary::default();
        assert_eq!(Inbound::encode(&AnthropicCount, &response, &summary), answer);
        let error = Bytes::from_static(br#"{"type":"error","error":{"type":"overloaded_error"}}"#);
        assert!(Outbound::response(&AnthropicCount, error, translate).is_err());
    }
}
