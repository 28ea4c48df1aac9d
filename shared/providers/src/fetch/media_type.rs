//! What bytes are, by how they begin.
//!
//! Nothing that begins otherwise is passed on: a host that an operator trusts with images is not
//! thereby trusted with texts.

/// Types that are known by their first bytes.
const MAGIC: &[(&[u8], &str)] = &[
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
    (b"\xff\xf2", "audio/mpeg"),
    (b"\xff\xf1", "audio/aac"),
    (b"\xff\xf9", "audio/aac"),
    (b"\x1a\x45\xdf\xa3", "video/webm"),
];

/// The media type of a file of chunks, by the word behind its length (RIFF).
const RIFF: &[(&[u8; 4], &str)] = &[(b"WEBP", "image/webp"), (b"WAVE", "audio/wav")];

/// The media type of a file of boxes, by its brand (ISO 14496-12); any other brand is a video.
const BRANDS: &[(&[u8; 4], &str)] = &[
    (b"avif", "image/avif"),
    (b"avis", "image/avif"),
    (b"heic", "image/heic"),
    (b"heix", "image/heic"),
    (b"mif1", "image/heif"),
    (b"msf1", "image/heif"),
    (b"M4A ", "audio/mp4"),
    (b"M4B ", "audio/mp4"),
    (b"qt  ", "video/quicktime"),
];

/// The media type of these bytes, when they are something that models look at or listen to.
pub(super) fn detect_media_type(bytes: &[u8]) -> Option<&'static str> {
    let word = |at: usize| bytes.get(at..at + 4);
    if word(0) == Some(b"RIFF") {
        return RIFF.iter().find(|(it, _)| word(8) == Some(&it[..])).map(|it| it.1);
    }
    if word(4) == Some(b"ftyp") {
        let known = BRANDS.iter().find(|(it, _)| word(8) == Some(&it[..]));
        return Some(known.map_or("video/mp4", |it| it.1));
    }
    MAGIC.iter().find(|(it, _)| bytes.starts_with(it)).map(|it| it.1)
}

/// Whether a `Content-Type` can be meant for bytes of this type. The bytes know better which
/// image they are, but an image that claims to be a page is not what anybody asked for.
pub(super) fn agrees(declared: &str, found: &str) -> bool {
    let declared = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let class = |it: &str| it.split('/').next().unwrap_or_default().to_owned();
    let says_nothing =
        matches!(&*declared, "" | "application/octet-stream" | "binary/octet-stream");
    let same_document = !declared.starts_with("application/") || declared.ends_with("pdf");
    says_nothing || (class(&declared) == class(found) && same_document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_say_what_they_are() {
        for (bytes, kind) in [
            (&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..], "image/png"),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
            (b"GIF89a\x01\0", "image/gif"),
            (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
            (b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
            (b"\0\0\0\x1cftypavif\0\0\0\0", "image/avif"),
            (b"\0\0\0\x18ftypheic\0\0\0\0", "image/heic"),
            (b"\0\0\0\x20ftypisom\0\0\x02\0", "video/mp4"),
            (b"%PDF-1.7\n", "application/pdf"),
            (b"ID3\x04\0", "audio/mpeg"),
        ] {
            assert_eq!(detect_media_type(bytes), Some(kind));
        }
    }

    #[test]
    fn texts_and_the_unknown_are_nothing() {
        for bytes in [
            &b""[..],
            b"{\"AccessKeyId\": \"x\"}",
            b"<!doctype html>",
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            b"\x7fELF",
            b"PK\x03\x04",
            b"RIFF",
            b"RIFF\0\0\0\0AVI LIST",
            b"\x89PNG",
            b" \x89PNG\r\n\x1a\n",
        ] {
            assert_eq!(detect_media_type(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn what_is_declared_has_to_agree() {
        for declared in ["image/png", "Image/PNG; q=1", "image/jpg", "", "binary/octet-stream"] {
            assert!(agrees(declared, "image/png"), "{declared}");
        }
        for declared in ["text/html", "application/json", "application/pdf", "audio/mpeg"] {
            assert!(!agrees(declared, "image/png"), "{declared}");
        }
        assert!(agrees("application/x-pdf", "application/pdf"));
        assert!(!agrees("application/json", "application/pdf"));
    }
}
