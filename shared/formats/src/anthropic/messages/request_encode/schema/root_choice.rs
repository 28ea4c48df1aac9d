//! A choice at the root of a tool's schema, which Anthropic and Bedrock refuse: one object with the
//! properties of all branches, and the choice as text.
//!
//! Source: *`input_schema` does not support oneOf, allOf, or anyOf at the top level* (seen 2026-11).

use std::collections::{HashMap, HashSet};

use serde_json::value::RawValue;

use super::{SEVERAL, Writer};
use crate::json::{self, Object};

/// The properties of all branches, and what every branch requires.
#[derive(Default)]
struct Flattened<'a> {
    properties: Named<&'a RawValue>,
    required: Named<()>,
}

/// Values by name in their order, of which the first of a name counts.
#[derive(Debug)]
struct Named<T> {
    list: Vec<(String, T)>,
    names: HashSet<String>,
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self { list: vec![], names: HashSet::new() }
    }
}

impl<T> Named<T> {
    fn add(&mut self, name: String, value: T) {
        if self.names.insert(name.clone()) {
            self.list.push((name, value));
        }
    }
}

/// Schemas by name, by the group that holds them.
type Definitions<'a> = HashMap<String, HashMap<String, &'a RawValue>>;

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
    let mut definitions = Definitions::new();
    for (key, value) in members.present().filter(|it| SEVERAL.contains(&it.0)) {
        choices.push(format!("{}:{value}", json::quoted(key)));
        let branches = branches(members, value, &mut definitions);
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
    flat.properties.list.iter().for_each(|(name, schema)| properties.member(name, schema.get()));
    properties.end();
    let required: Vec<String> = flat.required.list.into_iter().map(|it| it.0).collect();
    if !required.is_empty() {
        writer.member("required", &json::quoted(&required));
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
        required(schema).into_iter().for_each(|it| self.required.add(it, ()));
    }

    fn add_properties(&mut self, schema: &Object<'a>) {
        let Some(properties) = schema.get("properties") else { return };
        let properties: Object<'a> = serde_json::from_str(properties.get()).unwrap_or_default();
        for (name, schema) in properties.0 {
            // The first schema of a name counts: two for one property would be no JSON Schema.
            self.properties.add(name.into_owned(), schema);
        }
    }

    fn add_alternatives(&mut self, branches: &[Object<'a>]) {
        branches.iter().for_each(|it| self.add_properties(it));
        let sets: Vec<HashSet<String>> =
            branches.iter().map(|it| required(it).into_iter().collect()).collect();
        let first = branches.first().map(required).unwrap_or_default();
        for name in first.into_iter().filter(|name| sets.iter().all(|it| it.contains(name))) {
            self.required.add(name, ());
        }
    }
}

/// The branches of a choice that are objects, definitions of the root looked up.
fn branches<'a>(
    root: &Object<'a>,
    list: &'a RawValue,
    definitions: &mut Definitions<'a>,
) -> Vec<Object<'a>> {
    let branches: Vec<Object<'a>> = serde_json::from_str(list.get()).unwrap_or_default();
    // Generators of schemas put the branches of a union into `$defs`.
    let mut resolved = Vec::with_capacity(branches.len());
    for branch in branches {
        resolved.push(definition(root, &branch, definitions).unwrap_or(branch));
    }
    resolved
}

fn definition<'a>(
    root: &Object<'a>,
    branch: &Object<'a>,
    definitions: &mut Definitions<'a>,
) -> Option<Object<'a>> {
    let reference: String = serde_json::from_str(branch.get("$ref")?.get()).ok()?;
    let (group, name) = reference.strip_prefix("#/")?.split_once('/')?;
    // Each group is parsed once: there may be as many branches as definitions.
    if !definitions.contains_key(group) {
        definitions.insert(group.to_owned(), schemas(root.get(group)?));
    }
    serde_json::from_str(definitions.get(group)?.get(name)?.get()).ok()
}

/// The schemas of a group by name, of which the first counts.
fn schemas(group: &RawValue) -> HashMap<String, &RawValue> {
    let group: Object<'_> = serde_json::from_str(group.get()).unwrap_or_default();
    group.present().rev().map(|(name, schema)| (name.to_owned(), schema)).collect()
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
