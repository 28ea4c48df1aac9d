//! Why an answer ends, in OpenAI's words.

use canonical::Finish;

/// Reads a finish reason. Who has called tools and says `stop` means the calls, and who has refused
/// means the refusal.
///
/// Sources: OpenAI's API reference; `model_length` is Mistral's.
pub(super) fn read(word: &str, has_calls: bool, refuses: bool) -> Finish {
    match word {
        "tool_calls" | "function_call" => Finish::ToolCalls,
        "stop" if has_calls => Finish::ToolCalls,
        "stop" if refuses => Finish::Refusal,
        "length" => Finish::Length,
        "model_length" => Finish::ContextFull,
        "content_filter" => Finish::Filtered,
        _ => Finish::Stop,
    }
}

/// Writes a finish reason.
pub(super) fn word(finish: &Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::StopSequence(_) | Finish::Paused | Finish::Refusal => "stop",
        Finish::Length | Finish::ContextFull => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::Filtered => "content_filter",
    }
}
