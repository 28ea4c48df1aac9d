//! Which JSON Schemas an API takes.

use serde_json::Value;

use super::look::{Checked, Look};

/// What OpenAI demands of a schema that is to be followed to the letter: every object is closed and
/// every property required. From its guide to structured outputs, 2026-11.
pub(super) fn strict(schema: &Look<'_>, what: &str) -> Checked<()> {
    walk(schema, &mut |look| {
        let Some(properties) = look.get("properties") else { return Ok(()) };
        let fault = |text: &str| {
            look.coded("invalid_function_parameters", format!("Invalid schema for {what}: {text}"))
        };
        if look.value.get("additionalProperties") != Some(&Value::Bool(false)) {
            return Err(fault(
                "'additionalProperties' is required to be supplied and to be false.",
            ));
        }
        let required = look.value.get("required").and_then(Value::as_array);
        let listed = |name: &String| {
            required.is_some_and(|it| it.iter().any(|it| it.as_str() == Some(name)))
        };
        match properties.object()?.keys().find(|it| !listed(it)) {
            Some(name) => Err(fault(&format!(
                "'required' is required to be supplied and to be an array including every key in \
                 properties. Missing '{name}'."
            ))),
            None => Ok(()),
        }
    })
}

/// What Anthropic demands of an answer's schema: closed objects, and none of the keywords that its
/// guide to structured outputs lists as unsupported, 2026-11.
pub(super) fn anthropic(schema: &Look<'_>) -> Checked<()> {
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
    walk(schema, &mut |look| {
        let kind = look.value["type"].as_str().unwrap_or("object");
        if kind == "object"
            && look.value.get("properties").is_some()
            && look.value.get("additionalProperties") != Some(&Value::Bool(false))
        {
            return Err(look.said(
                "For 'object' type, 'additionalProperties' must be explicitly set to false",
            ));
        }
        match REFUSED.iter().find(|it| look.value.get(**it).is_some()) {
            Some(word) => {
                Err(look.said(format!("For '{kind}' type, property '{word}' is not supported")))
            }
            None => Ok(()),
        }
    })
}

/// What Google's own schema type has, by `google.ai.generativelanguage.v1beta.Schema`.
pub(super) fn google(schema: &Look<'_>) -> Checked<()> {
    walk(schema, &mut |look| {
        look.only(&[
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
        if let Some(kind) = look.get("type") {
            kind.text()?;
        }
        for word in look.each("enum")? {
            word.text()?;
        }
        Ok(())
    })
}

/// What Google demands of JSON Schema in its `…JsonSchema` fields: the whole of it may be sent, but
/// beside `$ref` nothing else may stand, by the description of `GenerationConfig`, 2026-11.
pub(super) fn google_json(schema: &Look<'_>) -> Checked<()> {
    schema.object()?;
    walk(schema, &mut |look| {
        let beside = |it: &String| !it.starts_with('$');
        if look.get("$ref").is_some() && look.object()?.keys().any(beside) {
            return Err(look.said("If `$ref` is set, no other properties may be set."));
        }
        Ok(())
    })
}

/// Visits a schema and every schema in it.
fn walk(schema: &Look<'_>, visit: &mut dyn FnMut(&Look<'_>) -> Checked<()>) -> Checked<()> {
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
