//! Encodes a conversation of another format for Anthropic.

mod blocks;
pub(crate) mod schema;

use std::{borrow::Cow, collections::HashSet};

use canonical::{
    Conversation, Error, ErrorKind, Field, ResponseFormat, Result, Tool as Offer,
    ToolChoice as Choice,
};
use serde_json::value::RawValue;

use super::{
    quirks::{models::Model, thinking},
    wire::request::{
        Block, Body, JsonFormat, Metadata, OutputConfig, Tool, ToolChoice, WireMessage,
    },
};
use crate::{
    EncodeOptions, EncodedRequest,
    alternating_roles::{Alternating, Side, alternating, no_message},
    fingerprint::fingerprint,
    json, stop_sequences,
};

/// How many texts may end a response: more than any client sends.
const MAX_STOPS: usize = 8191;
/// How long the id of a user may be, in characters (the API reference, `metadata.user_id`).
const MAX_USER_ID: usize = 256;

/// Encodes a request for a response.
pub(super) fn encode_chat(
    conversation: &Conversation,
    target: &EncodeOptions<'_>,
) -> Result<EncodedRequest> {
    let (mut body, mut dropped) = encode_body(conversation, target)?;
    body.stream = target.stream.then_some(true);
    Ok(serialize(&body, &mut dropped))
}

/// Encodes a request that counts tokens.
pub(super) fn encode_count(
    conversation: &Conversation,
    target: &EncodeOptions<'_>,
) -> Result<EncodedRequest> {
    let (body, mut dropped) = encode_body(conversation, target)?;
    let body = Body {
        max_tokens: None,
        temperature: None,
        top_p: None,
        top_k: None,
        stop_sequences: vec![],
        metadata: None,
        ..body
    };
    Ok(serialize(&body, &mut dropped))
}

fn serialize(body: &Body<'_>, dropped: &mut Vec<Field>) -> EncodedRequest {
    // Several steps may drop the same field, and the header should name it once and in a stable
    // order.
    dropped.sort_unstable();
    dropped.dedup();
    let body = json::written(body).into();
    EncodedRequest { body, headers: vec![], dropped: std::mem::take(dropped) }
}

fn encode_body<'a>(
    conversation: &'a Conversation,
    target: &EncodeOptions<'a>,
) -> Result<(Body<'a>, Vec<Field>)> {
    let model = Model::of(target.facts);
    let mut dropped = unsupported_fields(conversation);
    let (system, messages) = messages(conversation, &mut dropped)?;

    // Here rather than at the provider: its refusal names places that the client of another format
    // does not know.
    check_calls(&messages)?;
    if !model.continues && messages.last().is_some_and(|it| it.role == "assistant") {
        let message =
            "does not continue an assistant's message; end the conversation with a user's";
        return Err(Error::new(ErrorKind::Unsupported, message));
    }

    let budget_forbidden = thinking::forbids_budget(conversation, &messages);
    let plan = thinking::plan(conversation, model, budget_forbidden, &mut dropped);
    let (temperature, top_p, top_k) =
        thinking::sampling(&conversation.sampling, model, plan.thinking, &mut dropped);

    let format = format(conversation.response_format.as_ref(), model, &mut dropped)?;
    let output_config = match format {
        None => plan.output_config,
        format => {
            let effort = plan.output_config.and_then(|it| it.effort);
            Some(OutputConfig { effort, format })
        }
    };

    let tools = tools(conversation, model, &mut dropped)?;
    let tool_choice =
        // A choice without tools is refused.
        if tools.is_empty() { None } else { tool_choice(conversation, model, &mut dropped) };
    let body = Body {
        model: target.model,
        max_tokens: Some(plan.max_tokens),
        system,
        messages,
        tools,
        tool_choice,
        thinking: plan.thinking,
        output_config,
        temperature,
        top_p,
        top_k,
        stop_sequences: stop_sequences::accepted(&conversation.sampling, MAX_STOPS, &mut dropped),
        metadata: conversation.user.as_deref().map(|user| Metadata { user_id: user_id(user) }),
        cache_control: conversation
            .cache
            .as_ref()
            .map(|it| blocks::cache_control(it, &mut dropped)),
        stream: None,
    };
    Ok((body, dropped))
}

