//! OpenAI's words for effort, the same in Chat Completions and in Responses.

use canonical::{Effort, Error, Result};

/// The name of an effort.
pub(crate) fn word(effort: Effort) -> &'static str {
    match effort {
        Effort::None => "none",
        Effort::Minimal => "minimal",
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::Highest => "xhigh",
    }
}

/// The effort that a word means, or which field is wrong.
pub(crate) fn effort(word: &str, path: &str) -> Result<Effort> {
    match word {
        "none" => Ok(Effort::None),
        "minimal" => Ok(Effort::Minimal),
        "low" => Ok(Effort::Low),
        "medium" => Ok(Effort::Medium),
        "high" => Ok(Effort::High),
        // Anthropic's word for its highest effort, which clients of several providers send
        // everywhere.
        "xhigh" | "max" => Ok(Effort::Highest),
        _ => {
            let message = format!(
                "`{path}` must be `none`, `minimal`, `low`, `medium`, `high`, `xhigh` or `max`."
            );
            Err(Error::invalid(path, message))
        }
    }
}
