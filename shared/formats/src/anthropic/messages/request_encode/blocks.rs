//! Encodes parts as blocks of a request.

use canonical::{
    CacheBreakpoint, Content, Error, ErrorKind, Field, Media, MediaSource as Place, Part, Result,
    ToolCall, ToolResult,
};

use crate::{
    alternating_roles::Side,
    anthropic::messages::{
        MAKER,
        signature::{redacted, sanitize_id},
        wire::request::{Block, CacheControl, Source},
    },
    arguments, base64, media_type,
};

/// Media types of images that are accepted.
const IMAGE_TYPES: &[&str] = &["image/gif", "image/jpeg", "image/png", "image/webp"];
/// Encodes the parts of one message.
pub(crate) fn encode_blocks<'a>(
    side: Side,
    parts: &[&'a Part],
    dropped: &mut Vec<Field>,
) -> Result<Vec<Block<'a>>> {
    let mut blocks = Vec::with_capacity(parts.len());
    for part in parts {
        blocks.extend(block(side, part, dropped)?);
    }
    Ok(blocks)
}

/// A text of the system prompt.
pub(crate) fn system_block<'a>(
    part: &'a Part,
    dropped: &mut Vec<Field>,
) -> Result<Option<Block<'a>>> {
    match &part.content {
        Content::Text(..) | Content::Refusal(_) => block(Side::User, part, dropped),
        _ => Err(Error::new(
            ErrorKind::Unsupported,
            "accepts only text in the system prompt; move the rest into a user's message",
        )),
    }
}

fn block<'a>(side: Side, part: &'a Part, dropped: &mut Vec<Field>) -> Result<Option<Block<'a>>> {
    let cache_control = part.cache.as_ref().map(|it| cache_control(it, dropped));
    let assistant = side == Side::Assistant;
    Ok(Some(match &part.content {
        Content::Text(text, citations) => {
            if !citations.is_empty() {
                dropped.push(Field::Citations);
            }
            return Ok(text_block(text, cache_control));
        }
        // A refusal is text of the model; Anthropic has no block of its own for it.
        Content::Refusal(text) => return Ok(text_block(text, cache_control)),
        Content::Reasoning(text) => return Ok(reasoning_block(part, text, dropped)),
        // A model's own media of earlier messages have no block: only users send any.
        Content::Image(_) if assistant => return Ok(drop_part(Field::Image, dropped)),
        Content::File(_) if assistant => return Ok(drop_part(Field::File, dropped)),
        Content::Audio(_) if assistant => return Ok(drop_part(Field::Audio, dropped)),
        Content::Video(_) if assistant => return Ok(drop_part(Field::Video, dropped)),
        Content::Image(media) => image_block(media, cache_control, dropped)?,
        Content::File(media) => document_block(media, cache_control)?,
        Content::Audio(_) => return Err(unsupported("audio", &Field::Audio)),
        Content::Video(_) => return Err(unsupported("video", &Field::Video)),
        Content::ToolCall(call) => tool_use(call, cache_control),
        Content::ToolResult(result) => tool_result(result, cache_control, dropped)?,
    }))
}

/// A text; none where there is nothing to read, which is refused.
fn text_block<'a>(text: &'a str, cache_control: Option<CacheControl<'a>>) -> Option<Block<'a>> {
    (!text.trim().is_empty()).then_some(Block::Text { text, cache_control })
}

fn drop_part<'a>(field: Field, dropped: &mut Vec<Field>) -> Option<Block<'a>> {
    dropped.push(field);
    None
}

fn unsupported(what: &str, field: &Field) -> Error {
    let mut error = Error::new(ErrorKind::Unsupported, format!("accepts no {what}"));
    error.param = Some(field.openai_chat_name().into_owned());
    error
}

/// Reasoning goes back only to the maker that signed it.
fn reasoning_block<'a>(
    part: &'a Part,
    text: &'a str,
    dropped: &mut Vec<Field>,
) -> Option<Block<'a>> {
    if part.cache.is_some() {
        dropped.push(Field::Cache);
    }
    let Some(signature) = &part.signature else {
        if !text.is_empty() {
            dropped.push(Field::ReasoningText);
        }
        return None;
    };
    // Before the maker is asked: a redacted signature is Anthropic's by what it begins with.
    if let Some(data) = redacted(signature) {
        return Some(Block::RedactedThinking { data });
    }
    (signature.maker == MAKER)
        .then_some(Block::Thinking { thinking: text, signature: &signature.data })
}

/// A cache breakpoint. There are two times to live.
pub(crate) fn cache_control<'a>(
    mark: &'a CacheBreakpoint,
    dropped: &mut Vec<Field>,
) -> CacheControl<'a> {
    let ttl = mark.ttl.as_deref();
    let known = ttl.filter(|it| matches!(*it, "5m" | "1h"));
    if known != ttl {
        dropped.push(Field::CacheTtl);
    }
    CacheControl { ttl: known }
}

