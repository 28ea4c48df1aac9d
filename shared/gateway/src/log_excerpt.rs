//! Excerpts of requests and responses for the log: texts are cut, media and keys left out.

use serde_json::Value;
use telemetry::first_chars;

/// How much of one text the log tells, in characters.
const MAX_TEXT_CHARS: usize = 100;
/// How much of a text is looked at for keys, in bytes.
const MAX_REDACTED_BYTES: usize = 2_000;
/// How long an excerpt may be in all, in characters.
const MAX_EXCERPT_CHARS: usize = 4_000;
/// The text in place of a value that is secret by its name.
const MASK: &str = "[removed]";
/// Parts of the names of members whose values are secret.
const SECRET_NAMES: [&str; 7] =
    ["api_key", "api-key", "apikey", "authorization", "password", "secret", "credential"];

/// The JSON of a request with its texts cut; of anything else only the size.
pub(crate) fn of_request(body: &[u8]) -> String {
    let Ok(mut request) = serde_json::from_slice::<Value>(body) else {
        return format!("[{} bytes]", body.len());
    };
    shorten(&mut request);
    first_chars(&request.to_string(), MAX_EXCERPT_CHARS).into_owned()
}

/// The beginning of a text, without what looks like a key.
pub(crate) fn of_text(text: &str) -> String {
    if is_media(text) {
        return format!("[media, {} bytes]", text.len());
    }
    let end = text.floor_char_boundary(MAX_REDACTED_BYTES);
    let redacted = formats::redact(text.get(..end).unwrap_or_default());
    first_chars(&redacted, MAX_TEXT_CHARS).into_owned()
}

fn shorten(value: &mut Value) {
    match value {
        Value::String(text) => *text = of_text(text),
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Object(members) => {
            for (name, value) in members {
                if is_secret(name) {
                    *value = Value::from(MASK);
                } else {
                    shorten(value);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|it| name.contains(it))
}

/// Whether a text stands for bytes: a data URL, or a long run of base64.
fn is_media(text: &str) -> bool {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte);
    text.starts_with("data:") && text.contains(";base64,")
        || MAX_TEXT_CHARS < text.len() && text.bytes().all(is_base64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_cut_and_everything_else_stays() {
        let long = "word ".repeat(50);
        let request = json!({ "model": "m", "max_tokens": 7, "messages": [{ "content": long }] });
        let excerpt: Value =
            serde_json::from_str(&of_request(request.to_string().as_bytes())).unwrap();
        assert_eq!((&excerpt["model"], &excerpt["max_tokens"]), (&json!("m"), &json!(7)));
        let text = excerpt["messages"][0]["content"].as_str().unwrap();
        assert_eq!((text.chars().count(), text.ends_with('…')), (101, true));
    }

    #[test]
    fn media_and_keys_are_left_out() {
        let request = json!({
            "image": format!("data:image/png;base64,{}", "A".repeat(40)),
            "data": "QUJD".repeat(100),
            "headers": { "Authorization": "Bearer abc", "x-api-key": "sk-abcdef123456" },
            "content": "my key is sk-proj-abcdef123456, keep it",
            "tools": [{ "parameters": { "properties": { "api_key": { "type": "string" } } } }],
        });
        let excerpt: Value =
            serde_json::from_str(&of_request(request.to_string().as_bytes())).unwrap();
        assert_eq!(excerpt["image"], "[media, 62 bytes]");
        assert_eq!(excerpt["data"], "[media, 400 bytes]");
        assert_eq!(excerpt["headers"]["Authorization"], MASK);
        assert_eq!(excerpt["headers"]["x-api-key"], MASK);
        assert_eq!(excerpt["content"], "my key is [removed], keep it");
    }

    #[test]
    fn what_is_no_json_is_named_by_its_size() {
        assert_eq!(of_request(b"--boundary\r\n"), "[12 bytes]");
        let many = json!(vec!["text"; 2_000]).to_string();
        assert_eq!(of_request(many.as_bytes()).chars().count(), MAX_EXCERPT_CHARS + 1);
    }
}
