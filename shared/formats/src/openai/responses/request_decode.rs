//! Requests of clients, decoded.

use std::borrow::Cow;

use canonical::{
    CanonicalRequest, Content, Conversation, Error, Json, Message, Part, Reasoning, ResponseFormat,
    Result, Role, Schema, Signature, Tool, ToolCall, ToolChoice, ToolResult,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{compaction, content, request_encode, request_passthrough, response_decode, wire};
use crate::{
    RawObject, json,
    openai::{
        chat::effort::effort,
        tool_name::{self, Grammar, ToolName},
    },
    size_limits,
};

/// Members that are read one by one, or that mean nothing to others by their nature.
const KNOWN: &[&str] = &[
    "background",
    "conversation",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "metadata",
    "model",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

/// Decodes a request for a provider of another format.
pub(super) fn decode(raw: &RawObject) -> Result<CanonicalRequest> {
    let mut conversation = Conversation::default();
    if let Some(instructions) = json::read::<String>(raw, "instructions", "a text")? {
        conversation.messages.push(Message::new(Role::System, vec![Part::text(instructions)]));
    }

    // Behind the instructions, which are the beginning of the prompt wherever the member stands.
    input(raw, &mut conversation)?;
    tools(raw, &mut conversation)?;
    form(raw, &mut conversation)?;
    thinking(raw, &mut conversation)?;

    conversation.max_tokens = json::read(raw, "max_output_tokens", "a whole number")?;
    conversation.sampling.temperature = json::read(raw, "temperature", "a number")?;
    conversation.sampling.top_p = json::read(raw, "top_p", "a number")?;
    conversation.service_tier = json::read(raw, "service_tier", "a text")?;
    conversation.prompt_cache_key = json::read(raw, "prompt_cache_key", "a text")?;
    conversation.metadata = metadata(raw)?;
    user(raw, &mut conversation)?;
    others(raw, &mut conversation)?;

    if compaction::is_requested(raw) {
        compaction::ask_for_summary(&mut conversation);
    }
    Ok(CanonicalRequest::Conversation(Box::new(conversation)))
}

fn input(raw: &RawObject, conversation: &mut Conversation) -> Result<()> {
    let wanted = "a text or a list of items";
    let Some(input) = json::read::<&RawValue>(raw, "input", wanted)? else { return Ok(()) };
    if let Some(text) = wire::string(Some(input)) {
        conversation.messages.push(Message::new(Role::User, vec![Part::text(text)]));
        return Ok(());
    }
    let items: Vec<&RawValue> = json::read(raw, "input", wanted)?.unwrap_or_default();
    for (at, item) in items.into_iter().enumerate() {
        let path = format!("input[{at}]");
        let item: wire::Item<'_> = serde_json::from_str(item.get()).map_err(|error| {
            let message = format!("`{path}` must be an item, such as a message.");
            Error::invalid(&path, message).caused_by(json::unquoted(&error))
        })?;
        self::item(&item, &path, conversation)?;
    }
    Ok(())
}

fn item(item: &wire::Item<'_>, path: &str, conversation: &mut Conversation) -> Result<()> {
    let is_message = item.role.is_some() && item.content.is_some();
    // The reference lets messages and references leave out their type.
    match item.kind.as_deref().unwrap_or(if is_message { "message" } else { "item_reference" }) {
        "message" => message(item, path, conversation)?,
        "reasoning" => add_assistant_parts(conversation, content::reasoning(item)),
        "function_call" => add_assistant_parts(conversation, Some(call(item, path, false)?)),
        "custom_tool_call" => add_assistant_parts(conversation, Some(call(item, path, true)?)),
        "function_call_output" | "custom_tool_call_output" => {
            let result = result(item, path)?;
            match conversation.messages.last_mut() {
                // Results of parallel calls are one message in other formats.
                Some(last) if is_of_results(last) => last.parts.push(result),
                _ => conversation.messages.push(Message::new(Role::User, vec![result])),
            }
        }
        // A foreign one is opaque to everybody but its maker.
        kind if compaction::is_compaction(kind) => match compaction::summary(item) {
            Some(summary) => conversation.messages.push(compaction::message(&summary)),
            None => other(conversation, "input[].type=compaction".to_owned()),
        },
        // The conversation as a whole is asked for its summary.
        "compaction_trigger" => {}
        "additional_tools" => added(item, path, conversation)?,
        "image_generation_call" => add_assistant_parts(conversation, response_decode::image(item)),
        "item_reference" => return Err(request_passthrough::reference(path)),
        // The work of tools that run at the provider.
        kind => other(conversation, format!("input[].type={kind}")),
    }
    Ok(())
}

