//! Decodes a client's request.
//!
//! What only Anthropic has — its own tools, containers, context management — goes into `other`.

mod blocks;

use canonical::{
    CacheBreakpoint, CanonicalRequest, Conversation, Effort, Error, Json, Message, Reasoning,
    ResponseFormat, Result, Role, Schema, Tool, ToolChoice,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::RawObject;
use crate::json::{self, Object, parsed};

/// Decodes a request for a provider of another format.
pub(super) fn decode(raw: &RawObject) -> Result<CanonicalRequest> {
    let body = json::object(raw)?;
    let mut conversation = Conversation::default();
    let mut other = vec![];
    // The system's text stands before all others, wherever the member stands.
    if let Some(system) = body.get("system") {
        let parts = blocks::parts(system, "system", &mut other)?;
        conversation.messages.push(Message::new(Role::System, parts));
    }

    for (key, value) in body.present() {
        member(key, value, &mut conversation, &mut other)?;
    }

    // The same block may be named for each of a thousand messages.
    other.sort_unstable();
    other.dedup();
    conversation.unmapped_fields = other;
    Ok(CanonicalRequest::Conversation(Box::new(conversation)))
}

fn member(
    key: &str,
    value: &RawValue,
    conversation: &mut Conversation,
    other: &mut Vec<String>,
) -> Result<()> {
    let number = "a number";
    let whole = "a whole number";
    match key {
        "model" | "stream" | "system" => {}
        "messages" => messages(value, conversation, other)?,
        "max_tokens" => conversation.max_tokens = Some(parsed(value, key, whole)?),
        "temperature" => {
            conversation.sampling.temperature = Some(parsed(value, key, number)?);
        }
        "top_p" => conversation.sampling.top_p = Some(parsed(value, key, number)?),
        "top_k" => conversation.sampling.top_k = Some(parsed(value, key, whole)?),
        "stop_sequences" => {
            conversation.sampling.stop = parsed(value, key, "a list of texts")?;
        }
        "tools" => tools(value, conversation, other)?,
        "tool_choice" => tool_choice(value, conversation)?,
        "thinking" => thinking(value, conversation)?,
        "output_config" => output_config(value, conversation, other)?,
        "output_format" => conversation.response_format = output(value, key)?,
        "metadata" => metadata(value, conversation, other)?,
        "cache_control" => conversation.cache = Some(cache(value, key)?),
        _ => other.push(key.to_owned()),
    }
    Ok(())
}

#[derive(Deserialize)]
struct WireMessage<'a> {
    role: String,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

fn messages(
    value: &RawValue,
    conversation: &mut Conversation,
    other: &mut Vec<String>,
) -> Result<()> {
    let wanted = "an object with a `role` and `content`";
    let messages: Vec<&RawValue> = parsed(value, "messages", "a list of messages")?;
    for (at, message) in messages.into_iter().enumerate() {
        let path = format!("messages[{at}]");
        let message: WireMessage<'_> = parsed(message, &path, wanted)?;
        let role = match message.role.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            _ => {
                let path = format!("{path}.role");
                let message = format!("`{path}` must be `user`, `assistant` or `system`.");
                return Err(Error::invalid(&path, message));
            }
        };
        let path = format!("{path}.content");
        let Some(content) = message.content else {
            let message = format!("`{path}` is missing; it must be a text or a list of blocks.");
            return Err(Error::invalid(&path, message));
        };
        let parts = blocks::parts(content, &path, other)?;
        conversation.messages.push(Message::new(role, parts));
    }
    Ok(())
}

fn tools(value: &RawValue, conversation: &mut Conversation, other: &mut Vec<String>) -> Result<()> {
    let tools: Vec<&RawValue> = parsed(value, "tools", "a list of tools")?;
    for (at, tool) in tools.into_iter().enumerate() {
        let path = format!("tools[{at}]");
        let members: Object<'_> = parsed(tool, &path, "an object")?;
        if let Some(kind) = members.get("type") {
            let kind: String = parsed(kind, &format!("{path}.type"), "a text")?;
            // Anthropic's own tools, such as `web_search_20250305`, have no schema: its models
            // alone know them.
            if kind != "custom" {
                other.push(format!("tools[].type={kind}"));
                continue;
            }
        }
        conversation.tools.push(custom_tool(&members, &path, other)?);
    }
    Ok(())
}

