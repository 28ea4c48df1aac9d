//! A whole response, encoded for a client.

use bytes::Bytes;
use canonical::{CallSummary, Content, FinishReason, GatewayResponse, ResponseBody};

use super::output::{Names, Tokens, outcome};
use crate::json;

/// Writes a whole answer to a client.
pub(super) fn encode(response: &GatewayResponse, summary: &CallSummary) -> Bytes {
    let answer = match &response.body {
        ResponseBody::Raw(raw) => return raw.clone(),
        ResponseBody::Chat(answer) => answer,
        ResponseBody::Embedding(_) | ResponseBody::Tokens { .. } => {
            return Bytes::from_static(b"{}");
        }
    };
    let names = Names::new(answer.id.as_deref().unwrap_or(&summary.request_id));
    let (said, finish) = answer
        .choices
        .first()
        .map_or((&[][..], &FinishReason::Stop), |it| (&it.parts, &it.finish_reason));
    let refused = said.iter().any(|it| matches!(it.content, Content::Refusal(_)));
    let outcome = outcome(finish, refused);
    let output = names.items(said, outcome.0);
    let model = answer.model.as_deref().unwrap_or(&summary.model);
    let mut page =
        super::output::ChatResponse::new(&names.id, model, summary.arrived / 1000).ended(outcome);
    page.output = &output;
    page.usage = response.usage.as_ref().map(Tokens::from);
    json::written(&page).into()
}
