//! The messages of a request: who said what.

use std::borrow::Cow;

use canonical::{
    CacheBreakpoint, Content, Error, Media, MediaSource, Message, Part, Result, Role, Signature,
    ToolCall, ToolResult,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{super::reasoning, unsupported};
use crate::{
    bound::note,
    data_uri,
    json::{Object, parsed},
};

/// Reads every message. Names of what no other format has a word for are added to `other`.
pub(super) fn decode(value: &RawValue, other: &mut Vec<String>) -> Result<Vec<Message>> {
    let messages: Vec<Object<'_>> = parsed(value, "messages", "a list of messages")?;
    let turn =
        |(at, message): (usize, &Object<'_>)| turn(message, &format!("messages[{at}]"), other);
    messages.iter().enumerate().map(turn).collect()
}

fn turn(message: &Object<'_>, path: &str, other: &mut Vec<String>) -> Result<Message> {
    let role: Cow<'_, str> = match message.get("role") {
        Some(role) => parsed(role, &format!("{path}.role"), "a string")?,
        None => return Err(Error::invalid(path, format!("`{path}.role` is missing."))),
    };
    let role = match role.as_ref() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => return tool_turn(message, path, other),
        role => {
            let path = format!("{path}.role");
            let message = format!(
                "`{path}` is `{role}`; it must be system, developer, user, assistant or tool."
            );
            return Err(Error::invalid(&path, message));
        }
    };
    let mut turn = Message::new(role, reasoning::decode(message, path)?);
    let mut calls = vec![];
    for (name, value) in message.present() {
        let path = format!("{path}.{name}");
        match name {
            "role" | "reasoning_content" | "reasoning" | "reasoning_details" => {}
            "content" => turn.parts.extend(content(value, &path, other)?),
            "name" => turn.name = Some(parsed(value, &path, "a string")?),
            "refusal" => {
                let text = parsed(value, &path, "a string")?;
                turn.parts.push(Part::new(Content::Refusal(text)));
            }
            "tool_calls" => calls = tool_calls(value, &path)?,
            "cache_control" => mark_last(&mut turn.parts, value, &path)?,
            "annotations" if value.get() == "[]" => {}
            _ => note(other, format!("messages[].{name}")),
        }
    }
    turn.parts.extend(reasoning::off_calls(&turn.parts, &mut calls));
    turn.parts.extend(calls);
    Ok(turn)
}

/// What came of a tool call: a part of the user's turn everywhere else.
fn tool_turn(message: &Object<'_>, path: &str, other: &mut Vec<String>) -> Result<Message> {
    let mut result = ToolResult::default();
    let mut cache = None;
    for (name, value) in message.present() {
        let path = format!("{path}.{name}");
        match name {
            "role" => {}
            "content" => result.parts = content(value, &path, other)?,
            "tool_call_id" => {
                let id: Cow<'_, str> = parsed(value, &path, "a string")?;
                Signature::split_id(&id).0.clone_into(&mut result.id);
            }
            "name" => result.name = Some(parsed(value, &path, "a string")?),
            "is_error" => result.is_error = Some(parsed(value, &path, "true or false")?),
            "cache_control" => cache = Some(cache_mark(value, &path)?),
            _ => note(other, format!("messages[].{name}")),
        }
    }
    if result.id.is_empty() {
        let path = format!("{path}.tool_call_id");
        let message = format!("`{path}` is missing; it must be the id of the call it answers.");
        return Err(Error::invalid(&path, message));
    }
    let mut part = Part::new(Content::ToolResult(result));
    part.cache = cache;
    Ok(Message::new(Role::User, vec![part]))
}

fn mark_last(parts: &mut [Part], value: &RawValue, path: &str) -> Result<()> {
    let mark = cache_mark(value, path)?;
    if let Some(last) = parts.last_mut() {
        last.cache = Some(mark);
    }
    Ok(())
}

#[derive(Deserialize)]
struct Mark {
    ttl: Option<String>,
}

/// Anthropic's marker, as clients of several gateways send it along.
pub(super) fn cache_mark(value: &RawValue, path: &str) -> Result<CacheBreakpoint> {
    let mark: Mark = parsed(value, path, "an object such as {\"type\": \"ephemeral\"}")?;
    Ok(CacheBreakpoint { ttl: mark.ttl })
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow, default)]
    id: Cow<'a, str>,
    #[serde(default)]
    function: Option<Function>,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    #[serde(default)]
    arguments: String,
}