fn message(item: &wire::Item<'_>, path: &str, conversation: &mut Conversation) -> Result<()> {
    let role = match item.role.as_deref() {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("system") => Role::System,
        Some("developer") => Role::Developer,
        _ => {
            let path = format!("{path}.role");
            let message = format!("`{path}` must be `user`, `assistant`, `system` or `developer`.");
            return Err(Error::invalid(&path, message));
        }
    };
    let path = format!("{path}.content");
    let missing = || Error::invalid(&path, format!("`{path}` is missing."));
    let parts = content::content(item.content.ok_or_else(missing)?, &path)?;
    if item.phase.is_some() {
        other(conversation, "input[].phase".to_owned());
    }
    if role == Role::Assistant {
        add_assistant_parts(conversation, parts);
    } else {
        conversation.messages.push(Message::new(role, parts));
    }
    Ok(())
}

/// Adds to the model's last message: a response is several items in this format.
fn add_assistant_parts(conversation: &mut Conversation, parts: impl IntoIterator<Item = Part>) {
    let mut parts = parts.into_iter().peekable();
    if parts.peek().is_none() {
        return;
    }
    match conversation.messages.last_mut() {
        Some(last) if last.role == Role::Assistant => last.parts.extend(parts),
        _ => conversation.messages.push(Message::new(Role::Assistant, parts.collect())),
    }
}

fn is_of_results(message: &Message) -> bool {
    let is_result = |it: &Part| matches!(it.content, Content::ToolResult(_));
    message.role == Role::User && message.parts.iter().all(is_result)
}

fn id<'a>(item: &'a wire::Item<'_>, path: &str) -> Result<(&'a str, Option<Signature>)> {
    let id = item.call_id.as_deref().filter(|it| !it.is_empty()).ok_or_else(|| {
        let path = format!("{path}.call_id");
        Error::invalid(&path, format!("`{path}` is missing."))
    })?;
    Ok(Signature::split_id(id))
}

fn call(item: &wire::Item<'_>, path: &str, custom: bool) -> Result<Part> {
    let (id, signature) = id(item, path)?;
    let ToolCall { name, arguments, .. } = response_decode::call(item, 0);
    if name.is_empty() {
        let path = format!("{path}.name");
        return Err(Error::invalid(&path, format!("`{path}` is missing.")));
    }
    let arguments = match &item.input {
        Some(input) if custom => tool_name::arguments(input),
        _ => arguments,
    };
    let name = ToolName { namespace: item.namespace.as_deref(), name: &name, custom }.joined();
    let call = ToolCall { id: id.to_owned(), name, arguments };
    Ok(Part { content: Content::ToolCall(call), cache: None, signature })
}

fn result(item: &wire::Item<'_>, path: &str) -> Result<Part> {
    let (id, _) = id(item, path)?;
    let path = format!("{path}.output");
    let missing = || Error::invalid(&path, format!("`{path}` is missing."));
    let parts = content::content(item.output.ok_or_else(missing)?, &path)?;
    let name = item.name.as_ref().map(ToString::to_string);
    let result = ToolResult { id: id.to_owned(), name, parts, is_error: None };
    Ok(Part::new(Content::ToolResult(result)))
}

#[derive(Deserialize)]
struct ToolJson<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(borrow, default)]
    parameters: Option<&'a RawValue>,
    #[serde(default)]
    strict: Option<bool>,
    #[serde(borrow, default)]
    output_schema: Option<&'a RawValue>,
    #[serde(default)]
    defer_loading: Option<bool>,
    #[serde(borrow, default)]
    tools: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    format: Option<Grammar<'a>>,
}

