//! The messages of a request.

use std::borrow::Cow;

use canonical::{
    CacheBreakpoint, Content, Error, Media, MediaSource, Message, Part, Result, Role, Signature,
    ToolCall, ToolResult,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    super::{reasoning, response_decode::text},
    unsupported,
};
use crate::{
    data_uri,
    json::{Object, parsed},
    openai::tool_name::{self, ToolName},
    size_limits::note,
};

/// Decodes every message. Members that no other format has are named in `other`.
pub(super) fn decode(value: &RawValue, other: &mut Vec<String>) -> Result<Vec<Message>> {
    let messages: Vec<Object<'_>> = parsed(value, "messages", "a list of messages")?;
    let decoded = |(at, message): (usize, &Object<'_>)| {
        decode_message(message, &format!("messages[{at}]"), other)
    };
    messages.iter().enumerate().map(decoded).collect()
}

fn decode_message(message: &Object<'_>, path: &str, other: &mut Vec<String>) -> Result<Message> {
    let role: Cow<'_, str> = match message.get("role") {
        Some(role) => parsed(role, &format!("{path}.role"), "a string")?,
        None => return Err(Error::invalid(path, format!("`{path}.role` is missing."))),
    };
    let role = match role.as_ref() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" | "function" => return tool_message(message, path, other),
        role => {
            let path = format!("{path}.role");
            let message = format!(
                "`{path}` is `{role}`; it must be system, developer, user, assistant or tool."
            );
            return Err(Error::invalid(&path, message));
        }
    };

    // Reasoning comes first in every format that has it: a model reasons before it writes.
    let mut decoded = Message::new(role, reasoning::decode(message, path)?);
    let mut calls = vec![];
    for (name, value) in message.present() {
        let path = format!("{path}.{name}");
        match name {
            "role" | "reasoning_content" | "reasoning" | "reasoning_details" => {}
            "content" => decoded.parts.extend(content(value, &path, other)?),
            "name" => decoded.name = Some(parsed(value, &path, "a string")?),
            "refusal" => {
                let text = parsed(value, &path, "a string")?;
                decoded.parts.push(Part::new(Content::Refusal(text)));
            }
            "tool_calls" => calls = tool_calls(value, &path)?,
            "function_call" => calls.push(function_call(value, &path)?),
            "cache_control" => mark_last(&mut decoded.parts, value, &path)?,
            // Clients echo the whole message of a response, which has the member even where nothing
            // was cited.
            "annotations" if value.get() == "[]" => {}
            _ => note(other, format!("messages[].{name}")),
        }
    }

    // Behind the other members, whatever their order in the JSON: calls stand behind the text in
    // every format.
    decoded.parts.extend(reasoning::off_calls(&decoded.parts, &mut calls));
    decoded.parts.extend(calls);
    Ok(decoded)
}

/// The result of a tool call, which is a part of a user's message in every other format.
fn tool_message(message: &Object<'_>, path: &str, other: &mut Vec<String>) -> Result<Message> {
    let mut result = ToolResult::default();
    let mut cache = None;
    let is_function = message.get("role").is_some_and(|it| it.get() == "\"function\"");
    for (name, value) in message.present() {
        let path = format!("{path}.{name}");
        match name {
            "role" => {}
            "content" => result.parts = content(value, &path, other)?,
            "tool_call_id" => {
                // Some clients count their calls with numbers.
                Signature::split_id(&text(Some(value))).0.clone_into(&mut result.id);
            }
            "name" => result.name = Some(parsed(value, &path, "a string")?),
            "is_error" => result.is_error = Some(parsed(value, &path, "true or false")?),
            "cache_control" => cache = Some(cache_mark(value, &path)?),
            _ => note(other, format!("messages[].{name}")),
        }
    }

    // The older API knows one call at a time, so that the name of the function is all that the two
    // share.
    if let (true, Some(name)) = (is_function, &result.name) {
        result.id = function_call_id(name);
    }
    // Without it no other format could tell which call the result belongs to.
    if result.id.is_empty() {
        let path = format!("{path}.tool_call_id");
        let message =
            format!("`{path}` is missing; it must be the id of the call whose result it is.");
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
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function: Option<Function<'a>>,
    #[serde(default)]
    custom: Option<CustomCall>,
}

/// The call of a tool that takes any text.
#[derive(Deserialize)]
struct CustomCall {
    name: String,
    #[serde(default)]
    input: String,
}

#[derive(Deserialize)]
struct Function<'a> {
    name: String,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
}

fn tool_calls(value: &RawValue, path: &str) -> Result<Vec<Part>> {
    let calls: Vec<Call<'_>> = parsed(value, path, "a list of calls with `id` and `function`")?;
    let calls = calls.into_iter().enumerate();
    calls.map(|(at, call)| tool_call(call, &format!("{path}[{at}]"))).collect()
}

