//! Token counts of conversations: `countTokens` of a client and of a provider.
//!
//! A request holds `contents` alone, or a whole `generateContentRequest`, never both.

use bytes::Bytes;
use canonical::{
    CanonicalRequest, Content, Conversation, Error, ErrorKind, GatewayResponse, ModelFacts,
    ResponseBody, Result, Task,
};
use serde::{Deserialize, Serialize};

use super::{
    COUNT_FORMAT, Gemini, GeminiCount, error, quirks::models, request_decode, request_encode,
    request_passthrough::passthrough_object, wire::members,
};
use crate::{
    DecodeMode, DecodeOptions, EncodeOptions, EncodedRequest, Format, GatewayRequest, Inbound,
    InboundTokenCount, Outbound, OutboundConversation, OutboundTokenCount, RawObject, error_body,
    json,
};

/// The member of a request to count that holds a whole request.
const WHOLE: &str = "generateContentRequest";

/// Decodes a request for a provider of another format.
pub(super) fn decode(raw: &RawObject) -> Result<CanonicalRequest> {
    let body = json::object(raw)?;
    let conversation = match members::either(&body, WHOLE) {
        Some(whole) => {
            request_decode::decode_conversation(&json::parsed(whole, WHOLE, "an object")?)?
        }
        None => request_decode::decode_conversation(&body)?,
    };
    Ok(CanonicalRequest::Conversation(Box::new(conversation)))
}

impl Inbound for GeminiCount {
    fn format(&self) -> &'static Format {
        &COUNT_FORMAT
    }

    fn decode(&self, body: Bytes) -> Result<GatewayRequest> {
        let raw = json::members(body)?;
        let body = json::object(&raw)?;
        if members::either(&body, "contents").is_none() && members::either(&body, WHOLE).is_none() {
            let message =
                format!("`contents` is missing, and so is `{WHOLE}`; one of them is needed.");
            return Err(Error::invalid("contents", message));
        }
        drop(body);
        Ok(GatewayRequest::new(&COUNT_FORMAT, Task::CountTokens, raw))
    }

    fn error(&self, error: &Error, request_id: &str) -> Bytes {
        error::to_client(error, request_id).into()
    }
}

impl InboundTokenCount for GeminiCount {
    fn encode(&self, count: u64) -> Bytes {
        format!("{{\"totalTokens\":{count}}}").into()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    generate_content_request: request_encode::Body<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Counted<'a> {
    total_tokens: Option<u64>,
    #[serde(borrow, default)]
    error: Option<&'a serde_json::value::RawValue>,
}

/// Passes a request on to a provider of the same format.
pub(super) fn passthrough(
    request: &GatewayRequest,
    target: &EncodeOptions<'_>,
) -> Result<EncodedRequest> {
    let name = members::spelled(&request.raw, WHOLE);
    let Some(whole) = json::find(&request.raw, &name)? else {
        return passthrough_object(&request.raw, target);
    };
    let inner = json::text(&request.raw.body, &whole.value);
    let inner = json::members(Bytes::copy_from_slice(inner.as_bytes()))?;
    // The inner request names the model again, and may hold signatures of other makers.
    let fitted = passthrough_object(&inner, target)?;
    let mut edits = json::Edits::new(&request.raw);
    edits.set(&name, String::from_utf8_lossy(&fitted.body).into_owned());
    Ok(EncodedRequest { body: edits.apply(), ..fitted })
}

impl Outbound for GeminiCount {
    fn name(&self) -> &'static str {
        COUNT_FORMAT.name
    }

