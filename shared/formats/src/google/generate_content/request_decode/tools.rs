//! Tools as a client of this format offers them.

use canonical::{Conversation, Error, Json, Result, Tool, ToolChoice};
use serde_json::value::RawValue;

use super::openapi_schema;
use crate::google::generate_content::wire::members::{Many, camel};
use crate::json::{self, Object};

/// Reads `tools`: functions are anybody's, the rest is Google's.
pub(crate) fn read(value: &RawValue, path: &str, conversation: &mut Conversation) -> Result<()> {
    let tools: Many<Object<'_>> = json::parsed(value, path, "a list of tools, each an object")?;
    for (at, tool) in tools.0.iter().enumerate() {
        for (name, value) in tool.present() {
            if camel(name) != "functionDeclarations" {
                conversation.unmapped_fields.push(format!("{path}[].{name}"));
                continue;
            }
            let path = format!("{path}[{at}].{name}");
            let functions: Many<Object<'_>> =
                json::parsed(value, &path, "a list of functions, each an object")?;
            for (at, function) in functions.0.iter().enumerate() {
                let tool = declared(
                    function,
                    &format!("{path}[{at}]"),
                    &mut conversation.unmapped_fields,
                )?;
                conversation.tools.push(tool);
            }
        }
    }
    Ok(())
}

fn declared(function: &Object<'_>, path: &str, other: &mut Vec<String>) -> Result<Tool> {
    let mut tool = Tool::default();
    for (name, value) in function.present() {
        let at = format!("{path}.{name}");
        match camel(name).as_ref() {
            "name" => tool.name = json::parsed(value, &at, "a text")?,
            "description" => tool.description = Some(json::parsed(value, &at, "a text")?),
            "parameters" => tool.schema = Some(openapi_schema::schema(value, &at)?),
            "parametersJsonSchema" => tool.schema = Some(Json(value.get().to_owned())),
            _ => other.push(format!("tools[].functionDeclarations[].{name}")),
        }
    }
    if tool.name.is_empty() {
        let path = format!("{path}.name");
        return Err(Error::invalid(&path, format!("`{path}` is missing; a function needs one.")));
    }
    Ok(tool)
}

/// Reads `toolConfig`.
pub(crate) fn read_choice(
    value: &RawValue,
    path: &str,
    conversation: &mut Conversation,
) -> Result<()> {
    let config: Object<'_> = json::parsed(value, path, "an object")?;
    for (name, value) in config.present() {
        let path = format!("{path}.{name}");
        if camel(name) == "functionCallingConfig" {
            calling(value, &path, conversation)?;
        } else {
            conversation.unmapped_fields.push(path);
        }
    }
    Ok(())
}

fn calling(value: &RawValue, path: &str, conversation: &mut Conversation) -> Result<()> {
    let config: Object<'_> = json::parsed(value, path, "an object with a `mode`")?;
    let (mut mode, mut names): (String, Vec<String>) = (String::new(), vec![]);
    for (name, value) in config.present() {
        let at = format!("{path}.{name}");
        match camel(name).as_ref() {
            "mode" => mode = json::parsed(value, &at, "a text")?,
            "allowedFunctionNames" => names = json::parsed(value, &at, "a list of names")?,
            _ => conversation.unmapped_fields.push(at),
        }
    }

    conversation.tool_choice = Some(match mode.to_ascii_uppercase().as_str() {
        "" | "AUTO" | "MODE_UNSPECIFIED" => ToolChoice::Auto,
        "NONE" => ToolChoice::None,
        "ANY" => match names.as_slice() {
            [] => ToolChoice::Required,
            // Every format can name one tool, and few can choose among several.
            [name] => ToolChoice::Named(name.clone()),
            _ => ToolChoice::Among(names, true),
        },
        "VALIDATED" => {
            // That arguments follow their schema is not asked of others this way.
            conversation.unmapped_fields.push(format!("{path}.mode"));
            if names.is_empty() { ToolChoice::Auto } else { ToolChoice::Among(names, false) }
        }
        _ => {
            let path = format!("{path}.mode");
            let message = format!("`{path}` must be `AUTO`, `ANY`, `NONE` or `VALIDATED`.");
            return Err(Error::invalid(&path, message));
        }
    });
    Ok(())
}