/// Fields that Anthropic does not have, whatever the model.
fn unsupported_fields(conversation: &Conversation) -> Vec<Field> {
    let Conversation {
        messages,
        tools: _,
        tool_choice: _,
        parallel_tool_calls: _,
        response_format: _,
        sampling,
        max_tokens: _,
        reasoning: _,
        cache: _,
        user: _,
        metadata,
        service_tier,
        verbosity,
        prompt_cache_key,
        // Whoever asks for this reports it.
        unmapped_fields: _,
    } = conversation;
    let canonical::Sampling {
        temperature: _,
        top_p: _,
        top_k: _,
        frequency_penalty,
        presence_penalty,
        seed,
        stop: _,
        n,
    } = sampling;

    // A penalty of 0 and one choice are what Anthropic does anyway, so that nothing is lost.
    let weighs = |it: &Option<f64>| it.is_some_and(|it| it != 0.0);
    let lost = [
        (messages.iter().any(|it| it.name.is_some()), Field::MessageName),
        (weighs(frequency_penalty), Field::FrequencyPenalty),
        (weighs(presence_penalty), Field::PresencePenalty),
        (seed.is_some(), Field::Seed),
        (n.is_some_and(|it| it != 1), Field::N),
        (!metadata.is_empty(), Field::Metadata),
        (service_tier.as_deref().is_some_and(|it| it != "auto"), Field::ServiceTier),
        (verbosity.is_some(), Field::Verbosity),
        (prompt_cache_key.is_some(), Field::PromptCacheKey),
    ];
    lost.into_iter().filter(|it| it.0).map(|it| it.1).collect()
}

/// The system's blocks and the sides' messages.
type SystemAndMessages<'a> = (Vec<Block<'a>>, Vec<WireMessage<'a>>);

fn messages<'a>(
    conversation: &'a Conversation,
    dropped: &mut Vec<Field>,
) -> Result<SystemAndMessages<'a>> {
    let Alternating { system: system_parts, messages: sides } = alternating(conversation);
    let mut system = vec![];
    // Texts that hold nothing but white space are refused, so that a part may give no block.
    for part in system_parts {
        system.extend(blocks::system_block(part, dropped)?);
    }
    let mut messages: Vec<WireMessage<'a>> = Vec::with_capacity(sides.len());
    for (side, parts) in sides {
        let content = blocks::encode_blocks(side, &parts, dropped)?;
        let role = if side == Side::User { "user" } else { "assistant" };
        // Neighbours of one side are joined: where a message between them came out empty, they meet.
        match messages.last_mut() {
            _ if content.is_empty() => {}
            Some(last) if last.role == role => last.content.extend(content),
            _ => messages.push(WireMessage { role, content }),
        }
    }
    if messages.is_empty() {
        return Err(no_message());
    }
    // A beginning that the model continues must not end with white space.
    if let Some(WireMessage { role: "assistant", content }) = messages.last_mut()
        && let Some(Block::Text { text, .. }) = content.last_mut()
    {
        *text = text.trim_end();
    }
    Ok((system, messages))
}

/// The id of a user: a longer one is sent apart from others by its fingerprint.
fn user_id(user: &str) -> Cow<'_, str> {
    if user.chars().count() <= MAX_USER_ID {
        return Cow::Borrowed(user);
    }
    Cow::Owned(format!("user_{:016x}", fingerprint(user)))
}