fn custom_tool(members: &Object<'_>, path: &str, other: &mut Vec<String>) -> Result<Tool> {
    let mut tool = Tool::default();
    for (key, value) in members.present() {
        let path = format!("{path}.{key}");
        match key {
            "type" => {}
            "name" => tool.name = parsed(value, &path, "a text")?,
            "description" => tool.description = Some(parsed(value, &path, "a text")?),
            "input_schema" => {
                // Only checked: the schema keeps its text, so that key order and numbers survive.
                parsed::<Object<'_>>(value, &path, "a JSON Schema")?;
                tool.schema = Some(Json(value.get().to_owned()));
            }
            "strict" => tool.strict = Some(parsed(value, &path, "true or false")?),
            "cache_control" => tool.cache = Some(cache(value, &path)?),
            _ => other.push(format!("tools[].{key}")),
        }
    }
    if tool.name.is_empty() {
        let path = format!("{path}.name");
        return Err(Error::invalid(&path, format!("`{path}` is missing; every tool needs one.")));
    }
    Ok(tool)
}

#[derive(Deserialize)]
struct Choice {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    disable_parallel_tool_use: Option<bool>,
}

fn tool_choice(value: &RawValue, conversation: &mut Conversation) -> Result<()> {
    let wanted = "an object with a `type` of `auto`, `any`, `tool` or `none`";
    let choice: Choice = parsed(value, "tool_choice", wanted)?;
    conversation.tool_choice = Some(match (choice.kind.as_str(), choice.name) {
        ("auto", _) => ToolChoice::Auto,
        ("any", _) => ToolChoice::Required,
        ("none", _) => ToolChoice::None,
        ("tool", Some(name)) => ToolChoice::Named(name),
        ("tool", None) => {
            let message = "`tool_choice.name` is missing; it must name one of the tools.";
            return Err(Error::invalid("tool_choice.name", message));
        }
        _ => {
            let message = format!("`tool_choice` must be {wanted}.");
            return Err(Error::invalid("tool_choice.type", message));
        }
    });
    // OpenAI's member of this is the opposite.
    conversation.parallel_tool_calls = choice.disable_parallel_tool_use.map(|it| !it);
    Ok(())
}

#[derive(Deserialize)]
struct Thinking {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    budget_tokens: Option<u64>,
    #[serde(default)]
    display: Option<String>,
}

fn thinking(value: &RawValue, conversation: &mut Conversation) -> Result<()> {
    let wanted = "an object with a `type` of `enabled`, `disabled`, `adaptive` or `between_tools`";
    let thinking: Thinking = parsed(value, "thinking", wanted)?;
    let reasoning = conversation.reasoning.get_or_insert_default();
    match thinking.kind.as_str() {
        "disabled" => {
            // Both, because formats ask for one or the other; an effort beside it must not bring
            // reasoning back.
            *reasoning = Reasoning { effort: Some(Effort::None), budget: Some(0), visible: None };
            return Ok(());
        }
        "enabled" => reasoning.budget = thinking.budget_tokens,
        "adaptive" => {}
        // No other format reasons between tool calls only; hardly any reasoning is the nearest.
        "between_tools" => reasoning.effort = Some(Effort::Minimal),
        _ => {
            let message = format!("`thinking` must be {wanted}.");
            return Err(Error::invalid("thinking.type", message));
        }
    }
    reasoning.visible = thinking.display.map(|it| it != "omitted");
    Ok(())
}

fn output_config(
    value: &RawValue,
    conversation: &mut Conversation,
    other: &mut Vec<String>,
) -> Result<()> {
    let members: Object<'_> = parsed(value, "output_config", "an object")?;
    for (key, value) in members.present() {
        match key {
            "effort" => effort(value, conversation)?,
            "format" => conversation.response_format = output(value, "output_config.format")?,
            _ => other.push(format!("output_config.{key}")),
        }
    }
    Ok(())
}

fn effort(value: &RawValue, conversation: &mut Conversation) -> Result<()> {
    let wanted = "`low`, `medium`, `high`, `xhigh` or `max`";
    let word: String = parsed(value, "output_config.effort", wanted)?;
    let effort = match word.as_str() {
        "low" => Effort::Low,
        "medium" => Effort::Medium,
        "high" => Effort::High,
        "xhigh" | "max" => Effort::Highest,
        _ => {
            let message = format!("`output_config.effort` must be {wanted}.");
            return Err(Error::invalid("output_config.effort", message));
        }
    };
    // What `thinking` says of none at all, or hardly any, counts more.
    conversation.reasoning.get_or_insert_default().effort.get_or_insert(effort);
    Ok(())
}

