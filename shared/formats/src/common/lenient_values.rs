//! Values that providers write in another JSON type than their references say.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A text, or a number where a text belongs; anything else is none. Some servers count their ids.
pub(crate) fn text<'de, D: Deserializer<'de>>(json: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(json)? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Call {
        #[serde(default, deserialize_with = "text")]
        id: Option<String>,
    }

    #[test]
    fn a_number_is_a_text_where_an_id_belongs() {
        let id = |json: &str| serde_json::from_str::<Call>(json).unwrap().id;
        assert_eq!(id(r#"{"id":7}"#).as_deref(), Some("7"));
        assert_eq!(id(r#"{"id":"a"}"#).as_deref(), Some("a"));
        assert_eq!(id(r#"{"id":null}"#), None);
        assert_eq!(id("{}"), None);
    }
}
