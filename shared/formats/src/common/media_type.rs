//! The media type of bytes, by how they begin.
//!
//! Source: the magic numbers of the WHATWG's *MIME Sniffing* and of IANA's registrations.

use crate::base64;

/// The media type of bytes in base64, where their beginning shows it.
pub(crate) fn of_base64(data: &str) -> Option<&'static str> {
    Some(match base64::head(data)?.as_slice() {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'G', b'I', b'F', b'8', ..] => "image/gif",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => "audio/wav",
        [b'%', b'P', b'D', b'F', ..] => "application/pdf",
        [b'I', b'D', b'3', ..] | [0xff, 0xfb | 0xf3 | 0xf2, ..] => "audio/mpeg",
        [b'O', b'g', b'g', b'S', ..] => "audio/ogg",
        [b'f', b'L', b'a', b'C', ..] => "audio/flac",
        // HEIC and MP4 are one container (ISO 14496-12): the brand tells them apart, so the
        // narrower pattern stands first.
        [_, _, _, _, b'f', b't', b'y', b'p', b'h', b'e', b'i', ..] => "image/heic",
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => "video/mp4",
        [0x1a, 0x45, 0xdf, 0xa3, ..] => "video/webm",
        _ => return None,
    })
}

/// The media type of an image in base64: its bytes count more than its label, because Anthropic and
/// Bedrock compare them and reject what differs.
pub(crate) fn of_image<'a>(data: &str, label: Option<&'a str>) -> Option<&'a str> {
    let found = of_base64(data).filter(|it| it.starts_with("image/"));
    // The label of clients that do not know better.
    let label = label.filter(|it| *it != "application/octet-stream");
    // `image/jpg` is common and no registered type; Anthropic refuses it.
    found.or_else(|| label.map(|it| if it == "image/jpg" { "image/jpeg" } else { it }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ";

    #[test]
    fn the_bytes_of_an_image_count_more_than_its_label() {
        assert_eq!(of_image(PNG, Some("image/jpeg")), Some("image/png"));
        assert_eq!(of_image("iVBORw0KGgo=", None), Some("image/png"));
        assert_eq!(of_image("AAAA", Some("image/jpg")), Some("image/jpeg"));
        assert_eq!(of_image("AAAA", Some("application/octet-stream")), None);
        assert_eq!(of_image("JVBERi0xLjcK", Some("image/webp")), Some("image/webp"));
    }
}
