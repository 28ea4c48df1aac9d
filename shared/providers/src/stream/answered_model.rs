//! The model that a provider names in its own bytes: a frame of a stream, or a whole response.
//!
//! OpenAI's Chat and Anthropic have `model` at the top, Gemini `modelVersion`; the first events of
//! Anthropic's and of OpenAI's Responses have it one level below, in `message` and `response`.

use super::estimate::{find, string_end};

/// How long the name of a model may be, in bytes, its escapes included.
const MAX_NAME_BYTES: usize = 200;
/// How far a body is searched, in bytes: some name their model behind long lists of vectors.
const MAX_SEARCHED_BYTES: usize = 256 * 1024;

/// The model that a JSON object names, wherever it lies in the bytes around it.
pub(super) fn answered_model(bytes: &[u8]) -> Option<String> {
    let bytes = bytes.get(..MAX_SEARCHED_BYTES).unwrap_or(bytes);
    let (mut depth, mut at) = (0_usize, 0);
    let (mut key, mut holder): (&[u8], &[u8]) = (b"", b"");
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' => {
                if depth == 1 {
                    holder = key;
                }
                (depth, key) = (depth + 1, b"");
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' => key = b"",
            b'"' => {
                let start = at - 1;
                let end = string_end(bytes, at);
                let text = bytes.get(at..end).unwrap_or_default();
                at = end + 1;
                let after = find(bytes, at, |byte| !byte.is_ascii_whitespace());
                if after.is_some_and(|it| bytes[it] == b':') {
                    key = text;
                } else if names_model(depth, key, holder) && !text.is_empty() {
                    return name(bytes.get(start..=end)?);
                }
            }
            _ => {}
        }
    }
    None
}

fn names_model(depth: usize, key: &[u8], holder: &[u8]) -> bool {
    match depth {
        1 => matches!(key, b"model" | b"modelVersion"),
        2 => key == b"model" && matches!(holder, b"message" | b"response"),
        _ => false,
    }
}

fn name(quoted: &[u8]) -> Option<String> {
    if MAX_NAME_BYTES < quoted.len() {
        return None;
    }
    serde_json::from_slice(quoted).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_names_its_model_where_it_is_looked_for() {
        for (bytes, model) in [
            (
                r#"{"id":"1","object":"chat.completion","model":"gpt-4o-2024-08-06","choices":[]}"#,
                "gpt-4o-2024-08-06",
            ),
            ("data: {\"id\":\"1\",\"model\" : \"org\\/m\",\"choices\":[]}\n\n", "org/m"),
            (
                "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"1\",\"model\":\"claude\"}}\n\n",
                "claude",
            ),
            (
                r#"data: {"type":"response.created","response":{"tools":[{"model":"x"}],"model":"gpt-5"}}"#,
                "gpt-5",
            ),
            (
                r#"{"candidates":[{"content":{"parts":[{"text":"\"model\":\"x\""}]}}],"modelVersion":"gemini"}"#,
                "gemini",
            ),
        ] {
            assert_eq!(answered_model(bytes.as_bytes()).as_deref(), Some(model), "{bytes}");
        }
    }

    #[test]
    fn what_a_model_writes_names_no_model() {
        for bytes in [
            r#"{"choices":[{"message":{"tool_calls":[{"function":{"name":"f","model":"x"}}]}}]}"#,
            r#"{"content":[{"type":"tool_use","input":{"model":"Tesla"}}]}"#,
            r#"{"input":{"model":"Tesla"},"model":7}"#,
            r#"{"model":""}"#,
            r#"{"model":"cut"#,
            "data: [DONE]\n\n",
            "",
        ] {
            assert_eq!(answered_model(bytes.as_bytes()), None, "{bytes}");
        }
    }
}
