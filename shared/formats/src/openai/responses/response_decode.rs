//! A provider's whole response, decoded for a client of another format or checked for one of this.

use std::borrow::Cow;

use bytes::Bytes;
use canonical::{
    ChatResponse, Choice, Content, Error, ErrorKind, FinishReason, GatewayResponse, Media,
    MediaSource, Part, ResponseBody, Result, ToolCall,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{content, output::whole, wire};
use crate::{DecodeMode, error_body, json, whole_calls::check_arguments};

/// Decodes a provider's whole response.
pub(super) fn decode(body: Bytes, mode: DecodeMode) -> Result<GatewayResponse> {
    let wire: wire::Response<'_> = serde_json::from_slice(&body).map_err(|error| {
        Error::new(ErrorKind::Upstream, "returned a body that is not a response")
            .caused_by(json::unquoted(&error))
    })?;
    check(&wire)?;
    // An incomplete response may be empty: reasoning may take all of the limit.
    if wire.status.as_deref().unwrap_or("completed") == "completed"
        && wire.output.as_ref().is_none_or(Vec::is_empty)
    {
        return Err(Error::new(ErrorKind::Upstream, "returned a response without output"));
    }
    let usage = wire.usage.and_then(wire::usage);
    let body = match mode {
        DecodeMode::Passthrough => {
            check_calls(&wire)?;
            ResponseBody::Raw(body)
        }
        DecodeMode::Translate => ResponseBody::Chat(chat_response(wire)?),
    };
    Ok(GatewayResponse { body, usage, facts: None })
}

/// Refuses a response that reports a failure.
pub(super) fn check(wire: &wire::Response<'_>) -> Result<()> {
    if let Some(error) = wire.error {
        return Err(error_body::inside_success(error));
    }
    match wire.status.as_deref() {
        // `queued` and `in_progress` belong to background responses, which are never asked for.
        None | Some("completed" | "incomplete") => Ok(()),
        Some(status) => {
            let status = crate::redact(status);
            Err(Error::new(ErrorKind::Upstream, format!("failed: status `{status}`")))
        }
    }
}

/// Refuses a response that is whole by its own words and holds a call that is not. Decoded ones are
/// checked where every format's are.
pub(super) fn check_calls(wire: &wire::Response<'_>) -> Result<()> {
    if wire.status.as_deref() == Some("incomplete") {
        return Ok(());
    }
    for json in wire.output.iter().flatten() {
        let Ok(Some(item)) = item(json) else { continue };
        if item.kind.as_deref() == Some("function_call") {
            check_arguments(item.name.as_deref().unwrap_or_default(), &arguments(&item))?;
        }
    }
    Ok(())
}

fn chat_response(wire: wire::Response<'_>) -> Result<ChatResponse> {
    let items = wire.output.as_deref().unwrap_or_default();
    let mut parts: Vec<Part> = vec![];
    for json in items {
        let calls = parts.iter().filter(|it| matches!(it.content, Content::ToolCall(_))).count();
        parts.extend(item_parts(json, calls)?);
    }
    let is = |wanted: fn(&Content) -> bool| parts.iter().any(|it| wanted(&it.content));
    let finish = finish(
        &wire,
        is(|it| matches!(it, Content::ToolCall(_))),
        is(|it| matches!(it, Content::Refusal(_))) && !is(|it| matches!(it, Content::Text(..))),
    );
    Ok(ChatResponse {
        id: wire.id,
        model: wire.model,
        choices: vec![Choice { parts, finish_reason: finish }],
    })
}

/// The reason why a response ends, which OpenAI reports only for one that is cut.
pub(super) fn finish(wire: &wire::Response<'_>, calls: bool, refuses: bool) -> FinishReason {
    if wire.status.as_deref() == Some("incomplete") {
        let details = wire.incomplete_details.as_ref();
        return match details.and_then(|it| it.reason.as_deref()) {
            Some("content_filter") => FinishReason::Filtered,
            Some("steered") => FinishReason::Paused,
            // `max_output_tokens`, `max_messages`, and limits to come.
            _ => FinishReason::Length,
        };
    }
    match (calls, refuses) {
        (true, _) => FinishReason::ToolCalls,
        (false, true) => FinishReason::Refusal,
        (false, false) => FinishReason::Stop,
    }
}

