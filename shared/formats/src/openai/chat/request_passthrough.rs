//! A request that is passed on to a provider of the same format: the client's bytes, changed only
//! where this provider would not take them.

use std::borrow::Cow;

use canonical::{Field, ModelFamily, Result, Schema};
use memchr::memmem;
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use super::{
    quirks::mistral,
    reasoning::{self, ReasoningReplay},
    system_messages,
};
use crate::{
    EncodeOptions, EncodedRequest, GatewayRequest, MaxTokensName, StreamUsage,
    json::{self, Edits, Object},
    object_schema, signature_tags,
};

/// The role that OpenAI's newer models have for what was `system` before.
const DEVELOPER: &str = "\"developer\"";

/// The client's request as this provider takes it.
pub(super) fn passthrough(
    request: &GatewayRequest,
    target: &EncodeOptions<'_>,
) -> Result<EncodedRequest> {
    let mut edits = Edits::new(&request.raw);
    let mut dropped = vec![];
    edits.set("model", json::quoted(target.model));
    match target.stream_usage {
        StreamUsage::OnRequest
            if request.stream
                && !request.wants_usage
                && !target.drop_fields.contains(&Field::StreamUsage) =>
        {
            // The gateway counts usage in every stream; the event is left out again for clients
            // that did not ask (`ChatStreamEncoder`).
            edits.set("stream_options", with_usage(request)?);
        }
        StreamUsage::OnRequest => {}
        // It reports its usage anyway, so nothing is lost.
        StreamUsage::Always => {
            edits.remove("stream_options");
        }
    }

    let messages = edits.value("messages");
    if let Some(messages) =
        messages.map(|it| fitted(it, request, target, &mut dropped)).transpose()?.flatten()
    {
        edits.set("messages", messages);
    }

    if let Some(tools) = edits.present("tools")
        // OpenAI refuses an object without `properties`, which other providers accept.
        && let Some(tools) = object_schema::tools_with_properties(tools, Some("function"))?
    {
        edits.set("tools", tools);
    }
    // A limit that is dropped needs no other name.
    if !target.drop_fields.contains(&Field::MaxTokens) {
        let refused = target.drop_fields.contains(&Field::MaxTokensName);
        rename_limit(&mut edits, target.compatibility.max_tokens_name, refused);
    }

    for field in target.drop_fields {
        let is_lost = match field {
            // Both were mended above.
            Field::MaxTokensName | Field::LateSystem => false,
            // Not `||`: both names go, where a client sent both.
            Field::MaxTokens => edits.remove("max_tokens") | edits.remove("max_completion_tokens"),
            Field::ResponseSchema => move_schema_into_prompt(&mut edits)?,
            field => edits.remove(&field.openai_chat_name()),
        };
        if is_lost {
            dropped.push(field.clone());
        }
    }
    Ok(EncodedRequest { body: edits.apply(), headers: vec![], dropped })
}

/// The client's messages as this provider takes them; none where it takes them as they are.
fn fitted(
    messages: &str,
    request: &GatewayRequest,
    target: &EncodeOptions<'_>,
    dropped: &mut Vec<Field>,
) -> Result<Option<String>> {
    let mut messages = Cow::Borrowed(messages);
    let has =
        |messages: &str, what: &str| memmem::find(messages.as_bytes(), what.as_bytes()).is_some();
    // Each rewriting parses all messages, so that each is preceded by a search for what it changes.
    // That for Mistral comes last, because it depends on which messages meet.
    let replay = ReasoningReplay::of(target);
    let refused = replay == ReasoningReplay::Refused && has(&messages, reasoning::MEMBERS);
    if target.drop_signatures || refused || signature_tags::has(&request.raw.body) {
        let (fewer, lost) = reasoning::without_foreign(&messages, replay)?;
        if lost {
            dropped.push(Field::ReasoningText);
        }
        messages = Cow::Owned(fewer);
    }
    if !target.compatibility.developer_role && has(&messages, DEVELOPER) {
        messages = Cow::Owned(rewrite_messages(&messages, as_system)?);
    }
    if target.drop_fields.contains(&Field::LateSystem) {
        messages = Cow::Owned(system_messages::folded(&messages)?);
    }
    if target.facts.family == ModelFamily::Mistral && has(&messages, "\"tool") {
        messages = Cow::Owned(mistral::fitted(&messages)?);
    }
    Ok(match messages {
        Cow::Borrowed(_) => None,
        Cow::Owned(messages) => Some(messages),
    })
}