#[derive(Deserialize)]
struct Format<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow, default)]
    schema: Option<&'a RawValue>,
}

fn output(value: &RawValue, path: &str) -> Result<Option<ResponseFormat>> {
    let wanted = "an object with a `type` of `json_schema` and a `schema`";
    let format: Format<'_> = parsed(value, path, wanted)?;
    match (format.kind.as_str(), format.schema) {
        ("text", _) => Ok(Some(ResponseFormat::Text)),
        ("json_schema", Some(schema)) => Ok(Some(ResponseFormat::Schema(Schema {
            name: None,
            description: None,
            schema: Json(schema.get().to_owned()),
            // Anthropic knows no other way.
            strict: Some(true),
        }))),
        _ => Err(Error::invalid(path, format!("`{path}` must be {wanted}."))),
    }
}

fn metadata(
    value: &RawValue,
    conversation: &mut Conversation,
    other: &mut Vec<String>,
) -> Result<()> {
    let members: Object<'_> = parsed(value, "metadata", "an object")?;
    for (key, value) in members.present() {
        if key == "user_id" {
            conversation.user = Some(parsed(value, "metadata.user_id", "a text")?);
        } else {
            other.push(format!("metadata.{key}"));
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct CacheControl {
    #[serde(default)]
    ttl: Option<String>,
}

fn cache(value: &RawValue, path: &str) -> Result<CacheBreakpoint> {
    let control: CacheControl = parsed(value, path, "an object such as {\"type\":\"ephemeral\"}")?;
    Ok(CacheBreakpoint { ttl: control.ttl })
}

#[cfg(test)]
mod tests {
    use canonical::Field;

    use super::*;

    fn read(json: &str) -> Result<Conversation> {
        let raw = json::members(bytes::Bytes::copy_from_slice(json.as_bytes()))?;
        decode(&raw)?.conversation().cloned()
    }

    #[test]
    fn what_only_anthropic_has_is_named() {
        let conversation = read(
            r#"{"messages":[{"role":"user","content":[{"type":"container_upload","file_id":"f"}]}],
            "tools":[{"type":"web_search_20250305","name":"web_search"},
            {"name":"f","input_schema":{},"defer_loading":true}],"container":"c","speed":null}"#,
        )
        .unwrap();
        assert_eq!(
            conversation.unmapped_fields,
            [
                "container",
                "messages[].content[].type=container_upload",
                "tools[].defer_loading",
                "tools[].type=web_search_20250305",
            ]
        );
        assert_eq!(conversation.tools.len(), 1);
    }

    #[test]
    fn thinking_and_effort_are_one_thing() {
        let reasoning =
            |json: &str| read(&format!(r#"{{"messages":[],{json}}}"#)).unwrap().reasoning.unwrap();
        let budget = reasoning(r#""thinking":{"type":"enabled","budget_tokens":2048}"#);
        assert_eq!((budget.budget, budget.visible), (Some(2048), None));
        let adaptive = reasoning(
            r#""output_config":{"effort":"max"},"thinking":{"type":"adaptive","display":"omitted"}"#,
        );
        assert_eq!((adaptive.effort, adaptive.visible), (Some(Effort::Highest), Some(false)));
        let off = r#""thinking":{"type":"disabled"},"output_config":{"effort":"low"}"#;
        assert!(reasoning(off).is_off());
    }

    #[test]
    fn a_wrong_field_is_named() {
        let param = |json: &str| read(json).unwrap_err().param.clone().unwrap();
        assert_eq!(param(r#"{"messages":[{"role":"tool","content":"x"}]}"#), "messages[0].role");
        assert_eq!(param(r#"{"messages":[{"role":"user"}]}"#), "messages[0].content");
        assert_eq!(
            param(r#"{"messages":[{"role":"user","content":[{"type":"text"}]}]}"#),
            "messages[0].content[0].text"
        );
        assert_eq!(param(r#"{"messages":[],"temperature":"hot"}"#), "temperature");
        assert_eq!(param(r#"{"messages":[],"tool_choice":{"type":"tool"}}"#), "tool_choice.name");
        assert_eq!(super::super::fields::name(&Field::Stop), "stop_sequences");
    }
}