/// Decodes a provider's item; none for a kind without content of its own, such as the
/// work of a tool that runs at the provider.
pub(super) fn item(json: &RawValue) -> Result<Option<wire::Item<'_>>> {
    #[derive(Deserialize)]
    struct ItemKind<'a> {
        #[serde(borrow, rename = "type", default)]
        kind: Cow<'a, str>,
    }
    let broken = |error: serde_json::Error| {
        Error::new(ErrorKind::Upstream, "returned a malformed item")
            .caused_by(json::unquoted(&error))
    };
    let kind = serde_json::from_str::<ItemKind<'_>>(json.get()).map_err(broken)?.kind;
    match kind.as_ref() {
        "message" | "reasoning" | "function_call" | "image_generation_call" => {
            serde_json::from_str(json.get()).map(Some).map_err(broken)
        }
        // Read by its type first: an item that is not known may have members of any shape.
        _ => Ok(None),
    }
}

/// The parts of a provider's item. Calls are counted, for providers that give them no id.
fn item_parts(json: &RawValue, calls: usize) -> Result<Vec<Part>> {
    let Some(item) = item(json)? else { return Ok(vec![]) };
    Ok(match item.kind.as_deref() {
        Some("reasoning") => content::reasoning(&item).into_iter().collect(),
        Some("function_call") => vec![Part::new(Content::ToolCall(call(&item, calls)))],
        _ => output_parts(&item),
    })
}

/// The parts of a message or an image.
pub(super) fn output_parts(item: &wire::Item<'_>) -> Vec<Part> {
    match item.kind.as_deref() {
        Some("message") => message(item),
        _ => image(item).into_iter().collect(),
    }
}

fn message(item: &wire::Item<'_>) -> Vec<Part> {
    let Some(content) = item.content else { return vec![] };
    let Ok(list) = serde_json::from_str::<Vec<wire::Part<'_>>>(content.get()) else {
        return wire::string(Some(content)).map(Part::text).into_iter().collect();
    };
    let parts = list.into_iter().filter_map(|part| match part.kind.as_ref() {
        "output_text" | "text" => {
            let citations = part.annotations.unwrap_or_default();
            let citations = citations.iter().filter_map(|it| content::citation(it)).collect();
            Some(Content::Text(part.text.unwrap_or_default().into_owned(), citations))
        }
        "refusal" => Some(Content::Refusal(part.refusal.unwrap_or_default().into_owned())),
        _ => None,
    });
    parts.map(Part::new).collect()
}

/// A tool call. Its id is made of the number of calls before, where the provider gives none.
pub(super) fn call(item: &wire::Item<'_>, calls: usize) -> ToolCall {
    let id = item.call_id.as_deref().filter(|it| !it.is_empty()).or(item.id.as_deref());
    let name = item.name.as_deref().unwrap_or_default();
    ToolCall {
        id: id.filter(|it| !it.is_empty()).map_or_else(|| format!("call_{calls}"), str::to_owned),
        name: name.to_owned(),
        arguments: whole(&arguments(item)),
    }
}

/// Arguments: JSON text within a string, or the object itself from servers that imitate OpenAI badly.
pub(super) fn arguments<'a>(item: &wire::Item<'a>) -> Cow<'a, str> {
    let Some(json) = item.arguments else { return Cow::Borrowed("") };
    wire::string(Some(json)).unwrap_or(Cow::Borrowed(json.get()))
}

pub(super) fn image(item: &wire::Item<'_>) -> Option<Part> {
    let data = wire::string(item.result)?;
    let source = MediaSource::Base64(data.into_owned());
    // The item does not name it; PNG is the default of OpenAI's image generation.
    let media_type = Some("image/png".to_owned());
    Some(Part::new(Content::Image(Media { source, media_type, ..Media::default() })))
}
