//! Decodes a whole Converse response, and what it shares with a streamed one.
//!
//! Unknown members are ignored.

use std::borrow::Cow;

use canonical::{
    ChatResponse, Choice, Citation, Content, Error, ErrorKind, FinishReason, GatewayResponse,
    Media, MediaSource, Part, ResponseBody, Result, Signature, ToolCall, Usage,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{MAKER, REDACTED};
use crate::{error_body, finish_reason, json, size_limits::tokens};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Converse<'a> {
    #[serde(borrow, default)]
    output: Option<Output<'a>>,
    #[serde(borrow, default)]
    stop_reason: Option<Cow<'a, str>>,
    #[serde(default)]
    usage: Option<Tokens>,
    #[serde(borrow, default)]
    additional_model_response_fields: Option<&'a RawValue>,
    /// The message of a failure, which a response does not have.
    #[serde(default)]
    message: Option<String>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow, default)]
    message: Option<WireMessage<'a>>,
}

#[derive(Deserialize)]
struct WireMessage<'a> {
    #[serde(borrow, default)]
    content: Vec<Block<'a>>,
}

/// A union: one of its members is there.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block<'a> {
    #[serde(default)]
    text: Option<String>,
    #[serde(borrow, default)]
    tool_use: Option<ToolUse<'a>>,
    #[serde(default)]
    reasoning_content: Option<ReasoningContent>,
    #[serde(default)]
    citations_content: Option<CitationsContent>,
    #[serde(default)]
    image: Option<WireMedia>,
    #[serde(default)]
    audio: Option<WireMedia>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolUse<'a> {
    #[serde(default)]
    tool_use_id: String,
    name: String,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    /// Set where the provider calls the tool itself.
    #[serde(default, rename = "type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReasoningContent {
    #[serde(default)]
    reasoning_text: Option<ReasoningText>,
    #[serde(default)]
    redacted_content: Option<String>,
}

#[derive(Deserialize)]
struct ReasoningText {
    #[serde(default)]
    text: String,
    #[serde(default)]
    signature: Option<String>,
}

#[derive(Deserialize)]
struct CitationsContent {
    #[serde(default)]
    content: Vec<TextSpan>,
    #[serde(default)]
    citations: Vec<WireCitation>,
}

#[derive(Deserialize)]
struct TextSpan {
    #[serde(default)]
    text: String,
}

/// The source of a text.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireCitation {
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    source_content: Vec<TextSpan>,
    #[serde(default)]
    location: Option<Location>,
}

#[derive(Deserialize)]
struct Location {
    #[serde(default)]
    web: Option<Web>,
}

#[derive(Deserialize)]
struct Web {
    #[serde(default)]
    url: Option<String>,
}

/// Media within a response: its format and its bytes.
#[derive(Deserialize)]
struct WireMedia {
    #[serde(default)]
    format: String,
    #[serde(default)]
    source: Option<Bytes>,
}

/// The source of media: bytes in base64.
#[derive(Deserialize)]
pub(super) struct Bytes {
    #[serde(default)]
    pub(super) bytes: Option<String>,
}

/// The usage of a response. Tokens of the cache stand beside those of the input, not within them.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Tokens {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_write_input_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct StopSequence {
    #[serde(default)]
    stop_sequence: Option<String>,
}

/// Decodes a whole response.
pub(super) fn decode(body: &[u8]) -> Result<GatewayResponse> {
    let response_json: Converse<'_> = serde_json::from_slice(body)
        .map_err(|error| not_converse().caused_by(json::unquoted(&error)))?;
    let Some(message) = response_json.output.and_then(|it| it.message) else {
        return Err(if response_json.message.is_some() {
            error_body::from_event(body)
        } else {
            not_converse()
        });
    };
    let Some(reason) = response_json.stop_reason.as_deref() else {
        return Err(Error::new(ErrorKind::Upstream, "returned a response without a stop reason"));
    };
    let finish = finish(reason, response_json.additional_model_response_fields)?;
    let mut parts = vec![];
    for block in message.content {
        let call = parts.len();
        parts.extend(block.part(call));
    }
    let response = ChatResponse {
        id: None,
        model: None,
        choices: vec![Choice { parts, finish_reason: finish }],
    };
    let usage = response_json.usage.and_then(|it| it.usage());
    Ok(GatewayResponse { body: ResponseBody::Chat(response), usage, facts: None })
}

fn not_converse() -> Error {
    Error::new(ErrorKind::Upstream, "returned no Converse response")
}

