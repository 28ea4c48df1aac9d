//! A provider's whole response for a client of the same format: the provider's bytes, corrected where
//! they are not what OpenAI's SDKs expect.

use bytes::Bytes;
use canonical::Result;
use serde_json::value::RawValue;

use super::{
    finish_reason,
    response_decode::{DecodedCall, DecodedMessage, SplitPairs, call_id, text},
    wire::ResponseSummary,
};
use crate::{
    error_body,
    json::{self, Edits, Object},
    whole_calls::check_arguments,
};

/// Members of a message and what they become; none where the member is taken out.
pub(super) type TextEdits = Vec<(&'static str, Option<String>)>;

/// The response as OpenAI would write it; the same bytes where it is already so.
pub(super) fn passthrough(body: &Bytes, summary: &ResponseSummary<'_>) -> Result<Bytes> {
    let needs_look = summary.choices.as_ref().is_some_and(|it| it.is_odd || it.has_calls);
    // Nearly every response is right as it is, and keeps its bytes. The summary has seen that
    // without parsing it again.
    if !needs_look {
        return Ok(body.clone());
    }
    let response: Object<'_> = error_body::event(body)?;
    let id = text(response.get("id"));
    let list = response.get("choices").ok_or_else(error_body::malformed)?;
    let list: Vec<&RawValue> = error_body::part(list)?;
    let mut changed = false;
    let mut normalized = Vec::with_capacity(list.len());
    for (at, choice) in list.into_iter().enumerate() {
        let choice_normalized = normalize_choice(choice, at, &id)?;
        changed |= choice_normalized.is_some();
        normalized.push(choice_normalized.unwrap_or_else(|| choice.get().to_owned()));
    }
    if !changed {
        return Ok(body.clone());
    }
    let text = std::str::from_utf8(body).map_err(|it| error_body::malformed().caused_by(it))?;
    let choices = format!("[{}]", normalized.join(","));
    edited(text, |edits| edits.set("choices", choices)).map(Bytes::from)
}

fn normalize_choice(json: &RawValue, at: usize, response_id: &str) -> Result<Option<String>> {
    let choice: Object<'_> = error_body::part(json)?;
    if !finish_reason::is_limit(&finish_reason::word_of(choice.get("finish_reason"))) {
        choice.get("message").map_or(Ok(()), check_calls)?;
    }
    let message = choice.get("message").map(|it| normalize_message(it, response_id));
    let message = message.transpose()?.flatten();
    let has_index = choice.get("index").is_some();
    let reason = odd_reason(choice.get("finish_reason"));
    if message.is_none() && has_index && reason.is_none() {
        return Ok(None);
    }
    edited(json.get(), |edits| {
        // OpenAI's SDKs tell choices apart by it, and require it.
        if !has_index {
            edits.set("index", at.to_string());
        }
        if let Some(message) = message {
            edits.set("message", message);
        }
        if let Some(reason) = reason {
            edits.set("finish_reason", reason);
        }
    })
    .map(Some)
}

/// Checks that the calls of a message are whole.
fn check_calls(message: &RawValue) -> Result<()> {
    let message: DecodedMessage<'_> = error_body::part(message)?;
    let calls = message.tool_calls();
    let mut calls = calls.iter().filter(|it| !it.is_custom());
    calls.try_for_each(|it| check_arguments(&it.name().unwrap_or_default(), &it.arguments()))
}

/// A finish reason that is no word, as OpenAI would write it; none where it is one, or is not there.
pub(super) fn odd_reason(reason: Option<&RawValue>) -> Option<String> {
    let odd = reason.filter(|it| !is_word(it))?;
    let word = finish_reason::word_of(Some(odd));
    Some(if word.is_empty() { "null".to_owned() } else { json::quoted(&word) })
}

fn is_word(it: &&RawValue) -> bool {
    it.get().starts_with('"') && it.get() != "\"\""
}

fn normalize_message(json: &RawValue, response_id: &str) -> Result<Option<String>> {
    let message: DecodedMessage<'_> = error_body::part(json)?;
    let texts = normalize_texts(&message, None, false);
    let calls = normalize_calls(&message, response_id)?;
    let function_call = message.odd_function_call();
    if texts.is_empty() && calls.is_none() && function_call.is_none() {
        return Ok(None);
    }
    edited(json.get(), |edits| {
        for (name, text) in texts {
            // A message has its content, if only as null.
            edits.set(name, text.unwrap_or_else(|| "null".to_owned()));
        }
        if let Some(calls) = calls {
            edits.set("tool_calls", format!("[{}]", calls.join(",")));
        }
        if let Some(call) = function_call {
            edits.set("function_call", call.function_json());
        }
    })
    .map(Some)
}

/// The calls with types, and text for ids and arguments; none where they have it already.
fn normalize_calls(message: &DecodedMessage<'_>, response_id: &str) -> Result<Option<Vec<String>>> {
    let calls = message.raw_tool_calls();
    let mut changed = false;
    let mut normalized = Vec::with_capacity(calls.len());
    for (at, call) in calls.into_iter().enumerate() {
        let written: DecodedCall<'_> = error_body::part(call)?;
        let is_right =
            written.has_text_id() && !written.lacks_type() && written.has_text_arguments();
        if is_right {
            normalized.push(call.get().to_owned());
            continue;
        }
        changed = true;
        normalized.push(edited(call.get(), |edits| {
            let id = written.id().unwrap_or_else(|| call_id(response_id, at));
            edits.set("id", json::quoted(&id));
            if written.lacks_type() {
                edits.set("type", "\"function\"");
            }
            if written.has_function() {
                edits.set("function", written.function_json());
            }
        })?);
    }
    Ok(changed.then_some(normalized))
}

/// The changes to the texts of a message or a delta: each becomes a string, in well-formed Unicode.
///
/// `pairs` joins what the deltas of a stream split; a half that waits at the end is replaced.
pub(super) fn normalize_texts(
    message: &DecodedMessage<'_>,
    pairs: Option<&mut SplitPairs>,
    has_finished: bool,
) -> TextEdits {
    let mut edits = vec![];
    let is_waiting = pairs.as_ref().is_some_and(|it| it.is_waiting());
    if !is_waiting && !message.has_odd_text() {
        return edits;
    }

    let mut texts = match pairs {
        Some(pairs) => {
            let mut texts = message.delta_texts(pairs);
            if has_finished && pairs.content.is_waiting() {
                // Nothing more comes of this choice, so that the half would wait for ever.
                *pairs = SplitPairs::default();
                texts.content.push('\u{fffd}');
            }
            texts
        }
        None => message.texts(),
    };

    if message.content.is_some() || !texts.content.is_empty() {
        let is_text = message.content.is_some_and(|it| it.get().starts_with('"'));
        let content = quoted_text(&texts.content);
        edits
            .push(("content", if is_text { content.or(Some("\"\"".to_owned())) } else { content }));
    }
    if !texts.reasoning.is_empty() {
        let name = if message.reasoning.is_some() { "reasoning" } else { "reasoning_content" };
        edits.push((name, quoted_text(&std::mem::take(&mut texts.reasoning))));
    }
    if message.refusal.is_some() || !texts.refusal.is_empty() {
        edits
            .push(("refusal", quoted_text(&text(message.refusal)).or(quoted_text(&texts.refusal))));
    }
    edits
}

/// A text as JSON; none where it is empty.
fn quoted_text(text: &str) -> Option<String> {
    Some(json::quoted(text)).filter(|_| !text.is_empty())
}

/// A provider's object with some members changed.
pub(super) fn edited(json: &str, edit: impl FnOnce(&mut Edits<'_>)) -> Result<String> {
    json::edited(json, edit).map_err(|error| error_body::malformed().caused_by(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(message: &str) -> String {
        let prefix = r#"{"id":"r","choices":[{"index":0,"message":"#;
        let body = Bytes::from(format!("{prefix}{message}}}]}}"));
        let summary = serde_json::from_slice(&body).unwrap();
        let passed = passthrough(&body, &summary).unwrap();
        let passed = String::from_utf8(passed.to_vec()).unwrap();
        passed.strip_prefix(prefix).and_then(|it| it.strip_suffix("}]}")).unwrap().to_owned()
    }

    #[test]
    fn what_is_right_keeps_its_bytes() {
        for message in [
            r#"{"role":"assistant",  "content":"Hi"}"#,
            r#"{"content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]}"#,
            r#"{"content":null,"tool_calls":[{"id":"a","type":"custom","custom":{"name":"f","input":"x"}}]}"#,
            r#"{"content":null,"function_call":{"name":"f","arguments":"{}"}}"#,
        ] {
            assert_eq!(passed(message), message);
        }
    }

    #[test]
    fn a_content_list_becomes_a_text() {
        let list = r#"{"role":"assistant","content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"Hi"}]}"#;
        assert_eq!(passed(list), r#"{"role":"assistant","content":"Hi","reasoning_content":"hm"}"#);
    }

    #[test]
    fn arguments_and_ids_become_texts() {
        let odd = r#"{"content":null,"tool_calls":[{"id":7,"type":"function","function":{"name":"f","arguments":{"a":1}}}]}"#;
        let right = r#"{"content":null,"tool_calls":[{"id":"7","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]}"#;
        assert_eq!(passed(odd), right);
    }

    #[test]
    fn a_call_without_an_id_or_a_type_gets_them_as_in_a_stream() {
        let odd = r#"{"tool_calls":[{"function":{"name":"f","arguments":"{}"}},{"id":"","function":{"name":"f","arguments":"{}"}}]}"#;
        let right = r#"{"tool_calls":[{"function":{"name":"f","arguments":"{}"},"id":"call_r_0","type":"function"},{"id":"call_r_1","function":{"name":"f","arguments":"{}"},"type":"function"}]}"#;
        assert_eq!(passed(odd), right);
        let custom =
            r#"{"tool_calls":[{"id":"","type":"custom","custom":{"name":"f","input":"x"}}]}"#;
        assert_eq!(passed(custom), custom.replace(r#""id":"""#, r#""id":"call_r_0""#));
    }

    #[test]
    fn arguments_of_the_older_call_become_a_text() {
        let odd = r#"{"content":null,"function_call":{"name":"f","arguments":{"a":1}}}"#;
        let right = r#"{"content":null,"function_call":{"name":"f","arguments":"{\"a\":1}"}}"#;
        assert_eq!(passed(odd), right);
    }

    #[test]
    fn a_lone_surrogate_is_replaced() {
        assert_eq!(
            passed(r#"{"content":"cut \ud83d here"}"#),
            "{\"content\":\"cut \u{fffd} here\"}"
        );
    }
}
