//! Why a response ends, in OpenAI's words and in those of its imitators.
//!
//! Sources, seen 2026-11: OpenAI's API reference; `model_length` and `error` of Mistral's;
//! `insufficient_system_resource` of DeepSeek's; `sensitive`, `network_error` and
//! `model_context_window_exceeded` of Z.ai's; `abort` of vLLM's and `SGLang`'s engines; `eos` and
//! `eos_token` of Together's and of text-generation-inference.

use canonical::{Error, FinishReason, Result};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::response_decode;
use crate::finish_reason as cuts;

/// Decodes a finish reason. A model that has called tools and ends with `stop` waits for their
/// results, and one that has refused ends with the refusal.
///
/// A reason that means a cut is an error, and so is one that nobody knows: half a response must not
/// pass for a whole one.
pub(super) fn decode(word: &str, has_calls: bool, has_refused: bool) -> Result<FinishReason> {
    let reason = match word.to_ascii_lowercase().as_str() {
        "tool_calls" | "tool_call" | "tool_use" | "function_call" => FinishReason::ToolCalls,
        "stop" | "eos" | "eos_token" | "end_turn" | "stop_sequence" | "complete" | "completed" => {
            // The content decides: imitators end with `stop` whether or not tools are to be called.
            match (has_calls, has_refused) {
                (true, _) => FinishReason::ToolCalls,
                (false, true) => FinishReason::Refusal,
                (false, false) => FinishReason::Stop,
            }
        }
        "length" | "max_tokens" | "max_output_tokens" => FinishReason::Length,
        "model_length" | "model_context_window_exceeded" => FinishReason::ContextFull,
        "content_filter" | "sensitive" | "safety" | "recitation" => FinishReason::Filtered,
        "refusal" => FinishReason::Refusal,
        _ => return Err(cut(word)),
    };
    Ok(reason)
}

/// The word for why a choice ends; empty where the choice goes on. Some write an object around it:
/// `SGLang` its own reasons (`{"type": "length", "length": 128}`), gateways theirs beside the raw one.
pub(super) fn word_of(json: Option<&RawValue>) -> String {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct ReasonObject<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<&'a RawValue>,
        #[serde(borrow)]
        reason: Option<&'a RawValue>,
        #[serde(borrow)]
        unified: Option<&'a RawValue>,
    }
    let Some(json) = json.filter(|it| it.get().starts_with('{')) else {
        return response_decode::text(json);
    };
    let object: ReasonObject<'_> = response_decode::lenient(Some(json));
    response_decode::text(object.kind.or(object.reason).or(object.unified))
}

/// Decodes the finish reason of a response that can hold text alone.
pub(crate) fn plain(word: &str) -> Result<FinishReason> {
    decode(word, false, false)
}

/// Whether a finish reason says that a limit or a filter ends the choice, wherever it stands.
pub(super) fn is_limit(word: &str) -> bool {
    match decode(word, true, false) {
        Ok(reason) => matches!(
            reason,
            FinishReason::Length
                | FinishReason::ContextFull
                | FinishReason::Filtered
                | FinishReason::Refusal
        ),
        Err(_) => false,
    }
}

/// Whether a finish reason says that the provider gave up in the middle of its response.
pub(super) fn is_cut(word: &str) -> bool {
    cuts::check(word).is_err()
}

/// The error for a response that ends with a reason that means a cut, or with an unknown one.
pub(super) fn cut(word: &str) -> Error {
    cuts::check(word).err().unwrap_or_else(|| cuts::unknown(word))
}

/// The finish reason that a client reads.
pub(super) fn encode(reason: &FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop
        | FinishReason::StopSequence(_)
        // OpenAI has no word for a pause. `length` would read as a limit that the client has set.
        | FinishReason::Paused
        | FinishReason::Refusal => "stop",
        // A full window is a limit, too: half a response must not read as `stop`.
        FinishReason::Length | FinishReason::ContextFull => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::Filtered => "content_filter",
    }
}

#[cfg(test)]
mod tests {
    use canonical::ErrorKind;

    use super::*;

    #[test]
    fn a_reason_that_means_a_cut_or_that_nobody_knows_is_an_error() {
        for word in ["abort", "error", "insufficient_system_resource", "ABORT", "no_such_reason"] {
            assert_eq!(decode(word, false, false).unwrap_err().kind, ErrorKind::Upstream, "{word}");
        }
        assert!(is_cut("abort") && is_cut("network_error"));
        assert!(!is_cut("stop") && !is_cut("no_such_reason"));
    }

    #[test]
    fn imitators_have_reasons_of_their_own() {
        assert_eq!(decode("eos", false, false).unwrap(), FinishReason::Stop);
        assert_eq!(decode("eos", true, false).unwrap(), FinishReason::ToolCalls);
        assert_eq!(decode("MAX_TOKENS", false, false).unwrap(), FinishReason::Length);
        assert_eq!(decode("sensitive", false, false).unwrap(), FinishReason::Filtered);
    }
}
