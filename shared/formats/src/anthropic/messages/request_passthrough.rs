//! A request of this very format on its way to a provider: the client's bytes, with only what must
//! change changed. Signatures of other makers are taken out, because Anthropic would refuse them.

use std::borrow::Cow;

use canonical::{Error, Field, Result, Signature, TAG_PREFIX};
use serde::Deserialize;
use serde_json::value::RawValue;

mod empty_text;
mod headers;
mod system_role;
mod thinking_kind;
mod tool_ids;

use super::{quirks::models::Model, response_encode::blocks, signature};
use crate::{
    EncodeOptions, EncodedRequest, GatewayRequest, json,
    lost_reasoning::{MessageShape, lost_reasoning},
    signature_tags,
};

/// Forwards a request.
pub(super) fn passthrough(
    request: &GatewayRequest,
    target: &EncodeOptions<'_>,
) -> Result<EncodedRequest> {
    let mut edits = json::Edits::new(&request.raw);
    edits.set("model", json::quoted(target.model));
    let mut dropped = vec![];
    for field in target.drop_fields {
        if drop_field(field, request, target, &mut edits)? {
            dropped.push(field.clone());
        }
    }
    // A search of the bytes first: parsing megabytes of messages for nothing would cost more than
    // the rest of the call.
    if (target.drop_signatures || signature_tags::has(&request.raw.body))
        && let Some(member) = json::find(&request.raw, "messages")?
    {
        let mut messages =
            messages(json::text(&request.raw.body, &member.value), TAG_PREFIX, &block)?;
        if target.drop_signatures {
            // All reasoning goes, not its signature alone: a thinking block without one is refused.
            let less = self::messages(&messages, "thinking", &without_reasoning)?;
            if less.len() < messages.len() {
                dropped.push(Field::ReasoningText);
            }
            messages = less;
        }
        // With a budget the API demands the reasoning that was just taken out.
        if has_budget(request)? && lacks_reasoning(&messages)? && edits.remove("thinking") {
            dropped.push(Field::Reasoning);
        }
        edits.set("messages", messages);
    }

    if target.drop_fields.contains(&Field::LateSystem) {
        system_role::move_to_prompt(&mut edits)?;
    }

    if empty_text::may_be(&request.raw.body) {
        without_empty(&mut edits)?;
    }

    if tool_ids::may_be(&request.raw.body)
        && let Some(messages) = edits.value("messages")
    {
        let sanitized = self::messages(messages, "tool_", &tool_ids::sanitized)?;
        edits.set("messages", sanitized);
    }

    // Last, because it looks at the messages and limits as they are sent.
    thinking_kind::fit(target, &mut edits, &mut dropped)?;
    let headers = headers::merged(&request.headers);
    Ok(EncodedRequest { body: edits.apply(), headers, dropped })
}

/// Takes out texts without any text.
fn without_empty(edits: &mut json::Edits<'_>) -> Result<()> {
    if let Some(messages) =
        edits.value("messages").map(empty_text::out_of_messages).transpose()?.flatten()
    {
        edits.set("messages", messages);
    }
    match edits.present("system").map(empty_text::out_of_blocks).transpose()?.flatten() {
        // An empty list of system blocks is refused like an empty text.
        Some(system) if system == "[]" => _ = edits.remove("system"),
        Some(system) => edits.set("system", system),
        None => {}
    }
    Ok(())
}

/// Takes out what a policy does not want. False where there is no such thing.
fn drop_field(
    field: &Field,
    request: &GatewayRequest,
    target: &EncodeOptions<'_>,
    edits: &mut json::Edits<'_>,
) -> Result<bool> {
    Ok(match field {
        // The older `output_format` and its successor within `output_config`: a client may send
        // either.
        Field::ResponseFormat => {
            let older = edits.remove("output_format");
            let Some(member) = json::find(&request.raw, "output_config")? else {
                return Ok(older);
            };
            let config = json::text(&request.raw.body, &member.value);
            let mut newer = false;
            let Ok(config) = json::edited(config, |it| newer = it.remove("format")) else {
                return Ok(older);
            };
            edits.set("output_config", config);
            older || newer
        }
        Field::Tools => edits.remove("tools"),
        Field::ToolChoice => edits.remove("tool_choice"),
        Field::Temperature | Field::TopP | Field::TopK => edits.remove(&field.openai_chat_name()),
        Field::Stop => edits.remove("stop_sequences"),
        Field::Reasoning => {
            let config = edits.value("output_config").map(str::to_owned);
            let mut has_effort = false;
            if let Some(config) = config
                && let Ok(rest) = json::edited(&config, |it| has_effort = it.remove("effort"))
            {
                edits.set("output_config", rest);
            }
            edits.remove("thinking") || has_effort
        }
        Field::User => edits.remove("metadata"),
        // It has to be there.
        Field::MaxTokens => {
            edits.set("max_tokens", Model::of(target.facts).max_output.to_string());
            true
        }
        _ => false,
    })
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
}

