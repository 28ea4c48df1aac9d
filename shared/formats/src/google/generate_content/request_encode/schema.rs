//! JSON Schema as Gemini takes it, in `parametersJsonSchema` and `responseJsonSchema`.
//!
//! Source: `responseJsonSchema` in the API reference, which lists the keywords that count, and
//! `Schema`, which knows a few more, seen 2026-11. A `$ref` may have no keyword beside it, and knows
//! `$defs` only, so references are written out, unless they are circular or too much grows of them.

use canonical::{Field, Json};
use serde_json::value::RawValue;

use super::json_pointers::Pointers;
use crate::{
    json::{MAX_DEPTH, Object},
    size_limits,
};

/// How long a schema may grow by writing references out.
const MAX_LENGTH: usize = 64 * 1024;
/// How many references may be written out.
const MAX_REFS: usize = 256;

/// How many schemas are joined into one.
const MAX_JOINED: usize = 64;
/// How long the name of one may be.
const MAX_NAME_LENGTH: usize = 64;
/// How many keywords are named that had to go.
const MAX_NAMED: usize = 64;

/// Keywords that are passed on as they are.
const KEPT: &[&str] = &[
    "$anchor",
    "$id",
    "default",
    "description",
    "enum",
    "example",
    "format",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "nullable",
    "pattern",
    "propertyOrdering",
    "title",
    "type",
];

/// Keywords that say nothing of the values.
const SILENT: &[&str] =
    &["$comment", "$schema", "$vocabulary", "deprecated", "readOnly", "writeOnly"];

/// A schema as Gemini takes it. What had to go is added to `dropped`.
pub(crate) fn encode(schema: &Json, dropped: &mut Vec<Field>) -> String {
    let Ok(root) = serde_json::from_str::<&RawValue>(&schema.0) else { return "{}".to_owned() };
    // Once with references written out; with the references themselves where that fails, for a
    // circle or because too much grows of them, in length or in depth.
    for inline in [true, false] {
        let mut fit = SchemaEncoder {
            pointers: Pointers::new(root),
            inline,
            removed: vec![],
            refs: vec![],
            left: MAX_REFS,
            depth: 0,
            failed: false,
        };
        let mut out = String::with_capacity(schema.0.len());
        fit.write(root, &mut out);
        if !fit.failed {
            for field in fit.removed.into_iter().map(Field::SchemaKeyword) {
                size_limits::note(dropped, field);
            }
            return out;
        }
    }
    "{}".to_owned()
}

/// A schema of arguments, which must be that of an object.
pub(crate) fn encode_arguments(json: &Json, dropped: &mut Vec<Field>) -> String {
    let fitted = encode(json, dropped);
    let object: Object<'_> = serde_json::from_str(&fitted).unwrap_or_default();
    if ["type", "anyOf", "oneOf", "$ref"].iter().any(|it| object.get(it).is_some()) {
        return fitted;
    }
    match fitted.trim().strip_prefix('{').map(str::trim_start) {
        Some(rest) if rest.starts_with('"') => format!("{{\"type\":\"object\",{rest}"),
        _ => "{\"type\":\"object\"}".to_owned(),
    }
}

/// A schema, while it is written.
struct SchemaEncoder<'a> {
    pointers: Pointers<'a>,
    /// Whether references are written out.
    inline: bool,
    removed: Vec<String>,
    /// The references that are being written out.
    refs: Vec<String>,
    /// How many more may be.
    left: usize,
    /// How many schemas lie around the one that is written, those of references included.
    depth: usize,
    /// Whether they cannot be.
    failed: bool,
}

/// A schema while its keywords are collected.
type Members<'a> = Vec<(String, KeywordValue<'a>)>;

