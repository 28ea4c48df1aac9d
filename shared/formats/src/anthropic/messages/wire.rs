//! What both directions share: usage, and why an answer ends.

pub(crate) mod request;

use std::borrow::Cow;

use canonical::{FinishReason, Usage};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::bound::tokens;

/// What is said about tokens. In a stream it comes in several events, each with what it knows.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(super) struct Counts {
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    cache_creation_input_tokens: Option<u64>,
    #[serde(default)]
    cache_read_input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output_tokens_details: Option<Details>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct Details {
    #[serde(default)]
    thinking_tokens: Option<u64>,
}

impl Counts {
    /// Reads what is said, if it says anything.
    pub(super) fn read(json: &RawValue) -> Option<Self> {
        let counts: Self = serde_json::from_str::<Option<_>>(json.get()).ok()??;
        (counts.input_tokens.is_some() || counts.output_tokens.is_some()).then_some(counts)
    }

    /// What is known now: later counts are cumulative, and silent on what did not change.
    pub(super) fn updated(self, later: Self) -> Self {
        Self {
            input_tokens: later.input_tokens.or(self.input_tokens),
            cache_creation_input_tokens: later
                .cache_creation_input_tokens
                .or(self.cache_creation_input_tokens),
            cache_read_input_tokens: later.cache_read_input_tokens.or(self.cache_read_input_tokens),
            output_tokens: later.output_tokens.or(self.output_tokens),
            output_tokens_details: later.output_tokens_details.or(self.output_tokens_details),
        }
    }

    /// The same in classes that do not overlap: `input_tokens` leaves the cache out already, and
    /// `output_tokens` includes thinking.
    pub(super) fn usage(self) -> Usage {
        let output = tokens(self.output_tokens);
        let details = self.output_tokens_details.unwrap_or_default();
        let reasoning = details.thinking_tokens.unwrap_or(0).min(output);
        Usage {
            input: tokens(self.input_tokens),
            cached_input: tokens(self.cache_read_input_tokens),
            cache_write: tokens(self.cache_creation_input_tokens),
            output: output - reasoning,
            reasoning,
            ..Usage::default()
        }
    }
}

impl From<&Usage> for Counts {
    fn from(usage: &Usage) -> Self {
        let thinking_tokens = Some(usage.reasoning).filter(|it| 0 < *it);
        Self {
            input_tokens: Some(usage.input + usage.input_audio),
            cache_creation_input_tokens: Some(usage.cache_write),
            cache_read_input_tokens: Some(usage.cached_input),
            output_tokens: Some(usage.all_output()),
            output_tokens_details: thinking_tokens.map(|it| Details { thinking_tokens: Some(it) }),
        }
    }
}

/// Why an answer ends, by Anthropic's word; and which of the client's texts came up.
pub(super) fn stop_reason(finish: &FinishReason) -> (&'static str, Option<&str>) {
    match finish {
        FinishReason::Stop => ("end_turn", None),
        FinishReason::StopSequence(text) => ("stop_sequence", text.as_deref()),
        FinishReason::Length => ("max_tokens", None),
        FinishReason::ContextFull => ("model_context_window_exceeded", None),
        FinishReason::ToolCalls => ("tool_use", None),
        FinishReason::Filtered | FinishReason::Refusal => ("refusal", None),
        FinishReason::Paused => ("pause_turn", None),
    }
}

/// Why an answer ends, from Anthropic's word. Words to come are taken for a plain end.
pub(super) fn finish(reason: &str, sequence: Option<Cow<'_, str>>) -> FinishReason {
    match reason {
        "stop_sequence" => FinishReason::StopSequence(sequence.map(Cow::into_owned)),
        "max_tokens" => FinishReason::Length,
        "model_context_window_exceeded" => FinishReason::ContextFull,
        "tool_use" => FinishReason::ToolCalls,
        // It is a classifier that steps in, not the model.
        "refusal" => FinishReason::Filtered,
        "pause_turn" => FinishReason::Paused,
        _ => FinishReason::Stop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Counts {
        Counts::read(serde_json::from_str(json).unwrap()).unwrap()
    }

    #[test]
    fn classes_of_tokens_do_not_overlap() {
        let usage = read(
            r#"{"input_tokens":10,"cache_creation_input_tokens":5,"cache_read_input_tokens":3,
            "cache_creation":{"ephemeral_5m_input_tokens":5,"ephemeral_1h_input_tokens":0},
            "output_tokens":20,"output_tokens_details":{"thinking_tokens":8}}"#,
        )
        .usage();
        assert_eq!((usage.input, usage.cache_write, usage.cached_input), (10, 5, 3));
        assert_eq!((usage.output, usage.reasoning), (12, 8));
    }

    #[test]
    fn later_counts_leave_alone_what_they_do_not_name() {
        let first = read(r#"{"input_tokens":10,"cache_read_input_tokens":3,"output_tokens":1}"#);
        let usage = first.updated(read(r#"{"output_tokens":20}"#)).usage();
        assert_eq!((usage.input, usage.cached_input, usage.output), (10, 3, 20));
    }

    #[test]
    fn every_reason_is_read_back() {
        for finish in [
            FinishReason::Stop,
            FinishReason::StopSequence(Some("x".to_owned())),
            FinishReason::Length,
            FinishReason::ContextFull,
            FinishReason::ToolCalls,
            FinishReason::Filtered,
            FinishReason::Paused,
        ] {
            let (word, sequence) = stop_reason(&finish);
            assert_eq!(super::finish(word, sequence.map(Cow::Borrowed)), finish);
        }
    }
}
