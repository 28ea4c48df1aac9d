//! Schemas of tools as OpenAI takes them: an object has `properties`, and be they none.

use std::borrow::Cow;

use canonical::Result;
use serde_json::value::RawValue;

use crate::json::{self, Object};

/// A schema whose root names its properties, if the root is an object.
pub(crate) fn with_properties(schema: &str) -> Result<Cow<'_, RawValue>> {
    let schema = json::verbatim(schema)?;
    if !lacks_properties(schema) {
        return Ok(Cow::Borrowed(schema));
    }
    let fitted = json::edited(schema.get(), |it| it.set("properties", "{}"))?;
    Ok(Cow::Owned(json::verbatim(&fitted)?.to_owned()))
}

/// A list of tools whose schemas name their properties; none where all of them do.
///
/// `holder` is the member of a tool that holds its `parameters`, unless the tool itself does.
pub(crate) fn tools_with_properties(tools: &str, holder: Option<&str>) -> Result<Option<String>> {
    let list: Vec<&RawValue> = json::parsed_text(tools, "tools", "a list of tools")?;
    let mut fitted = Vec::with_capacity(list.len());
    let mut changed = false;
    for tool in list {
        let new = tool_with_properties(tool, holder)?;
        changed |= new.is_some();
        fitted.push(new.map_or(Cow::Borrowed(tool.get()), Cow::Owned));
    }
    Ok(changed.then(|| format!("[{}]", fitted.join(","))))
}

fn tool_with_properties(tool: &RawValue, holder: Option<&str>) -> Result<Option<String>> {
    // Nearly every tool ends here.
    // A look at the text instead of parsing each tool of each request.
    if tool.get().contains("\"properties\"") {
        return Ok(None);
    }
    // What is no object is for the provider to refuse: it says best what it wants.
    let Ok(object) = serde_json::from_str::<Object<'_>>(tool.get()) else { return Ok(None) };
    if let Some(holder) = holder {
        let Some(function) = object.get(holder) else { return Ok(None) };
        let fitted = tool_with_properties(function, None)?;
        return fitted.map(|it| json::edited(tool.get(), |tool| tool.set(holder, it))).transpose();
    }
    match object.get("parameters").filter(|it| lacks_properties(it)) {
        Some(schema) => {
            let schema = json::edited(schema.get(), |it| it.set("properties", "{}"))?;
            json::edited(tool.get(), |it| it.set("parameters", schema)).map(Some)
        }
        None => Ok(None),
    }
}

fn lacks_properties(schema: &RawValue) -> bool {
    let Ok(schema) = serde_json::from_str::<Object<'_>>(schema.get()) else { return false };
    let is_object = schema.get("type").is_some_and(|it| it.get() == "\"object\"");
    is_object && schema.get("properties").is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_without_properties_gets_none_of_them() {
        let fitted = |schema| with_properties(schema).unwrap().get().to_owned();
        assert_eq!(fitted(r#"{"type":"object"}"#), r#"{"type":"object","properties":{}}"#);
        for fine in [r#"{"type":"object","properties":{"a":{}}}"#, r#"{"type":"string"}"#, "true"] {
            assert_eq!(fitted(fine), fine);
        }
    }

    #[test]
    fn only_the_tools_that_need_it_are_changed() {
        let tools = r#"[{"type":"function","function":{"name":"a","parameters":{"type":"object"}}},
            {"type":"function","function":{"name":"b"}}]"#;
        let fitted = tools_with_properties(tools, Some("function")).unwrap().unwrap();
        assert!(fitted.contains(r#""parameters":{"type":"object","properties":{}}"#), "{fitted}");
        assert!(fitted.ends_with(r#"{"type":"function","function":{"name":"b"}}]"#), "{fitted}");

        let fine = r#"[{"type":"web_search"},{"name":"a","parameters":{"properties":{}}}]"#;
        assert_eq!(tools_with_properties(fine, None).unwrap(), None);
    }
}
