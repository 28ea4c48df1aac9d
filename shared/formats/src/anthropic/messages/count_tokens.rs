//! Token counts of conversations: `count_tokens` of a client and of a provider.

use bytes::Bytes;
use canonical::{Conversation, Error, ErrorKind, GatewayResponse, ResponseBody, Result, Task};
use serde::Deserialize;

use super::{AnthropicCount, COUNT, error, inbound, request_encode, response_decode};
use crate::{
    DecodeMode, DecodeOptions, EncodeOptions, EncodedRequest, Format, GatewayRequest, Inbound,
    InboundTokenCount, Outbound, OutboundConversation, OutboundTokenCount, json,
};

impl Inbound for AnthropicCount {
    fn format(&self) -> &'static Format {
        &COUNT
    }

    fn decode(&self, body: Bytes) -> Result<GatewayRequest> {
        inbound::common(&COUNT, Task::CountTokens, json::members(body)?)
    }

    fn error(&self, error: &Error, request_id: &str) -> Bytes {
        error::to_client(error, request_id).into()
    }

    fn passthrough_headers(&self) -> &'static [&'static str] {
        inbound::PASSED
    }
}

impl InboundTokenCount for AnthropicCount {
    fn encode(&self, count: u64) -> Bytes {
        format!("{{\"input_tokens\":{count}}}").into()
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

    fn response(&self, body: Bytes, options: DecodeOptions) -> Result<GatewayResponse> {
        // Before the count is looked for: an error object would only be a response without one.
        response_decode::check_error(&body)?;
        let count: Count = serde_json::from_slice(&body)
            .map_err(|error| no_count().caused_by(json::unquoted(&error)))?;
        let count = count.input_tokens.ok_or_else(no_count)?;
        let body = match options.mode {
            DecodeMode::Passthrough => ResponseBody::Raw(body),
            DecodeMode::Translate => ResponseBody::Tokens { count, estimated: false },
        };
        Ok(GatewayResponse { body, usage: None, facts: None })
    }
}

fn no_count() -> Error {
    Error::new(ErrorKind::Upstream, "returned no count of tokens")
}

impl OutboundConversation for AnthropicCount {
    fn encode(
        &self,
        conversation: &Conversation,
        options: &EncodeOptions<'_>,
    ) -> Result<EncodedRequest> {
        request_encode::encode_count(conversation, options)
    }
}

impl OutboundTokenCount for AnthropicCount {}

#[cfg(test)]
mod tests {
    use canonical::Field;

    use super::*;
    use crate::{ClientFormat, anthropic::messages::Anthropic};

    fn sent(client: &dyn Inbound, body: &'static str) -> EncodedRequest {
        let mut request = client.decode(Bytes::from_static(body.as_bytes())).unwrap();
        request.headers = vec![("anthropic-beta", "b1".to_owned())];
        let target = EncodeOptions {
            model: "m",
            drop_fields: &[Field::ResponseFormat],
            ..EncodeOptions::default()
        };
        request.passthrough(&target).unwrap()
    }

    #[test]
    fn only_what_must_change_is_changed() {
        let body = r#"{"model":"x", "max_tokens":1,"messages":[{"role":"user","content":"a"}],
            "output_config":{"effort":"low", "format":{"type":"json_schema","schema":{}}}}"#;
        let encoded = sent(&Anthropic, body);
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
        let encoded = sent(&AnthropicCount, body);
        assert_eq!(encoded.body, body.replace(r#""x""#, r#""m""#));
        let provider_body = Bytes::from_static(br#"{"input_tokens":2095}"#);
        let translate = DecodeOptions { mode: DecodeMode::Translate, ..DecodeOptions::default() };
        let response = AnthropicCount.response(provider_body.clone(), translate).unwrap();
        let summary = canonical::CallSummary::default();
        let client = ClientFormat::TokenCount(&AnthropicCount);
        assert_eq!(client.encode(&response, &summary, None), provider_body);
        let error = Bytes::from_static(br#"{"type":"error","error":{"type":"overloaded_error"}}"#);
        assert!(AnthropicCount.response(error, translate).is_err());
    }
}
