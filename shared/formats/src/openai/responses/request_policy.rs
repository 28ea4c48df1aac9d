//! What a policy changes in a request of OpenAI Responses.

use bytes::Bytes;
use canonical::Result;

use crate::{
    RawObject, RequestPolicy,
    common::request_policy::{check_once, joined, lower_limit, without_system_messages},
    json::{self, Edits},
};

/// The request under a policy.
pub(super) fn apply(raw: &RawObject, policy: &RequestPolicy<'_>) -> Result<Bytes> {
    let mut edits = Edits::new(raw);
    if let Some(limit) = policy.max_output {
        check_once(raw, &["max_output_tokens"])?;
        if !lower_limit(&mut edits, "max_output_tokens", limit) {
            edits.set("max_output_tokens", limit.to_string());
        }
    }
    if let Some(prompt) = policy.system_prompt.prompt() {
        check_once(raw, &["instructions", "input"])?;
        let own: Option<String> = json::read(raw, "instructions", "a string")?;
        let own = own.filter(|_| policy.system_prompt.keeps_own()).unwrap_or_default();
        // Not as an item of the input: the instructions stand before everything else.
        edits.set("instructions", json::quoted(&joined(prompt, &own)));
        if !policy.system_prompt.keeps_own()
            && let Some(input) = edits.value("input").filter(|input| input.starts_with('['))
        {
            let input = format!("[{}]", without_system_messages(input, "input")?.join(","));
            edits.set("input", input);
        }
    }
    Ok(edits.apply())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemPromptPolicy;

    fn applied(body: &'static str, policy: &RequestPolicy<'_>) -> String {
        let raw = json::members(Bytes::from_static(body.as_bytes())).unwrap();
        String::from_utf8(apply(&raw, policy).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn a_limit_is_lowered_or_added() {
        let policy = RequestPolicy { max_output: Some(300), ..RequestPolicy::default() };
        assert_eq!(
            applied(r#"{"max_output_tokens":301}"#, &policy),
            r#"{"max_output_tokens":300}"#
        );
        assert_eq!(
            applied(r#"{"input":"a"}"#, &policy),
            r#"{"input":"a","max_output_tokens":300}"#
        );
    }

    #[test]
    fn what_a_policy_changes_may_not_be_given_twice() {
        let policy = RequestPolicy {
            max_output: Some(300),
            system_prompt: SystemPromptPolicy::Replace("x"),
        };
        for name in ["max_output_tokens", "instructions", "input"] {
            let body = format!(r#"{{"{name}":"a","{name}":"b"}}"#);
            let raw = json::members(Bytes::from(body)).unwrap();
            assert_eq!(apply(&raw, &policy).unwrap_err().param.as_deref(), Some(name));
        }
    }

    #[test]
    fn a_system_prompt_is_the_beginning_of_the_instructions_or_all_of_them() {
        let body = r#"{"instructions":"b","input":[{"role":"system","content":"c"},{"role":"user","content":"d"}]}"#;
        let with = |system_prompt| {
            applied(body, &RequestPolicy { system_prompt, ..RequestPolicy::default() })
        };
        assert!(with(SystemPromptPolicy::Prepend("a")).starts_with(r#"{"instructions":"a\n\nb""#));
        assert_eq!(
            with(SystemPromptPolicy::Replace("a")),
            r#"{"instructions":"a","input":[{"role":"user","content":"d"}]}"#
        );
    }
}
