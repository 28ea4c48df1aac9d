//! Requests of other formats, encoded for a provider of OpenAI chat.

mod messages;

use std::borrow::Cow;

use canonical::{
    Conversation, Field, ModelFamily, Reasoning, ResponseFormat, Result, Sampling, Schema, Tool,
    ToolChoice,
};
use serde::Serialize;
use serde_json::{json, value::RawValue};

use self::messages::MessageJson;
use super::{effort, reasoning::ReasoningReplay, system_messages};
use crate::{
    EncodeOptions, EncodedRequest, StreamUsage, alternating_roles::no_message, json,
    object_schema::with_properties, strict_schema::strict_or_named,
};

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<MessageJson<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ToolJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Format<'a>>,
    #[serde(flatten)]
    sampling: Numbers<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verbosity: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_cache_key: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    add_generation_prompt: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    continue_final_message: Option<bool>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
struct Numbers<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<u64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
}

#[derive(Serialize)]
struct ToolJson<'a> {
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Cow<'a, RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Serialize)]
struct Format<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    json_schema: Option<JsonSchema<'a>>,
}

#[derive(Serialize)]
struct JsonSchema<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    schema: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

/// Writes a conversation.
pub(super) fn encode(
    conversation: &Conversation,
    target: &EncodeOptions<'_>,
) -> Result<EncodedRequest> {
    let Conversation {
        messages,
        tools,
        tool_choice,
        parallel_tool_calls,
        response_format: output,
        sampling,
        max_tokens,
        reasoning,
        cache: _,
        user,
        metadata: _,
        service_tier,
        verbosity,
        prompt_cache_key,
        unmapped_fields: _,
    } = conversation;
    let mut dropped = unsupported_fields(conversation);

    // Without tools, words about them are refused.
    let about_tools = !tools.is_empty();
    let asks_for_usage = target.stream
        && target.stream_usage == StreamUsage::OnRequest
        && !target.drop_fields.contains(&Field::StreamUsage);
    // A provider that refused one name of the limit gets the other.
    let refused = target.drop_fields.contains(&Field::MaxTokensName);
    let newer = refused != target.compatibility.max_tokens_name.is_newer();

    let mut messages = messages::encode(messages, ReasoningReplay::of(target), &mut dropped)?;
    if messages.is_empty() {
        return Err(no_message());
    }
    if target.facts.family == ModelFamily::Mistral {
        messages = messages::for_mistral(messages);
    }
    // Behind the fitting for Mistral, which may add a message at the end.
    let continues = messages::leave_open(&mut messages, target.compatibility.prefill);

    let body = Body {
        model: target.model,
        messages,
        tools: tools.iter().map(|it| tool(it, &mut dropped)).collect::<Result<_>>()?,
        tool_choice: tool_choice.as_ref().filter(|_| about_tools).map(choice),
        parallel_tool_calls: parallel_tool_calls.filter(|_| about_tools),
        response_format: output.as_ref().map(|it| format(it, &mut dropped)).transpose()?,
        sampling: numbers(sampling, &mut dropped),
        max_tokens: max_tokens.filter(|_| !newer),
        max_completion_tokens: max_tokens.filter(|_| newer),
        reasoning_effort: reasoning.as_ref().and_then(|it| effort(it, &mut dropped)),
        user: user.as_deref(),
        service_tier: service_tier.as_deref(),
        verbosity: verbosity.as_deref(),
        prompt_cache_key: prompt_cache_key.as_deref(),
        stream: target.stream,
        stream_options: asks_for_usage.then_some(StreamOptions { include_usage: true }),
        // vLLM refuses the two members together when both are true, and the first is true by
        // default.
        add_generation_prompt: continues.then_some(false),
        continue_final_message: continues.then_some(true),
    };

    let mut body = json::quoted(&body);
    // Some templates take system messages only in front, which is known once one was refused.
    if target.drop_fields.contains(&Field::LateSystem) {
        body = with_system_first(&body)?;
    }
    Ok(EncodedRequest { body: body.into(), headers: vec![], dropped })
}