fn image_block<'a>(
    media: &'a Media,
    cache_control: Option<CacheControl<'a>>,
    dropped: &mut Vec<Field>,
) -> Result<Block<'a>> {
    if media.detail.as_deref().is_some_and(|it| it != "auto") {
        dropped.push(Field::ImageDetail);
    }
    let source = match &media.source {
        Place::Url(url) => Source::Url { url },
        Place::Base64(data) => {
            let media_type = media_type(media, data);
            // Refused here, so that a route goes on to a target that takes it, instead of ending
            // with the provider's 400.
            if !IMAGE_TYPES.contains(&media_type) {
                let error = unsupported("images but GIF, JPEG, PNG and WebP", &Field::Image);
                return Err(error);
            }
            Source::Base64 { media_type, data }
        }
        Place::Text(_) => return Err(unsupported("images as text", &Field::Image)),
        Place::Id(_) => return Err(unsupported("files of another provider", &Field::Image)),
    };
    Ok(Block::Image { source, cache_control })
}

fn document_block<'a>(
    media: &'a Media,
    cache_control: Option<CacheControl<'a>>,
) -> Result<Block<'a>> {
    let source = match &media.source {
        Place::Url(url) => Source::Url { url },
        Place::Text(text) => Source::Text { media_type: "text/plain", data: text.into() },
        Place::Base64(data) => {
            let media_type = media_type(media, data);
            // Other formats may hold an image as a file, and a document block takes none.
            if IMAGE_TYPES.contains(&media_type) {
                let source = Source::Base64 { media_type, data };
                return Ok(Block::Image { source, cache_control });
            }
            base64_document(media_type, data)?
        }
        Place::Id(_) => return Err(unsupported("files of another provider", &Field::File)),
    };
    Ok(Block::Document { source, title: media.name.as_deref(), cache_control })
}

/// A document in base64: PDF as it is, text in the clear.
fn base64_document<'a>(media_type: &'a str, data: &'a str) -> Result<Source<'a>> {
    let plain = media_type.split(';').next().unwrap_or(media_type).trim();
    if plain == "application/pdf" {
        return Ok(Source::Base64 { media_type: plain, data });
    }
    // A document in base64 must be PDF; texts have a source of their own, in the clear.
    let is_text = plain.starts_with("text/")
        || matches!(plain, "application/json" | "application/xml" | "application/yaml");
    if !is_text {
        return Err(unsupported("documents but PDF and text", &Field::File));
    }
    let text = base64::decode(data).and_then(|it| String::from_utf8(it).ok());
    let text = text.ok_or_else(|| {
        let message = "A document whose media type is text is not UTF-8 in base64.";
        Error::invalid(&Field::File.openai_chat_name(), message)
    })?;
    Ok(Source::Text { media_type: "text/plain", data: text.into() })
}

/// The media type: by the bytes of an image, else by its label, else by any bytes that are known.
fn media_type<'a>(media: &'a Media, data: &str) -> &'a str {
    let label = media.media_type.as_deref();
    media_type::of_image(data, label).or(media_type::of_base64(data)).unwrap_or_default()
}

fn tool_use<'a>(call: &'a ToolCall, cache_control: Option<CacheControl<'a>>) -> Block<'a> {
    let input = arguments::object_or_wrapped(&call.arguments);
    Block::ToolUse { id: sanitize_id(&call.id), name: &call.name, input, cache_control }
}

fn tool_result<'a>(
    result: &'a ToolResult,
    cache_control: Option<CacheControl<'a>>,
    dropped: &mut Vec<Field>,
) -> Result<Block<'a>> {
    let mut content = Vec::with_capacity(result.parts.len());
    for part in &result.parts {
        match &part.content {
            Content::Text(..) | Content::Refusal(_) | Content::Image(_) | Content::File(_) => {
                content.extend(block(Side::User, part, dropped)?);
            }
            Content::Reasoning(_)
            | Content::Audio(_)
            | Content::Video(_)
            | Content::ToolCall(_)
            // A result without its audio still tells the model something, where an error would end
            // the conversation.
            | Content::ToolResult(_) => dropped.push(Field::ToolResultMedia),
        }
    }
    Ok(Block::ToolResult {
        tool_use_id: sanitize_id(&result.id),
        content,
        is_error: result.is_error,
        cache_control,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_a_label_is_known_by_its_bytes() {
        let source = Place::Base64("iVBORw0KGgo=".to_owned());
        let media = Media { source, ..Media::default() };
        let Block::Image { source: Source::Base64 { media_type, .. }, .. } =
            image_block(&media, None, &mut vec![]).unwrap()
        else {
            panic!("no image");
        };
        assert_eq!(media_type, "image/png");
    }

    #[test]
    fn foreign_reasoning_is_dropped_unnamed() {
        let mut dropped = vec![];
        let mut part = Part::new(Content::Reasoning("h".to_owned()));
        part.signature = Some(canonical::Signature::new("gemini", "x"));
        assert!(block(Side::Assistant, &part, &mut dropped).unwrap().is_none());
        assert!(dropped.is_empty());
        part.signature = None;
        assert!(block(Side::Assistant, &part, &mut dropped).unwrap().is_none());
        assert_eq!(dropped, [Field::ReasoningText]);
    }
}
