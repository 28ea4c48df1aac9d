//! A whole response, to a client.

pub(super) mod blocks;

use canonical::{CallSummary, ChatResponse, Choice, Content, FinishReason, Usage};
use serde::Serialize;

use self::blocks::{Block, block};
use super::wire::{UsageJson, stop_reason};
use crate::response_id::own_id;

/// A message. Streams begin with one that is empty and does not end.
#[derive(Debug, Serialize)]
pub(super) struct WireMessage<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    role: &'static str,
    model: &'a str,
    content: Vec<Block<'a>>,
    stop_reason: Option<&'static str>,
    stop_sequence: Option<&'a str>,
    /// Details of a refusal, which other formats do not have.
    stop_details: Option<()>,
    usage: UsageJson,
    /// Containers are Anthropic's own.
    container: Option<()>,
}

impl<'a> WireMessage<'a> {
    /// A message that has only begun.
    pub(super) fn begun(id: &'a str, model: Option<&'a str>, usage: &Usage) -> Self {
        Self {
            id,
            kind: "message",
            role: "assistant",
            model: model.unwrap_or_default(),
            content: vec![],
            stop_reason: None,
            stop_sequence: None,
            stop_details: None,
            usage: UsageJson::from(usage),
            container: None,
        }
    }
}

/// Writes a whole response. The format has room for one choice only.
pub(super) fn encode(
    response: &ChatResponse,
    usage: Option<&Usage>,
    summary: &CallSummary,
) -> Vec<u8> {
    let usage = usage.copied().unwrap_or_default();
    // The reference requires both, and the types of the SDKs have no null there.
    let model = response.model.as_deref().filter(|it| !it.is_empty()).or(Some(&summary.model));
    let own_id = message_id(summary.arrived, &summary.request_id);
    let id = response.id.as_deref().filter(|it| !it.is_empty()).unwrap_or(&own_id);
    let mut message = WireMessage::begun(id, model, &usage);
    if let Some(choice) = response.choices.first() {
        message.content = choice.parts.iter().filter_map(block).collect();
        let (reason, sequence) = stop_reason(ending(choice));
        message.stop_reason = Some(reason);
        message.stop_sequence = sequence;
    }
    serde_json::to_vec(&message).unwrap_or_else(|_| b"{}".to_vec())
}

/// The id of a message whose provider gives none.
pub(super) fn message_id(arrived: u64, call: &str) -> String {
    format!("msg_{}", own_id(arrived, call))
}

/// Why a choice ends: a client goes on only if it is sent of its tools, and a refusal is a reason
/// here, not a part.
fn ending(choice: &Choice) -> &FinishReason {
    let has = |wanted: fn(&Content) -> bool| choice.parts.iter().any(|it| wanted(&it.content));
    match &choice.finish_reason {
        // Gemini and others end with `stop` also where tools are to be called.
        FinishReason::Stop if has(|it| matches!(it, Content::ToolCall(_))) => {
            &FinishReason::ToolCalls
        }
        FinishReason::Stop if has(|it| matches!(it, Content::Refusal(_))) => &FinishReason::Refusal,
        finish => finish,
    }
}