/// Every result needs its call right before it, and every call its result right behind it.
fn check_calls(messages: &[WireMessage<'_>]) -> Result<()> {
    let mut open: HashSet<&str> = HashSet::new();
    for message in messages {
        for block in &message.content {
            let Block::ToolResult { tool_use_id, .. } = block else {
                continue;
            };
            if !open.remove(tool_use_id.as_str()) {
                let message = format!(
                    "The result of the tool call `{tool_use_id}` has no such call in the message before it."
                );
                return Err(Error::invalid("messages", message));
            }
        }
        // The least id, so that the same request always gets the same message.
        if let Some(id) = open.iter().min() {
            let message =
                format!("The tool call `{id}` has no result in the message behind it; add one.");
            return Err(Error::invalid("messages", message));
        }
        // Behind the results: a message's calls are answered by the next one.
        open.extend(message.content.iter().filter_map(|it| match it {
            Block::ToolUse { id, .. } => Some(id.as_str()),
            _ => None,
        }));
    }
    Ok(())
}

fn format(
    output: Option<&ResponseFormat>,
    model: Model,
    dropped: &mut Vec<Field>,
) -> Result<Option<JsonFormat>> {
    match output {
        None | Some(ResponseFormat::Text) => Ok(None),
        Some(ResponseFormat::Schema(schema)) if model.schemas => {
            Ok(Some(JsonFormat { schema: schema::of_response(schema, dropped)? }))
        }
        // There is no JSON without a schema here.
        Some(ResponseFormat::Json | ResponseFormat::Schema(_)) => {
            dropped.push(Field::ResponseFormat);
            Ok(None)
        }
    }
}

/// The tools that may be called.
fn tools<'a>(
    conversation: &'a Conversation,
    model: Model,
    dropped: &mut Vec<Field>,
) -> Result<Vec<Tool<'a>>> {
    let names: Option<HashSet<&String>> = match &conversation.tool_choice {
        Some(Choice::Among(names, _)) => Some(names.iter().collect()),
        _ => None,
    };
    // Anthropic has no choice among some tools, but a model can only call what it is offered.
    let among = |it: &&Offer| names.as_ref().is_none_or(|names| names.contains(&it.name));
    conversation.tools.iter().filter(among).map(|it| tool(it, model, dropped)).collect()
}

fn tool<'a>(offer: &'a Offer, model: Model, dropped: &mut Vec<Field>) -> Result<Tool<'a>> {
    let Offer { name, description, schema, strict, cache } = offer;
    let wanted = *strict == Some(true);
    if wanted && !model.schemas {
        dropped.push(Field::ToolStrict);
    }
    let strict = wanted && model.schemas;
    let input_schema: Box<RawValue> = schema::of_tool(schema.as_ref(), strict, dropped)?;
    Ok(Tool {
        name,
        description: description.as_deref(),
        input_schema,
        strict: strict.then_some(true),
        cache_control: cache.as_ref().map(|it| blocks::cache_control(it, dropped)),
    })
}

fn tool_choice<'a>(
    conversation: &'a Conversation,
    model: Model,
    dropped: &mut Vec<Field>,
) -> Option<ToolChoice<'a>> {
    let single = conversation.parallel_tool_calls == Some(false);
    let disable_parallel_tool_use = single.then_some(true);
    let (kind, name) = match &conversation.tool_choice {
        None if !single => return None,
        // One call at a time is a member of the choice, of which `auto` is the default.
        None | Some(Choice::Auto | Choice::Among(_, false)) => ("auto", None),
        // `none` takes no `disable_parallel_tool_use`.
        Some(Choice::None) => {
            return Some(ToolChoice { kind: "none", name: None, disable_parallel_tool_use: None });
        }
        Some(Choice::Required | Choice::Named(_) | Choice::Among(_, true)) if !model.forced => {
            dropped.push(Field::ToolChoice);
            ("auto", None)
        }
        Some(Choice::Required | Choice::Among(_, true)) => ("any", None),
        Some(Choice::Named(name)) => ("tool", Some(name.as_str())),
    };
    Some(ToolChoice { kind, name, disable_parallel_tool_use })
}

#[cfg(test)]
mod tests;
