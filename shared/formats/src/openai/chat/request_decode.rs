//! A client's request, decoded for a provider of another format.
//!
//! Every member is either decoded or noted by name, so that none is lost in silence.

mod messages;

use std::borrow::Cow;

use canonical::{
    CanonicalRequest, Conversation, Effort, Error, ErrorKind, Json, Reasoning, ResponseFormat,
    Result, Schema, Tool, ToolChoice,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::effort::effort;
use crate::{
    RawObject,
    json::{self, Object, parsed},
    openai::tool_name::{self, Grammar, ToolName},
    size_limits::note,
};

/// Decodes a request.
pub(super) fn decode(raw: &RawObject) -> Result<CanonicalRequest> {
    let mut conversation = Conversation::default();
    for (name, value) in json::object(raw)?.present() {
        let known = request_member(&mut conversation, name, value)?
            || sampling(&mut conversation, name, value)?
            || passed_by(name, value);
        if !known {
            note(&mut conversation.unmapped_fields, name.to_owned());
        }
    }
    Ok(CanonicalRequest::Conversation(Box::new(conversation)))
}

/// Decodes a member about the request's settings. False for any other member.
fn request_member(conversation: &mut Conversation, name: &str, value: &RawValue) -> Result<bool> {
    match name {
        "messages" => {
            conversation.messages = messages::decode(value, &mut conversation.unmapped_fields)?;
        }
        "tools" => conversation.tools = tools(value, &mut conversation.unmapped_fields)?,
        "tool_choice" => conversation.tool_choice = Some(tool_choice(value)?),
        "parallel_tool_calls" => {
            conversation.parallel_tool_calls = Some(parsed(value, name, "true or false")?);
        }
        "response_format" => conversation.response_format = Some(output(value)?),
        "reasoning_effort" => {
            let word: Cow<'_, str> = parsed(value, name, "a word")?;
            conversation.reasoning.get_or_insert_default().effort = Some(effort(&word, name)?);
        }
        "reasoning" => conversation.reasoning = Some(reasoning(value)?),
        "include_reasoning" => {
            // Older than `reasoning`, at OpenRouter and Groq.
            let visible = parsed(value, name, "true or false")?;
            // Who wants to see reasoning wants it; who does not may still want it.
            if visible {
                conversation.reasoning.get_or_insert_default();
            }
            if let Some(reasoning) = &mut conversation.reasoning {
                reasoning.visible = Some(visible);
            }
        }
        "max_completion_tokens" => {
            // The newer name counts, whichever of the two stands first.
            conversation.max_tokens = Some(parsed(value, name, "a whole number")?);
        }
        "max_tokens" => {
            let tokens = parsed(value, name, "a whole number")?;
            // The older name for what clients of several providers send twice.
            conversation.max_tokens.get_or_insert(tokens);
        }
        "user" => {
            let user = parsed(value, name, "a string")?;
            // `safety_identifier` replaces `user` in OpenAI's reference, so that it counts where
            // both are there.
            conversation.user.get_or_insert(user);
        }
        "safety_identifier" => conversation.user = Some(parsed(value, name, "a string")?),
        "metadata" => conversation.metadata = labels(value)?,
        "service_tier" => {
            let tier: String = parsed(value, name, "a string")?;
            // `auto` is what happens without a tier, too.
            conversation.service_tier = Some(tier).filter(|it| it != "auto");
        }
        "verbosity" => conversation.verbosity = Some(parsed(value, name, "a string")?),
        "prompt_cache_key" => {
            conversation.prompt_cache_key = Some(parsed(value, name, "a string")?);
        }
        "functions" | "function_call" => {
            let message = "`functions` and `function_call` are too old for this model's provider; use `tools` and `tool_choice`.";
            return Err(unsupported(name, message));
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// How tokens are chosen. False when the member is not about that.
fn sampling(conversation: &mut Conversation, name: &str, value: &RawValue) -> Result<bool> {
    let sampling = &mut conversation.sampling;
    let number = || parsed(value, name, "a number").map(Some);
    let whole = || parsed(value, name, "a whole number").map(Some);
    match name {
        "temperature" => sampling.temperature = number()?,
        "top_p" => sampling.top_p = number()?,
        "top_k" => sampling.top_k = whole()?,
        "frequency_penalty" => sampling.frequency_penalty = number()?,
        "presence_penalty" => sampling.presence_penalty = number()?,
        "seed" => sampling.seed = parsed(value, name, "a whole number").map(Some)?,
        "n" => sampling.n = whole()?,
        "stop" => {
            let stop: OneOrMany = parsed(value, name, "a string or a list of strings")?;
            sampling.stop = stop.into();
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Whether a member says nothing that another format would have to say: it is the gateway's own
/// business, or it asks for what everybody does anyway.
fn passed_by(name: &str, value: &RawValue) -> bool {
    match name {
        "model" | "stream" | "stream_options" => true,
        // `store: true` is not for others to do, and is named.
        "store" | "logprobs" => value.get() == "false",
        "modalities" => value.get().split_ascii_whitespace().collect::<String>() == r#"["text"]"#,
        "top_logprobs" => value.get() == "0",
        _ => false,
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl From<OneOrMany> for Vec<String> {
    fn from(stop: OneOrMany) -> Self {
        match stop {
            OneOrMany::One(text) => vec![text],
            OneOrMany::Many(texts) => texts,
        }
    }
}

fn tools(value: &RawValue, other: &mut Vec<String>) -> Result<Vec<Tool>> {
    let list: Vec<Object<'_>> = parsed(value, "tools", "a list of tools")?;
    let mut tools = vec![];
    for (at, tool) in list.iter().enumerate() {
        let kind: Cow<'_, str> = match tool.get("type") {
            Some(kind) => parsed(kind, &format!("tools[{at}].type"), "a string")?,
            None => "function".into(),
        };
        let path = format!("tools[{at}].{kind}");
        let missing = || Error::invalid(&path, format!("`{path}` is missing."));
        let mut read = match kind.as_ref() {
            "function" => function(tool.get("function").ok_or_else(missing)?, &path, other)?,
            "custom" => custom_tool(tool.get("custom").ok_or_else(missing)?, &path)?,
            kind => {
                note(other, format!("tools[].type={kind}"));
                continue;
            }
        };
        if let Some(mark) = tool.get("cache_control") {
            read.cache = Some(messages::cache_mark(mark, &format!("tools[{at}]"))?);
        }
        tools.push(read);
    }
    Ok(tools)
}

fn function(json: &RawValue, path: &str, other: &mut Vec<String>) -> Result<Tool> {
    let mut read = Tool::default();
    let function: Object<'_> = parsed(json, path, "an object with a `name`")?;
    for (name, value) in function.present() {
        match name {
            "name" => read.name = parsed(value, &format!("{path}.name"), "a string")?,
            "description" => {
                let path = format!("{path}.description");
                read.description = Some(parsed(value, &path, "a string")?);
            }
            "parameters" => read.schema = Some(Json(value.get().to_owned())),
            "strict" => {
                read.strict = Some(parsed(value, &format!("{path}.strict"), "true or false")?);
            }
            _ => note(other, format!("tools[].function.{name}")),
        }
    }
    Ok(read)
}

#[derive(Deserialize)]
struct CustomTool<'a> {
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(borrow, default)]
    format: Option<CustomFormat<'a>>,
}

#[derive(Deserialize)]
struct CustomFormat<'a> {
    #[serde(borrow, default)]
    grammar: Option<Grammar<'a>>,
}

/// A tool that takes any text: one string among its arguments stands for it.
fn custom_tool(json: &RawValue, path: &str) -> Result<Tool> {
    let CustomTool { name, description, format } = parsed(json, path, "an object with a `name`")?;
    let grammar = format.and_then(|it| it.grammar);
    Ok(Tool {
        name: ToolName::of_custom(&name),
        description: tool_name::described(description, grammar.as_ref()),
        schema: Some(Json(tool_name::CUSTOM_SCHEMA.to_owned())),
        ..Tool::default()
    })
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(flatten)]
    tool: ChosenTool,
    #[serde(default)]
    allowed_tools: Option<Allowed>,
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

#[derive(Deserialize)]
struct Allowed {
    #[serde(default)]
    mode: String,
    tools: Vec<ChosenTool>,
}

/// A tool under the name of its type.
#[derive(Deserialize)]
struct ChosenTool {
    #[serde(default)]
    function: Option<Name>,
    #[serde(default)]
    custom: Option<Name>,
}

impl ChosenTool {
    fn name(self) -> Option<String> {
        let custom = || self.custom.map(|it| ToolName::of_custom(&it.name));
        self.function.map(|it| it.name).or_else(custom)
    }
}

fn tool_choice(value: &RawValue) -> Result<ToolChoice> {
    let wanted = "`auto`, `none`, `required` or an object that names a function";
    let path = "tool_choice";
    let wrong = || Error::invalid(path, format!("`{path}` must be {wanted}."));
    if value.get().starts_with('"') {
        let word: Cow<'_, str> = parsed(value, path, wanted)?;
        return match word.as_ref() {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            // `any` is Mistral's word for it.
            "required" | "any" => Ok(ToolChoice::Required),
            _ => Err(wrong()),
        };
    }
    let Choice { kind, tool, allowed_tools } = parsed(value, path, wanted)?;
    match (tool.name(), allowed_tools) {
        (Some(name), _) => Ok(ToolChoice::Named(name)),
        (None, Some(Allowed { mode, tools })) => {
            let names = tools.into_iter().map(|it| it.name().ok_or_else(wrong));
            Ok(ToolChoice::Among(names.collect::<Result<_>>()?, mode == "required"))
        }
        (None, None) => {
            let message = format!(
                "a `{path}` of type `{kind}` is not supported by this model's provider; name a function instead"
            );
            Err(unsupported(path, message))
        }
    }
}

#[derive(Deserialize)]
struct Format<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    json_schema: Option<JsonSchema<'a>>,
}

#[derive(Deserialize)]
struct JsonSchema<'a> {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(borrow, default)]
    schema: Option<&'a RawValue>,
    #[serde(default)]
    strict: Option<bool>,
}

fn output(value: &RawValue) -> Result<ResponseFormat> {
    let path = "response_format";
    let format: Format<'_> = parsed(value, path, "an object with a `type`")?;
    match (format.kind.as_ref(), format.json_schema) {
        ("text", _) => Ok(ResponseFormat::Text),
        ("json_object", _) => Ok(ResponseFormat::Json),
        ("json_schema", Some(JsonSchema { name, description, schema, strict })) => {
            // OpenAI's reference does not require `schema`; an empty one allows anything.
            let schema = schema.map_or("{}", RawValue::get).to_owned();
            Ok(ResponseFormat::Schema(Schema { name, description, schema: Json(schema), strict }))
        }
        _ => Err(Error::invalid(
            path,
            "`response_format` must be of type `text`, `json_object` or `json_schema` with a `json_schema`.",
        )),
    }
}

/// `OpenRouter`'s object, which many clients send. Source: openrouter.ai/docs, *Reasoning tokens*.
#[derive(Deserialize)]
struct ReasoningObject {
    effort: Option<String>,
    max_tokens: Option<u64>,
    exclude: Option<bool>,
    enabled: Option<bool>,
}

fn reasoning(value: &RawValue) -> Result<Reasoning> {
    let read: ReasoningObject = parsed(value, "reasoning", "an object with an `effort`")?;
    let word = read.effort.map(|it| effort(&it, "reasoning.effort")).transpose()?;
    let off = read.enabled == Some(false);
    Ok(Reasoning {
        // `enabled: false` counts more than an effort beside it (openrouter.ai/docs, *Reasoning
        // tokens*).
        effort: if off { Some(Effort::None) } else { word },
        budget: read.max_tokens.filter(|_| !off),
        visible: read.exclude.map(|it| !it),
    })
}

/// Labels keep their order.
fn labels(value: &RawValue) -> Result<Vec<(String, String)>> {
    let object: Object<'_> = parsed(value, "metadata", "an object of strings")?;
    let label = |(name, value): (&str, &RawValue)| {
        Ok((name.to_owned(), parsed(value, &format!("metadata.{name}"), "a string")?))
    };
    object.present().map(label).collect()
}

/// The fields that this provider does not support and another does.
pub(super) fn unsupported(param: &str, message: impl Into<String>) -> Error {
    let mut error = Error::new(ErrorKind::Unsupported, message);
    error.param = Some(param.to_owned());
    error
}