fn tools(raw: &RawObject, conversation: &mut Conversation) -> Result<()> {
    let list: Option<Vec<&RawValue>> = json::read(raw, "tools", "a list of tools")?;
    for (at, json) in list.unwrap_or_default().into_iter().enumerate() {
        tool(json, None, &format!("tools[{at}]"), conversation)?;
    }
    conversation.parallel_tool_calls = json::read(raw, "parallel_tool_calls", "true or false")?;
    choice(raw, conversation)
}

/// Tools that are added on the way.
fn added(item: &wire::Item<'_>, path: &str, conversation: &mut Conversation) -> Result<()> {
    let path = format!("{path}.tools");
    let list = item.tools.map(|it| json::parsed(it, &path, "a list of tools")).transpose()?;
    let list: Vec<&RawValue> = list.unwrap_or_default();
    list.into_iter()
        .enumerate()
        .try_for_each(|(at, json)| tool(json, None, &format!("{path}[{at}]"), conversation))
}

/// One tool, or all those of a namespace.
fn tool(
    json: &RawValue,
    within: Option<&str>,
    path: &str,
    conversation: &mut Conversation,
) -> Result<()> {
    let tool: ToolJson<'_> = json::parsed(json, path, "a tool, such as a function with a `name`")?;
    let missing = || {
        let path = format!("{path}.name");
        let message = format!("`{path}` is missing; here it stands beside `type`.");
        Error::invalid(&path, message)
    };
    if tool.kind == "namespace" && within.is_none() {
        let name = tool.name.filter(|it| !it.is_empty()).ok_or_else(missing)?;
        return tool.tools.unwrap_or_default().into_iter().enumerate().try_for_each(
            |(at, json)| {
                self::tool(json, Some(&name), &format!("{path}.tools[{at}]"), conversation)
            },
        );
    }
    let custom = tool.kind == "custom";
    if !custom && tool.kind != "function" {
        other(conversation, format!("tools[].type={}", tool.kind));
        return Ok(());
    }
    if tool.output_schema.is_some() {
        other(conversation, "tools[].output_schema".to_owned());
    }
    if tool.defer_loading == Some(true) {
        other(conversation, "tools[].defer_loading".to_owned());
    }
    let name = tool.name.filter(|it| !it.is_empty()).ok_or_else(missing)?;
    let schema = if custom {
        // Elsewhere a tool has arguments: one string stands for the text.
        Some(Json(tool_name::CUSTOM_SCHEMA.to_owned()))
    } else {
        tool.parameters.map(|it| Json(it.get().to_owned()))
    };
    conversation.tools.push(Tool {
        name: ToolName { namespace: within, name: &name, custom }.joined(),
        description: tool_name::described(tool.description, tool.format.as_ref()),
        schema,
        strict: tool.strict,
        cache: None,
    });
    Ok(())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Choice<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    name: Option<String>,
    #[serde(borrow)]
    mode: Option<Cow<'a, str>>,
    #[serde(borrow)]
    tools: Vec<Allowed<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Allowed<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    name: Option<String>,
}

fn choice(raw: &RawObject, conversation: &mut Conversation) -> Result<()> {
    let wanted = "`auto`, `none`, `required`, or an object with a `type`";
    let wrong = || Error::invalid("tool_choice", format!("`tool_choice` must be {wanted}."));
    let Some(json) = json::read::<&RawValue>(raw, "tool_choice", wanted)? else { return Ok(()) };
    if let Some(word) = wire::string(Some(json)) {
        conversation.tool_choice = Some(match word.as_ref() {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            "required" => ToolChoice::Required,
            _ => return Err(wrong()),
        });
        return Ok(());
    }
    let choice: Choice<'_> = serde_json::from_str(json.get())
        .map_err(|error| wrong().caused_by(json::unquoted(&error)))?;
    match (choice.kind.as_ref(), choice.name) {
        ("function", Some(name)) => conversation.tool_choice = Some(ToolChoice::Named(name)),
        ("custom", Some(name)) => {
            conversation.tool_choice = Some(ToolChoice::Named(ToolName::of_custom(&name)));
        }
        ("function" | "custom", None) => return Err(wrong()),
        ("allowed_tools", _) => {
            let functions = choice.tools.into_iter().filter(|it| it.kind == "function");
            let names = functions.filter_map(|it| it.name).collect();
            let must = choice.mode.as_deref() == Some("required");
            conversation.tool_choice = Some(ToolChoice::Among(names, must));
        }
        (kind, _) => other(conversation, format!("tool_choice.type={kind}")),
    }
    Ok(())
}

