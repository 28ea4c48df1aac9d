//! Messages of a conversation, encoded.

use std::borrow::Cow;

use canonical::{
    Content, Error, ErrorKind, Field, Media, MediaSource, Message, Part, Result, Role, ToolResult,
};
use serde::Serialize;

use super::super::{
    super::file_id,
    FORMAT,
    quirks::mistral,
    reasoning::{NO_REASONING, ReasoningReplay},
    request_decode::unsupported,
};
use crate::{Prefill, size_limits::note};

/// One message of a request.
#[derive(Serialize)]
pub(super) struct MessageJson<'a> {
    role: &'static str,
    /// Null only where calls stand in its place.
    content: Option<ContentJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<bool>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ContentJson<'a> {
    Text(&'a str),
    Parts(Vec<PartJson<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum PartJson<'a> {
    Text { text: Cow<'a, str> },
    ImageUrl { image_url: Url<'a> },
    InputAudio { input_audio: AudioJson<'a> },
    File { file: File<'a> },
}

#[derive(Serialize)]
struct Url<'a> {
    url: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

#[derive(Serialize)]
struct AudioJson<'a> {
    data: &'a str,
    format: &'a str,
}

#[derive(Serialize)]
struct File<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_id: Option<&'a str>,
}

/// A tool call of an earlier answer.
#[derive(Serialize)]
struct Call<'a> {
    id: Cow<'a, str>,
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a str,
}

/// Encodes every message. Content that the format does not support is added to `dropped`.
pub(super) fn encode<'a>(
    messages: &'a [Message],
    replay: ReasoningReplay,
    dropped: &mut Vec<Field>,
) -> Result<Vec<MessageJson<'a>>> {
    let mut encoded = Vec::with_capacity(messages.len());
    for canonical in messages {
        if canonical.parts.iter().any(|it| it.cache.is_some()) {
            note(dropped, Field::Cache);
        }
        match canonical.role {
            // Every provider takes `system`; only OpenAI's own and Azure's take `developer`, and
            // mean the same by it.
            Role::System | Role::Developer => encoded.push(plain("system", canonical, dropped)?),
            Role::Assistant => encoded.push(assistant_message(canonical, replay, dropped)?),
            Role::User => user_messages(canonical, dropped, &mut encoded)?,
        }
    }
    Ok(encoded)
}

/// Leaves the last message open, if it is a text of the model: in the message itself, or, where this
/// is true, by a member of the request.
pub(super) fn leave_open(messages: &mut [MessageJson<'_>], prefill: Prefill) -> bool {
    let Some(last) = messages.last_mut() else { return false };
    let is_open = last.role == "assistant" && last.tool_calls.is_empty() && last.content.is_some();
    if is_open && prefill == Prefill::Prefix {
        last.prefix = Some(true);
    }
    is_open && prefill == Prefill::ContinueFinalMessage
}

/// Messages as Mistral's models accept them.
pub(super) fn for_mistral(messages: Vec<MessageJson<'_>>) -> Vec<MessageJson<'_>> {
    let mut fitted: Vec<MessageJson<'_>> = Vec::with_capacity(messages.len());
    for mut it in messages {
        if fitted.last().is_some_and(|before| mistral::lacks_response(before.role, it.role)) {
            fitted.push(message("assistant", vec![], Some(mistral::PLACEHOLDER)));
        }
        for call in &mut it.tool_calls {
            call.id = mistral::id(std::mem::take(&mut call.id));
        }
        it.tool_call_id = it.tool_call_id.map(mistral::id);
        fitted.push(it);
    }
    fitted
}

fn message<'a>(
    role: &'static str,
    parts: Vec<PartJson<'a>>,
    text: Option<&'a str>,
) -> MessageJson<'a> {
    let content = Some(text.map_or(ContentJson::Parts(parts), ContentJson::Text));
    MessageJson {
        role,
        content,
        name: None,
        refusal: None,
        reasoning_content: None,
        tool_calls: vec![],
        tool_call_id: None,
        prefix: None,
    }
}

/// A message that says nothing but its content.
fn plain<'a>(
    role: &'static str,
    canonical: &'a Message,
    dropped: &mut Vec<Field>,
) -> Result<MessageJson<'a>> {
    let parts: Vec<&Part> = canonical.parts.iter().collect();
    let mut message = content_message(role, &parts, dropped)?;
    message.name = canonical.name.as_deref();
    Ok(message)
}

