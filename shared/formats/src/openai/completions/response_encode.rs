//! A whole response, encoded for a client, and the objects that its streams are made of.

use bytes::Bytes;
use canonical::{CallSummary, ChatResponse, Choice, Content, FinishReason, Usage};
use serde::Serialize;

use crate::{
    json,
    openai::chat::{self, UsageJson},
};

/// The members of a response beside its completions.
pub(super) struct EncodeContext<'a> {
    pub(super) summary: &'a CallSummary,
    pub(super) usage: Option<&'a Usage>,
    /// The text that stands before each completion.
    pub(super) echo: &'a str,
}

/// A response, or one object of a stream.
#[derive(Serialize)]
pub(super) struct CompletionJson<'a> {
    pub(super) id: &'a str,
    pub(super) object: &'static str,
    pub(super) created: u64,
    pub(super) model: &'a str,
    pub(super) choices: &'a [ChoiceJson],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage: Option<UsageJson>,
}

/// One completion, or what an event adds to it.
#[derive(Serialize)]
pub(super) struct ChoiceJson {
    pub(super) text: String,
    pub(super) index: u32,
    pub(super) logprobs: Option<()>,
    pub(super) finish_reason: Option<&'static str>,
}

/// The type of every object.
pub(super) const OBJECT: &str = "text_completion";

/// Encodes a response.
pub(super) fn encode(chat: &ChatResponse, context: &EncodeContext<'_>) -> Bytes {
    let summary = context.summary;
    let choices: Vec<ChoiceJson> =
        (0..).zip(&chat.choices).map(|(index, it)| choice(index, it, context.echo)).collect();
    let whole = CompletionJson {
        id: &completion_id(chat.id.as_deref().unwrap_or(&summary.request_id)),
        object: OBJECT,
        created: summary.arrived / 1000,
        model: chat.model.as_deref().unwrap_or(&summary.model),
        choices: &choices,
        usage: context.usage.map(chat::encode_usage),
    };
    json::written(&whole).into()
}

fn choice(index: u32, choice: &Choice, echo: &str) -> ChoiceJson {
    let texts = choice.parts.iter().map(|it| match &it.content {
        Content::Text(text, _) | Content::Refusal(text) => text.as_str(),
        _ => "",
    });
    ChoiceJson {
        text: std::iter::once(echo).chain(texts).collect(),
        index,
        // Null, as OpenAI writes it where none were asked for.
        logprobs: None,
        finish_reason: Some(reason(&choice.finish_reason)),
    }
}

/// The finish reason that a client reads: the endpoint has no tools.
pub(super) fn reason(reason: &FinishReason) -> &'static str {
    match reason {
        FinishReason::Length | FinishReason::ContextFull => "length",
        FinishReason::Filtered => "content_filter",
        FinishReason::Stop
        | FinishReason::StopSequence(_)
        | FinishReason::ToolCalls
        | FinishReason::Refusal
        | FinishReason::Paused => "stop",
    }
}

/// An id as clients of this endpoint know it; the provider's own stands within.
pub(super) fn completion_id(id: &str) -> String {
    if id.starts_with("cmpl-") {
        return id.to_owned();
    }
    format!("cmpl-{}", id.strip_prefix("chatcmpl-").unwrap_or(id))
}
