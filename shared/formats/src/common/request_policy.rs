//! What a policy of the gateway changes in a client's request, whichever provider gets it.
//!
//! Each format edits its own members; here is what they share.

use bytes::Bytes;
use canonical::{Error, Result};
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
pub(crate) fn limit_only(raw: &RawObject, policy: &RequestPolicy<'_>) -> Result<Bytes> {
    let mut edits = Edits::new(raw);
    if let Some(limit) = policy.max_output {
        check_once(raw, &["max_tokens"])?;
        if !lower_limit(&mut edits, "max_tokens", limit) {
            edits.set("max_tokens", limit.to_string());
        }
    }
    Ok(edits.apply())
}

/// Lowers a limit in the member of this name. False where there is none, or it is null.
pub(crate) fn lower_limit(edits: &mut Edits<'_>, name: &str, limit: u64) -> bool {
    let Some(own) = edits.present(name) else { return false };
    // Servers read zero, -1 and what is no number as no limit at all, and some read texts.
    if count(own).is_none_or(|own| limit < own) {
        edits.set(name, limit.to_string());
    }
    true
}

/// A value that is a whole number of at least 1.
pub(crate) fn count(value: &str) -> Option<u64> {
    // As a float, because `1e3` and `100.0` are whole numbers of JSON, too.
    let value = value.parse::<f64>().ok().filter(|it| it.fract() == 0.0 && 1.0 <= *it)?;
    format!("{value:.0}").parse().ok()
}

/// Refuses an object that has one of these members twice, in whatever spelling: readers disagree on
/// which one counts, and a policy that changed the other would be passed by.
pub(crate) fn check_once(raw: &RawObject, names: &[&str]) -> Result<()> {
    for name in names {
        let members = raw.members.iter().map(|it| json::name_of(&raw.body, it));
        if 1 < members.filter(|it| is_spelling(it, name)).count() {
            return Err(Error::invalid(name, format!("`{name}` is given twice.")));
        }
    }
    Ok(())
}

/// Whether a reader may take one name for the other: Google's know `camelCase` and `snake_case`, and
/// servers written in Go know any case.
pub(crate) fn is_spelling(name: &str, other: &str) -> bool {
    let letters = |it: &u8| *it != b'_';
    let name = name.bytes().filter(letters).map(|it| it.to_ascii_lowercase());
    name.eq(other.bytes().filter(letters).map(|it| it.to_ascii_lowercase()))
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
    // Any of them, because readers disagree on which of two members counts.
    let mut roles = message.present().filter(|it| is_spelling(it.0, "role")).map(|it| it.1);
    roles.any(|role| {
        let role = serde_json::from_str::<String>(role.get()).unwrap_or_default();
        matches!(role.trim().to_ascii_lowercase().as_str(), "system" | "developer")
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(body: &str) -> Result<String> {
        let raw = json::members(Bytes::copy_from_slice(body.as_bytes()))?;
        let policy = RequestPolicy { max_output: Some(300), ..RequestPolicy::default() };
        limit_only(&raw, &policy).map(|it| String::from_utf8_lossy(&it).into_owned())
    }

    #[test]
    fn what_is_no_number_of_tokens_counts_as_unlimited() {
        for own in ["301", "-1", "0", "0.5", "1e9", "1e400", "true", "[]", r#""100000""#, r#""9""#]
        {
            let body = format!(r#"{{"max_tokens":{own}}}"#);
            assert_eq!(limited(&body).unwrap(), r#"{"max_tokens":300}"#, "{own}");
        }
        for own in ["1", "300", "3e2", "100.0"] {
            let body = format!(r#"{{"max_tokens":{own}}}"#);
            assert_eq!(limited(&body).unwrap(), body);
        }
    }

    #[test]
    fn a_member_that_a_policy_changes_may_not_be_given_twice() {
        for second in ["max_tokens", "max\\u005ftokens", "maxTokens", "Max_Tokens"] {
            let body = format!(r#"{{"max_tokens":10,"prompt":"a","{second}":100000}}"#);
            assert_eq!(
                limited(&body).unwrap_err().param.as_deref(),
                Some("max_tokens"),
                "{second}"
            );
        }
    }

    #[test]
    fn a_system_message_is_one_however_it_is_written() {
        for message in [
            r#"{"role":"developer"}"#,
            r#"{"role":"syst\u0065m"}"#,
            r#"{"role":"user","role":"system"}"#,
            r#"{"Role":" System"}"#,
        ] {
            let kept = without_system_messages(&format!("[{message}]"), "messages").unwrap();
            assert_eq!(kept, [""; 0], "{message}");
        }
        let user = r#"[{"role":"user","content":"system"}]"#;
        assert_eq!(without_system_messages(user, "messages").unwrap().len(), 1);
    }
}
