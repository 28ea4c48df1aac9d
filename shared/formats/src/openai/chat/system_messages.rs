//! System messages as chat templates take them that allow one, at the beginning.

use canonical::Result;
use serde_json::{Value, value::RawValue};

use crate::json::{self, Object};

/// Messages whose system texts all stand in one message at the beginning, in their order.
pub(super) fn folded(messages: &str) -> Result<String> {
    let list: Vec<&RawValue> = json::parsed_text(messages, "messages", "a list of messages")?;
    let texts: Vec<String> =
        list.iter().filter(|it| is_system(it)).filter_map(|it| text(it)).collect();
    if texts.is_empty() {
        return Ok(messages.to_owned());
    }

    let system = serde_json::json!({"role": "system", "content": texts.join("\n\n")}).to_string();
    let mut folded = vec![system];
    folded.extend(list.iter().filter(|it| !is_system(it)).map(|it| it.get().to_owned()));
    Ok(format!("[{}]", folded.join(",")))
}

fn is_system(message: &RawValue) -> bool {
    let Ok(message) = serde_json::from_str::<Object<'_>>(message.get()) else { return false };
    message.get("role").is_some_and(|it| matches!(it.get(), "\"system\"" | "\"developer\""))
}

/// The text of a message, whose content is a text or a list of parts.
fn text(message: &RawValue) -> Option<String> {
    let message: Value = serde_json::from_str(message.get()).ok()?;
    match &message["content"] {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => {
            let texts: Vec<&str> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
            Some(texts.join("\n\n"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_system_texts_stand_at_the_beginning() {
        let messages = r#"[{"role":"user","content":"a"},{"role":"system","content":"b"},
            {"role":"developer","content":[{"type":"text","text":"c"}]}]"#;
        let wanted = r#"[{"content":"b\n\nc","role":"system"},{"role":"user","content":"a"}]"#;
        let folded = folded(messages).unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&folded).unwrap(),
            serde_json::from_str::<Value>(wanted).unwrap()
        );
    }

    #[test]
    fn messages_without_a_system_text_stay_as_they_are() {
        let messages = r#"[{"role":"user","content":"a"}]"#;
        assert_eq!(folded(messages).unwrap(), messages);
    }
}
