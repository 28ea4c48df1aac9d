//! What a policy changes in a request of Google's `generateContent`.

use bytes::Bytes;
use canonical::{Error, Result};
use serde_json::json;

use super::wire::members::spelled;
use crate::{
    RawObject, RequestPolicy,
    common::request_policy::{check_once, joined, lower_limit, with_first},
    json::{self, Edits},
};

/// The request under a policy.
pub(super) fn apply(raw: &RawObject, policy: &RequestPolicy<'_>) -> Result<Bytes> {
    let mut edits = Edits::new(raw);
    if let Some(limit) = policy.max_output {
        check_once(raw, &["generationConfig"])?;
        // In the client's spelling: in the other one the member would stand there twice.
        let name = spelled(raw, "generationConfig");
        let own = edits.present(&name).unwrap_or("{}").to_owned();
        edits.set(&name, limited(own, limit)?);
    }
    if let Some(prompt) = policy.system_prompt.prompt() {
        check_once(raw, &["systemInstruction"])?;
        let name = spelled(raw, "systemInstruction");
        let own = edits.present(&name).map(str::to_owned);
        let instruction = match own.filter(|_| policy.system_prompt.keeps_own()) {
            None => json!({"parts": [{"text": prompt}]}).to_string(),
            Some(own) => prepended(prompt, &own)?,
        };
        edits.set(&name, instruction);
    }
    Ok(edits.apply())
}

/// A generation config with a limit of output tokens.
fn limited(config: String, limit: u64) -> Result<String> {
    let inner = json::members(Bytes::from(config))?;
    check_once(&inner, &["maxOutputTokens"])?;
    let mut edits = Edits::new(&inner);
    let name = spelled(&inner, "maxOutputTokens");
    if !lower_limit(&mut edits, &name, limit) {
        edits.set(&name, limit.to_string());
    }
    Ok(String::from_utf8_lossy(&edits.apply()).into_owned())
}

/// A system instruction with a prompt before its own: a content, a part or a text.
fn prepended(prompt: &str, own: &str) -> Result<String> {
    if own.starts_with('"') {
        let own: String = json::parsed_text(own, "systemInstruction", "a content")?;
        return Ok(json!({"parts": [{"text": joined(prompt, &own)}]}).to_string());
    }
    let inner = json::members(Bytes::copy_from_slice(own.as_bytes())).map_err(|error| {
        Error::invalid("systemInstruction", "`systemInstruction` must be a content.")
            .caused_by(error)
    })?;
    check_once(&inner, &["parts"])?;
    let mut edits = Edits::new(&inner);
    let first = json!({"text": prompt}).to_string();
    let parts = match edits.value("parts") {
        Some(list) if list.starts_with('[') => with_first(&first, list),
        // A single part without its list, as Google takes it.
        Some(one) => format!("[{first},{one}]"),
        None => return Ok(format!("{{\"parts\":[{first},{own}]}}")),
    };
    edits.set("parts", parts);
    Ok(String::from_utf8_lossy(&edits.apply()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemPromptPolicy;

    fn applied(body: &str, policy: &RequestPolicy<'_>) -> String {
        let raw = json::members(Bytes::copy_from_slice(body.as_bytes())).unwrap();
        String::from_utf8(apply(&raw, policy).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn a_limit_is_found_in_either_spelling() {
        let policy = RequestPolicy { max_output: Some(300), ..RequestPolicy::default() };
        for (body, wanted) in [
            ("{}", r#"{"generationConfig":{"maxOutputTokens":300}}"#),
            (
                r#"{"generation_config":{"topK":1,"max_output_tokens":400}}"#,
                r#"{"generation_config":{"topK":1,"max_output_tokens":300}}"#,
            ),
        ] {
            assert_eq!(applied(body, &policy), wanted);
        }
    }

    #[test]
    fn what_a_policy_changes_may_not_be_given_twice() {
        let policy = |system_prompt| RequestPolicy { max_output: Some(300), system_prompt };
        let (locked, before) = (SystemPromptPolicy::Replace("a"), SystemPromptPolicy::Prepend("a"));
        for (body, system_prompt, param) in [
            (r#"{"generationConfig":{},"generationConfig":{}}"#, locked, "generationConfig"),
            (r#"{"generationConfig":{},"generation_config":{}}"#, locked, "generationConfig"),
            (
                r#"{"generationConfig":{"maxOutputTokens":1,"max_output_tokens":9000}}"#,
                locked,
                "maxOutputTokens",
            ),
            (r#"{"systemInstruction":"a","system_instruction":"b"}"#, locked, "systemInstruction"),
            (r#"{"systemInstruction":{"parts":[],"parts":[]}}"#, before, "parts"),
        ] {
            let raw = json::members(Bytes::from_static(body.as_bytes())).unwrap();
            let error = apply(&raw, &policy(system_prompt)).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(param), "{body}");
        }
        let escaped = r#"{"generation\u0043onfig":{"max\u004futputTokens":9000}}"#;
        assert_eq!(applied(escaped, &policy(locked)).matches("300").count(), 1);
        assert!(!applied(escaped, &policy(locked)).contains("9000"));
    }

    #[test]
    fn a_system_prompt_stands_first_or_alone() {
        let body = r#"{"systemInstruction":{"role":"user","parts":[{"text":"b"}]}}"#;
        let with = |body: &str, system_prompt| {
            applied(body, &RequestPolicy { system_prompt, ..RequestPolicy::default() })
        };
        assert_eq!(
            with(body, SystemPromptPolicy::Prepend("a")),
            r#"{"systemInstruction":{"role":"user","parts":[{"text":"a"},{"text":"b"}]}}"#
        );
        let alone = r#"{"systemInstruction":{"parts":[{"text":"a"}]}}"#;
        assert_eq!(with(body, SystemPromptPolicy::Replace("a")), alone);
        assert_eq!(with("{}", SystemPromptPolicy::Prepend("a")), alone);
        let text = r#"{"system_instruction":"b"}"#;
        assert!(with(text, SystemPromptPolicy::Prepend("a")).contains(r#""a\n\nb""#));
    }
}