fn tool_call(call: Call<'_>, path: &str) -> Result<Part> {
    let id = text(call.id);
    let (id, signature) = Signature::split_id(&id);
    let id = id.to_owned();
    let call = match (call.function, call.custom) {
        (Some(function), _) => function.decode(id),
        (None, Some(CustomCall { name, input })) => ToolCall {
            id,
            name: ToolName::of_custom(&name),
            arguments: tool_name::arguments(&input),
        },
        (None, None) => {
            let message = "a call of another type than `function` and `custom` is not supported by this model's provider";
            return Err(unsupported(path, message));
        }
    };
    Ok(Part { content: Content::ToolCall(call), cache: None, signature })
}

impl Function<'_> {
    /// The call of this function. Its arguments are JSON text, or the object itself at some clients.
    fn decode(self, id: String) -> ToolCall {
        let arguments = match self.arguments.map(RawValue::get) {
            Some(json) if json.starts_with('{') => json.to_owned(),
            _ => text(self.arguments),
        };
        // Other formats have an object here, if an empty one.
        let arguments = if arguments.is_empty() { "{}".to_owned() } else { arguments };
        ToolCall { id, name: self.name, arguments }
    }
}

/// The one call of OpenAI's first API for tools, which histories still hold.
fn function_call(value: &RawValue, path: &str) -> Result<Part> {
    let function: Function<'_> = parsed(value, path, "an object with a `name`")?;
    let id = function_call_id(&function.name);
    Ok(Part::new(Content::ToolCall(function.decode(id))))
}

/// An id for a call that has none but the name of its function.
fn function_call_id(name: &str) -> String {
    format!("call_{name}")
}

/// Decodes a content: a text, a part, or a list of texts and parts.
fn content(value: &RawValue, path: &str, unmapped: &mut Vec<String>) -> Result<Vec<Part>> {
    let wanted = "a string or a list of parts";
    match value.get().as_bytes().first() {
        Some(b'"') => {
            let text: String = parsed(value, path, wanted)?;
            // Clients write an empty text where a message has calls alone; Anthropic and Google
            // refuse it.
            Ok(if text.is_empty() { vec![] } else { vec![Part::text(text)] })
        }
        Some(b'{') => Ok(vec![part(&parsed(value, path, wanted)?, path, unmapped)?]),
        _ => {
            let list: Vec<&RawValue> = parsed(value, path, wanted)?;
            let items = list.into_iter().enumerate();
            let parts = items.map(|(at, item)| content(item, &format!("{path}[{at}]"), unmapped));
            Ok(parts.collect::<Result<Vec<_>>>()?.concat())
        }
    }
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
            // A part's content stands under the name of its type, for every type of the reference.
            name if name == kind => content = Some(part_content(&kind, value, &path)?),
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
struct AudioJson {
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

/// The value of a part of this kind.
fn part_content(kind: &str, value: &RawValue, path: &str) -> Result<Content> {
    Ok(match kind {
        "text" => Content::Text(parsed(value, path, "a string")?, vec![]),
        "refusal" => Content::Refusal(parsed(value, path, "a string")?),
        "image_url" => Content::Image(at_url(value, path)?),
        "video_url" => Content::Video(at_url(value, path)?),
        "input_audio" => {
            let audio: AudioJson = parsed(value, path, "an object with `data` and `format`")?;
            Content::Audio(Media {
                source: MediaSource::Base64(audio.data),
                media_type: audio.format.map(|it| format!("audio/{it}")),
                ..Media::default()
            })
        }
        "file" => {
            let wanted = "an object with `file_data` or `file_id`";
            let file: File = parsed(value, path, wanted)?;
            let mut media = match (file.file_data, file.file_id) {
                // The bytes count more than the id: only OpenAI could look that up.
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
            let message =
                format!("a part of type `{kind}` is not supported by this model's provider");
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

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(json: &str) -> Vec<Message> {
        let json: &RawValue = serde_json::from_str(json).unwrap();
        decode(json, &mut vec![]).unwrap()
    }

    #[test]
    fn a_content_may_list_texts() {
        let listed = messages(r#"[{"role":"user","content":["Hel",{"type":"text","text":"lo"}]}]"#);
        assert_eq!(listed[0].parts, [Part::text("Hel"), Part::text("lo")]);
        let single = messages(r#"[{"role":"user","content":{"type":"text","text":"Hi"}}]"#);
        assert_eq!(single[0].parts, [Part::text("Hi")]);
    }

    #[test]
    fn an_id_may_be_a_number_and_arguments_an_object() {
        let messages = messages(
            r#"[{"role":"assistant","tool_calls":[{"id":7,"function":{"name":"f","arguments":{"a":1}}}]},
            {"role":"tool","tool_call_id":7,"content":"1"}]"#,
        );
        let Content::ToolCall(call) = &messages[0].parts[0].content else { panic!() };
        assert_eq!((call.id.as_str(), call.arguments.as_str()), ("7", r#"{"a":1}"#));
        let Content::ToolResult(result) = &messages[1].parts[0].content else { panic!() };
        assert_eq!(result.id, "7");
    }

    #[test]
    fn an_older_function_call_finds_its_result() {
        let messages = messages(
            r#"[{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},
            {"role":"function","name":"f","content":"1"}]"#,
        );
        let Content::ToolCall(call) = &messages[0].parts[0].content else { panic!() };
        let Content::ToolResult(result) = &messages[1].parts[0].content else { panic!() };
        assert_eq!(call.id, result.id);
    }
}