/// The value of a keyword.
#[derive(Clone, Debug)]
enum KeywordValue<'a> {
    /// JSON text.
    Text(String),
    /// A schema.
    Schema(&'a RawValue),
    /// Schemas in a list.
    List(Vec<&'a RawValue>),
    /// Schemas by name.
    Map(Vec<(String, &'a RawValue)>),
    /// Lists that count together.
    Lists(Vec<&'a RawValue>),
}

impl<'a> SchemaEncoder<'a> {
    fn write(&mut self, value: &'a RawValue, out: &mut String) {
        self.failed |= self.inline && MAX_LENGTH < out.len();
        if self.failed {
            return;
        }
        let Ok(object) = serde_json::from_str::<Object<'a>>(value.get()) else {
            // Anything goes, or nothing.
            out.push_str("{}");
            if value.get() != "true" {
                self.remove(value.get());
            }
            return;
        };
        let before = self.refs.len();
        self.depth += 1;
        let members = self.members(&object);
        self.object(&members, out);
        self.depth -= 1;
        // Only a reference within itself is circular; beside itself it may stand again.
        self.refs.truncate(before);
    }

    /// The keywords of a schema that stands for another, or for a part of it.
    fn inner_members(&mut self, object: &Object<'a>) -> Members<'a> {
        self.depth += 1;
        let members = self.members(object);
        self.depth -= 1;
        members
    }

    /// The keywords of a schema, those that it refers to included.
    fn members(&mut self, object: &Object<'a>) -> Members<'a> {
        let mut members: Members<'a> = vec![];
        // A body nests no deeper, but definitions that refer to each other add their depths up.
        self.failed |= MAX_DEPTH < self.depth;
        if self.failed {
            return members;
        }
        let whole = object.get("type").is_some_and(|it| it.get() == "\"integer\"");
        let alone = object.present().all(|it| it.0.starts_with('$'));
        for (name, value) in &object.0 {
            let name = name.as_ref();
            if name == "$ref" {
                self.reference(value, alone, &mut members);
                continue;
            }
            if name == "allOf" {
                self.all_of(value, &mut members);
                continue;
            }
            if let Some((name, value)) = self.keyword(name, value, whole) {
                put(&mut members, name, value);
            }
        }
        members
    }

    /// The fate of a keyword.
    fn keyword(
        &mut self,
        name: &str,
        value: &'a RawValue,
        whole: bool,
    ) -> Option<(String, KeywordValue<'a>)> {
        let text = || KeywordValue::Text(value.get().to_owned());
        let list = || serde_json::from_str(value.get()).ok().map(KeywordValue::List);
        let value = match name {
            // Branches of `allOf` may each require something, and all of it counts.
            "required" => KeywordValue::Lists(vec![value]),
            _ if KEPT.contains(&name) => text(),
            _ if SILENT.contains(&name) => return None,
            // Nothing refers to them any more.
            "$defs" | "definitions" if self.inline => return None,
            "$defs" | "definitions" => return Some(("$defs".to_owned(), named(value)?)),
            "properties" => named(value)?,
            "items" if value.get().starts_with('[') => {
                return Some(("prefixItems".to_owned(), list()?));
            }
            "anyOf" | "oneOf" | "prefixItems" => list()?,
            "additionalProperties" if !value.get().starts_with('{') => text(),
            "items" | "additionalProperties" => KeywordValue::Schema(value),
            "const"
                if matches!(value.get().as_bytes().first(), Some(b'"' | b'-' | b'0'..=b'9')) =>
            {
                return Some(("enum".to_owned(), KeywordValue::Text(format!("[{}]", value.get()))));
            }
            "exclusiveMinimum" | "exclusiveMaximum" => return self.bound(name, value, whole),
            _ => {
                self.remove(name);
                return None;
            }
        };
        Some((name.to_owned(), value))
    }

    /// A bound that is left out, as one that is included: the same for whole numbers only.
    fn bound(
        &mut self,
        name: &str,
        value: &RawValue,
        whole: bool,
    ) -> Option<(String, KeywordValue<'a>)> {
        let (plain, step) =
            if name == "exclusiveMinimum" { ("minimum", 1) } else { ("maximum", -1) };
        if let (true, Ok(bound)) = (whole, value.get().parse::<i64>()) {
            let bound = bound.saturating_add(step).to_string();
            return Some((plain.to_owned(), KeywordValue::Text(bound)));
        }
        self.remove(name);
        // Nearly the same is better than no bound at all.
        let number = value.get().parse::<f64>().is_ok();
        number.then(|| (plain.to_owned(), KeywordValue::Text(value.get().to_owned())))
    }

    /// Writes a reference out, or keeps it alone.
    fn reference(&mut self, value: &'a RawValue, alone: bool, members: &mut Members<'a>) {
        let Ok(pointer) = serde_json::from_str::<String>(value.get()) else { return };
        if !self.inline {
            let pointer = pointer.replacen("#/definitions/", "#/$defs/", 1);
            let reference = format!("{{\"$ref\":{}}}", serde_json::Value::from(pointer));
            let (name, text) =
                match reference.strip_prefix("{\"$ref\":").and_then(|it| it.strip_suffix('}')) {
                    Some(text) if alone => ("$ref", text.to_owned()),
                    // A choice of one, because no keyword may stand beside a reference.
                    _ => ("anyOf", format!("[{reference}]")),
                };
            put(members, name.to_owned(), KeywordValue::Text(text));
            return;
        }

        // References double at each level: a few lines of them can be thousands of schemas.
        if self.left == 0 || self.refs.contains(&pointer) {
            self.failed = true;
            return;
        }
        self.left -= 1;
        let Some(target) = self.pointers.resolved(&pointer) else {
            self.remove("$ref");
            return;
        };
        self.failed |= MAX_LENGTH < target.get().len();
        if self.failed {
            return;
        }

        let Ok(target) = serde_json::from_str::<Object<'a>>(target.get()) else { return };
        self.refs.push(pointer);
        for (name, value) in self.inner_members(&target) {
            // What stands beside the reference counts more: it is written for this place.
            if !members.iter().any(|it| it.0 == name) {
                members.push((name, value));
            }
        }
    }

    /// Joins schemas that must hold at once into one, as far as no keyword occurs twice.
    fn all_of(&mut self, value: &'a RawValue, members: &mut Members<'a>) {
        let all: Vec<Object<'a>> = serde_json::from_str(value.get()).unwrap_or_default();
        if MAX_JOINED < all.len() {
            self.remove("allOf");
            return;
        }
        for one in all {
            for (name, value) in self.inner_members(&one) {
                let twice = members.iter_mut().find(|it| it.0 == name);
                match (twice.map(|it| &mut it.1), value) {
                    (None, value) => members.push((name, value)),
                    (Some(KeywordValue::Map(known)), KeywordValue::Map(more)) => known.extend(more),
                    (Some(KeywordValue::Lists(known)), KeywordValue::Lists(more)) => {
                        known.extend(more);
                    }
                    (Some(KeywordValue::Text(known)), KeywordValue::Text(more))
                        if *known == more => {}
                    // Words about a part, of which the first is as good as any.
                    _ if matches!(name.as_str(), "title" | "description") => {}
                    _ => self.remove("allOf"),
                }
            }
        }
    }

    fn object(&mut self, members: &Members<'a>, out: &mut String) {
        out.push('{');
        for (at, (name, value)) in members.iter().enumerate() {
            out.push_str(if at == 0 { "" } else { "," });
            key(name, out);
            match value {
                KeywordValue::Text(text) => out.push_str(text),
                KeywordValue::Lists(lists) => joined(lists, out),
                KeywordValue::Schema(schema) => self.write(schema, out),
                KeywordValue::List(schemas) => {
                    out.push('[');
                    for (at, schema) in schemas.iter().enumerate() {
                        out.push_str(if at == 0 { "" } else { "," });
                        self.write(schema, out);
                    }
                    out.push(']');
                }
                KeywordValue::Map(schemas) => {
                    out.push('{');
                    for (at, (name, schema)) in schemas.iter().enumerate() {
                        out.push_str(if at == 0 { "" } else { "," });
                        key(name, out);
                        self.write(schema, out);
                    }
                    out.push('}');
                }
            }
        }
        out.push('}');
    }

    fn remove(&mut self, keyword: &str) {
        // The client chooses it, and it goes into a header.
        let keyword = keyword.get(..MAX_NAME_LENGTH).unwrap_or(keyword);
        let is_room = self.removed.len() < MAX_NAMED;
        if is_room && !self.removed.iter().any(|it| it == keyword) {
            self.removed.push(keyword.to_owned());
        }
    }
}

/// Says a keyword; what stands beside a reference or comes later counts.
fn put<'a>(members: &mut Members<'a>, name: String, value: KeywordValue<'a>) {
    match members.iter_mut().find(|it| it.0 == name) {
        Some(known) => known.1 = value,
        None => members.push((name, value)),
    }
}

fn key(name: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(name).to_string());
    out.push(':');
}

fn named<'a>(value: &'a RawValue) -> Option<KeywordValue<'a>> {
    let schemas: Object<'a> = serde_json::from_str(value.get()).ok()?;
    Some(KeywordValue::Map(
        schemas.0.into_iter().map(|(name, value)| (name.into_owned(), value)).collect(),
    ))
}

/// Lists of names as one.
fn joined(lists: &[&RawValue], out: &mut String) {
    if let [list] = lists {
        return out.push_str(list.get());
    }
    let all: Vec<String> = lists.iter().flat_map(names_of).collect();
    out.push_str(&serde_json::Value::from(all).to_string());
}

fn names_of(it: &&RawValue) -> Vec<String> {
    serde_json::from_str::<Vec<String>>(it.get()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(text: &str) -> (String, Vec<String>) {
        let mut dropped = vec![];
        let out = encode(&Json(text.to_owned()), &mut dropped);
        serde_json::from_str::<&RawValue>(&out).unwrap();
        let keyword = |it| match it {
            Field::SchemaKeyword(keyword) => keyword,
            other => format!("{other:?}"),
        };
        (out, dropped.into_iter().map(keyword).collect())
    }

    #[test]
    fn what_gemini_knows_stays_in_its_order() {
        let text = r#"{"type":"object","properties":{"z":{"type":["string","null"],"default":null},"a":{"anyOf":[{"type":"integer","minimum":1}]}},"required":["z"],"additionalProperties":false}"#;
        assert_eq!(fitted(text), (text.to_owned(), vec![]));
    }

    #[test]
    fn references_are_written_out() {
        let (out, removed) = fitted(
            r##"{"$schema":"x","type":"object","properties":{"task":{"$ref":"#/$defs/Task","description":"the task"}},"$defs":{"Task":{"type":"object","description":"d","properties":{"p":{"$ref":"#/definitions/P"}}}},"definitions":{"P":{"const":"x"}}}"##,
        );
        assert_eq!(
            out,
            r#"{"type":"object","properties":{"task":{"type":"object","description":"the task","properties":{"p":{"enum":["x"]}}}}}"#
        );
        assert_eq!(removed, [""; 0]);
    }

    #[test]
    fn a_circle_stays_a_reference() {
        let (out, removed) = fitted(
            r##"{"type":"object","properties":{"n":{"$ref":"#/definitions/N","title":"t"}},"definitions":{"N":{"type":"object","properties":{"next":{"$ref":"#/definitions/N"}}}}}"##,
        );
        assert_eq!(
            out,
            r##"{"type":"object","properties":{"n":{"anyOf":[{"$ref":"#/$defs/N"}],"title":"t"}},"$defs":{"N":{"type":"object","properties":{"next":{"$ref":"#/$defs/N"}}}}}"##
        );
        assert_eq!(removed, [""; 0]);
    }

    #[test]
    fn a_schema_that_would_explode_keeps_its_references() {
        let mut defs = String::from(r#""L0":{"type":"string"}"#);
        for level in 1..40 {
            let below = level - 1;
            defs.push_str(&format!(
                r##","L{level}":{{"type":"object","properties":{{"a":{{"$ref":"#/$defs/L{below}"}},"b":{{"$ref":"#/$defs/L{below}"}}}}}}"##
            ));
        }
        let (out, _) = fitted(&format!(r##"{{"$ref":"#/$defs/L39","$defs":{{{defs}}}}}"##));
        assert!(out.len() < 8000 && out.contains("$defs"));
    }

    #[test]
    fn a_schema_that_would_nest_too_deep_keeps_its_references() {
        // As deep as a body may nest, each: written out they would be thousands of levels.
        for (open, close) in [(r#"{"items":"#, "}"), (r#"{"allOf":["#, "]}")] {
            let (open, close) = (open.repeat(50), close.repeat(50));
            let def = |at: usize| {
                let next = at + 1;
                format!(r##""D{at}":{open}{{"$ref":"#/$defs/D{next}"}}{close}"##)
            };
            let defs = (0..60).map(def).collect::<Vec<_>>().join(",");
            let (out, _) = fitted(&format!(
                r##"{{"$ref":"#/$defs/D0","$defs":{{{defs},"D60":{{"type":"string"}}}}}}"##
            ));
            assert!(out.contains(r##"{"$ref":"#/$defs/D60"}"##));
        }
    }

    #[test]
    fn what_gemini_does_not_know_is_named() {
        let (out, removed) = fitted(
            r#"{"type":"object","properties":{"a":{"type":"integer","exclusiveMinimum":0,"multipleOf":2},"b":{"type":"number","exclusiveMaximum":1.5},"c":{"const":true},"d":{"type":"array","uniqueItems":true,"items":true}},"not":{}}"#,
        );
        assert_eq!(
            out,
            r#"{"type":"object","properties":{"a":{"type":"integer","minimum":1},"b":{"type":"number","maximum":1.5},"c":{},"d":{"type":"array","items":{}}}}"#
        );
        assert_eq!(removed, ["not", "multipleOf", "exclusiveMaximum", "const", "uniqueItems"]);
    }

    #[test]
    fn what_must_hold_at_once_is_joined() {
        let (out, removed) = fitted(
            r#"{"allOf":[{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]},{"type":"object","properties":{"b":{"type":"string"}},"required":["b"]}]}"#,
        );
        assert_eq!(
            out,
            r#"{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"}},"required":["a","b"]}"#
        );
        assert_eq!(removed, [""; 0]);
    }

    #[test]
    fn arguments_are_an_object() {
        let fitted = |text: &str| encode_arguments(&Json(text.to_owned()), &mut vec![]);
        assert_eq!(fitted("{}"), r#"{"type":"object"}"#);
        assert_eq!(fitted(r#"{"properties":{}}"#), r#"{"type":"object","properties":{}}"#);
        assert_eq!(fitted(r#"{"type":"object"}"#), r#"{"type":"object"}"#);
    }
}
