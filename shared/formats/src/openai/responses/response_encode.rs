//! A whole response, encoded for a client.

use bytes::Bytes;
use canonical::{CallSummary, ChatResponse, Content, FinishReason, Usage};

use super::{
    compaction,
    echo::RequestEcho,
    output::{Names, ResponseJson, Tokens, outcome},
};
use crate::json;

/// The parts of a whole response beside its content.
#[derive(Debug)]
pub(super) struct ResponseContext<'a> {
    pub(super) usage: Option<&'a Usage>,
    pub(super) summary: &'a CallSummary,
    /// The members of the request that the response repeats.
    pub(super) echo: &'a RequestEcho,
    /// Whether the response is a compaction: its text is a summary of the conversation.
    pub(super) compacts: bool,
}

/// Encodes a whole response.
pub(super) fn encode(chat: &ChatResponse, context: &ResponseContext<'_>) -> Bytes {
    let ResponseContext { usage, summary, echo, compacts } = *context;
    let names = Names::new(chat.id.as_deref().unwrap_or(&summary.request_id));
    let choice = chat.choices.first();
    let parts = choice.map_or(&[][..], |it| &it.parts);
    let finish_reason = choice.map_or(&FinishReason::Stop, |it| &it.finish_reason);
    let has_refused = parts.iter().any(|it| matches!(it.content, Content::Refusal(_)));
    let outcome = outcome(finish_reason, has_refused);

    let output = if compacts {
        vec![compaction::item(names.item("cmp", 0), &compaction::summary_of(chat))]
    } else {
        names.items(parts, outcome.0)
    };
    let model = chat.model.as_deref().unwrap_or(&summary.model);
    let created_at = summary.arrived / 1000;
    let mut json = ResponseJson::new(&names.id, model, created_at, echo).ended(outcome, summary);
    json.output = &output;
    json.usage = usage.map(Tokens::from);
    json::written(&json).into()
}
