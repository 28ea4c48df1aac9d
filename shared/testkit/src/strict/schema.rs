//! Which JSON Schemas an API takes.

use serde_json::Value;

use super::node::{Checked, Node};

/// What OpenAI demands of a schema that is to be followed to the letter: every object is closed and
/// every property required. From its guide to structured outputs, 2026-11.
pub(super) fn strict(schema: &Node<'_>, what: &str) -> Checked<()> {
    walk(schema, &mut |node| {
        let Some(properties) = node.get("properties") else { return Ok(()) };
        let violation = |text: &str| {
            node.coded("invalid_function_parameters", format!("Invalid schema for {what}: {text}"))
        };
        if node.value.get("additionalProperties") != Some(&Value::Bool(false)) {
            return Err(violation(
                "'additionalProperties' is required to be supplied and to be false.",
            ));
        }
        let required = node.value.get("required").and_then(Value::as_array);
        let listed = |name: &String| {
            required.is_some_and(|it| it.iter().any(|it| it.as_str() == Some(name)))
        };
        match properties.object()?.keys().find(|it| !listed(it)) {
            Some(name) => Err(violation(&format!(
                "'required' is required to be supplied and to be an array including every key in \
                 properties. Missing '{name}'."
            ))),
            None => Ok(()),
        }
    })
}

/// What Anthropic demands of a response's schema: closed objects, and none of the keywords that its
/// guide to structured outputs lists as unsupported, 2026-11.
pub(super) fn anthropic(schema: &Node<'_>) -> Checked<()> {
    const REFUSED: &[&str] = &[
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "maxItems",
        "uniqueItems",
    ];
    walk(schema, &mut |node| {
        let kind = node.value["type"].as_str().unwrap_or("object");
        if kind == "object"
            && node.value.get("properties").is_some()
            && node.value.get("additionalProperties") != Some(&Value::Bool(false))
        {
            return Err(node.rule_violation(
                "For 'object' type, 'additionalProperties' must be explicitly set to false",
            ));
        }
        match REFUSED.iter().find(|it| node.value.get(**it).is_some()) {
            Some(word) => Err(node
                .rule_violation(format!("For '{kind}' type, property '{word}' is not supported"))),
            None => Ok(()),
        }
    })
}

/// What Google's own schema type has, by `google.ai.generativelanguage.v1beta.Schema`.
pub(super) fn google(schema: &Node<'_>) -> Checked<()> {
    walk(schema, &mut |node| {
        node.only(&[
            "type",
            "format",
            "title",
            "description",
            "nullable",
            "enum",
            "maxItems",
            "minItems",
            "properties",
            "required",
            "minProperties",
            "maxProperties",
            "minLength",
            "maxLength",
            "pattern",
            "example",
            "anyOf",
            "propertyOrdering",
            "default",
            "items",
            "minimum",
            "maximum",
        ])?;
        if let Some(kind) = node.get("type") {
            kind.text()?;
        }
        for word in node.each("enum")? {
            word.text()?;
        }
        Ok(())
    })
}

/// What Google demands of JSON Schema in its `…JsonSchema` fields: the whole of it may be sent, but
/// beside `$ref` nothing else may stand, by the description of `GenerationConfig`, 2026-11.
pub(super) fn google_json(schema: &Node<'_>) -> Checked<()> {
    schema.object()?;
    walk(schema, &mut |node| {
        let beside = |it: &String| !it.starts_with('$');
        if node.get("$ref").is_some() && node.object()?.keys().any(beside) {
            return Err(node.rule_violation("If `$ref` is set, no other properties may be set."));
        }
        Ok(())
    })
}

/// Visits a schema and every schema in it.
fn walk(schema: &Node<'_>, visit: &mut dyn FnMut(&Node<'_>) -> Checked<()>) -> Checked<()> {
    if schema.value.is_boolean() {
        return Ok(());
    }
    visit(schema)?;
    for holder in ["properties", "$defs", "definitions"] {
        if let Some(holder) = schema.get(holder) {
            for name in holder.object()?.keys() {
                if let Some(inner) = holder.get(name) {
                    walk(&inner, visit)?;
                }
            }
        }
    }
    for name in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get(name) {
            walk(&inner, visit)?;
        }
    }
    for name in ["anyOf", "oneOf", "allOf", "prefixItems"] {
        for inner in schema.each(name)? {
            walk(&inner, visit)?;
        }
    }
    Ok(())
}
