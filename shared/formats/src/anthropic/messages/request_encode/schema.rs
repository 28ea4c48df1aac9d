//! JSON Schema as Anthropic takes it, key order kept.
//!
//! Sources, seen 2026-11: platform.claude.com, *Structured outputs*, and `transform_schema` of the
//! `anthropic` Python package 2.12. What the response is held to knows few keywords; the others go
//! into the description, where the model at least reads them, and are reported. Schemas of tools
//! are free but for their top.

mod root_choice;

use canonical::{Error, ErrorKind, Field, Json, Result, Schema};
use serde_json::value::RawValue;

use crate::json::{self, Object, unquoted};

/// Keywords that a strict schema may have, with values that are no schemas.
const PLAIN: &[&str] =
    &["$id", "$ref", "$schema", "const", "default", "enum", "required", "title", "type"];
/// Keywords whose value is one schema.
const ONE: &[&str] = &["items"];
/// Keywords whose value is a list of schemas.
const SEVERAL: &[&str] = &["allOf", "anyOf", "oneOf"];
/// Keywords whose value names schemas.
const NAMED: &[&str] = &["$defs", "definitions", "properties"];
/// Formats of texts that a strict schema may name.
const FORMATS: &[&str] =
    &["date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uri", "uuid"];

/// The schema of a tool's arguments.
pub(crate) fn of_tool(
    schema: Option<&Json>,
    strict: bool,
    dropped: &mut Vec<Field>,
) -> Result<Box<RawValue>> {
    let Some(schema) = schema else {
        return raw(r#"{"type":"object","properties":{}}"#.to_owned());
    };

    let members = object(&schema.0)?;
    let mut out = String::with_capacity(schema.0.len() + 32);

    // First, because a choice at the root is refused in strict mode and without.
    if root_choice::has_choice(&members) {
        dropped.extend(root_choice::keywords(&members).map(Field::SchemaKeyword));
        if strict {
            dropped.push(Field::ToolStrict);
        }
        root_choice::flattened(&members, &mut Writer::new(&mut out));
        return raw(out);
    }
    if strict {
        strictly(&members, None, &mut out, dropped);
        return raw(out);
    }

    let mut writer = Writer::new(&mut out);
    // `input_schema.type` is required, and schemas of tools without arguments leave it out.
    if members.get("type").is_none() {
        writer.member("type", "\"object\"");
    }
    for (key, value) in &members.0 {
        writer.member(key, value.get());
    }
    if members.get("properties").is_none() {
        writer.member("properties", "{}");
    }
    writer.end();
    raw(out)
}

/// The schema of a response, its name and description within.
pub(crate) fn of_response(schema: &Schema, dropped: &mut Vec<Field>) -> Result<Box<RawValue>> {
    let members = object(&schema.schema.0)?;
    let mut out = String::with_capacity(schema.schema.0.len() + 64);
    strictly(&members, Some(schema), &mut out, dropped);
    raw(out)
}

/// Writes a schema of the few keywords.
fn strictly(
    members: &Object<'_>,
    label: Option<&Schema>,
    out: &mut String,
    dropped: &mut Vec<Field>,
) {
    let mut writer = Writer::new(out);
    let mut unenforced: Vec<String> = vec![];
    let is_reference = members.get("$ref").is_some();
    let has_any = members.get("anyOf").is_some();
    for (key, value) in &members.0 {
        let key = key.as_ref();
        match key {
            // What else stands there goes in silence: before draft 2019-09 it had no meaning.
            // Nothing but definitions may stand beside a reference.
            _ if is_reference && !matches!(key, "$ref" | "$defs" | "definitions") => {}
            // Both are written at the end, with what else they must say.
            "description" | "additionalProperties" => {}
            // The nearest that is enforced: a value may match several branches.
            "oneOf" if !has_any => {
                writer.key("anyOf");
                list(value, writer.out, dropped);
            }
            "format" if FORMATS.iter().any(|it| value.get() == format!("\"{it}\"")) => {
                writer.member(key, value.get());
            }
            // Other counts are refused (*Structured outputs*, JSON Schema limitations).
            "minItems" if matches!(value.get(), "0" | "1") => writer.member(key, value.get()),
            _ if PLAIN.contains(&key) => writer.member(key, value.get()),
            _ if ONE.contains(&key) => {
                writer.key(key);
                any(value, writer.out, dropped);
            }
            _ if SEVERAL.contains(&key) && key != "oneOf" => {
                writer.key(key);
                list(value, writer.out, dropped);
            }
            _ if NAMED.contains(&key) => {
                writer.key(key);
                named(value, writer.out, dropped);
            }
            _ => {
                unenforced.push(format!("{key}: {}", value.get()));
                dropped.push(Field::SchemaKeyword(key.to_owned()));
            }
        }
    }

    if !is_reference {
        close_object(members, &mut writer, dropped);
        describe(members, label, &unenforced, &mut writer);
    }
    writer.end();
}

/// An object must name all that it may hold.
fn close_object(members: &Object<'_>, writer: &mut Writer<'_>, dropped: &mut Vec<Field>) {
    let has = |name: &str| members.get(name);
    let is_object = has("properties").is_some()
        || has("type").is_some_and(|it| it.get().contains("\"object\""));
    if !is_object {
        return;
    }
    let open = match has("additionalProperties") {
        Some(value) => value.get() != "false",
        None => has("properties").is_none(),
    };
    if open {
        dropped.push(Field::SchemaKeyword("additionalProperties".to_owned()));
    }
    writer.member("additionalProperties", "false");
}

/// Writes the description, with what only it can still say, and the name of the whole.
fn describe(
    members: &Object<'_>,
    label: Option<&Schema>,
    unenforced: &[String],
    writer: &mut Writer<'_>,
) {
    if let Some(name) = label.and_then(|it| it.name.as_deref())
        // The schema's own title is the author's word; the name is only OpenAI's label.
        && members.get("title").is_none()
    {
        writer.text("title", name);
    }
    let own = members.get("description");
    let own: Option<String> = own.and_then(|it| serde_json::from_str(it.get()).ok());
    let own = own.or_else(|| label.and_then(|it| it.description.clone()));
    let unenforced = (!unenforced.is_empty()).then(|| format!("{{{}}}", unenforced.join(", ")));
    let parts: Vec<String> = own.into_iter().chain(unenforced).collect();
    if !parts.is_empty() {
        writer.text("description", &parts.join("\n\n"));
    }
}

fn any(value: &RawValue, out: &mut String, dropped: &mut Vec<Field>) {
    match serde_json::from_str::<Object<'_>>(value.get()) {
        Ok(members) => strictly(&members, None, out, dropped),
        Err(_) if value.get().starts_with('[') => list(value, out, dropped),
        Err(_) => out.push_str(value.get()),
    }
}

