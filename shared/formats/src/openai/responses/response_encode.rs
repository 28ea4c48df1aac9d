//! A whole response, encoded for a client.

use bytes::Bytes;
use canonical::{CallSummary, ChatResponse, Content, FinishReason, GatewayResponse, ResponseBody};

use super::{
    compaction,
    echo::RequestEcho,
    output::{Names, ResponseJson, Tokens, outcome},
};
use crate::json;

/// What a whole response is made of beside its content.
#[derive(Debug)]
pub(super) struct ResponseContext<'a> {
    pub(super) summary: &'a CallSummary,
    /// What the response repeats of its request.
    pub(super) echo: &'a RequestEcho,
    /// Whether the response is a compaction: its text is a summary of the conversation.
    pub(super) compacts: bool,
}

/// Encodes a whole response.
pub(super) fn encode(response: &GatewayResponse, context: &ResponseContext<'_>) -> Bytes {
    match &response.body {
        ResponseBody::Raw(raw) => raw.clone(),
        ResponseBody::Chat(chat) => encode_chat(chat, response, context),
        ResponseBody::Embedding(_) | ResponseBody::Tokens { .. } => Bytes::from_static(b"{}"),
    }
}

fn encode_chat(
    chat: &ChatResponse,
    response: &GatewayResponse,
    context: &ResponseContext<'_>,
) -> Bytes {
    let ResponseContext { summary, echo, compacts } = *context;
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
    json.usage = response.usage.as_ref().map(Tokens::from);
    json::written(&json).into()
}
