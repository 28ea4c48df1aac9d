//! Wire forms of both directions: usage, and the reason why a response ends.

pub(crate) mod request;

use std::borrow::Cow;

use canonical::{FinishReason, Result, Usage};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{finish_reason, size_limits::tokens};

/// A report of usage. In a stream it is spread over several events.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct Counts {
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    cache_creation_input_tokens: Option<u64>,
    #[serde(default)]
    cache_read_input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens: Option<u64>,
    #[serde(default)]
    output_tokens_details: Option<Details>,
    #[serde(default)]
    cache_creation: Option<CacheTimes>,
}

/// Tokens written to the cache for an hour.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct CacheTimes {
    #[serde(default)]
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct Details {
    #[serde(default)]
    thinking_tokens: Option<u64>,
}

impl Counts {
    /// Decodes a report; none where it is empty.
    pub(super) fn read(json: &RawValue) -> Option<Self> {
        let counts: Self = serde_json::from_str::<Option<_>>(json.get()).ok()??;
        // An empty object would set the usage so far to nothing.
        (counts.input_tokens.is_some() || counts.output_tokens.is_some()).then_some(counts)
    }

    /// The usage so far: later counts are cumulative, and silent on what did not change.
    pub(super) fn updated(self, later: Self) -> Self {
        Self {
            input_tokens: later.input_tokens.or(self.input_tokens),
            cache_creation_input_tokens: later
                .cache_creation_input_tokens
                .or(self.cache_creation_input_tokens),
            cache_read_input_tokens: later.cache_read_input_tokens.or(self.cache_read_input_tokens),
            output_tokens: later.output_tokens.or(self.output_tokens),
            output_tokens_details: later.output_tokens_details.or(self.output_tokens_details),
            cache_creation: later.cache_creation.or(self.cache_creation),
        }
    }

    /// The usage in classes that do not overlap: `input_tokens` leaves the cache out already, and
    /// `output_tokens` includes thinking.
    pub(super) fn usage(self) -> Usage {
        let output = tokens(self.output_tokens);
        let details = self.output_tokens_details.unwrap_or_default();
        // A part cannot be more than the whole, whatever a provider reports: the rest must not go
        // below 0.
        let reasoning = details.thinking_tokens.unwrap_or(0).min(output);
        let cache_write = tokens(self.cache_creation_input_tokens);
        let times = self.cache_creation.unwrap_or_default();
        Usage {
            input: tokens(self.input_tokens),
            cached_input: tokens(self.cache_read_input_tokens),
            cache_write,
            cache_write_hour: tokens(times.ephemeral_1h_input_tokens).min(cache_write),
            output: output - reasoning,
            reasoning,
            ..Usage::default()
        }
    }
}

/// The usage of a message, with every member that the reference requires.
#[derive(Debug, Serialize)]
pub(super) struct UsageJson {
    cache_creation: CacheCreation,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    /// Where a model ran is known to Anthropic alone.
    inference_geo: Option<()>,
    input_tokens: u64,
    output_tokens: u64,
    output_tokens_details: Details,
    /// Tools that Anthropic runs itself.
    server_tool_use: Option<()>,
    service_tier: Option<()>,
}

/// Tokens written to the cache, by the time that they stay. Others tell no times.
#[derive(Debug, Serialize)]
struct CacheCreation {
    ephemeral_1h_input_tokens: u64,
    ephemeral_5m_input_tokens: u64,
}

/// The usage at the end of a stream.
#[derive(Debug, Serialize)]
pub(super) struct DeltaUsageJson {
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    input_tokens: u64,
    output_tokens: u64,
    output_tokens_details: Details,
    server_tool_use: Option<()>,
}

impl From<&Usage> for UsageJson {
    fn from(usage: &Usage) -> Self {
        let cache_creation = CacheCreation {
            ephemeral_1h_input_tokens: usage.cache_write_hour,
            // The default time to live; its price is the lower one.
            ephemeral_5m_input_tokens: usage.cache_write.saturating_sub(usage.cache_write_hour),
        };
        Self {
            cache_creation,
            cache_creation_input_tokens: usage.cache_write,
            cache_read_input_tokens: usage.cached_input,
            inference_geo: None,
            input_tokens: usage.input.saturating_add(usage.input_audio),
            output_tokens: usage.all_output(),
            output_tokens_details: Details { thinking_tokens: Some(usage.reasoning) },
            server_tool_use: None,
            service_tier: None,
        }
    }
}

impl From<&Usage> for DeltaUsageJson {
    fn from(usage: &Usage) -> Self {
        Self {
            cache_creation_input_tokens: usage.cache_write,
            cache_read_input_tokens: usage.cached_input,
            input_tokens: usage.input.saturating_add(usage.input_audio),
            output_tokens: usage.all_output(),
            output_tokens_details: Details { thinking_tokens: Some(usage.reasoning) },
            server_tool_use: None,
        }
    }
}

/// Why a response ends, by Anthropic's word; and which of the client's texts came up.
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

/// The finish reason of a stop reason. A reason that means a cut at servers of others is an error, and
/// so is one that nobody knows.
pub(super) fn finish(reason: &str, sequence: Option<Cow<'_, str>>) -> Result<FinishReason> {
    finish_reason::check(reason)?;
    Ok(match reason {
        "stop_sequence" => FinishReason::StopSequence(sequence.map(Cow::into_owned)),
        "max_tokens" => FinishReason::Length,
        "model_context_window_exceeded" => FinishReason::ContextFull,
        "tool_use" => FinishReason::ToolCalls,
        // It is a classifier that steps in, not the model.
        "refusal" => FinishReason::Filtered,
        "pause_turn" | "compaction" => FinishReason::Paused,
        "" | "end_turn" => FinishReason::Stop,
        _ => return Err(finish_reason::unknown(reason)),
    })
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
            "cache_creation":{"ephemeral_5m_input_tokens":3,"ephemeral_1h_input_tokens":2},
            "output_tokens":20,"output_tokens_details":{"thinking_tokens":8}}"#,
        )
        .usage();
        assert_eq!((usage.input, usage.cache_write, usage.cached_input), (10, 5, 3));
        assert_eq!((usage.output, usage.reasoning), (12, 8));
        assert_eq!((usage.cache_write_hour, usage.all_input()), (2, 18));
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
            assert_eq!(super::finish(word, sequence.map(Cow::Borrowed)).unwrap(), finish);
        }
    }
}