/// Describes the schema of the response in the prompt and requests any JSON; or no form, where JSON
/// was requested. False when the request has no form.
fn move_schema_into_prompt(edits: &mut Edits<'_>) -> Result<bool> {
    let Some(format) = edits.present("response_format") else { return Ok(false) };
    let format: RequestedFormat<'_> =
        json::parsed_text(format, "response_format", "an object with a `type`")?;
    let Some(schema) = format.json_schema.and_then(|it| it.schema) else {
        // No schema is left to describe: it was JSON mode that the provider refused.
        return Ok(edits.remove("response_format"));
    };
    let message =
        json!({"role": "system", "content": Schema::as_instruction(schema.get())}).to_string();
    let messages = edits.value("messages").unwrap_or("[]");
    let mut list: Vec<&RawValue> = json::parsed_text(messages, "messages", "a list of messages")?;
    let message = json::verbatim(&message)?;
    // Behind the system messages, since some templates take them only in front.
    let behind = list.iter().take_while(|it| is_system(it)).count();
    list.insert(behind, message);
    let messages = json::quoted(&list);
    edits.set("messages", messages);
    edits.set("response_format", r#"{"type":"json_object"}"#);
    Ok(true)
}

/// The form of the response that is requested.
#[derive(Deserialize)]
struct RequestedFormat<'a> {
    #[serde(borrow)]
    json_schema: Option<RequestedSchema<'a>>,
}

#[derive(Deserialize)]
struct RequestedSchema<'a> {
    #[serde(borrow)]
    schema: Option<&'a RawValue>,
}

fn is_system(message: &RawValue) -> bool {
    let Ok(message) = serde_json::from_str::<Object<'_>>(message.get()) else { return false };
    message.get("role").is_some_and(|it| matches!(it.get(), "\"system\"" | DEVELOPER))
}

/// Writes the limit under the provider's name for it, or under the other name where that one was
/// refused.
fn rename_limit(edits: &mut Edits<'_>, name: MaxTokensName, refused: bool) {
    let (older, newer) = ("max_tokens", "max_completion_tokens");
    let sent_newer = match name {
        MaxTokensName::Either | MaxTokensName::EitherNewer if !refused => return,
        MaxTokensName::Either | MaxTokensName::EitherNewer => edits.value(newer).is_some(),
        MaxTokensName::Plain => false,
        MaxTokensName::Completion => true,
    };
    let (word, other) = if sent_newer != refused { (newer, older) } else { (older, newer) };
    // The client's name is the right one already.
    let Some(limit) = edits.value(other).map(str::to_owned) else { return };
    // A limit that stands under both names already keeps the value of the name that is sent.
    if edits.value(word).is_none_or(|it| it == "null") {
        edits.set(word, limit);
    }
    edits.remove(other);
}

/// A list of messages with some of them written again.
pub(super) fn rewrite_messages<'a>(
    messages: &'a str,
    mut rewrite: impl FnMut(&'a RawValue) -> Result<Option<String>>,
) -> Result<String> {
    let list: Vec<&'a RawValue> = json::parsed_text(messages, "messages", "a list of messages")?;
    let mut kept = Vec::with_capacity(list.len());
    for message in list {
        kept.push(rewrite(message)?.map_or(Cow::Borrowed(message.get()), Cow::Owned));
    }
    Ok(format!("[{}]", kept.join(",")))
}

/// A message of the role `developer` as one of the role `system`, which means the same.
fn as_system(message: &RawValue) -> Result<Option<String>> {
    if !message.get().contains(DEVELOPER) {
        return Ok(None);
    }
    let object: Object<'_> = json::parsed(message, "messages", "a list of messages")?;
    if object.get("role").is_none_or(|it| it.get() != DEVELOPER) {
        return Ok(None);
    }
    json::edited(message.get(), |it| it.set("role", "\"system\"")).map(Some)
}

/// The client's stream options with usage switched on.
pub(crate) fn with_usage(request: &GatewayRequest) -> Result<String> {
    let ours = r#"{"include_usage":true}"#;
    let Some(member) = json::find(&request.raw, "stream_options")? else {
        return Ok(ours.to_owned());
    };
    let theirs = json::text(&request.raw.body, &member.value);
    if theirs == "null" {
        return Ok(ours.to_owned());
    }
    json::edited(theirs, |it| it.set("include_usage", "true"))
}
