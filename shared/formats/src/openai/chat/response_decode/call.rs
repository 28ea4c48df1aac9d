//! Tool calls as providers write them, whole or by parts.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{lenient, string, text};
use crate::{json, surrogates};

/// A tool call, or what one chunk adds to it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in super::super) struct DecodedCall<'a> {
    #[serde(borrow)]
    index: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    function: Option<&'a RawValue>,
    /// What stands in place of the function where the tool takes any text.
    #[serde(borrow)]
    custom: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct DecodedFunction<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    /// The text for a custom tool.
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

impl<'a> DecodedCall<'a> {
    /// The call of a function, of which nothing else is known.
    pub(super) fn of_function(function: &'a RawValue) -> Self {
        Self { function: Some(function), ..Self::default() }
    }
}

impl DecodedCall<'_> {
    /// The place among the calls that the provider gives; some write it as a string.
    pub(in super::super) fn index(&self) -> Option<u64> {
        let index = self.index.map(RawValue::get)?;
        index.trim_matches('"').parse().ok()
    }

    /// The id, where there is one that is not empty. Some providers count with numbers.
    pub(in super::super) fn id(&self) -> Option<String> {
        Some(text(self.id)).filter(|it| !it.is_empty())
    }

    /// The name of the tool, where there is one that is not empty.
    pub(in super::super) fn name(&self) -> Option<String> {
        Some(text(self.function().name)).filter(|it| !it.is_empty())
    }

    /// The arguments as text. Some providers write the object in place of its text.
    pub(in super::super) fn arguments(&self) -> String {
        match self.written_arguments().map(RawValue::get) {
            None | Some("null") => String::new(),
            Some(json) if json.starts_with('"') => string(json),
            Some(object) => surrogates::replace_lone(object).into_owned(),
        }
    }

    /// Whether the index stands there as a number, and is this one.
    pub(in super::super) fn has_index(&self, index: usize) -> bool {
        self.index.is_some_and(|it| it.get() == index.to_string())
    }

    /// Whether the id is a string that is not empty.
    pub(in super::super) fn has_text_id(&self) -> bool {
        self.id.is_some_and(|it| it.get().starts_with('"') && it.get() != "\"\"")
    }

    /// Whether it is the call of a function that does not name its type.
    pub(in super::super) fn lacks_type(&self) -> bool {
        self.kind.is_none() && self.has_function()
    }

    /// Whether it is the call of a function; OpenAI has other types, too.
    pub(in super::super) fn has_function(&self) -> bool {
        self.function.is_some()
    }

    /// Whether the arguments, if there are any, are a string in well-formed Unicode.
    pub(in super::super) fn has_text_arguments(&self) -> bool {
        let is_text = |it: &RawValue| {
            it.get().starts_with('"')
                && matches!(surrogates::replace_lone(it.get()), Cow::Borrowed(_))
        };
        self.written_arguments().is_none_or(is_text)
    }

    /// Whether the tool takes any text in place of arguments.
    pub(in super::super) fn is_custom(&self) -> bool {
        self.function.is_none() && self.custom.is_some()
    }

    /// The function with its arguments as text.
    pub(in super::super) fn function_json(&self) -> String {
        let name = json::quoted(&self.name().unwrap_or_default());
        format!(r#"{{"name":{name},"arguments":{}}}"#, json::quoted(&self.arguments()))
    }

    fn function(&self) -> DecodedFunction<'_> {
        lenient(self.function.or(self.custom))
    }

    fn written_arguments(&self) -> Option<&RawValue> {
        let function = self.function();
        if self.is_custom() { function.input } else { function.arguments }
    }
}