/// A single text is written as such: every service reads that.
fn content_message<'a>(
    role: &'static str,
    parts: &[&'a Part],
    dropped: &mut Vec<Field>,
) -> Result<MessageJson<'a>> {
    if let [Part { content: Content::Text(text, citations), .. }] = parts {
        if !citations.is_empty() {
            note(dropped, Field::Citations);
        }
        return Ok(message(role, vec![], Some(text)));
    }
    let mut part_jsons = vec![];
    for part in parts {
        part_jsons.extend(part_json(part, dropped)?);
    }
    Ok(message(role, part_jsons, None))
}

/// A message of the user: first the results of tools, each a message of its own.
fn user_messages<'a>(
    canonical: &'a Message,
    dropped: &mut Vec<Field>,
    messages: &mut Vec<MessageJson<'a>>,
) -> Result<()> {
    let mut besides = vec![];
    for part in &canonical.parts {
        let Content::ToolResult(result) = &part.content else { continue };
        messages.push(tool_message(result, dropped, &mut besides)?);
    }
    let rest: Vec<&Part> =
        canonical.parts.iter().filter(|it| !matches!(it.content, Content::ToolResult(_))).collect();
    // Results may be all that the message holds; then there is no message of the user's besides.
    let has_results = messages.last().is_some_and(|it| it.tool_call_id.is_some());
    if !besides.is_empty() {
        for part in rest {
            besides.extend(part_json(part, dropped)?);
        }
        messages.push(message("user", besides, None));
    } else if !rest.is_empty() || !has_results {
        let mut message = content_message("user", &rest, dropped)?;
        message.name = canonical.name.as_deref();
        messages.push(message);
    }
    Ok(())
}

/// The message of a tool result. It may hold text only: `besides` gets what else the result holds, for a
/// message of the user right behind it.
fn tool_message<'a>(
    result: &'a ToolResult,
    dropped: &mut Vec<Field>,
    besides: &mut Vec<PartJson<'a>>,
) -> Result<MessageJson<'a>> {
    let ToolResult { id, name: _, parts, is_error } = result;
    if *is_error == Some(true) {
        note(dropped, Field::ToolError);
    }
    let (texts, media): (Vec<&Part>, Vec<&Part>) =
        parts.iter().partition(|it| matches!(it.content, Content::Text(..)));
    if !media.is_empty() {
        // The model would not know whose image it is: it stands in a message of the user.
        besides.push(PartJson::Text { text: format!("What tool call {id} returned:").into() });
    }
    for part in media {
        besides.extend(part_json(part, dropped)?);
    }
    let mut message = if texts.is_empty() {
        // A result without a text must still be there: each call needs one.
        message("tool", vec![], Some(""))
    } else {
        content_message("tool", &texts, dropped)?
    };
    message.tool_call_id = Some(Cow::Borrowed(id));
    Ok(message)
}

/// An earlier answer.
fn assistant_message<'a>(
    canonical: &'a Message,
    replay: ReasoningReplay,
    dropped: &mut Vec<Field>,
) -> Result<MessageJson<'a>> {
    let (mut texts, mut tool_calls, mut refusal, mut reasoning) = (vec![], vec![], None, vec![]);
    for part in &canonical.parts {
        match &part.content {
            Content::ToolCall(call) => tool_calls.push(Call {
                id: Cow::Borrowed(&call.id),
                r#type: "function",
                function: Function { name: &call.name, arguments: &call.arguments },
            }),
            Content::Refusal(text) => refusal = Some(text.as_str()),
            Content::Reasoning(text)
                if matches!(replay, ReasoningReplay::Given | ReasoningReplay::Demanded) =>
            {
                reasoning.extend(Some(text.as_str()).filter(|it| !it.is_empty()));
            }
            Content::Reasoning(_) => {
                // Another maker's reasoning means nothing here, so that nothing is lost with it.
                let native = part.signature.as_ref().is_none_or(|it| it.maker == FORMAT.name);
                if native {
                    note(dropped, Field::ReasoningText);
                }
            }
            Content::Image(_) => note(dropped, Field::Image),
            Content::Audio(_) => note(dropped, Field::Audio),
            _ => texts.push(part),
        }
    }

    let mut message = content_message("assistant", &texts, dropped)?;
    if texts.is_empty() {
        // An empty list of parts is refused; null is accepted beside calls, an empty text without
        // any.
        message.content = tool_calls.is_empty().then_some(ContentJson::Text(""));
    }
    message.name = canonical.name.as_deref();
    message.refusal = refusal;
    message.reasoning_content = match &reasoning[..] {
        [] if replay == ReasoningReplay::Demanded && !tool_calls.is_empty() => {
            Some(Cow::Borrowed(NO_REASONING))
        }
        [] => None,
        [one] => Some(Cow::Borrowed(*one)),
        several => Some(Cow::Owned(several.join("\n\n"))),
    };
    message.tool_calls = tool_calls;
    Ok(message)
}

