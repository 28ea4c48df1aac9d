//! A whole response, encoded for a client.

use bytes::Bytes;
use canonical::{CallSummary, ChatResponse, Content, FinishReason, Usage};

use super::{
    echo::RequestEcho,
    output::{Names, ResponseJson, Tokens, outcome},
};
use crate::json;

/// Encodes a whole response to the request that is repeated in it.
pub(super) fn encode(
    chat: &ChatResponse,
    usage: Option<&Usage>,
    summary: &CallSummary,
    echo: &RequestEcho,
) -> Bytes {
    let names = Names::new(chat.id.as_deref().unwrap_or(&summary.request_id));
    let choice = chat.choices.first();
    let parts = choice.map_or(&[][..], |it| &it.parts);
    let finish_reason = choice.map_or(&FinishReason::Stop, |it| &it.finish_reason);
    let has_refused = parts.iter().any(|it| matches!(it.content, Content::Refusal(_)));
    let outcome = outcome(finish_reason, has_refused);

    let output = names.items(parts, outcome.0);
    let model = chat.model.as_deref().unwrap_or(&summary.model);
    let created_at = summary.arrived / 1000;
    let mut json = ResponseJson::new(&names.id, model, created_at, echo).ended(outcome, summary);
    json.output = &output;
    json.usage = usage.map(Tokens::from);
    json::written(&json).into()
}
