//! Responses as clients of this format read them.

use canonical::{CallSummary, ChatResponse, Choice, Citation, Content, FinishReason, Usage};
use serde::Serialize;

use super::{
    cited_text::CitedText,
    wire::parts::{self, FunctionCall, Part},
};
use crate::{arguments, response_id::own_id};

/// A whole response, or one chunk of a stream.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) candidates: Vec<Candidate<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage_metadata: Option<UsageMetadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) model_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response_id: Option<&'a str>,
}

/// One of the responses that were asked for.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate<'a> {
    pub(super) content: parts::Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) finish_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) finish_message: Option<&'static str>,
    pub(super) index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) citation_metadata: Option<CitationMetadata<'a>>,
}

/// Where a text comes from.
#[derive(Debug, Serialize)]
pub(super) struct CitationMetadata<'a> {
    #[serde(rename = "citationSources")]
    citations: Vec<Source<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Source<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    start_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
}

/// Tokens. Google counts cached ones within the prompt, and reasoning beside the candidates.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UsageMetadata {
    prompt_token_count: u64,
    candidates_token_count: u64,
    total_token_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cached_content_token_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    thoughts_token_count: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    prompt_tokens_details: Vec<Modality>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    candidates_tokens_details: Vec<Modality>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Modality {
    modality: &'static str,
    token_count: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl From<&Usage> for UsageMetadata {
    fn from(usage: &Usage) -> Self {
        let prompt = usage.all_input();
        let candidates = usage.output.saturating_add(usage.output_audio);
        Self {
            prompt_token_count: prompt,
            candidates_token_count: candidates,
            total_token_count: usage.total(),
            cached_content_token_count: usage.cached_input,
            thoughts_token_count: usage.reasoning,
            prompt_tokens_details: modalities(prompt, usage.input_audio),
            candidates_tokens_details: modalities(candidates, usage.output_audio),
        }
    }
}

fn modalities(all: u64, audio: u64) -> Vec<Modality> {
    // The details only say something where there are two kinds.
    if audio == 0 {
        return vec![];
    }
    let counted = |modality, token_count| Modality { modality, token_count };
    vec![counted("TEXT", all - audio), counted("AUDIO", audio)]
}

impl<'a> Candidate<'a> {
    /// A candidate of these parts, which may go on.
    pub(super) fn with_parts(index: u32, parts: Vec<Part<'a>>) -> Self {
        Self {
            content: parts::Content { role: Some("model"), parts },
            finish_reason: None,
            finish_message: None,
            index,
            citation_metadata: None,
        }
    }

    /// The candidate with its finish reason.
    pub(super) fn ending(mut self, finish: &FinishReason, broken: bool) -> Self {
        // `args` is an object in this format, so that broken arguments cannot be passed on; this is
        // Google's own reason for them.
        // A limit or a filter that cuts a call off says more than its consequence.
        let malformed = broken && reason(finish) == "STOP";
        self.finish_reason =
            Some(if malformed { "MALFORMED_FUNCTION_CALL" } else { reason(finish) });
        self.finish_message = match (malformed, broken) {
            (true, _) => Some("The model called a tool with arguments that are no JSON object."),
            (false, true) => Some("The response ended within a call of a tool, which is left out."),
            (false, false) => None,
        };
        self
    }

    /// The candidate with the sources of its text.
    pub(super) fn citing(
        mut self,
        text: &CitedText,
        citations: impl IntoIterator<Item = &'a Citation>,
    ) -> Self {
        let citations: Vec<_> = citations.into_iter().map(|it| source(text, it)).collect();
        if !citations.is_empty() {
            self.citation_metadata = Some(CitationMetadata { citations });
        }
        self
    }
}

/// A citation; Google counts bytes where others count characters.
fn source<'a>(text: &CitedText, citation: &'a Citation) -> Source<'a> {
    let byte = |chars: u64| text.byte(usize::try_from(chars).ok()?);
    let range = citation.range.and_then(|(start, end)| Some((byte(start)?, byte(end)?)));
    Source {
        start_index: range.map(|it| it.0),
        end_index: range.map(|it| it.1),
        uri: citation.url.as_deref(),
        title: citation.title.as_deref(),
    }
}

/// Google's name for the reason why a response ends. There is none for tools, and none for a refusal.
fn reason(finish: &FinishReason) -> &'static str {
    match finish {
        FinishReason::Stop
        | FinishReason::StopSequence(_)
        | FinishReason::ToolCalls
        | FinishReason::Paused => "STOP",
        FinishReason::Length | FinishReason::ContextFull => "MAX_TOKENS",
        FinishReason::Filtered | FinishReason::Refusal => "SAFETY",
    }
}

/// Writes a whole response.
pub(super) fn encode(
    response: &ChatResponse,
    usage: Option<&Usage>,
    summary: &CallSummary,
) -> Vec<u8> {
    let id = response_id(summary.arrived, &summary.request_id);
    let body = Body {
        candidates: (0..).zip(&response.choices).map(|(at, it)| candidate(at, it)).collect(),
        usage_metadata: usage.map(Into::into),
        model_version: response.model.as_deref().or(Some(&summary.model)),
        response_id: response.id.as_deref().or(Some(&id)),
    };
    serialize(&body)
}

/// The id of a response whose provider gives none.
pub(super) fn response_id(arrived: u64, call: &str) -> String {
    format!("lockgate-{}", own_id(arrived, call))
}

/// JSON text of what cannot fail to be JSON, and must not be empty if it did.
pub(super) fn serialize(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).unwrap_or_else(|_| b"{}".to_vec())
}

fn candidate(index: u32, choice: &Choice) -> Candidate<'_> {
    let mut broken = false;
    let mut parts = vec![];
    let mut text = CitedText::default();
    let mut citations: Vec<&Citation> = vec![];

    for part in &choice.parts {
        let written = match &part.content {
            Content::Text(more, cited) => {
                text.push(more);
                citations.extend(cited);
                Part::text(more.as_str())
            }
            Content::Refusal(text) => Part::text(text.as_str()),
            Content::Reasoning(text) => Part::reasoning(text.as_str()),
            Content::Image(media) => parts::made(media, "image/png"),
            Content::Audio(media) => parts::made(media, "audio/wav"),
            Content::Video(media) => parts::made(media, "video/mp4"),
            Content::File(media) => parts::made(media, "application/octet-stream"),
            Content::ToolCall(call) => {
                let Some(args) = arguments::object(&call.arguments) else {
                    broken = true;
                    continue;
                };
                let (id, name) = (call.id.as_str().into(), call.name.as_str().into());
                Part::call(FunctionCall { id, name, args })
            }
            Content::ToolResult(_) => continue,
        };
        parts.push(written.for_client(part.signature.as_ref()));
    }
    Candidate::with_parts(index, parts)
        .ending(&choice.finish_reason, broken)
        .citing(&text, citations)
}