fn part_json<'a>(part: &'a Part, dropped: &mut Vec<Field>) -> Result<Option<PartJson<'a>>> {
    Ok(Some(match &part.content {
        Content::Text(text, citations) => {
            if !citations.is_empty() {
                note(dropped, Field::Citations);
            }
            PartJson::Text { text: text.into() }
        }
        Content::Image(media) => PartJson::ImageUrl {
            image_url: Url { url: address(media)?, detail: media.detail.as_deref() },
        },
        Content::Audio(media) => PartJson::InputAudio { input_audio: audio(media)? },
        Content::File(media) => return file(media).map(Some),
        Content::Video(_) => {
            return Err(unsupported("messages", "accepts no video"));
        }
        Content::Refusal(text) => PartJson::Text { text: text.into() },
        Content::Reasoning(_) => {
            note(dropped, Field::ReasoningText);
            return Ok(None);
        }
        Content::ToolCall(_) | Content::ToolResult(_) => {
            let message = "A tool call or its result stands in a message of the wrong role.";
            return Err(Error::new(ErrorKind::InvalidRequest, message));
        }
    }))
}

/// The URL of an image, or its data URI.
fn address(media: &Media) -> Result<Cow<'_, str>> {
    let Media { source, media_type, name: _, detail: _ } = media;
    match (source, media_type) {
        (MediaSource::Url(url), _) => Ok(url.into()),
        (MediaSource::Base64(data), Some(kind)) => Ok(format!("data:{kind};base64,{data}").into()),
        (MediaSource::Base64(_), None) => {
            Err(unsupported("messages", "needs the media type of an image"))
        }
        (MediaSource::Text(_) | MediaSource::Id(_), _) => {
            Err(unsupported("messages", "accepts images by URL or in base64 only"))
        }
    }
}

fn audio(media: &Media) -> Result<AudioJson<'_>> {
    let format = media.media_type.as_deref().and_then(|it| it.strip_prefix("audio/"));
    match (&media.source, format) {
        (MediaSource::Base64(data), Some(format @ ("wav" | "mp3"))) => {
            Ok(AudioJson { data, format })
        }
        // Media types of WAV that browsers and operating systems give; OpenAI knows two words only.
        (MediaSource::Base64(data), Some("x-wav" | "wave" | "vnd.wave")) => {
            Ok(AudioJson { data, format: "wav" })
        }
        (MediaSource::Base64(data), Some("mpeg")) => Ok(AudioJson { data, format: "mp3" }),
        _ => Err(unsupported("messages", "accepts audio as wav or mp3 in base64 only")),
    }
}

fn file(media: &Media) -> Result<PartJson<'_>> {
    let Media { source, media_type, name, detail: _ } = media;
    let filename = name.as_deref();
    let empty = File { filename, file_data: None, file_id: None };
    Ok(match source {
        // `file` takes base64 of PDF; a text is a text.
        MediaSource::Text(text) => PartJson::Text { text: text.into() },
        MediaSource::Id(id) if file_id::is_foreign(id) => {
            return Err(unsupported("messages", "accepts no files of another provider"));
        }
        MediaSource::Id(id) => PartJson::File { file: File { file_id: Some(id), ..empty } },
        MediaSource::Base64(data) => {
            let kind = media_type.as_deref().unwrap_or("application/pdf");
            let file_data = Some(format!("data:{kind};base64,{data}"));
            // OpenAI refuses data without a name.
            let filename = filename.or(Some("document.pdf"));
            PartJson::File { file: File { filename, file_data, file_id: None } }
        }
        MediaSource::Url(_) => {
            return Err(unsupported("messages", "accepts documents in base64 only, not by URL"));
        }
    })
}