fn list(value: &RawValue, out: &mut String, dropped: &mut Vec<Field>) {
    let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(value.get()) else {
        return out.push_str(value.get());
    };
    out.push('[');
    for (at, item) in items.into_iter().enumerate() {
        if 0 < at {
            out.push(',');
        }
        any(item, out, dropped);
    }
    out.push(']');
}

fn named(value: &RawValue, out: &mut String, dropped: &mut Vec<Field>) {
    let Ok(members) = serde_json::from_str::<Object<'_>>(value.get()) else {
        return out.push_str(value.get());
    };
    let mut writer = Writer::new(out);
    for (key, value) in members.present() {
        writer.key(key);
        any(value, writer.out, dropped);
    }
    writer.end();
}

/// Writes an object.
struct Writer<'a> {
    out: &'a mut String,
    begun: bool,
}

impl<'a> Writer<'a> {
    fn new(out: &'a mut String) -> Self {
        out.push('{');
        Self { out, begun: false }
    }

    fn key(&mut self, key: &str) {
        if std::mem::replace(&mut self.begun, true) {
            self.out.push(',');
        }
        self.out.push_str(&json::quoted(key));
        self.out.push(':');
    }

    fn member(&mut self, key: &str, value: &str) {
        self.key(key);
        self.out.push_str(value);
    }

    fn text(&mut self, key: &str, value: &str) {
        self.member(key, &json::quoted(value));
    }

    fn end(&mut self) {
        self.out.push('}');
    }
}

fn object(text: &str) -> Result<Object<'_>> {
    serde_json::from_str(text).map_err(|error| {
        Error::new(ErrorKind::InvalidRequest, "A JSON Schema must be an object.")
            .caused_by(unquoted(&error))
    })
}

fn raw(text: String) -> Result<Box<RawValue>> {
    RawValue::from_string(text).map_err(|error| {
        Error::new(ErrorKind::Internal, "A JSON Schema cannot be written.")
            .caused_by(unquoted(&error))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode_schema(schema: &str) -> (String, Vec<Field>) {
        let mut dropped = vec![];
        let schema = Schema {
            name: Some("n".to_owned()),
            description: None,
            schema: Json(schema.to_owned()),
            strict: Some(true),
        };
        let out = of_response(&schema, &mut dropped).unwrap();
        (out.get().to_owned(), dropped)
    }

    #[test]
    fn what_cannot_be_enforced_is_described_and_named() {
        let (out, dropped) = encode_schema(
            r#"{"type":"object","properties":{"z":{"type":"integer","minimum":1},
            "a":{"oneOf":[{"type":"string","format":"email"},{"type":"null"}]}},
            "required":["z","a"],"additionalProperties":false}"#,
        );
        assert_eq!(
            out,
            concat!(
                r#"{"type":"object","properties":{"z":{"type":"integer","description":"{minimum: 1}"},"#,
                r#""a":{"anyOf":[{"type":"string","format":"email"},{"type":"null"}]}},"#,
                r#""required":["z","a"],"additionalProperties":false,"title":"n"}"#
            )
        );
        assert_eq!(dropped, [Field::SchemaKeyword("minimum".to_owned())]);
    }

    #[test]
    fn an_open_object_is_closed_and_that_is_named() {
        let (out, dropped) =
            encode_schema(r#"{"type":"object","additionalProperties":{"type":"string"}}"#);
        assert!(out.contains(r#""additionalProperties":false"#));
        assert_eq!(dropped, [Field::SchemaKeyword("additionalProperties".to_owned())]);
    }

    #[test]
    fn a_tool_takes_any_schema_of_an_object() {
        let mut dropped = vec![];
        let json = Json(r#"{"properties":{"a":{"minimum":1}}}"#.to_owned());
        let out = of_tool(Some(&json), false, &mut dropped).unwrap();
        assert_eq!(out.get(), r#"{"type":"object","properties":{"a":{"minimum":1}}}"#);
        let out = of_tool(Some(&Json(r#"{"type":"object"}"#.to_owned())), false, &mut dropped);
        assert_eq!(out.unwrap().get(), r#"{"type":"object","properties":{}}"#);
        assert!(of_tool(None, false, &mut dropped).unwrap().get().contains("object"));
        assert_eq!(dropped, []);
    }
}