#[derive(Deserialize)]
struct Text<'a> {
    #[serde(borrow, default)]
    format: Option<Format<'a>>,
    #[serde(default)]
    verbosity: Option<String>,
}

#[derive(Deserialize)]
struct Format<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(borrow, default)]
    schema: Option<&'a RawValue>,
    #[serde(default)]
    strict: Option<bool>,
}

fn form(raw: &RawObject, conversation: &mut Conversation) -> Result<()> {
    let text: Option<Text<'_>> = json::read(raw, "text", "an object with a `format`")?;
    let Some(text) = text else { return Ok(()) };
    conversation.verbosity = text.verbosity;
    let Some(format) = text.format else { return Ok(()) };
    conversation.response_format = Some(match (format.kind.as_ref(), format.schema) {
        ("text", _) => ResponseFormat::Text,
        ("json_object", _) => ResponseFormat::Json,
        ("json_schema", Some(schema)) => ResponseFormat::Schema(Schema {
            name: format.name,
            description: format.description,
            schema: Json(schema.get().to_owned()),
            strict: format.strict,
        }),
        ("json_schema", None) => {
            let message = "`text.format.schema` is missing.";
            return Err(Error::invalid("text.format.schema", message));
        }
        _ => {
            let message = "`text.format.type` must be `text`, `json_object` or `json_schema`.";
            return Err(Error::invalid("text.format.type", message));
        }
    });
    Ok(())
}

#[derive(Deserialize)]
struct Thinking<'a> {
    #[serde(borrow, default)]
    effort: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    summary: Option<&'a RawValue>,
    #[serde(borrow, default)]
    generate_summary: Option<&'a RawValue>,
    #[serde(borrow, default)]
    context: Option<&'a RawValue>,
    #[serde(borrow, default)]
    mode: Option<&'a RawValue>,
}

fn thinking(raw: &RawObject, conversation: &mut Conversation) -> Result<()> {
    let wanted = "an object such as {\"effort\": \"low\"}";
    let thinking: Option<Thinking<'_>> = json::read(raw, "reasoning", wanted)?;
    let Some(thinking) = thinking else { return Ok(()) };
    let word = thinking.effort.as_deref();
    let effort = word.map(|it| effort(it, "reasoning.effort")).transpose()?;
    // Who requests a summary wants to see it. `generate_summary` is the older name.
    let shown = thinking.summary.or(thinking.generate_summary).map(|_| true);
    conversation.reasoning = Some(Reasoning { effort, budget: None, visible: shown });
    if thinking.context.is_some() {
        other(conversation, "reasoning.context".to_owned());
    }
    if thinking.mode.is_some() {
        other(conversation, "reasoning.mode".to_owned());
    }
    Ok(())
}

fn metadata(raw: &RawObject) -> Result<Vec<(String, String)>> {
    let wrong = || Error::invalid("metadata", "`metadata` must be an object of texts.");
    let json = json::read::<&RawValue>(raw, "metadata", "an object of texts")?;
    let Some(json) = json else { return Ok(vec![]) };
    let text = json.get();
    let members =
        json::members_of(text).map_err(|error| wrong().caused_by(json::unquoted(&error)))?;
    let read = |place| serde_json::from_str::<String>(json::text(text.as_bytes(), place));
    let labels = members.iter().map(|it| Ok((read(&it.key)?, read(&it.value)?)));
    labels
        .collect::<serde_json::Result<_>>()
        .map_err(|error| wrong().caused_by(json::unquoted(&error)))
}

