//! Whether OpenAI enforces a JSON Schema in its strict mode, or rejects the schema there.
//!
//! Source: platform.openai.com/docs/guides/structured-outputs (seen 2026-11): every object lists all
//! of its properties as required and allows no others, and some keywords are rejected.

use canonical::Field;
use serde_json::Value;

use crate::size_limits;

/// Keywords that strict mode rejects.
const REJECTED: &[&str] = &["allOf", "default", "not", "oneOf", "patternProperties"];

/// Strict mode as it was asked for, but off where a schema is rejected in it.
fn strict_if_accepted(strict: Option<bool>, schema: &str) -> Option<bool> {
    if strict != Some(true) {
        return strict;
    }
    // A schema that is no JSON becomes null, which is accepted: the provider says best what is
    // wrong with it.
    let schema = serde_json::from_str::<Value>(schema).unwrap_or_default();
    Some(is_accepted(&schema))
}

/// Strict mode as it was requested, but off where a schema is rejected in it; `field` is added to
/// `dropped` then.
pub(crate) fn strict_or_named(
    strict: Option<bool>,
    schema: &str,
    field: Field,
    dropped: &mut Vec<Field>,
) -> Option<bool> {
    let accepted = strict_if_accepted(strict, schema);
    if accepted != strict {
        size_limits::note(dropped, field);
    }
    accepted
}

fn is_accepted(schema: &Value) -> bool {
    let Some(members) = schema.as_object() else { return true };
    if REJECTED.iter().any(|keyword| members.contains_key(*keyword)) {
        return false;
    }

    let properties = members.get("properties").and_then(Value::as_object);
    let required = members.get("required").and_then(Value::as_array);
    let is_required =
        |name: &String| required.is_some_and(|it| it.iter().any(|other| other == name.as_str()));
    // A schema may leave `type` out where it has `properties`.
    if members.get("type").is_some_and(|kind| kind == "object") || properties.is_some() {
        let is_closed = members.get("additionalProperties") == Some(&Value::Bool(false));
        if !is_closed || !properties.is_none_or(|it| it.keys().all(is_required)) {
            return false;
        }
    }

    let groups = ["properties", "$defs", "definitions"].iter().filter_map(|it| members.get(*it));
    let named = groups.filter_map(Value::as_object).flat_map(|it| it.values());
    let branches = members.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    named.chain(branches).chain(members.get("items")).all(is_accepted)
}

#[cfg(test)]
mod tests {
    use super::strict_if_accepted;

    const CLOSED: &str =
        r#"{"type":"object","properties":{"a":{}},"required":["a"],"additionalProperties":false}"#;

    #[test]
    fn a_closed_schema_is_strict() {
        assert_eq!(strict_if_accepted(Some(true), CLOSED), Some(true));
        assert_eq!(strict_if_accepted(None, CLOSED), None);
    }

    #[test]
    fn a_schema_that_strict_mode_rejects_is_not_strict() {
        for (part, other) in [
            (r#","additionalProperties":false"#, ""),
            (r#""required":["a"]"#, r#""required":[]"#),
            (r#"{"a":{}}"#, r#"{"a":{"default":1}}"#),
            (r#"{"a":{}}"#, r#"{"a":{"type":"array","items":{"type":"object"}}}"#),
        ] {
            let schema = CLOSED.replace(part, other);
            assert_eq!(strict_if_accepted(Some(true), &schema), Some(false), "{schema}");
        }
    }
}
