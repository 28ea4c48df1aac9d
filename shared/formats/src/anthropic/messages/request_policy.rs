//! What a policy changes in a request of Anthropic Messages.

use bytes::Bytes;
use canonical::Result;
use serde_json::json;

use crate::{
    RawObject, RequestPolicy,
    common::request_policy::{
        check_once, joined, lower_limit, with_first, without_system_messages,
    },
    json::{self, Edits},
};

/// The request under a policy.
pub(super) fn apply(raw: &RawObject, policy: &RequestPolicy<'_>) -> Result<Bytes> {
    let mut edits = Edits::new(raw);
    if let Some(limit) = policy.max_output {
        check_once(raw, &["max_tokens"])?;
        if !lower_limit(&mut edits, "max_tokens", limit) {
            edits.set("max_tokens", limit.to_string());
        }
    }
    apply_system_prompt(raw, &mut edits, policy)?;
    Ok(edits.apply())
}

/// The request to count tokens, which has no output.
pub(super) fn apply_to_count(raw: &RawObject, policy: &RequestPolicy<'_>) -> Result<Bytes> {
    let mut edits = Edits::new(raw);
    apply_system_prompt(raw, &mut edits, policy)?;
    Ok(edits.apply())
}

fn apply_system_prompt(
    raw: &RawObject,
    edits: &mut Edits<'_>,
    policy: &RequestPolicy<'_>,
) -> Result<()> {
    let Some(prompt) = policy.system_prompt.prompt() else { return Ok(()) };
    check_once(raw, &["system", "messages"])?;
    let own = edits.present("system").map(str::to_owned);
    let system = match own.filter(|_| policy.system_prompt.keeps_own()) {
        None => json::quoted(prompt),
        // A block of its own, so that cache breakpoints of the client's blocks stay where they are.
        Some(blocks) if blocks.starts_with('[') => {
            with_first(&json!({"type": "text", "text": prompt}).to_string(), &blocks)
        }
        Some(text) => {
            let text: String = json::parsed_text(&text, "system", "a string or a list of blocks")?;
            json::quoted(&joined(prompt, &text))
        }
    };
    edits.set("system", system);
    // Newer models take system messages within the conversation, which would be a way around a
    // locked prompt.
    if !policy.system_prompt.keeps_own()
        && let Some(messages) = edits.value("messages")
    {
        let messages = without_system_messages(messages, "messages")?.join(",");
        edits.set("messages", format!("[{messages}]"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemPromptPolicy;

    fn applied(body: &str, system_prompt: SystemPromptPolicy<'_>) -> String {
        let raw = json::members(Bytes::copy_from_slice(body.as_bytes())).unwrap();
        let policy = RequestPolicy { max_output: Some(300), system_prompt };
        String::from_utf8(apply(&raw, &policy).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn a_system_prompt_stands_before_a_text_or_before_blocks() {
        let prepend = SystemPromptPolicy::Prepend("a");
        let text = applied(r#"{"max_tokens":500,"system":"b"}"#, prepend);
        assert_eq!(text, r#"{"max_tokens":300,"system":"a\n\nb"}"#);
        let blocks = applied(r#"{"max_tokens":5,"system":[{"type":"text","text":"b"}]}"#, prepend);
        assert_eq!(
            blocks,
            r#"{"max_tokens":5,"system":[{"text":"a","type":"text"},{"type":"text","text":"b"}]}"#
        );
        assert_eq!(applied("{}", prepend), r#"{"max_tokens":300,"system":"a"}"#);
    }

    #[test]
    fn what_a_policy_changes_may_not_be_given_twice() {
        let system_prompt = SystemPromptPolicy::Replace("a");
        let policy = RequestPolicy { max_output: Some(300), system_prompt };
        for name in ["max_tokens", "system", "messages"] {
            let body = format!(r#"{{"{name}":"b","model":"m","{name}":"c"}}"#);
            let raw = json::members(Bytes::from(body)).unwrap();
            assert_eq!(apply(&raw, &policy).unwrap_err().param.as_deref(), Some(name));
        }
    }

    #[test]
    fn a_locked_system_prompt_stands_alone() {
        let body = r#"{"max_tokens":5,"system":"b","messages":[{"role":"system","content":"c"}]}"#;
        assert_eq!(
            applied(body, SystemPromptPolicy::Replace("a")),
            r#"{"max_tokens":5,"system":"a","messages":[]}"#
        );
    }
}
