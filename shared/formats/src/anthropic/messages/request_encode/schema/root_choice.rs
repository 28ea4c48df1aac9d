//! A choice at the root of a tool's schema, which Anthropic and Bedrock refuse: one object with the
//! properties of all branches, and the choice as text.
//!
//! Source: *`input_schema` does not support oneOf, allOf, or anyOf at the top level* (seen 2026-11).

use std::collections::HashSet;

use serde_json::value::RawValue;

use super::{SEVERAL, Writer};
use crate::json::{self, Object};

/// The properties of all branches, and what every branch requires.
#[derive(Default)]
struct Flattened<'a> {
    properties: Vec<(String, &'a RawValue)>,
    required: Vec<String>,
}

/// Whether the root is a choice.
pub(super) fn has_choice(members: &Object<'_>) -> bool {
    keywords(members).next().is_some()
}

/// The keywords of the choice.
pub(super) fn keywords(members: &Object<'_>) -> impl Iterator<Item = String> {
    members.present().filter(|it| SEVERAL.contains(&it.0)).map(|it| it.0.to_owned())
}

/// Writes the schema without the choice at its root.
pub(super) fn flattened(members: &Object<'_>, writer: &mut Writer<'_>) {
    let mut flat = Flattened::default();
    flat.add(members);
    let mut choices: Vec<String> = vec![];
    for (key, value) in members.present().filter(|it| SEVERAL.contains(&it.0)) {
        choices.push(format!("{}:{value}", json::quoted(key)));
        let branches = branches(members, value);
        // All branches hold at once, so each may require; of alternatives only what every one
        // requires is certain.
        if key == "allOf" {
            branches.iter().for_each(|it| flat.add(it));
        } else {
            flat.add_alternatives(&branches);
        }
    }

    writer.member("type", "\"object\"");
    writer.key("properties");
    let mut properties = Writer::new(writer.out);
    flat.properties.iter().for_each(|(name, schema)| properties.member(name, schema.get()));
    properties.end();
    if !flat.required.is_empty() {
        writer.member("required", &json::quoted(&flat.required));
    }
    let own = members.get("description");
    let own: Option<String> = own.and_then(|it| serde_json::from_str(it.get()).ok());
    // The model reads descriptions, so that the choice is not lost, only unenforced.
    let choice = format!("The arguments also follow this JSON Schema: {{{}}}", choices.join(","));
    let description: Vec<String> = own.into_iter().chain([choice]).collect();
    writer.text("description", &description.join("\n\n"));
    let rest = ["type", "properties", "required", "description"];
    for (key, value) in members.present() {
        if !rest.contains(&key) && !SEVERAL.contains(&key) {
            writer.member(key, value.get());
        }
    }
    writer.end();
}

impl<'a> Flattened<'a> {
    fn add(&mut self, schema: &Object<'a>) {
        self.add_properties(schema);
        for name in required(schema) {
            if !self.required.contains(&name) {
                self.required.push(name);
            }
        }
    }

    fn add_properties(&mut self, schema: &Object<'a>) {
        let Some(properties) = schema.get("properties") else { return };
        let properties: Object<'a> = serde_json::from_str(properties.get()).unwrap_or_default();
        for (name, schema) in properties.0 {
            // The first schema of a name counts: two for one property would be no JSON Schema.
            if !self.properties.iter().any(|it| it.0 == name) {
                self.properties.push((name.into_owned(), schema));
            }
        }
    }

    fn add_alternatives(&mut self, branches: &[Object<'a>]) {
        branches.iter().for_each(|it| self.add_properties(it));
        let sets: Vec<HashSet<String>> =
            branches.iter().map(|it| required(it).into_iter().collect()).collect();
        let first = branches.first().map(required).unwrap_or_default();
        for name in first.into_iter().filter(|name| sets.iter().all(|it| it.contains(name))) {
            if !self.required.contains(&name) {
                self.required.push(name);
            }
        }
    }
}

/// The branches of a choice that are objects, definitions of the root looked up.
fn branches<'a>(root: &Object<'a>, list: &'a RawValue) -> Vec<Object<'a>> {
    let branches: Vec<Object<'a>> = serde_json::from_str(list.get()).unwrap_or_default();
    // Generators of schemas put the branches of a union into `$defs`.
    branches.into_iter().map(|branch| definition(root, &branch).unwrap_or(branch)).collect()
}

fn definition<'a>(root: &Object<'a>, branch: &Object<'a>) -> Option<Object<'a>> {
    let reference: String = serde_json::from_str(branch.get("$ref")?.get()).ok()?;
    let (group, name) = reference.strip_prefix("#/")?.split_once('/')?;
    let group: Object<'a> = serde_json::from_str(root.get(group)?.get()).ok()?;
    serde_json::from_str(group.get(name)?.get()).ok()
}

fn required(schema: &Object<'_>) -> Vec<String> {
    let names = schema.get("required").map(RawValue::get).unwrap_or("[]");
    serde_json::from_str(names).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(schema: &str) -> String {
        let members: Object<'_> = serde_json::from_str(schema).unwrap();
        let mut out = String::new();
        flattened(&members, &mut Writer::new(&mut out));
        out
    }

    #[test]
    fn a_choice_at_the_root_keeps_the_parameters_of_all_branches() {
        let out = flat(
            r#"{"anyOf":[{"properties":{"id":{"type":"string"},"x":{}},"required":["id","x"]},
            {"properties":{"name":{"type":"string"},"x":{}},"required":["name","x"]}]}"#,
        );
        let json: serde_json::Value = serde_json::from_str(&out).unwrap();
        let names: Vec<&String> = json["properties"].as_object().unwrap().keys().collect();
        assert_eq!(names, ["id", "name", "x"]);
        assert_eq!(json["required"], serde_json::json!(["x"]));
        assert!(json["description"].as_str().unwrap().contains("\"anyOf\":[{"));
    }

    #[test]
    fn all_of_it_is_required_where_all_must_hold() {
        let out = flat(
            r##"{"description":"d","allOf":[{"$ref":"#/$defs/A"},{"properties":{"b":{}}}],
            "$defs":{"A":{"properties":{"a":{}},"required":["a"]}}}"##,
        );
        let json: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(json["required"], serde_json::json!(["a"]));
        assert!(json["properties"]["b"].is_object() && json["$defs"].is_object());
        assert!(json["description"].as_str().unwrap().starts_with("d\n\n"));
    }
}
