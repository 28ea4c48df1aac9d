//! Images, audio, video and documents: bytes with a format, or a place in S3.

use std::collections::HashMap;

use canonical::{Error, ErrorKind, Field, Media, MediaSource, Result};

use crate::{aws::converse::wire, media_type};

/// Formats by the end of their media type, which is often the end of a file's name too.
type Formats = &'static [(&'static str, &'static str)];

const IMAGES: Formats =
    &[("png", "png"), ("jpeg", "jpeg"), ("jpg", "jpeg"), ("gif", "gif"), ("webp", "webp")];

const AUDIO: Formats = &[
    ("mp3", "mp3"),
    ("mpeg", "mp3"),
    ("wav", "wav"),
    ("x-wav", "wav"),
    ("wave", "wav"),
    ("flac", "flac"),
    ("x-flac", "flac"),
    ("ogg", "ogg"),
    ("opus", "opus"),
    ("aac", "aac"),
    ("m4a", "m4a"),
    ("x-m4a", "m4a"),
    ("mp4", "mp4"),
    ("webm", "webm"),
    ("pcm", "pcm"),
];

const VIDEOS: Formats = &[
    ("mp4", "mp4"),
    ("quicktime", "mov"),
    ("mov", "mov"),
    ("x-matroska", "mkv"),
    ("mkv", "mkv"),
    ("webm", "webm"),
    ("x-flv", "flv"),
    ("flv", "flv"),
    ("mpeg", "mpeg"),
    ("mpg", "mpg"),
    ("x-ms-wmv", "wmv"),
    ("wmv", "wmv"),
    ("3gpp", "three_gp"),
];

const DOCUMENTS: Formats = &[
    ("pdf", "pdf"),
    ("csv", "csv"),
    ("msword", "doc"),
    ("doc", "doc"),
    ("vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
    ("docx", "docx"),
    ("vnd.ms-excel", "xls"),
    ("xls", "xls"),
    ("vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
    ("xlsx", "xlsx"),
    ("html", "html"),
    ("htm", "html"),
    ("plain", "txt"),
    ("txt", "txt"),
    ("markdown", "md"),
    ("md", "md"),
];

pub(crate) fn image(media: &Media) -> Result<wire::Media<'_>> {
    bytes(media, &Field::Image, IMAGES)
}

pub(crate) fn audio(media: &Media) -> Result<wire::Media<'_>> {
    bytes(media, &Field::Audio, AUDIO)
}

pub(crate) fn video(media: &Media) -> Result<wire::Media<'_>> {
    bytes(media, &Field::Video, VIDEOS)
}

fn bytes<'a>(media: &'a Media, field: &Field, formats: Formats) -> Result<wire::Media<'a>> {
    let source = source(media, field)?;
    if matches!(source, wire::Source::Text(_)) {
        return Err(unsupported(field, "needs bytes, not text"));
    }
    Ok(wire::Media { format: format(media, field, formats)?, source })
}

/// A document, under a name that no other document of the request has.
pub(crate) fn document<'a>(
    media: &'a Media,
    names: &mut HashMap<String, usize>,
) -> Result<wire::Document<'a>> {
    let source = source(media, &Field::File)?;
    let format = match (&media.source, &media.media_type) {
        (MediaSource::Text(_), None) => "txt",
        _ => format(media, &Field::File, DOCUMENTS)?,
    };
    let plain = name(media);
    let mut name = plain.clone();
    let mut count = names.get(&plain).copied().unwrap_or(0);
    // Converse refuses two documents of one name.
    while names.contains_key(&name) {
        count += 1;
        name = format!("{plain} ({count})");
    }
    names.entry(name.clone()).or_insert(1);
    // The next one of this name need not try those again.
    names.insert(plain, count.max(1));
    Ok(wire::Document { format, name, source })
}

/// Whether a document's name travels as it is, but for the ending that the format says again.
pub(crate) fn keeps_name(media: &Media) -> bool {
    media.name.as_deref().is_none_or(|it| stem(it) == name(media))
}

fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// Letters, digits, single spaces, hyphens, parentheses and brackets are all that is allowed.
fn name(media: &Media) -> String {
    let given = media.name.as_deref().map_or("", stem);
    let allowed =
        |it: char| if it.is_ascii_alphanumeric() || "-()[]".contains(it) { it } else { ' ' };
    let fit: String = given.chars().map(allowed).collect();
    let fit = fit.split_whitespace().collect::<Vec<_>>().join(" ");
    // The service model allows 200; the number of a second document of that name comes behind it.
    let short: String = fit.chars().take(180).collect();
    if short.is_empty() { "document".to_owned() } else { short.trim_end().to_owned() }
}

