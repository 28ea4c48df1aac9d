//! Decodes a whole response.

use std::borrow::Cow;

use bytes::Bytes;
use canonical::{
    ChatResponse, Choice, Citation, Content, Error, ErrorKind, FinishReason, GatewayResponse, Part,
    ResponseBody, ResponseFacts, Result, Signature, ToolCall,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{MAKER, signature, wire};
use crate::{DecodeMode, error_body, json, lenient_values};

#[derive(Deserialize)]
struct WireMessage<'a> {
    #[serde(default, deserialize_with = "lenient_values::text")]
    id: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(borrow, default)]
    content: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    stop_reason: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    stop_sequence: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// A block of a response, as far as it is decoded.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Block<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    pub(super) text: Option<String>,
    #[serde(borrow)]
    pub(super) citations: Option<Vec<&'a RawValue>>,
    pub(super) thinking: Option<String>,
    pub(super) signature: Option<String>,
    pub(super) data: Option<String>,
    #[serde(deserialize_with = "lenient_values::text")]
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    #[serde(borrow)]
    pub(super) input: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Location {
    url: Option<String>,
    source: Option<String>,
    title: Option<String>,
    document_title: Option<String>,
    cited_text: Option<String>,
}

/// Decodes a whole response.
pub(super) fn decode(body: Bytes, purpose: DecodeMode) -> Result<GatewayResponse> {
    check_error(&body)?;
    let message: WireMessage<'_> = serde_json::from_slice(&body).map_err(|error| {
        Error::new(ErrorKind::Upstream, "returned no message").caused_by(json::unquoted(&error))
    })?;
    // An empty list is a response: a model may have nothing to add to a tool's result
    // (platform.claude.com, *Handling stop reasons*).
    let content = message.content.as_deref().ok_or_else(no_content)?;
    let usage = message.usage.and_then(wire::Counts::read).map(wire::Counts::usage);
    if purpose == DecodeMode::Passthrough {
        let facts = ResponseFacts {
            model: message.model,
            finish_reason: message.stop_reason.map(Cow::into_owned),
        };
        return Ok(GatewayResponse { body: ResponseBody::Raw(body), usage, facts: Some(facts) });
    }

    let mut parts =
        content.iter().filter_map(|it| part(it).transpose()).collect::<Result<Vec<_>>>()?;
    place_citations(&mut parts);

    let finish = match message.stop_reason {
        Some(reason) => wire::finish(&reason, message.stop_sequence)?,
        None => FinishReason::Stop,
    };

    let choices = vec![Choice { parts, finish_reason: finish }];
    let response = ChatResponse { id: message.id, model: message.model, choices };
    Ok(GatewayResponse { body: ResponseBody::Chat(response), usage, facts: None })
}

fn no_content() -> Error {
    Error::new(ErrorKind::Upstream, "returned a response without content")
}

/// Gives each citation the range of its block's text, in characters.
fn place_citations(parts: &mut [Part]) {
    let mut start = 0;
    for part in parts {
        let Content::Text(text, citations) = &mut part.content else {
            continue;
        };
        let end = start + text.chars().count() as u64;
        // Anthropic cites by splitting the text into blocks; other formats point into the whole
        // text.
        citations.iter_mut().for_each(|it| it.range = Some((start, end)));
        start = end;
    }
}

/// Refuses an error object in a successful response.
pub(super) fn check_error(body: &[u8]) -> Result<()> {
    let head: Head<'_> = serde_json::from_slice(body).map_err(|error| {
        Error::new(ErrorKind::Upstream, "returned no JSON object").caused_by(json::unquoted(&error))
    })?;
    match head.error {
        Some(error) => Err(error_body::beside(error, body)),
        None if head.kind.as_deref() == Some("error") => Err(error_body::from_event(body)),
        None => Ok(()),
    }
}

/// A part of a response; none for what only Anthropic's own tools produce.
fn part(json: &RawValue) -> Result<Option<Part>> {
    let block: Block<'_> = serde_json::from_str(json.get()).map_err(|error| {
        Error::new(ErrorKind::Upstream, "returned a malformed content block")
            .caused_by(json::unquoted(&error))
    })?;
    Ok(match &*block.kind {
        "text" => {
            let quotes = block.citations.unwrap_or_default();
            let citations = quotes.into_iter().filter_map(citation).collect();
            Some(Part::new(Content::Text(block.text.unwrap_or_default(), citations)))
        }
        "thinking" => {
            let mut part = Part::new(Content::Reasoning(block.thinking.unwrap_or_default()));
            let signature = block.signature.filter(|it| !it.is_empty());
            part.signature = signature.map(|it| Signature::new(MAKER, it));
            Some(part)
        }
        "redacted_thinking" => {
            let mut part = Part::new(Content::Reasoning(String::new()));
            part.signature = Some(signature::redact(&block.data.unwrap_or_default()));
            Some(part)
        }
        "tool_use" => Some(Part::new(Content::ToolCall(ToolCall {
            // Other formats find a result by the id of its call, so that it is never empty.
            id: block.id.unwrap_or_else(|| "toolu_0".to_owned()),
            name: block.name.unwrap_or_default(),
            arguments: block.input.map_or("{}", RawValue::get).to_owned(),
        }))),
        _ => None,
    })
}

/// Where a text comes from.
pub(super) fn citation(json: &RawValue) -> Option<Citation> {
    let location: Location = serde_json::from_str(json.get()).ok()?;
    // The source of a search result is whatever the client named it; only an address is a link.
    let source = location.source.filter(|it| it.contains("://"));
    Some(Citation {
        url: location.url.or(source),
        title: location.title.or(location.document_title),
        quote: location.cited_text.filter(|it| !it.is_empty()),
        range: None,
    })
}