    fn response(&self, body: Bytes, options: DecodeOptions) -> Result<GatewayResponse> {
        let counted: Counted<'_> = serde_json::from_slice(&body).map_err(|error| {
            Error::new(ErrorKind::Upstream, "returned no count of tokens")
                .caused_by(json::unquoted(&error))
        })?;
        if let Some(error) = counted.error {
            return Err(error_body::inside_success(error));
        }
        let count = counted.total_tokens.ok_or_else(|| {
            Error::new(ErrorKind::Upstream, "returned a response without a count of tokens")
        })?;
        let body = match options.mode {
            DecodeMode::Passthrough => ResponseBody::Raw(body),
            DecodeMode::Translate => ResponseBody::Tokens { count, estimated: false },
        };
        Ok(GatewayResponse { body, usage: None, facts: None })
    }
}

impl OutboundConversation for GeminiCount {
    fn encode(
        &self,
        conversation: &Conversation,
        options: &EncodeOptions<'_>,
    ) -> Result<EncodedRequest> {
        let mut dropped = vec![];
        let mut whole = request_encode::encode_body(conversation, options.facts, &mut dropped)?;
        // The inner request must name its model, though the path does (the API reference,
        // `countTokens`).
        whole.model = Some(format!("models/{}", models::bare(options.model)));
        let body = json::written(&Body { generate_content_request: whole }).into();
        Ok(EncodedRequest { body, headers: vec![], dropped })
    }

    fn accepts_url(&self, part: &Content, url: &str, facts: &ModelFacts) -> bool {
        Gemini.accepts_url(part, url, facts)
    }
}

impl OutboundTokenCount for GeminiCount {}

#[cfg(test)]
mod tests {
    use canonical::CallSummary;

    use super::*;
    use crate::ClientFormat;

    fn target() -> EncodeOptions<'static> {
        EncodeOptions { model: "gemini-3.5-flash", ..EncodeOptions::default() }
    }

    fn request(text: &'static str) -> GatewayRequest {
        GeminiCount.decode(Bytes::from_static(text.as_bytes())).unwrap()
    }

    #[test]
    fn contents_are_counted_alone_or_with_all_that_goes_with_them() {
        let alone = request(r#"{"contents":[{"parts":[{"text":"Hi"}]}]}"#);
        assert_eq!(alone.task, Task::CountTokens);
        let forwarded = alone.passthrough(&target()).unwrap();
        assert_eq!(forwarded.body, alone.raw.body);
        let whole = request(
            r#"{"generateContentRequest":{"model":"models/fast","contents":[{"parts":[{"text":"Hi"}]}],"systemInstruction":{"parts":[{"text":"Be brief."}]}}}"#,
        );
        let forwarded = whole.passthrough(&target()).unwrap();
        let forwarded = String::from_utf8(forwarded.body.to_vec()).unwrap();
        assert!(forwarded.contains(r#""model":"models/gemini-3.5-flash""#), "{forwarded}");
        let conversation = whole.canonical().unwrap().conversation().unwrap();
        let encoded = OutboundConversation::encode(&GeminiCount, conversation, &target()).unwrap();
        assert_eq!(
            String::from_utf8(encoded.body.to_vec()).unwrap(),
            r#"{"generateContentRequest":{"model":"models/gemini-3.5-flash","systemInstruction":{"parts":[{"text":"Be brief."}]},"contents":[{"role":"user","parts":[{"text":"Hi"}]}]}}"#
        );
        let error = GeminiCount.decode(Bytes::from_static(b"{}")).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("contents"));
    }

    #[test]
    fn a_count_is_read_and_written() {
        let body = Bytes::from_static(br#"{"totalTokens":31,"promptTokensDetails":[]}"#);
        let reading = DecodeOptions { mode: DecodeMode::Translate, ..DecodeOptions::default() };
        let response = GeminiCount.response(body, reading).unwrap();
        assert!(matches!(response.body, ResponseBody::Tokens { count: 31, estimated: false }));
        let client = ClientFormat::TokenCount(&GeminiCount);
        let written = client.encode(&response, &CallSummary::default(), None);
        assert_eq!(written, r#"{"totalTokens":31}"#.as_bytes());
        assert!(GeminiCount.response(Bytes::from_static(b"{}"), reading).is_err());
    }
}