#[derive(Deserialize)]
struct WireMessage<'a> {
    #[serde(borrow, default)]
    role: Cow<'a, str>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Block<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    signature: Option<String>,
    data: Option<String>,
    thinking: Option<String>,
    id: Option<String>,
    tool_use_id: Option<String>,
    #[serde(borrow)]
    citations: Option<Vec<&'a RawValue>>,
}

/// Whether the client asks for thinking with a budget, which has rules of its own.
fn has_budget(request: &GatewayRequest) -> Result<bool> {
    let thinking: Option<Kind<'_>> = json::read(&request.raw, "thinking", "an object")?;
    Ok(thinking.is_some_and(|it| it.kind == "enabled"))
}

/// Whether a tool loop lost the reasoning with which it must begin.
fn lacks_reasoning(messages: &str) -> Result<bool> {
    let messages = parsed::<Vec<WireMessage<'_>>>(messages)?;
    let shape = |message: &WireMessage<'_>| {
        let content = message.content.map(RawValue::get).filter(|it| it.starts_with('['));
        let blocks: Vec<Kind<'_>> = content.map_or_else(|| Ok(vec![]), parsed)?;
        Ok(MessageShape {
            is_assistant: message.role == "assistant",
            begins_with_reasoning: blocks.first().is_some_and(|it| it.kind.ends_with("thinking")),
            has_tool_result: blocks.iter().any(|it| it.kind == "tool_result"),
        })
    };
    let shapes: Vec<MessageShape> = messages.iter().map(shape).collect::<Result<_>>()?;
    Ok(lost_reasoning(shapes.into_iter()))
}

/// Messages without some blocks, or what they hold, if this word stands within. One of which nothing
/// is left goes.
fn messages(
    json: &str,
    word: &str,
    block: &dyn Fn(&str) -> Result<Option<Cow<'_, str>>>,
) -> Result<String> {
    let messages: Vec<&RawValue> = parsed(json)?;
    let mut kept = Vec::with_capacity(messages.len());
    for message in messages {
        let content = parsed::<WireMessage<'_>>(message.get())?.content.map(RawValue::get);
        let Some(content) = content.filter(|it| it.starts_with('[') && it.contains(word)) else {
            kept.push(Cow::Borrowed(message.get()));
            continue;
        };
        let blocks: Vec<&RawValue> = parsed(content)?;
        let blocks: Vec<Cow<'_, str>> = blocks
            .into_iter()
            .filter_map(|it| block(it.get()).transpose())
            .collect::<Result<_>>()?;
        // A message without content is refused.
        if !blocks.is_empty() {
            let content = format!("[{}]", blocks.join(","));
            kept.push(Cow::Owned(json::edited(message.get(), |it| it.set("content", content))?));
        }
    }
    Ok(format!("[{}]", kept.join(",")))
}

