//! Why an answer ends, in OpenAI's words.

use canonical::FinishReason;

/// Reads a finish reason. Who has called tools and says `stop` means the calls, and who has refused
/// means the refusal.
///
/// Sources: OpenAI's API reference; `model_length` is Mistral's.
pub(super) fn read(word: &str, has_calls: bool, refuses: bool) -> FinishReason {
    match word {
        "tool_calls" | "function_call" => FinishReason::ToolCalls,
        "stop" if has_calls => FinishReason::ToolCalls,
        "stop" if refuses => FinishReason::Refusal,
        "length" => FinishReason::Length,
        "model_length" => FinishReason::ContextFull,
        "content_filter" => FinishReason::Filtered,
        _ => FinishReason::Stop,
    }
}

/// Writes a finish reason.
pub(super) fn word(finish: &FinishReason) -> &'static str {
    match finish {
        FinishReason::Stop
        | FinishReason::StopSequence(_)
        | FinishReason::Paused
        | FinishReason::Refusal => "stop",
        FinishReason::Length | FinishReason::ContextFull => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::Filtered => "content_filter",
    }
}