fn user(raw: &RawObject, conversation: &mut Conversation) -> Result<()> {
    let user: Option<String> = json::read(raw, "user", "a text")?;
    let safety: Option<String> = json::read(raw, "safety_identifier", "a text")?;
    // Only one of them can travel; `user` is the one that other formats know.
    if user.is_some() && safety.is_some() && user != safety {
        other(conversation, "safety_identifier".to_owned());
    }
    conversation.user = user.or(safety);
    Ok(())
}

/// Notes a member that no other format supports.
fn others(raw: &RawObject, conversation: &mut Conversation) -> Result<()> {
    let included: Option<Vec<String>> = json::read(raw, "include", "a list of texts")?;
    // Signatures travel by themselves, with every provider that gives any.
    for name in included.unwrap_or_default().into_iter().filter(|it| it != request_encode::SEALED) {
        other(conversation, format!("include[]={name}"));
    }
    if json::read::<u64>(raw, "top_logprobs", "a whole number")?.is_some_and(|it| 0 < it) {
        other(conversation, "top_logprobs".to_owned());
    }
    let truncation: Option<String> = json::read(raw, "truncation", "`auto` or `disabled`")?;
    if truncation.is_some_and(|it| it != "disabled") {
        other(conversation, "truncation".to_owned());
    }
    for member in &raw.members {
        let name = json::text(&raw.body, &member.key);
        let Ok(name) = serde_json::from_str::<String>(name) else { continue };
        let says_nothing = json::text(&raw.body, &member.value) == "null";
        if !says_nothing && !KNOWN.contains(&name.as_str()) {
            other(conversation, name);
        }
    }
    Ok(())
}

fn other(conversation: &mut Conversation, name: String) {
    size_limits::note(&mut conversation.unmapped_fields, name);
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn parsed(body: &'static str) -> Conversation {
        let raw = json::members(Bytes::from_static(body.as_bytes())).unwrap();
        decode(&raw).unwrap().conversation().unwrap().clone()
    }

    #[test]
    fn the_items_of_one_response_are_one_message() {
        let conversation = parsed(
            r#"{"input":[{"role":"user","content":"x"},
            {"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"e"},
            {"type":"message","role":"assistant","content":"y"},
            {"type":"function_call","call_id":"c1","name":"f","arguments":"{}"},
            {"type":"function_call","call_id":"c2","name":"g","arguments":"{}"},
            {"type":"function_call_output","call_id":"c1","output":"1"},
            {"type":"function_call_output","call_id":"c2","output":"2"},
            {"role":"user","content":"z"}]}"#,
        );
        let shape: Vec<_> =
            conversation.messages.iter().map(|it| (it.role, it.parts.len())).collect();
        let wanted = [(Role::User, 1), (Role::Assistant, 4), (Role::User, 2), (Role::User, 1)];
        assert_eq!(shape, wanted);
        let signature = conversation.messages[1].parts[0].signature.as_ref().unwrap();
        assert_eq!(content::unsealed(signature), Some(("rs_1", "e")));
    }

    #[test]
    fn a_wrong_field_is_named() {
        let error = |body: &'static str| {
            let raw = json::members(Bytes::from_static(body.as_bytes())).unwrap();
            decode(&raw).unwrap_err().param.clone().unwrap()
        };
        for (body, param) in [
            (r#"{"input":[{"role":"bot","content":"x"}]}"#, "input[0].role"),
            (r#"{"input":[{"type":"message","role":"user"}]}"#, "input[0].content"),
            (r#"{"input":[{"type":"function_call","name":"f"}]}"#, "input[0].call_id"),
            (r#"{"input":"x","tools":[{"type":"function","function":{}}]}"#, "tools[0].name"),
            (r#"{"input":"x","tool_choice":"any"}"#, "tool_choice"),
            (r#"{"input":"x","reasoning":{"effort":"huge"}}"#, "reasoning.effort"),
            (r#"{"input":"x","text":{"format":{"type":"json_schema"}}}"#, "text.format.schema"),
            (r#"{"input":"x","metadata":{"a":1}}"#, "metadata"),
        ] {
            assert_eq!(error(body), param, "{body}");
        }
    }
}
