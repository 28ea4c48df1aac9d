//! From Google's `Schema`, a subset of `OpenAPI` 3.0, to JSON Schema.
//!
//! Source: `Schema` of the API reference. Types are in upper case there, null is a flag, counts may
//! be texts, and the order of properties is a list of its own.

use std::collections::HashMap;

use canonical::{Json, Result};
use serde_json::value::RawValue;

use crate::google::generate_content::wire::members::{camel, either};
use crate::{
    json::{self, Object},
    size_limits,
};

/// The place of each property, as the client wants them.
type Order<'a> = HashMap<&'a str, usize>;

/// Rewrites a schema.
pub(crate) fn schema(value: &RawValue, path: &str) -> Result<Json> {
    let mut out = String::with_capacity(value.get().len());
    write(value, path, &mut out)?;
    Ok(Json(out))
}

fn write(value: &RawValue, path: &str, out: &mut String) -> Result<()> {
    // A boolean schema, as `additionalProperties` may be.
    if matches!(value.get(), "true" | "false") {
        out.push_str(value.get());
        return Ok(());
    }

    let schema: Object<'_> = json::parsed(value, path, "a schema: an object")?;
    let nullable = either(&schema, "nullable").is_some_and(|it| it.get() == "true");
    let mut order: Vec<String> = vec![];
    if let Some(names) = either(&schema, "propertyOrdering") {
        order = json::parsed(names, path, "a list of names")?;
    }
    let order: Order<'_> = order.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();

    let mut members = Members { out, first: true };
    members.out.push('{');
    for (name, value) in schema.present() {
        let path = size_limits::within(path, name);
        match camel(name).as_ref() {
            "nullable" | "propertyOrdering" => {}
            "type" => {
                let kind: String = json::parsed(value, &path, "a text")?;
                let kind = kind.to_ascii_lowercase();
                if kind != "type_unspecified" {
                    let text = if nullable {
                        format!("[\"{kind}\",\"null\"]")
                    } else {
                        format!("\"{kind}\"")
                    };
                    members.raw("type", &text);
                }
            }
            // It only says that `enum` is there.
            "format" if value.get() == "\"enum\"" => {}
            "enum" if nullable && value.get().ends_with(']') => {
                let list = value.get().trim_end_matches(']').trim_end();
                let comma = if list.ends_with('[') { "" } else { "," };
                members.raw("enum", &format!("{list}{comma}null]"));
            }
            "example" => members.raw("examples", &format!("[{}]", value.get())),
            "items" | "additionalProperties" => {
                members.name(&camel(name));
                write(value, &path, members.out)?;
            }
            "anyOf" => {
                members.name("anyOf");
                list(value, &path, nullable, members.out)?;
            }
            "properties" | "defs" | "$defs" => {
                members.name(if camel(name) == "properties" { "properties" } else { "$defs" });
                map(value, &path, &order, members.out)?;
            }
            // Google's `Schema` writes `ref` and `defs`, because protobuf has no `$` in names.
            "ref" => members.raw("$ref", &value.get().replace("#/defs/", "#/$defs/")),
            known => members.raw(known, counted(known, value.get())),
        }
    }
    members.out.push('}');
    Ok(())
}

/// An object, while it is written.
struct Members<'a> {
    out: &'a mut String,
    first: bool,
}

impl Members<'_> {
    fn name(&mut self, name: &str) {
        if !std::mem::take(&mut self.first) {
            self.out.push(',');
        }
        self.out.push_str(&json::quoted(name));
        self.out.push(':');
    }

    fn raw(&mut self, name: &str, value: &str) {
        self.name(name);
        self.out.push_str(value);
    }
}

/// A count without the quotes that protobuf gives large numbers.
fn counted<'a>(name: &str, value: &'a str) -> &'a str {
    let bare = value.trim_matches('"');
    let counts = name.starts_with("min") || name.starts_with("max");
    if counts && bare.parse::<f64>().is_ok() { bare } else { value }
}

fn list(value: &RawValue, path: &str, nullable: bool, out: &mut String) -> Result<()> {
    let schemas: Vec<&RawValue> = json::parsed(value, path, "a list of schemas")?;
    out.push('[');
    for (at, schema) in schemas.iter().enumerate() {
        if at != 0 {
            out.push(',');
        }
        write(schema, &format!("{path}[{at}]"), out)?;
    }
    if nullable {
        out.push_str(if schemas.is_empty() { "" } else { "," });
        out.push_str("{\"type\":\"null\"}");
    }
    out.push(']');
    Ok(())
}

/// Named schemas, those of `order` first and in that order.
fn map(value: &RawValue, path: &str, order: &Order<'_>, out: &mut String) -> Result<()> {
    let mut members: Object<'_> = json::parsed(value, path, "an object of schemas")?;
    // Stable, so that properties without a place keep theirs. Models write members in the order of
    // the schema.
    members.0.sort_by_key(|it| order.get(it.0.as_ref()).copied().unwrap_or(usize::MAX));
    out.push('{');
    for (at, (name, schema)) in members.0.iter().enumerate() {
        if at != 0 {
            out.push(',');
        }
        out.push_str(&json::quoted(name));
        out.push(':');
        write(schema, &size_limits::within(path, name), out)?;
    }
    out.push('}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(text: &str) -> String {
        schema(serde_json::from_str(text).unwrap(), "x").unwrap().0
    }

    #[test]
    fn types_are_written_as_json_schema_has_them() {
        let out = rewritten(
            r#"{"type":"OBJECT","propertyOrdering":["b","a"],"properties":{
            "a":{"type":"STRING","format":"enum","enum":["x"],"nullable":true},
            "b":{"type":"ARRAY","items":{"type":"INTEGER"},"min_items":"1"}},"required":["a"]}"#,
        );
        assert_eq!(
            out,
            r#"{"type":"object","properties":{"b":{"type":"array","items":{"type":"integer"},"minItems":1},"a":{"type":["string","null"],"enum":["x",null]}},"required":["a"]}"#
        );
    }

    #[test]
    fn null_is_one_of_any() {
        let out = rewritten(r#"{"anyOf":[{"type":"STRING"}],"nullable":true,"example":"x"}"#);
        assert_eq!(out, r#"{"anyOf":[{"type":"string"},{"type":"null"}],"examples":["x"]}"#);
    }
}
