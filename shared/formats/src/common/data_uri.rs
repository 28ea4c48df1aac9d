//! Bytes within an address: data URIs (RFC 2397), in base64 as everybody writes them.

use canonical::{Media, MediaSource};

use crate::base64;

/// The media of an address, or within it.
pub(crate) fn at(url: &str) -> Media {
    let within = url.strip_prefix("data:").and_then(|it| it.split_once(";base64,"));
    let Some((kind, data)) = within else {
        return Media { source: MediaSource::Url(url.to_owned()), ..Media::default() };
    };
    // Parameters such as `;charset=utf-8` may stand before `;base64`; providers compare the bare
    // type.
    let kind = kind.split(';').next().unwrap_or(kind);
    Media {
        source: MediaSource::Base64(base64::standard(data.to_owned())),
        media_type: Some(kind.to_owned()).filter(|it| !it.is_empty()),
        ..Media::default()
    }
}

/// Bytes in base64, with or without what makes them a data URI.
pub(crate) fn bytes(data: &str) -> Media {
    // OpenAI's reference asks for a data URI in `file_data`, and clients send bare base64 as well.
    if data.starts_with("data:") {
        return at(data);
    }
    let source = MediaSource::Base64(base64::standard(data.to_owned()));
    Media { source, ..Media::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_within_an_address_is_taken_out_of_it() {
        let inline = |data: &str, kind: Option<&str>| Media {
            source: MediaSource::Base64(data.to_owned()),
            media_type: kind.map(ToOwned::to_owned),
            ..Media::default()
        };
        assert_eq!(at("data:image/png;base64,QQ=="), inline("QQ==", Some("image/png")));
        assert_eq!(at("data:image/png;name=a.png;base64,QQ=="), inline("QQ==", Some("image/png")));
        assert_eq!(at("data:;base64,QQ=="), inline("QQ==", None));
        assert_eq!(bytes("QQ=="), inline("QQ==", None));
        assert_eq!(
            bytes("data:application/pdf;base64,QQ=="),
            inline("QQ==", Some("application/pdf"))
        );
    }

    #[test]
    fn what_is_not_in_base64_stays_an_address() {
        for url in ["https://example.com/a.png", "data:image/svg+xml,%3Csvg/%3E", "data:nonsense"] {
            assert_eq!(at(url).source, MediaSource::Url(url.to_owned()));
        }
    }
}
