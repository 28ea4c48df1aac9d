//! Mistral's endpoint for gaps: requests like those of completions, responses like those of a chat.
//!
//! Source: docs.mistral.ai, *Fill-in-the-Middle*, and `FIMCompletionRequest` of the `mistralai` Python
//! package, seen 2026-11. Members that the endpoint does not know are refused with a 422.

use bytes::Bytes;
use canonical::{Field, GatewayResponse, Result};

use super::{FORMAT, request_decode};
use crate::{
    DecodeMode, DecodeOptions, EncodeOptions, EncodedRequest, GatewayRequest, Outbound,
    OutboundText, StreamDecoder, json, openai::chat::OpenAiChat, size_limits,
};

/// Members that the endpoint takes under the client's names.
const TAKEN: &[&str] = &[
    "max_tokens",
    "metadata",
    "min_tokens",
    "model",
    "prompt",
    "stop",
    "stream",
    "suffix",
    "temperature",
    "top_p",
];

/// Members without which a request means the same: the gateway itself echoes the prompt and reports
/// usage, and the seed has another name here.
const SILENT: &[&str] = &["echo", "stream_options", "seed"];

/// Mistral's `POST /v1/fim/completions`.
#[derive(Clone, Copy, Debug)]
pub struct MistralFim;

impl Outbound for MistralFim {
    /// The name of the clients' format: requests pass through, and responses are decoded.
    fn name(&self) -> &'static str {
        FORMAT.name
    }

    fn passthrough(
        &self,
        request: &GatewayRequest,
        target: &EncodeOptions<'_>,
    ) -> Result<EncodedRequest> {
        let raw = &request.raw;
        let mut edits = json::Edits::new(raw);
        edits.set("model", json::quoted(target.model));
        // The endpoint takes one text, and clients may send a list of one.
        edits.set("prompt", json::quoted(&request_decode::prompt(raw)?));
        if let Some(seed) = json::read::<i64>(raw, "seed", "a whole number")? {
            edits.set("random_seed", seed.to_string());
        }
        let mut dropped = vec![];
        // Members that the endpoint does not know are refused with a 422, null ones not.
        let others = request_decode::others(raw, TAKEN)?;
        for name in others.iter().filter(|it| !SILENT.contains(&it.as_ref())) {
            size_limits::note(&mut dropped, Field::Named(name.as_ref().to_owned()));
        }
        edits.remove_all(&others.into_iter().collect());
        for field in target.drop_fields {
            if edits.remove(&field.openai_chat_name()) && !field.is_lossless() {
                dropped.push(field.clone());
            }
        }
        Ok(EncodedRequest { body: edits.apply(), headers: vec![], dropped })
    }

    fn response(&self, body: Bytes, options: DecodeOptions) -> Result<GatewayResponse> {
        // Always translated: the client wants a completion, and the bytes are those of a chat.
        OpenAiChat.response(body, DecodeOptions { mode: DecodeMode::Translate, ..options })
    }
}

impl OutboundText for MistralFim {
    fn stream_decoder(&self, options: DecodeOptions) -> Box<dyn StreamDecoder> {
        OpenAiChat.stream_decoder(DecodeOptions { mode: DecodeMode::Translate, ..options })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Inbound, openai::completions::OpenAiCompletions};

    #[test]
    fn many_unknown_members_all_go_and_some_are_named() {
        let members: String = (0..20_000).map(|at| format!(r#","a{at}":1"#)).collect();
        let body = format!(r#"{{"model":"m","prompt":"a","suffix":"b"{members}}}"#);
        let request = OpenAiCompletions.decode(Bytes::from(body)).unwrap();
        let target = EncodeOptions { model: "m", ..EncodeOptions::default() };
        let encoded = MistralFim.passthrough(&request, &target).unwrap();
        assert_eq!(encoded.body, r#"{"model":"m","prompt":"a","suffix":"b"}"#);
        assert_eq!(encoded.dropped.len(), 256);
    }

    #[test]
    fn a_request_has_only_what_the_endpoint_takes() {
        let body = r#"{"model":"r","prompt":["a"],"suffix":"b","seed":7,"logprobs":2,"n":null,"echo":true}"#;
        let request = OpenAiCompletions.decode(Bytes::from_static(body.as_bytes())).unwrap();
        let target = EncodeOptions { model: "codestral-latest", ..EncodeOptions::default() };
        let encoded = MistralFim.passthrough(&request, &target).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&encoded.body).unwrap();
        let expected = serde_json::json!({"model": "codestral-latest", "prompt": "a",
            "suffix": "b", "n": null, "random_seed": 7});
        assert_eq!(json, expected);
        assert_eq!(encoded.dropped, [Field::Named("logprobs".to_owned())]);
    }
}