impl Block<'_> {
    /// The canonical part; none for unknown blocks and for tools that the provider calls itself.
    fn part(self, at: usize) -> Option<Part> {
        if let Some(text) = self.text {
            return Some(Part::text(text));
        }
        if let Some(call) = self.tool_use {
            let arguments = call.input.map_or("{}", RawValue::get).to_owned();
            let id = id(call.tool_use_id, at);
            let tool_call = ToolCall { id, name: call.name, arguments };
            // A client has no tool of that name, and would have to give a result that is there
            // already.
            return call.kind.is_none().then(|| Part::new(Content::ToolCall(tool_call)));
        }
        if let Some(reasoning) = self.reasoning_content {
            return reasoning.part();
        }
        if let Some(cited) = self.citations_content {
            let text = cited.content.into_iter().map(|it| it.text).collect();
            let citations = cited.citations.into_iter().map(WireCitation::citation).collect();
            return Some(Part::new(Content::Text(text, citations)));
        }
        if let Some(image) = self.image {
            return Some(Part::new(Content::Image(media("image", &image.format, image.source?)?)));
        }
        let audio = self.audio?;
        Some(Part::new(Content::Audio(media("audio", &audio.format, audio.source?)?)))
    }
}

impl ReasoningContent {
    fn part(self) -> Option<Part> {
        if let Some(data) = self.redacted_content {
            let mut part = Part::new(Content::Reasoning(String::new()));
            part.signature = Some(redacted(&data));
            return Some(part);
        }
        let ReasoningText { text, signature } = self.reasoning_text?;
        let mut part = Part::new(Content::Reasoning(text));
        let signature = signature.filter(|it| !it.is_empty());
        part.signature = signature.map(|it| Signature::new(MAKER, it));
        Some(part)
    }
}

impl WireCitation {
    /// The canonical citation.
    pub(super) fn citation(self) -> Citation {
        let quote: String = self.source_content.into_iter().map(|it| it.text).collect();
        let web = self.location.and_then(|it| it.web).and_then(|it| it.url);
        Citation {
            url: web.or_else(|| self.source.filter(|it| is_address(it))),
            title: self.title,
            quote: Some(quote).filter(|it| !it.is_empty()),
            range: None,
        }
    }
}

fn is_address(it: &str) -> bool {
    it.starts_with("http://") || it.starts_with("https://")
}

impl Tokens {
    /// The usage in classes that do not overlap; none where the object holds no count.
    pub(super) fn usage(&self) -> Option<Usage> {
        if self.input_tokens.is_none() && self.output_tokens.is_none() {
            return None;
        }
        Some(Usage {
            input: tokens(self.input_tokens),
            cached_input: tokens(self.cache_read_input_tokens),
            cache_write: tokens(self.cache_write_input_tokens),
            output: tokens(self.output_tokens),
            ..Usage::default()
        })
    }
}

/// The finish reason. `fields` are those of the model's own that were asked for.
pub(super) fn finish(reason: &str, fields: Option<&RawValue>) -> Result<FinishReason> {
    Ok(match reason {
        "stop_sequence" => {
            let text = fields.and_then(|it| serde_json::from_str::<StopSequence>(it.get()).ok());
            FinishReason::StopSequence(text.and_then(|it| it.stop_sequence))
        }
        "tool_use" => FinishReason::ToolCalls,
        "max_tokens" => FinishReason::Length,
        "model_context_window_exceeded" => FinishReason::ContextFull,
        "guardrail_intervened" | "content_filtered" => FinishReason::Filtered,
        "refusal" => FinishReason::Refusal,
        "pause_turn" => FinishReason::Paused,
        "malformed_model_output" | "malformed_tool_use" => {
            let message = format!("failed: stop reason `{reason}`");
            return Err(Error::new(ErrorKind::Upstream, message));
        }
        "" | "end_turn" => FinishReason::Stop,
        _ => {
            finish_reason::check(reason)?;
            return Err(finish_reason::unknown(reason));
        }
    })
}

/// The signature that stands for redacted reasoning.
pub(super) fn redacted(data: &str) -> Signature {
    Signature::new(MAKER, format!("{REDACTED}{data}"))
}

/// An id that is never empty.
pub(super) fn id(given: String, at: usize) -> String {
    if given.is_empty() { format!("call_{at}") } else { given }
}

/// Media of these bytes; none where the provider gives no bytes.
pub(super) fn media(what: &str, format: &str, source: Bytes) -> Option<Media> {
    let media_type = (!format.is_empty()).then(|| format!("{what}/{format}"));
    Some(Media { source: MediaSource::Base64(source.bytes?), media_type, ..Media::default() })
}
