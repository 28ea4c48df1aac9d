//! Images, audio and documents: what they are, and where.

use canonical::{Content, Error, ErrorKind, Media, MediaSource, Result};

use crate::media_type;

/// Where uploaded files lie.
const FILES: &str = "https://generativelanguage.googleapis.com/";

/// Media that came in this format, by its type.
pub(super) fn content(media: Media) -> Content {
    let kind = media.media_type.as_deref().and_then(|it| it.split('/').next()).unwrap_or_default();
    match kind {
        "image" => Content::Image(media),
        "audio" => Content::Audio(media),
        "video" => Content::Video(media),
        // A page of YouTube may be given without a type (ai.google.dev, *Video understanding*).
        _ if matches!(&media.source, MediaSource::Url(url) if is_video_page(url)) => {
            Content::Video(media)
        }
        _ => Content::File(media),
    }
}

/// Where a URI of this format points to: uploads and buckets are known to Google alone.
pub(super) fn source(uri: String) -> MediaSource {
    if uri.starts_with(FILES) || uri.starts_with("gs://") || uri.starts_with("files/") {
        return MediaSource::Id(uri);
    }
    MediaSource::Url(uri)
}

/// Whether a provider fetches this itself. `old` ones fetch only films, of one site.
pub(super) fn accepts_url(url: &str, old: bool) -> bool {
    !url.starts_with("http://") && (!old || is_video_page(url))
}

fn is_video_page(url: &str) -> bool {
    ["https://www.youtube.com/", "https://youtube.com/", "https://youtu.be/"]
        .iter()
        .any(|it| url.starts_with(it))
}

/// Media as a provider of this format takes it.
#[derive(Debug)]
pub(super) enum EncodedMedia<'a> {
    /// Base64 and its type.
    Inline(&'a str, String),
    /// An address, and its type where that is known.
    Uri(String, Option<String>),
    /// Plain text.
    Text(&'a str),
}

/// How a provider takes media. `old` ones do not fetch anything from the web.
pub(super) fn encode<'a>(media: &'a Media, path: &str, old: bool) -> Result<EncodedMedia<'a>> {
    let named = media.media_type.clone();
    Ok(match &media.source {
        MediaSource::Text(text) => EncodedMedia::Text(text),
        MediaSource::Base64(data) => {
            let label = named.as_deref();
            let kind = media_type::of_image(data, label).or(media_type::of_base64(data)).or(label);
            let kind = kind.map(str::to_owned).ok_or_else(|| {
                refused(path, "Gemini needs the media type of these bytes, which is not given.")
            })?;
            EncodedMedia::Inline(data, kind)
        }
        MediaSource::Id(id) if id.starts_with(FILES) || id.starts_with("gs://") => {
            EncodedMedia::Uri(id.clone(), named)
        }
        // The name of an upload without its address, as clients of the Files API keep it.
        MediaSource::Id(id) if id.starts_with("files/") => {
            EncodedMedia::Uri(format!("{FILES}v1beta/{id}"), named)
        }
        MediaSource::Id(_) => {
            return Err(refused(
                path,
                "Gemini does not have this file; send its bytes or its URL.",
            ));
        }
        MediaSource::Url(url) if !accepts_url(url, old) => {
            return Err(refused(
                path,
                "This model takes no file from the open web; send its bytes as base64.",
            ));
        }
        MediaSource::Url(url) => {
            let kind = named.or_else(|| media_type_of_path(url).map(str::to_owned));
            EncodedMedia::Uri(url.clone(), kind)
        }
    })
}

fn refused(path: &str, message: &str) -> Error {
    let mut error = Error::new(ErrorKind::Unsupported, message);
    error.param = Some(path.to_owned());
    error
}

/// The media type of a URL, by the end of its path.
fn media_type_of_path(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next()?;
    let (_, ending) = path.rsplit('/').next()?.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "bmp" => "image/bmp",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "csv" => "text/csv",
        "html" => "text/html",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "mov" => "video/quicktime",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "flac" => "audio/flac",
        "ogg" => "audio/ogg",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(source: MediaSource) -> Media {
        Media { source, ..Media::default() }
    }

    #[test]
    fn bytes_without_a_type_are_looked_at() {
        let png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ";
        let media = of(MediaSource::Base64(png.to_owned()));
        let taken = encode(&media, "x", false).unwrap();
        assert!(matches!(taken, EncodedMedia::Inline(_, kind) if kind == "image/png"));
        let unknown = of(MediaSource::Base64("AAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned()));
        let error = super::encode(&unknown, "a.b", false).unwrap_err();
        assert_eq!((error.kind, error.param.as_deref()), (ErrorKind::Unsupported, Some("a.b")));
    }

    #[test]
    fn an_address_on_the_web_is_for_models_that_fetch_it() {
        let media = of(MediaSource::Url("https://example.com/a.PNG?x=1".to_owned()));
        let found = encode(&media, "x", false).unwrap();
        assert!(matches!(found, EncodedMedia::Uri(_, Some(kind)) if kind == "image/png"));
        assert!(encode(&media, "x", true).is_err());
        let video = of(MediaSource::Url("https://youtu.be/abc".to_owned()));
        assert!(matches!(encode(&video, "x", true), Ok(EncodedMedia::Uri(_, None))));
    }

    #[test]
    fn a_file_of_another_provider_is_not_here() {
        let media = of(MediaSource::Id("file-abc".to_owned()));
        assert_eq!(encode(&media, "x", false).unwrap_err().kind, ErrorKind::Unsupported);
        let media = of(MediaSource::Id("files/abc".to_owned()));
        assert!(
            matches!(encode(&media, "x", false), Ok(EncodedMedia::Uri(uri, _)) if uri.ends_with("v1beta/files/abc"))
        );
    }
}
