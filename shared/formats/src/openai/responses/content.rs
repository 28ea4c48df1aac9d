//! Parts of items, read: from clients and from providers alike.

use canonical::{
    CacheBreakpoint, Citation, Content, Error, Media, MediaSource, Part, Result, Signature,
};
use serde_json::value::RawValue;

use super::{FORMAT, wire};
use crate::{data_uri, json};

/// The separator between the parts of a summary, where they become one text.
pub(super) const BREAK: &str = "\n\n";

/// Reads what an item holds: a text, or a list of parts. `path` is the client's name for it.
pub(super) fn content(json: &RawValue, path: &str) -> Result<Vec<Part>> {
    if let Some(text) = wire::string(Some(json)) {
        return Ok(vec![Part::text(text)]);
    }
    let list: Vec<wire::Part<'_>> = serde_json::from_str(json.get()).map_err(|error| {
        let message = format!("`{path}` must be a text or a list of parts, each with a `type`.");
        Error::invalid(path, message).caused_by(json::unquoted(&error))
    })?;
    let parts = list.into_iter().enumerate();
    parts.map(|(at, part)| self::part(part, &format!("{path}[{at}]"))).collect()
}

/// Reads one part.
fn part(wire: wire::Part<'_>, path: &str) -> Result<Part> {
    let cache = wire
        .prompt_cache_breakpoint
        .as_ref()
        .map(|it| CacheBreakpoint { ttl: it.ttl.as_ref().map(ToString::to_string) });
    let missing = |what: &str| {
        let path = format!("{path}.{what}");
        Error::invalid(&path, format!("`{path}` is missing."))
    };
    let content = match wire.kind.as_ref() {
        // One list for input and output: clients send items of earlier responses back as they got
        // them.
        "input_text" | "output_text" | "text" | "summary_text" | "reasoning_text" => {
            let text = wire.text.ok_or_else(|| missing("text"))?;
            Content::Text(text.into_owned(), citations(wire.annotations.as_deref()))
        }
        "refusal" => Content::Refusal(wire.refusal.ok_or_else(|| missing("refusal"))?.into_owned()),
        "input_image" => {
            let media = image(&wire).ok_or_else(|| missing("image_url"))?;
            Content::Image(media)
        }
        "input_file" => Content::File(file(&wire).ok_or_else(|| missing("file_data"))?),
        "input_audio" => {
            let audio = wire.input_audio.ok_or_else(|| missing("input_audio"))?;
            let media_type = Some(format!("audio/{}", audio.format));
            let source = MediaSource::Base64(audio.data.into_owned());
            Content::Audio(Media { source, media_type, ..Media::default() })
        }
        _ => {
            let path = format!("{path}.type");
            let message = format!(
                "`{path}` must be `input_text`, `input_image`, `input_file`, `input_audio`, \
                 `output_text` or `refusal`."
            );
            return Err(Error::invalid(&path, message));
        }
    };
    Ok(Part { content, cache, signature: None })
}

fn image(wire: &wire::Part<'_>) -> Option<Media> {
    // `auto` is the default, and would be reported as dropped elsewhere.
    let detail = wire.detail.as_deref().filter(|it| *it != "auto").map(str::to_owned);
    let media = match (&wire.image_url, &wire.file_id) {
        (Some(url), _) => data_uri::at(url),
        (None, Some(id)) => Media { source: MediaSource::Id(id.to_string()), ..Media::default() },
        (None, None) => return None,
    };
    Some(Media { detail, ..media })
}

fn file(wire: &wire::Part<'_>) -> Option<Media> {
    let name = wire.filename.as_ref().map(ToString::to_string);
    let media = match (&wire.file_data, &wire.file_url, &wire.file_id) {
        (Some(data), _, _) => data_uri::bytes(data),
        (None, Some(url), _) => {
            Media { source: MediaSource::Url(url.to_string()), ..Media::default() }
        }
        (None, None, Some(id)) => {
            Media { source: MediaSource::Id(id.to_string()), ..Media::default() }
        }
        (None, None, None) => return None,
    };
    Some(Media { name, ..media })
}

fn citations(annotations: Option<&[&RawValue]>) -> Vec<Citation> {
    annotations.unwrap_or_default().iter().filter_map(|it| citation(it)).collect()
}

/// Reads where a text comes from; none where only the provider could tell.
pub(super) fn citation(json: &RawValue) -> Option<Citation> {
    let wire: wire::Annotation<'_> = serde_json::from_str(json.get()).ok()?;
    // `file_path` has an id alone, which nobody else can resolve.
    if wire.url.is_none() && wire.title.is_none() && wire.filename.is_none() {
        return None;
    }
    let title = wire.title.or(wire.filename).map(std::borrow::Cow::into_owned);
    Some(Citation {
        url: wire.url.map(std::borrow::Cow::into_owned),
        title: title.filter(|it| !it.is_empty()),
        quote: None,
        range: wire.start_index.zip(wire.end_index),
    })
}

/// Decodes reasoning; none where there is neither text nor signature. A signature without a tag is
/// this format's own.
pub(super) fn reasoning(item: &wire::Item<'_>) -> Option<Part> {
    let signature = item.encrypted_content.as_deref().filter(|it| !it.is_empty()).map(|it| {
        // The id goes with the encrypted content: the item needs both to be sent again.
        Signature::from_tag(it).unwrap_or_else(|| sealed(item.id.as_deref().unwrap_or(""), it))
    });
    let text = reasoning_text(item);
    let is_empty = text.is_empty() && signature.is_none();
    (!is_empty).then_some(Part { content: Content::Reasoning(text), cache: None, signature })
}

/// The text of reasoning: the summary, else the reasoning itself where the provider shows it.
pub(super) fn reasoning_text(item: &wire::Item<'_>) -> String {
    let joined = |list: &[wire::Part<'_>]| {
        list.iter().filter_map(|it| it.text.as_deref()).collect::<Vec<_>>().join(BREAK)
    };
    let summary = item.summary.as_deref().map(joined).unwrap_or_default();
    if !summary.is_empty() {
        return summary;
    }
    // Open models show the reasoning itself in `content` (vLLM and others, `reasoning_text`).
    let shown = item.content.and_then(|it| serde_json::from_str::<Vec<_>>(it.get()).ok());
    shown.as_deref().map(joined).unwrap_or_default()
}

/// The signature of reasoning: all that is needed to send its item again.
pub(super) fn sealed(id: &str, encrypted: &str) -> Signature {
    Signature::new(FORMAT.name, format!("{id}:{encrypted}"))
}

/// An item's id and its encrypted content; none where another maker's signature is in it.
pub(super) fn unsealed(signature: &Signature) -> Option<(&str, &str)> {
    (signature.maker == FORMAT.name).then(|| signature.data.split_once(':')).flatten()
}
