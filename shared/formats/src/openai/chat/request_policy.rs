//! What a policy changes in a request of OpenAI chat.

use bytes::Bytes;
use canonical::Result;
use serde_json::json;

use crate::{
    RawObject, RequestPolicy,
    common::request_policy::{check_once, lower_limit, with_first, without_system_messages},
    json::Edits,
};

/// The members that limit the output, the newer name first.
pub(super) const LIMITS: [&str; 2] = ["max_completion_tokens", "max_tokens"];

/// The request under a policy.
pub(super) fn apply(raw: &RawObject, policy: &RequestPolicy<'_>) -> Result<Bytes> {
    let mut edits = Edits::new(raw);
    if let Some(limit) = policy.max_output {
        check_once(raw, &LIMITS)?;
        let lowered = LIMITS.map(|name| lower_limit(&mut edits, name, limit));
        // The older name: a provider that wants the newer one gets it from `rename_limit`.
        if !lowered.contains(&true) {
            edits.set("max_tokens", limit.to_string());
        }
    }
    if let Some(prompt) = policy.system_prompt.prompt() {
        check_once(raw, &["messages"])?;
        let message = json!({"role": "system", "content": prompt}).to_string();
        let mut messages = edits.value("messages").unwrap_or("[]").to_owned();
        if !policy.system_prompt.keeps_own() {
            messages = format!("[{}]", without_system_messages(&messages, "messages")?.join(","));
        }
        edits.set("messages", with_first(&message, &messages));
    }
    Ok(edits.apply())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SystemPromptPolicy, json};

    fn applied(body: &'static str, policy: &RequestPolicy<'_>) -> String {
        let raw = json::members(Bytes::from_static(body.as_bytes())).unwrap();
        String::from_utf8(apply(&raw, policy).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn a_limit_is_lowered_under_the_clients_name_and_never_raised() {
        let policy = RequestPolicy { max_output: Some(300), ..RequestPolicy::default() };
        for (body, wanted) in [
            (r#"{"max_tokens":500}"#, r#"{"max_tokens":300}"#),
            (r#"{"max_completion_tokens":500}"#, r#"{"max_completion_tokens":300}"#),
            (r#"{"max_tokens":200}"#, r#"{"max_tokens":200}"#),
            (r#"{"max_tokens":null}"#, r#"{"max_tokens":300}"#),
            (r#"{"model":"m"}"#, r#"{"model":"m","max_tokens":300}"#),
            (r#"{"max_tokens":"many"}"#, r#"{"max_tokens":300}"#),
            (
                r#"{"max_tokens":-1,"max_completion_tokens":9}"#,
                r#"{"max_tokens":300,"max_completion_tokens":9}"#,
            ),
        ] {
            assert_eq!(applied(body, &policy), wanted);
        }
        let twice = br#"{"max_completion_tokens":10,"max_completion_tokens":100000}"#;
        let raw = json::members(Bytes::from_static(twice)).unwrap();
        let error = apply(&raw, &policy).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("max_completion_tokens"));
    }

    #[test]
    fn a_system_prompt_stands_first_or_alone() {
        let body =
            r#"{"messages":[{"role":"developer","content":"a"},{"role":"user","content":"b"}]}"#;
        let with = |system_prompt| {
            applied(body, &RequestPolicy { system_prompt, ..RequestPolicy::default() })
        };
        assert_eq!(
            with(SystemPromptPolicy::Prepend("Be \"kind\".")),
            r#"{"messages":[{"content":"Be \"kind\".","role":"system"},{"role":"developer","content":"a"},{"role":"user","content":"b"}]}"#
        );
        assert_eq!(
            with(SystemPromptPolicy::Replace("x")),
            r#"{"messages":[{"content":"x","role":"system"},{"role":"user","content":"b"}]}"#
        );
        assert_eq!(with(SystemPromptPolicy::Unchanged), body);
    }
}