/// A block without what is another's; none where all of it is.
fn block(json: &str) -> Result<Option<Cow<'_, str>>> {
    // What is not another's keeps its bytes: thinking blocks must come back unchanged.
    if !json.contains(TAG_PREFIX) {
        return Ok(Some(Cow::Borrowed(json)));
    }
    let block: Block<'_> = parsed(json)?;
    let changed = match &*block.kind {
        "thinking" if is_tagged(block.signature.as_deref()) => {
            return own(block.signature.as_deref(), block.thinking.as_deref());
        }
        "redacted_thinking" if is_tagged(block.data.as_deref()) => {
            return own(block.data.as_deref(), None);
        }
        "tool_use" => block.id.map(|it| ("id", it)),
        "tool_result" => block.tool_use_id.map(|it| ("tool_use_id", it)),
        "text" => {
            let all = block.citations.unwrap_or_default();
            // A citation of another provider has no `encrypted_index` that Anthropic could read;
            // the mark stands in its place.
            let own = all.iter().map(|it| it.get()).filter(|it| !it.contains(TAG_PREFIX));
            let own = format!("[{}]", own.collect::<Vec<_>>().join(","));
            if all.is_empty() {
                return Ok(Some(Cow::Borrowed(json)));
            }
            return Ok(Some(Cow::Owned(json::edited(json, |it| it.set("citations", own))?)));
        }
        _ => None,
    };

    Ok(Some(match changed {
        Some((name, id)) => Cow::Owned(json::edited(json, |it| {
            it.set(name, json::quoted(Signature::split_id(&id).0));
        })?),
        None => Cow::Borrowed(json),
    }))
}

/// Whether a field holds a signature of another maker.
fn is_tagged(it: Option<&str>) -> bool {
    it.is_some_and(|it| it.starts_with(TAG_PREFIX))
}

/// A block that is no reasoning.
fn without_reasoning(json: &str) -> Result<Option<Cow<'_, str>>> {
    let kind = parsed::<Kind<'_>>(json)?.kind;
    let is_reasoning = matches!(&*kind, "thinking" | "redacted_thinking");
    Ok((!is_reasoning).then_some(Cow::Borrowed(json)))
}

/// Reasoning in its native form, if Anthropic made it.
fn own(tag: Option<&str>, thinking: Option<&str>) -> Result<Option<Cow<'static, str>>> {
    let signature = tag.and_then(signature::read_signature);
    let Some(signature) = signature.filter(|it| it.maker == super::MAKER) else {
        return Ok(None);
    };
    let block = match signature::redacted(&signature) {
        Some(data) => blocks::Block::RedactedThinking { data },
        None => blocks::Block::Thinking {
            thinking: thinking.unwrap_or_default(),
            signature: signature.data.clone(),
        },
    };
    Ok(Some(Cow::Owned(json::quoted(&block))))
}

pub(super) fn parsed<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T> {
    serde_json::from_str(json).map_err(|error| {
        let message = "`messages` must be a list of objects with a `role` and `content`.";
        Error::invalid("messages", message).caused_by(json::unquoted(&error))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_anothers_is_taken_out() {
        let foreign = Signature::new("gemini", "x");
        let own = Signature::new("anthropic", "Eq==");
        let json = format!(
            r#"[{{"role":"user", "content":"a"}},{{"role":"assistant","content":[
            {{"type":"thinking","thinking":"h","signature":"{}"}},
            {{"type":"thinking","thinking":"i","signature":"{}"}},
            {{"type":"tool_use", "id":"{}","name":"f","input":{{ }}}}]}},
            {{"role":"assistant","content":[{{"type":"thinking","thinking":"h","signature":"{}"}}]}}]"#,
            foreign.tagged(),
            own.tagged(),
            foreign.attach_to_id("t1"),
            signature::unsigned(),
        );
        assert_eq!(
            messages(&json, TAG_PREFIX, &block).unwrap(),
            concat!(
                r#"[{"role":"user", "content":"a"},{"role":"assistant","content":["#,
                r#"{"type":"thinking","thinking":"i","signature":"Eq=="},"#,
                r#"{"type":"tool_use", "id":"t1","name":"f","input":{ }}]}]"#
            )
        );
    }

    #[test]
    fn a_loop_that_lost_its_reasoning_is_noticed() {
        let requested = r#"{"role":"user","content":"a"}"#;
        let called = r#"{"role":"assistant","content":[{"type":"tool_use","id":"t"}]}"#;
        let reasoning =
            r#"{"role":"assistant","content":[{"type":"thinking"},{"type":"tool_use"}]}"#;
        let result = r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"t"}]}"#;
        let lacks = |list: &[&str]| lacks_reasoning(&format!("[{}]", list.join(","))).unwrap();
        assert!(lacks(&[requested, called, result]));
        assert!(!lacks(&[requested, reasoning, result, called, result]));
        assert!(!lacks(&[requested, called, result, requested]));
    }
}