/// The fields that OpenAI does not have, whatever the provider.
fn unsupported_fields(conversation: &Conversation) -> Vec<Field> {
    let Conversation { cache, tools, metadata, .. } = conversation;
    let mut dropped = vec![];
    if cache.is_some() || tools.iter().any(|it| it.cache.is_some()) {
        dropped.push(Field::Cache);
    }
    if !metadata.is_empty() {
        // OpenAI takes labels only for responses that it stores.
        dropped.push(Field::Metadata);
    }
    dropped
}

/// A body whose system texts stand in its first message.
fn with_system_first(body: &str) -> Result<String> {
    let object: json::Object<'_> = json::parsed_text(body, "", "an object")?;
    let messages = object.get("messages").map_or("[]", |it| it.get());
    let folded = system_messages::folded(messages)?;
    json::edited(body, |it| it.set("messages", folded))
}

fn tool<'a>(tool: &'a Tool, dropped: &mut Vec<Field>) -> Result<ToolJson<'a>> {
    let Tool { name, description, schema, strict, cache: _ } = tool;
    let parameters = schema.as_ref().map(|it| with_properties(&it.0)).transpose()?;
    let strict = match schema {
        // OpenAI refuses the whole request where strict mode does not fit the schema; clients of
        // other formats know no such rule.
        Some(schema) => strict_or_named(*strict, &schema.0, Field::ToolStrict, dropped),
        None => *strict,
    };
    let function = Function { name, description: description.as_deref(), parameters, strict };
    Ok(ToolJson { r#type: "function", function })
}

fn choice(choice: &ToolChoice) -> serde_json::Value {
    match choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Named(name) => json!({"type": "function", "function": {"name": name}}),
        ToolChoice::Among(names, required) => {
            let mode = if *required { "required" } else { "auto" };
            let tool = |name| json!({"type": "function", "function": {"name": name}});
            let tools: Vec<_> = names.iter().map(tool).collect();
            json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}})
        }
    }
}

fn format<'a>(output: &'a ResponseFormat, dropped: &mut Vec<Field>) -> Result<Format<'a>> {
    Ok(match output {
        ResponseFormat::Text => plain_format("text"),
        ResponseFormat::Json => plain_format("json_object"),
        ResponseFormat::Schema(Schema { name, description, schema, strict }) => Format {
            r#type: "json_schema",
            json_schema: Some(JsonSchema {
                // OpenAI demands a name, and other formats have none.
                name: name.as_deref().unwrap_or("answer"),
                description: description.as_deref(),
                schema: json::verbatim(&schema.0)?,
                strict: strict_or_named(*strict, &schema.0, Field::ResponseStrict, dropped),
            }),
        },
    })
}

/// A response format without a schema.
fn plain_format(kind: &'static str) -> Format<'static> {
    Format { r#type: kind, json_schema: None }
}

fn numbers<'a>(sampling: &'a Sampling, dropped: &mut Vec<Field>) -> Numbers<'a> {
    let Sampling { temperature, top_p, top_k, frequency_penalty, presence_penalty, seed, stop, n } =
        sampling;
    // OpenAI's reference has none. Some imitators do, and others refuse what they do not know.
    if top_k.is_some() {
        dropped.push(Field::TopK);
    }
    Numbers {
        temperature: *temperature,
        top_p: *top_p,
        frequency_penalty: *frequency_penalty,
        presence_penalty: *presence_penalty,
        seed: *seed,
        n: *n,
        stop,
    }
}

fn effort(reasoning: &Reasoning, dropped: &mut Vec<Field>) -> Option<&'static str> {
    // OpenAI's chat never shows reasoning. Hidden is what it is anyway, so that nothing is lost
    // then.
    if reasoning.visible == Some(true) {
        dropped.push(Field::ReasoningVisibility);
    }
    reasoning.as_effort().map(effort::word)
}
