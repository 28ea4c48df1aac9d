//! `POST /v1/responses/compact`, in and out.

use bytes::Bytes;
use canonical::{
    CallSummary, ChatResponse, Error, ErrorKind, GatewayResponse, ResponseBody, Result, Task, Usage,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    compaction, inbound,
    output::{Item, Names, Tokens},
    request_passthrough, wire, word,
};
use crate::{
    DecodeOptions, EncodeOptions, EncodedRequest, Format, GatewayRequest, Inbound,
    InboundCompaction, Outbound, error_body, json, openai::chat,
};

/// The endpoint that compacts a conversation.
#[derive(Clone, Copy, Debug)]
pub struct OpenAiCompact;

const FORMAT: Format = Format {
    name: "openai_responses_compact",
    decode: compaction::decode,
    passthrough,
    apply_policy: crate::common::request_policy::unchanged,
    output: crate::OutputMembers::NONE,
    word,
};

impl Inbound for OpenAiCompact {
    fn format(&self) -> &'static Format {
        &FORMAT
    }

    fn decode(&self, body: Bytes) -> Result<GatewayRequest> {
        let raw = json::members(body)?;
        inbound::check_input(&raw)?;
        // The reference allows `previous_response_id` here too; nothing is stored that it could
        // name.
        inbound::check_memory(&raw)?;
        let model: Option<String> = json::read(&raw, "model", "a string")?;
        let mut request = GatewayRequest::new(&FORMAT, Task::Compact, raw);
        request.model = model.filter(|it| !it.is_empty());
        // Targets without the endpoint are asked for a summary in a chat, and the encoder wraps it.
        request.compacts = true;
        Ok(request)
    }

    fn error(&self, error: &Error, request_id: &str) -> Bytes {
        chat::error::to_client(error, request_id).into()
    }
}

impl InboundCompaction for OpenAiCompact {
    fn encode(&self, chat: &ChatResponse, usage: Option<&Usage>, summary: &CallSummary) -> Bytes {
        #[derive(Serialize)]
        struct CompactionJson<'a> {
            id: &'a str,
            object: &'static str,
            created_at: u64,
            output: [Item; 1],
            usage: Tokens,
        }
        let names = Names::new(chat.id.as_deref().unwrap_or(&summary.request_id));
        let item = compaction::item(names.item("cmp", 0), &compaction::summary_of(chat));
        let usage = usage.copied().unwrap_or_default();
        json::written(&CompactionJson {
            id: &names.id,
            object: "response.compaction",
            created_at: summary.arrived / 1000,
            output: [item],
            usage: Tokens::from(&usage),
        })
        .into()
    }
}

/// Passes a request on to a provider of the same format.
fn passthrough(request: &GatewayRequest, target: &EncodeOptions<'_>) -> Result<EncodedRequest> {
    let mut edits = json::Edits::new(&request.raw);
    edits.set("model", json::quoted(target.model));
    let mut dropped = vec![];
    let input = request_passthrough::cleaned(&request.raw, target.drop_signatures, &mut dropped)?;
    if let Some(input) = input {
        edits.set("input", input);
    }
    for field in target.drop_fields {
        if edits.remove(&word(field)) && !field.is_lossless() {
            dropped.push(field.clone());
        }
    }
    Ok(EncodedRequest { body: edits.apply(), headers: vec![], dropped })
}

impl Outbound for OpenAiCompact {
    fn name(&self) -> &'static str {
        FORMAT.name
    }

    fn response(&self, body: Bytes, _options: DecodeOptions) -> Result<GatewayResponse> {
        #[derive(Deserialize)]
        struct CompactedJson<'a> {
            #[serde(borrow, default)]
            output: Option<Vec<&'a RawValue>>,
            #[serde(borrow, default)]
            usage: Option<&'a RawValue>,
            #[serde(borrow, default)]
            error: Option<&'a RawValue>,
        }
        let unreadable =
            |error: serde_json::Error| no_compaction().caused_by(json::unquoted(&error));
        let compacted: CompactedJson<'_> = serde_json::from_slice(&body).map_err(unreadable)?;
        if let Some(error) = compacted.error {
            return Err(error_body::beside(error, &body));
        }
        if compacted.output.is_none_or(|it| it.is_empty()) {
            return Err(no_compaction());
        }
        let usage = compacted.usage.and_then(wire::usage);
        Ok(GatewayResponse { body: ResponseBody::Raw(body), usage, facts: None })
    }
}

fn no_compaction() -> Error {
    Error::new(ErrorKind::Upstream, "returned a body that is not a compaction")
}