fn source<'a>(media: &'a Media, field: &Field) -> Result<wire::Source<'a>> {
    match &media.source {
        MediaSource::Base64(data) => Ok(wire::Source::Bytes(data)),
        MediaSource::Text(text) => Ok(wire::Source::Text(text)),
        MediaSource::Url(url) if url.starts_with("s3://") => {
            Ok(wire::Source::S3Location { uri: url })
        }
        MediaSource::Url(_) => {
            Err(unsupported(field, "accepts bytes or an s3:// address, and no URL"))
        }
        MediaSource::Id(_) => {
            Err(unsupported(field, "accepts no ids of uploaded files; send their bytes"))
        }
    }
}

fn format(media: &Media, field: &Field, formats: Formats) -> Result<&'static str> {
    let find = |word: &str| formats.iter().find(|it| it.0 == word).map(|it| it.1);
    let data = if let MediaSource::Base64(data) = &media.source { data.as_str() } else { "" };
    let label = media.media_type.as_deref();
    // The bytes of an image count more than its label: Bedrock compares the two.
    let typed = if field == &Field::Image { media_type::of_image(data, label) } else { label };
    let typed = typed.map(str::to_ascii_lowercase);
    if let Some(typed) = typed.filter(|it| it != "application/octet-stream") {
        let subtype = typed.split(';').next().unwrap_or_default().trim();
        let subtype = subtype.rsplit('/').next().unwrap_or_default();
        let message = format!("accepts no media of the type `{subtype}`");
        return find(subtype).ok_or_else(|| unsupported(field, message));
    }
    let named = match (&media.name, &media.source) {
        (Some(name), _) => name.as_str(),
        (None, MediaSource::Url(url)) => url.as_str(),
        (None, _) => "",
    };
    // The name before the bytes: documents of Office all begin as ZIP archives.
    let ending = named.rsplit_once('.').map(|it| it.1.to_ascii_lowercase());
    if let Some(format) = ending.as_deref().and_then(find) {
        return Ok(format);
    }
    let known = media_type::of_base64(data).and_then(|it| find(it.rsplit('/').next()?));
    known.ok_or_else(|| unsupported(field, "needs the media type, which is not given"))
}

fn unsupported(field: &Field, message: impl Into<String>) -> Error {
    let mut error = Error::new(ErrorKind::Unsupported, message);
    error.param = Some(field.openai_chat_name().into_owned());
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(source: MediaSource, media_type: Option<&str>, name: Option<&str>) -> Media {
        let owned = |it: Option<&str>| it.map(str::to_owned);
        Media { source, media_type: owned(media_type), name: owned(name), detail: None }
    }

    fn base64(data: &str) -> MediaSource {
        MediaSource::Base64(data.to_owned())
    }

    #[test]
    fn a_type_a_name_or_the_first_bytes_show_the_format() {
        let format = |it: &Media| image(it).unwrap().format;
        assert_eq!(format(&media(base64("x"), Some("image/jpg; q=1"), None)), "jpeg");
        assert_eq!(format(&media(base64("UklGRgAAAABXRUJQ"), None, None)), "webp");
        let stored = media(MediaSource::Url("s3://b/a.PNG".to_owned()), None, None);
        assert_eq!(format(&stored), "png");
        let untold = image(&media(base64("AAAA"), None, None)).map(|it| it.format).unwrap_err();
        assert_eq!(untold.kind, ErrorKind::Unsupported);
    }

    #[test]
    fn what_is_elsewhere_may_suit_another() {
        for source in
            [MediaSource::Url("https://h/a.png".to_owned()), MediaSource::Id("file-1".to_owned())]
        {
            let error = image(&media(source, None, None)).map(|it| it.format).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Unsupported);
            assert_eq!(error.param.as_deref(), Some("messages[].content[].image_url"));
        }
        let odd = image(&media(base64("x"), Some("image/bmp"), None)).map(|it| it.format);
        assert!(odd.unwrap_err().message().contains("`bmp`"));
    }

    #[test]
    fn documents_get_lawful_names_of_their_own() {
        let mut names = HashMap::new();
        let mut named = |name: Option<&str>| {
            let media = media(base64("JVBERi0x"), Some("application/pdf"), name);
            (document(&media, &mut names).unwrap().name, keeps_name(&media))
        };
        assert_eq!(named(Some("Q3 report.pdf")), ("Q3 report".to_owned(), true));
        assert_eq!(named(Some("Q3_report.pdf")), ("Q3 report (2)".to_owned(), false));
        assert_eq!(named(None), ("document".to_owned(), true));
        assert_eq!(named(Some("...")), ("document (2)".to_owned(), false));
    }

    #[test]
    fn a_text_is_a_document_too() {
        let text = media(MediaSource::Text("a".to_owned()), None, None);
        assert_eq!(document(&text, &mut HashMap::new()).unwrap().format, "txt");
        assert!(image(&text).is_err());
    }
}
