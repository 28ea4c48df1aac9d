//! Tools that only OpenAI has: those within a namespace, in Responses, and those that take any text
//! instead of arguments. Elsewhere a tool's name says which it is, with marks that no name of OpenAI's has, so
//! that an answer's calls come apart again.
//!
//! Source: `developers.openai.com/api/docs/guides/function-calling`, *Defining namespaces* and *Custom
//! tools*, and the types of `openai` 3.54 for Python, seen 2026-11.

use std::borrow::Cow;

use serde::Deserialize;

/// Behind the name of a tool that takes any text.
const CUSTOM: &str = ":custom";

/// The arguments of such a tool in other formats.
pub(super) const CUSTOM_SCHEMA: &str = r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}"#;

/// A tool's name, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ToolName<'a> {
    pub(super) namespace: Option<&'a str>,
    pub(super) name: &'a str,
    /// Whether the tool takes any text.
    pub(super) custom: bool,
}

impl<'a> ToolName<'a> {
    /// Takes a name apart.
    pub(super) fn of(whole: &'a str) -> Self {
        let custom = Self::custom_of(whole);
        let (rest, custom) = (custom.unwrap_or(whole), custom.is_some());
        match rest.split_once('.') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
                Self { namespace: Some(namespace), name, custom }
            }
            _ => Self { namespace: None, name: rest, custom },
        }
    }

    /// The name of a tool without namespaces that takes any text; none of another tool.
    pub(super) fn custom_of(whole: &'a str) -> Option<&'a str> {
        // A tool may be named like the mark itself.
        whole.strip_suffix(CUSTOM).filter(|it| !it.is_empty())
    }

    /// The whole name of a tool that takes any text.
    pub(super) fn of_custom(name: &str) -> String {
        ToolName { namespace: None, name, custom: true }.joined()
    }

    /// The whole name.
    pub(super) fn joined(self) -> String {
        let custom = if self.custom { CUSTOM } else { "" };
        match self.namespace.filter(|it| !it.is_empty()) {
            Some(namespace) => format!("{namespace}.{}{custom}", self.name),
            None => format!("{}{custom}", self.name),
        }
    }
}

/// The form of the text of a tool.
#[derive(Deserialize)]
pub(super) struct Grammar<'a> {
    #[serde(borrow, default)]
    syntax: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    definition: Option<Cow<'a, str>>,
}

/// The description of a tool, with the grammar of its text: only OpenAI's models are held to the
/// grammar.
pub(super) fn described(
    description: Option<String>,
    format: Option<&Grammar<'_>>,
) -> Option<String> {
    let Some(Grammar { syntax: Some(syntax), definition: Some(definition) }) = format else {
        return description;
    };
    let description = description.unwrap_or_default();
    Some(format!("{description}\n\nThe input follows this grammar ({syntax}):\n{definition}"))
}

#[derive(Deserialize, serde::Serialize)]
struct Input {
    input: String,
}

/// The text that arguments hold; what a model wrote instead, if they do not.
pub(super) fn input(arguments: &str) -> String {
    let input: Result<Input, _> = serde_json::from_str(arguments);
    input.map_or_else(|_| arguments.to_owned(), |it| it.input)
}

/// The arguments that hold a text.
pub(super) fn arguments(input: &str) -> String {
    crate::json::quoted(&Input { input: input.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_joined_comes_apart() {
        for (namespace, name, custom) in [
            (Some("crm"), "list_orders", false),
            (None, "f", false),
            (None, "apply_patch", true),
            (Some("a"), "b.c", true),
        ] {
            let whole = ToolName { namespace, name, custom };
            assert_eq!(ToolName::of(&whole.joined()), whole);
        }
        assert_eq!(ToolName { namespace: Some(""), name: "f", custom: false }.joined(), "f");
        for odd in [".f", "f.", ":custom"] {
            assert_eq!(ToolName::of(odd), ToolName { namespace: None, name: odd, custom: false });
        }
    }

    #[test]
    fn any_text_is_carried() {
        for text in ["", "*** Begin Patch\n+\"a\"\n", "{\"input\":1}"] {
            assert_eq!(input(&arguments(text)), text);
        }
        assert_eq!(input("*** Begin"), "*** Begin");
    }
}
