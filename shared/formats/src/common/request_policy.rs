//! What a policy of the gateway changes in a client's request, whichever provider gets it.
//!
//! Each format edits its own members; here is what they share.

use bytes::Bytes;
use canonical::Result;
use serde_json::value::RawValue;

use crate::{
    RawObject,
    json::{self, Edits, Object},
};

/// What a policy changes in a client's request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestPolicy<'a> {
    /// The most output tokens of one choice; a lower limit of the client's own stays.
    pub max_output: Option<u64>,
    /// What becomes of the system prompt.
    pub system_prompt: SystemPromptPolicy<'a>,
}

/// What becomes of a request's system prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SystemPromptPolicy<'a> {
    /// The client's own stays as it is.
    #[default]
    Unchanged,
    /// This stands before the client's own.
    Prepend(&'a str),
    /// This replaces the client's own.
    Replace(&'a str),
}

impl SystemPromptPolicy<'_> {
    /// The prompt that is added; none where nothing changes.
    pub(crate) fn prompt(&self) -> Option<&str> {
        match self {
            Self::Unchanged => None,
            Self::Prepend(prompt) | Self::Replace(prompt) => Some(prompt),
        }
    }

    /// Whether the client's own prompt stays.
    pub(crate) fn keeps_own(&self) -> bool {
        match self {
            Self::Unchanged | Self::Prepend(_) => true,
            Self::Replace(_) => false,
        }
    }
}

/// Leaves a request as it is: the format has neither a system prompt nor output tokens.
#[expect(clippy::unnecessary_wraps, reason = "other formats can fail here")]
pub(crate) fn unchanged(raw: &RawObject, _: &RequestPolicy<'_>) -> Result<Bytes> {
    Ok(raw.body.clone())
}

/// Limits the output of a request that has no system prompt, in its `max_tokens`.
#[expect(clippy::unnecessary_wraps, reason = "other formats can fail here")]
pub(crate) fn limit_only(raw: &RawObject, policy: &RequestPolicy<'_>) -> Result<Bytes> {
    let mut edits = Edits::new(raw);
    if let Some(limit) = policy.max_output
        && !lower_limit(&mut edits, "max_tokens", limit)
    {
        edits.set("max_tokens", limit.to_string());
    }
    Ok(edits.apply())
}

/// Lowers a limit in the member of this name. False where there is none, or it is null.
pub(crate) fn lower_limit(edits: &mut Edits<'_>, name: &str, limit: u64) -> bool {
    let Some(own) = edits.value(name).filter(|own| *own != "null") else { return false };
    // What is no number of tokens is for the provider to refuse. As a float, because `1e3` and
    // `100.0` are numbers of JSON, too.
    if own.parse::<f64>().is_ok_and(|own| limit.to_string().parse().is_ok_and(|it: f64| it < own)) {
        edits.set(name, limit.to_string());
    }
    true
}

/// The elements of a JSON list without messages of the roles `system` and `developer`.
pub(crate) fn without_system_messages(list: &str, name: &str) -> Result<Vec<String>> {
    let messages: Vec<&RawValue> = json::parsed_text(list, name, "a list of messages")?;
    let kept = messages.into_iter().map(RawValue::get).filter(|it| !is_system_message(it));
    Ok(kept.map(str::to_owned).collect())
}

/// Whether a message has the role `system` or `developer`.
fn is_system_message(message: &str) -> bool {
    let Ok(message) = serde_json::from_str::<Object<'_>>(message) else { return false };
    let role = message.get("role").map(RawValue::get);
    role.is_some_and(|role| matches!(role, "\"system\"" | "\"developer\""))
}

/// Two prompts as one text, the first before the second.
pub(crate) fn joined(first: &str, second: &str) -> String {
    if second.trim().is_empty() { first.to_owned() } else { format!("{first}\n\n{second}") }
}

/// A JSON list with an element before its own.
pub(crate) fn with_first(first: &str, list: &str) -> String {
    let rest = list.trim_start().strip_prefix('[').unwrap_or("]");
    // By text, because a list of messages may be megabytes and is parsed often enough.
    let comma = if rest.trim_start().starts_with(']') { "" } else { "," };
    format!("[{first}{comma}{rest}")
}