fn tool_calls(value: &RawValue, path: &str) -> Result<Vec<Part>> {
    let calls: Vec<Call<'_>> = parsed(value, path, "a list of calls with `id` and `function`")?;
    let part = |(at, call): (usize, Call<'_>)| {
        let Some(Function { name, arguments }) = call.function else {
            let message =
                "a call of another type than `function` means nothing to this model's provider";
            return Err(unsupported(&format!("{path}[{at}]"), message));
        };
        let (id, signature) = Signature::split_id(&call.id);
        let arguments = if arguments.is_empty() { "{}".to_owned() } else { arguments };
        let call = ToolCall { id: id.to_owned(), name, arguments };
        Ok(Part { content: Content::ToolCall(call), cache: None, signature })
    };
    calls.into_iter().enumerate().map(part).collect()
}

/// Reads a content: a text, or a list of parts.
fn content(value: &RawValue, path: &str, other: &mut Vec<String>) -> Result<Vec<Part>> {
    if value.get().starts_with('"') {
        let text: String = parsed(value, path, "a string or a list of parts")?;
        return Ok(if text.is_empty() { vec![] } else { vec![Part::text(text)] });
    }
    let list: Vec<Object<'_>> = parsed(value, path, "a string or a list of parts")?;
    let read = |(at, item): (usize, &Object<'_>)| part(item, &format!("{path}[{at}]"), other);
    list.iter().enumerate().map(read).collect()
}

fn part(item: &Object<'_>, path: &str, other: &mut Vec<String>) -> Result<Part> {
    let kind: Cow<'_, str> = match item.get("type") {
        Some(kind) => parsed(kind, &format!("{path}.type"), "a string")?,
        None => return Err(Error::invalid(path, format!("`{path}.type` is missing."))),
    };
    let mut content = None;
    let mut cache = None;
    for (name, value) in item.present() {
        let path = format!("{path}.{name}");
        match name {
            "type" => {}
            "cache_control" => cache = Some(cache_mark(value, &path)?),
            name if name == kind => content = Some(said(&kind, value, &path)?),
            _ => note(other, format!("messages[].content[].{name}")),
        }
    }
    let Some(content) = content else {
        let message = format!("`{path}` must have a member `{kind}`.");
        return Err(Error::invalid(path, message));
    };
    Ok(Part { content, cache, signature: None })
}

#[derive(Deserialize)]
struct Url {
    url: String,
    #[serde(default)]
    detail: Option<String>,
}

#[derive(Deserialize)]
struct Sound {
    data: String,
    #[serde(default)]
    format: Option<String>,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    file_data: Option<String>,
    #[serde(default)]
    file_id: Option<String>,
    #[serde(default)]
    filename: Option<String>,
}

/// What a part of this kind says.
fn said(kind: &str, value: &RawValue, path: &str) -> Result<Content> {
    Ok(match kind {
        "text" => Content::Text(parsed(value, path, "a string")?, vec![]),
        "refusal" => Content::Refusal(parsed(value, path, "a string")?),
        "image_url" => Content::Image(at_url(value, path)?),
        "video_url" => Content::Video(at_url(value, path)?),
        "input_audio" => {
            let sound: Sound = parsed(value, path, "an object with `data` and `format`")?;
            Content::Audio(Media {
                source: MediaSource::Base64(sound.data),
                media_type: sound.format.map(|it| format!("audio/{it}")),
                ..Media::default()
            })
        }
        "file" => {
            let wanted = "an object with `file_data` or `file_id`";
            let file: File = parsed(value, path, wanted)?;
            let mut media = match (file.file_data, file.file_id) {
                (Some(data), _) => data_uri::bytes(&data),
                (None, Some(id)) => Media { source: MediaSource::Id(id), ..Media::default() },
                (None, None) => {
                    return Err(Error::invalid(path, format!("`{path}` must be {wanted}.")));
                }
            };
            media.name = file.filename;
            Content::File(media)
        }
        _ => {
            let message = format!("a part of type `{kind}` means nothing to this model's provider");
            return Err(unsupported(path, message));
        }
    })
}

fn at_url(value: &RawValue, path: &str) -> Result<Media> {
    let wanted = "an object with a `url`";
    let Url { url, detail } = if value.get().starts_with('"') {
        Url { url: parsed(value, path, wanted)?, detail: None }
    } else {
        parsed(value, path, wanted)?
    };
    Ok(Media { detail, ..data_uri::at(&url) })
}
