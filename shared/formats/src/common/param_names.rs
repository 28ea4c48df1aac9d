//! Names of tool parameters that a provider does not accept, and those that are sent instead.
//!
//! Anthropic and Bedrock accept 64 letters, digits, `_`, `.` and `-` (*Property keys should match pattern
//! '^[a-zA-Z0-9_.-]{1,64}$'*, seen 2026-11); tools made of `OpenAPI` documents have `filter[id]` and the like.

use std::collections::{HashMap, HashSet};

use canonical::{Json, Tool, ToolCall};

use crate::{
    fingerprint::fingerprint,
    json::{self, Object},
};

/// How long an accepted name may be, in bytes.
const MAX_LENGTH: usize = 64;

/// The parameters that are sent under another name, by the client's name of their tool.
#[derive(Clone, Debug, Default)]
pub(crate) struct ParamNames(HashMap<String, Renamed>);

/// The parameters of one tool.
#[derive(Clone, Debug, Default)]
struct Renamed {
    to_provider: HashMap<String, String>,
    to_client: HashMap<String, String>,
}

impl ParamNames {
    /// The parameters of these tools that need another name.
    pub(crate) fn of(tools: &[Tool], accepts: &dyn Fn(&str) -> bool) -> Self {
        let mut all = HashMap::new();
        for tool in tools {
            let renamed = Renamed::of(tool, accepts);
            if !renamed.to_provider.is_empty() {
                all.insert(tool.name.clone(), renamed);
            }
        }
        Self(all)
    }

    /// Whether every name is sent as it is.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a tool has parameters with other names.
    pub(crate) fn has(&self, tool: &str) -> bool {
        self.0.contains_key(tool)
    }

    /// Gives a tool's schema the names that are sent.
    pub(crate) fn rename_schema(&self, tool: &mut Tool) {
        let (Some(renamed), Some(schema)) = (self.0.get(&tool.name), &mut tool.schema) else {
            return;
        };
        if let Some(sent) = renamed.schema(&schema.0) {
            *schema = Json(sent);
        }
    }

    /// Gives a call of the history the names that are sent.
    pub(crate) fn rename_arguments(&self, call: &mut ToolCall) {
        let Some(renamed) = self.0.get(&call.name) else { return };
        if let Some(sent) = with_keys(&call.arguments, &renamed.to_provider) {
            call.arguments = sent;
        }
    }

    /// Arguments of the model with the client's names.
    pub(crate) fn restored(&self, tool: &str, arguments: String) -> String {
        let Some(renamed) = self.0.get(tool) else { return arguments };
        // Arguments that are no object pass as they are, so that the client sees what the model
        // wrote.
        with_keys(&arguments, &renamed.to_client).unwrap_or(arguments)
    }
}

impl Renamed {
    fn of(tool: &Tool, accepts: &dyn Fn(&str) -> bool) -> Self {
        let mut renamed = Self::default();
        let Some(schema) = &tool.schema else { return renamed };
        let schema: Object<'_> = serde_json::from_str(&schema.0).unwrap_or_default();
        let Some(properties) = schema.get("properties") else { return renamed };
        let properties: Object<'_> = serde_json::from_str(properties.get()).unwrap_or_default();

        // Names that are sent as they are count as well: a changed name must not become one of
        // them.
        let mut taken: HashSet<String> =
            properties.0.iter().map(|it| it.0.as_ref().to_owned()).collect();
        for (name, _) in properties.0.iter().filter(|it| !accepts(&it.0)) {
            let sent = accepted_name(name, &taken);
            taken.insert(sent.clone());
            renamed.to_client.insert(sent.clone(), name.as_ref().to_owned());
            renamed.to_provider.insert(name.as_ref().to_owned(), sent);
        }
        renamed
    }

    fn schema(&self, schema: &str) -> Option<String> {
        let properties: Object<'_> = serde_json::from_str(schema).ok()?;
        let renamed = with_keys(properties.get("properties")?.get(), &self.to_provider)?;
        let required = properties.get("required").map(|it| it.get());
        let required: Vec<String> = serde_json::from_str(required.unwrap_or("[]")).ok()?;
        let required: Vec<&String> =
            required.iter().map(|it| self.to_provider.get(it).unwrap_or(it)).collect();
        let edited = json::edited(schema, |edits| {
            edits.set("properties", renamed);
            if !required.is_empty() {
                // A name that is required and not among the properties would make the schema
                // invalid at the provider.
                edits.set("required", json::quoted(&required));
            }
        });
        edited.ok()
    }
}

/// A name that every provider accepts and that is not taken.
fn accepted_name(name: &str, taken: &HashSet<String>) -> String {
    let plain = |it: char| if it.is_ascii_alphanumeric() || it == '-' { it } else { '_' };
    let sent: String = name.chars().map(plain).take(MAX_LENGTH).collect();
    if !sent.is_empty() && !taken.contains(sent.as_str()) && name.len() <= MAX_LENGTH {
        return sent;
    }
    // Room for `_` and the 16 digits of a fingerprint, which depends on the name alone: the same in
    // every request, so that a cached prompt stays one.
    let start: String = sent.chars().take(MAX_LENGTH - 17).collect();
    format!("{start}_{:016x}", fingerprint(name))
}

/// An object with other keys; none where it is no object.
fn with_keys(object: &str, names: &HashMap<String, String>) -> Option<String> {
    let members: Object<'_> = serde_json::from_str(object).ok()?;
    let member = |(key, value): &(std::borrow::Cow<'_, str>, &serde_json::value::RawValue)| {
        let key = names.get(key.as_ref()).map_or(key.as_ref(), String::as_str);
        format!("{}:{value}", json::quoted(key))
    };
    let members: Vec<String> = members.0.iter().map(member).collect();
    Some(format!("{{{}}}", members.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(schema: &str) -> Tool {
        let schema = Some(Json(schema.to_owned()));
        Tool { name: "list".to_owned(), schema, ..Tool::default() }
    }

    fn names(tool: &Tool) -> ParamNames {
        ParamNames::of(std::slice::from_ref(tool), &|it| {
            it.bytes().all(|it| it.is_ascii_lowercase())
        })
    }

    #[test]
    fn a_parameter_gets_another_name_and_its_own_again() {
        let mut tool =
            tool(r#"{"properties":{"filter[id]":{},"plain":{}},"required":["filter[id]"]}"#);
        let names = names(&tool);
        names.rename_schema(&mut tool);
        assert_eq!(
            tool.schema.unwrap().0,
            r#"{"properties":{"filter_id_":{},"plain":{}},"required":["filter_id_"]}"#
        );
        let own = r#"{"filter[id]":"x","plain":1}"#;
        let mut call =
            ToolCall { name: "list".to_owned(), arguments: own.to_owned(), ..ToolCall::default() };
        names.rename_arguments(&mut call);
        assert_eq!(call.arguments, r#"{"filter_id_":"x","plain":1}"#);
        assert_eq!(names.restored("list", call.arguments), own);
    }

    #[test]
    fn two_parameters_do_not_become_one() {
        let tool = tool(r#"{"properties":{"a[]":{},"a__":{}}}"#);
        let renamed = &names(&tool).0["list"].to_provider;
        assert_ne!(renamed["a[]"], "a__");
        let tool = super::tests::tool(r#"{"properties":{"a b":{},"a/b":{}}}"#);
        let renamed = &names(&tool).0["list"];
        assert_ne!(renamed.to_provider["a b"], renamed.to_provider["a/b"]);
        assert_eq!(renamed.to_client.len(), 2);
        assert!(names(&super::tests::tool(r#"{"properties":{"a":{}}}"#)).is_empty());
    }
}
