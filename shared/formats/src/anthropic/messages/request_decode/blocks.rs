//! Blocks of a client's messages.

use canonical::{
    Content, Error, Media, MediaSource, Part, Result, Signature, ToolCall, ToolResult,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::cache;
use crate::{
    anthropic::messages::{response_decode::citation, signature},
    base64,
    json::{Object, parsed},
    lenient_values,
};

/// A block, whatever it is.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Block<'a> {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
    thinking: Option<String>,
    signature: Option<String>,
    data: Option<String>,
    #[serde(deserialize_with = "lenient_values::text")]
    id: Option<String>,
    #[serde(deserialize_with = "lenient_values::text")]
    tool_use_id: Option<String>,
    name: Option<String>,
    title: Option<String>,
    is_error: Option<bool>,
    #[serde(borrow)]
    citations: Option<&'a RawValue>,
    #[serde(borrow)]
    context: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    source: Option<&'a RawValue>,
    #[serde(borrow)]
    cache_control: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Place<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    data: Option<String>,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    file_id: Option<String>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

/// Reads a text or a list of blocks.
pub(crate) fn parts(value: &RawValue, path: &str, other: &mut Vec<String>) -> Result<Vec<Part>> {
    if value.get().starts_with('"') {
        return Ok(vec![Part::text(parsed::<String>(value, path, "a text")?)]);
    }
    let blocks: Vec<&RawValue> = parsed(value, path, "a text or a list of blocks")?;
    let mut parts = Vec::with_capacity(blocks.len());
    for (at, json) in blocks.into_iter().enumerate() {
        let path = format!("{path}[{at}]");
        if json.get().starts_with('"') {
            // Some clients list texts where blocks are wanted.
            parts.push(Part::text(parsed::<String>(json, &path, "a text")?));
            continue;
        }
        let block: Block<'_> = parsed(json, &path, "a block with a `type`")?;
        let mark = block.cache_control.map(|it| cache(it, &format!("{path}.cache_control")));
        let mark = mark.transpose()?;
        let first = parts.len();
        read(block, &path, &mut parts, other)?;
        // The mark covers everything up to and including its block, so it belongs to the last part
        // of it.
        if first < parts.len()
            && let Some(last) = parts.last_mut()
        {
            last.cache = mark;
        }
    }
    Ok(parts)
}

fn read(
    block: Block<'_>,
    path: &str,
    parts: &mut Vec<Part>,
    other: &mut Vec<String>,
) -> Result<()> {
    let part = match block.kind.as_str() {
        "text" => {
            let quotes: Vec<&RawValue> = match block.citations {
                Some(list) => parsed(list, &format!("{path}.citations"), "a list")?,
                None => vec![],
            };
            let citations = quotes.into_iter().filter_map(citation).collect();
            Part::new(Content::Text(needed(block.text, path, "text")?, citations))
        }
        "thinking" => {
            let signature = block.signature.as_deref().and_then(signature::read_signature);
            reasoning(block.thinking.unwrap_or_default(), signature)
        }
        "redacted_thinking" => {
            let data = needed(block.data, path, "data")?;

            // Encrypted reasoning of another maker travels in this block too, where it has no text.
            let foreign = data.starts_with(canonical::TAG_PREFIX);
            let own = || Some(signature::redact(&data));
            let signature = if foreign { signature::read_signature(&data) } else { own() };
            reasoning(String::new(), signature)
        }
        "image" => {
            let media = media(&block, path, parts, other)?;
            Part::new(Content::Image(media))
        }
        "document" => {
            let media = media(&block, path, parts, other)?;
            Part::new(Content::File(Media { name: block.title, ..media }))
        }
        "search_result" => search_result(&block, path, other)?,
        "tool_use" => tool_use(block, path)?,
        "tool_result" => tool_result(block, path, other)?,
        "" => return Err(missing(path, "type")),
        kind => {
            other.push(format!("messages[].content[].type={kind}"));
            return Ok(());
        }
    };
    parts.push(part);
    Ok(())
}

fn reasoning(text: String, signature: Option<Signature>) -> Part {
    Part { signature, ..Part::new(Content::Reasoning(text)) }
}

fn needed(value: Option<String>, path: &str, name: &str) -> Result<String> {
    value.ok_or_else(|| missing(path, name))
}

fn missing(path: &str, name: &str) -> Error {
    let path = format!("{path}.{name}");
    Error::invalid(&path, format!("`{path}` is missing."))
}

/// Where an image or a document is. Images within a document stand before it.
fn media(
    block: &Block<'_>,
    path: &str,
    parts: &mut Vec<Part>,
    other: &mut Vec<String>,
) -> Result<Media> {
    for (value, name) in [(block.context, "context"), (block.citations, "citations")] {
        // `{"enabled": false}` asks for what happens anyway.
        if value.is_some_and(|it| !it.get().contains("false")) {
            other.push(format!("messages[].content[].{name}"));
        }
    }

    let path = format!("{path}.source");
    let json =
        block.source.ok_or_else(|| Error::invalid(&path, format!("`{path}` is missing.")))?;
    let place: Place<'_> = parsed(json, &path, "an object with a `type`")?;

    let source = match place.kind.as_str() {
        "base64" => MediaSource::Base64(base64::standard(needed(place.data, &path, "data")?)),
        "text" => MediaSource::Text(needed(place.data, &path, "data")?),
        "url" => MediaSource::Url(needed(place.url, &path, "url")?),
        "file" => MediaSource::Id(needed(place.file_id, &path, "file_id")?),
        // A document made of blocks: its texts become one document, and its images stand before it,
        // because no other format nests them.
        "content" => {
            let content = place.content.ok_or_else(|| missing(&path, "content"))?;
            let mut text = vec![];
            for part in self::parts(content, &format!("{path}.content"), other)? {
                match part.content {
                    Content::Text(value, _) => text.push(value),
                    _ => parts.push(part),
                }
            }
            MediaSource::Text(text.join("\n"))
        }
        _ => {
            let message =
                format!("`{path}.type` must be `base64`, `url`, `file`, `text` or `content`.");
            return Err(Error::invalid(&format!("{path}.type"), message));
        }
    };
    Ok(Media { source, media_type: place.media_type, ..Media::default() })
}

/// A search result as text: no other format has a part for it.
fn search_result(block: &Block<'_>, path: &str, other: &mut Vec<String>) -> Result<Part> {
    if block.citations.is_some_and(|it| !it.get().contains("false")) {
        other.push("messages[].content[].citations".to_owned());
    }
    let source = block.source.map(|it| parsed::<String>(it, &format!("{path}.source"), "a text"));
    let mut lines: Vec<String> = block.title.clone().into_iter().collect();
    lines.extend(source.transpose()?);
    let content = block.content.ok_or_else(|| missing(path, "content"))?;
    for part in parts(content, &format!("{path}.content"), other)? {
        if let Content::Text(text, _) = part.content {
            lines.push(text);
        }
    }
    Ok(Part::text(lines.join("\n")))
}

fn tool_use(block: Block<'_>, path: &str) -> Result<Part> {
    let id = needed(block.id, path, "id")?;
    let (id, signature) = Signature::split_id(&id);
    let arguments = match block.input {
        // Checked, but kept as text: a call of the history must not change between requests, or a
        // cached prompt is lost.
        Some(input) => {
            parsed::<Object<'_>>(input, &format!("{path}.input"), "an object")?;
            input.get()
        }
        None => "{}",
    };
    let call = ToolCall {
        id: id.to_owned(),
        name: needed(block.name, path, "name")?,
        arguments: arguments.to_owned(),
    };
    Ok(Part { signature, ..Part::new(Content::ToolCall(call)) })
}

fn tool_result(block: Block<'_>, path: &str, other: &mut Vec<String>) -> Result<Part> {
    let id = needed(block.tool_use_id, path, "tool_use_id")?;
    let content = block.content.map(|it| parts(it, &format!("{path}.content"), other));
    Ok(Part::new(Content::ToolResult(ToolResult {
        // The signature rode on the id of the call; it stands there already.
        id: Signature::split_id(&id).0.to_owned(),
        name: None,
        parts: content.transpose()?.unwrap_or_default(),
        is_error: block.is_error,
    })))
}
