//! A call's arguments, where only an object may stand.

use std::borrow::Cow;

use serde_json::value::RawValue;

/// The object that a text is; none where it is none. Nothing at all is an empty one.
pub(crate) fn object(text: &str) -> Option<Cow<'_, RawValue>> {
    let text = text.trim();
    // OpenAI's models write nothing at all for a tool without arguments, and so do their imitators.
    let text = if text.is_empty() { "{}" } else { text };
    let json: &RawValue = serde_json::from_str(text).ok()?;
    // Anthropic, Gemini and Bedrock take an object alone: a list or a number would end the
    // conversation there.
    json.get().starts_with('{').then_some(Cow::Borrowed(json))
}

/// The object that a text is, or an object that holds the broken text: the way that Anthropic's page
/// on fine-grained tool streaming names for it. A conversation goes on after such a mistake.
pub(crate) fn object_or_wrapped(text: &str) -> Cow<'_, RawValue> {
    object(text).unwrap_or_else(|| broken(text))
}

fn broken(text: &str) -> Cow<'static, RawValue> {
    let json = serde_json::json!({ "INVALID_JSON": text }).to_string();
    RawValue::from_string(json).map_or_else(|_| Cow::Owned(RawValue::NULL.to_owned()), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_object_stands_within_one() {
        assert_eq!(object("").unwrap().get(), "{}");
        assert_eq!(object(" {\"a\":1} ").unwrap().get(), "{\"a\":1}");
        assert!(object("[1]").is_none() && object("{\"a\":").is_none());
        assert_eq!(object_or_wrapped(" {\"a\":1}").get(), "{\"a\":1}");
        assert_eq!(object_or_wrapped("{\"a\":").get(), r#"{"INVALID_JSON":"{\"a\":"}"#);
    }
}
