//! The JSON Schema of a configuration (draft 2020-12), for editors and other programs.
//!
//! The schema says which keys there are and which values they take; what only the whole document
//! can tell, such as a step that names no provider, is left to `check`.

use serde_json::{Map, Value, json};

use super::{
    keys::{Key, Keys, Takes},
    provider::ProviderKind,
    read::DOCUMENT,
};

/// A value that a variable gives, whatever its type.
const VARIABLE: &str = r"\$\{[A-Za-z_][A-Za-z0-9_]*\}";
const DURATION: &str = r"^([0-9]+(\.[0-9]+)?(d|h|ms|m|s))+$";

/// The schema of a configuration, given the types of provider that there are.
pub fn schema(kinds: &[ProviderKind]) -> Value {
    let mut schema = Schema { kinds, definitions: Map::new() };
    let Value::Object(mut document) = schema.mapping(&DOCUMENT) else { return Value::Null };
    document.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    document.insert("title".to_owned(), json!("Lockgate's configuration"));
    document.insert("$defs".to_owned(), Value::Object(schema.definitions));
    Value::Object(document)
}

struct Schema<'k> {
    kinds: &'k [ProviderKind],
    /// The mappings that were met, by name.
    definitions: Map<String, Value>,
}

impl Schema<'_> {
    fn mapping(&mut self, keys: &'static Keys) -> Value {
        let properties: Map<String, Value> =
            keys.keys.iter().map(|key| (key.name.to_owned(), self.property(key))).collect();
        let required: Vec<&str> =
            keys.keys.iter().filter(|key| key.is_required).map(|key| key.name).collect();
        let mut schema = json!({
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
        });
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        schema
    }

    fn property(&mut self, key: &'static Key) -> Value {
        let mut schema = self.value(&key.takes);
        let default = if key.default.is_empty() {
            String::new()
        } else {
            format!(" Default: {}.", key.default)
        };
        schema["description"] = json!(format!("{}.{default}", key.about));
        schema
    }

    fn value(&mut self, takes: &'static Takes) -> Value {
        match takes {
            Takes::Text => json!({ "type": "string" }),
            Takes::Words(words) => {
                // A word is never put together from parts, but a number or a time may be:
                // `${SECONDS}s`.
                let variable = format!("^{VARIABLE}$");
                json!({ "anyOf": [{ "enum": words }, { "type": "string", "pattern": variable }] })
            }
            Takes::Kind => {
                let kinds: Vec<&str> = self.kinds.iter().map(|kind| kind.name).collect();
                json!({ "enum": kinds })
            }
            Takes::Flag => or_variable(&json!({ "type": "boolean" })),
            Takes::Whole(lowest, highest) => {
                or_variable(&json!({ "type": "integer", "minimum": lowest, "maximum": highest }))
            }
            Takes::Money => or_variable(&json!({ "type": "number", "minimum": 0 })),
            Takes::Duration => or_variable(&json!({ "type": "string", "pattern": DURATION })),
            Takes::List(takes) => json!({ "type": "array", "items": self.value(takes) }),
            Takes::Mapping(keys) => self.reference(keys),
            Takes::Texts => {
                json!({ "type": "object", "additionalProperties": { "type": "string" } })
            }
            Takes::TextOr(keys) => {
                let mapping = self.reference(keys);
                json!({ "anyOf": [{ "type": "string" }, mapping] })
            }
        }
    }

    fn reference(&mut self, keys: &'static Keys) -> Value {
        let name = keys.of.trim_start_matches("a ");
        // Each mapping once: a cache stands at the top and in a tenant, and editors show both
        // alike.
        if !self.definitions.contains_key(name) {
            let mapping = self.mapping(keys);
            self.definitions.insert(name.to_owned(), mapping);
        }
        json!({ "$ref": format!("#/$defs/{name}") })
    }
}

fn or_variable(schema: &Value) -> Value {
    json!({ "anyOf": [schema, { "type": "string", "pattern": VARIABLE }] })
}
