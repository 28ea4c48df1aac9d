//! Which pages in browsers may call the gateway.

use super::{
    keys::{Key, Keys, Takes},
    node::Node,
    reader::Reader,
};

pub(super) const CORS: Keys = Keys {
    of: "cors",
    keys: &[Key::new(
        "origins",
        Takes::List(&Takes::Text),
        "pages on `localhost`, `127.0.0.1` and `[::1]`, on any port",
        "the origins of pages, such as `https://app.example.com`; `\"*\"` is every page. `[]` is none",
    )],
};

/// Which pages in browsers may call the gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    /// The origins of pages, such as `https://app.example.com`, or `*` for all; none when empty.
    /// Pages of the machine itself (`http://localhost:3000`) when absent.
    pub origins: Option<Vec<String>>,
}

/// Reads which pages may call.
pub(super) fn cors(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Cors> {
    let fields = reader.fields(node, &CORS)?;
    if fields.get("origins").is_none() {
        // An absent list and an empty one differ: pages of this machine, or none.
        return Some(Cors::default());
    }
    let origins = reader.list(fields, "origins", |reader, node| {
        // Browsers send `Origin` without a slash and in lower case, and the front compares texts.
        let text = reader.checked_text(node, origin).trim_end_matches('/').to_ascii_lowercase();
        Some(without_default_port(text))
    });
    Some(Cors { origins: Some(origins) })
}

/// Whether this is the origin of a page (RFC 6454): a scheme and a host, perhaps a port.
pub(super) fn origin(text: &str) -> Result<(), &'static str> {
    if text == "*" {
        return Ok(());
    }
    let Some((scheme, host)) = text.split_once("://") else {
        return Err("is no origin: write it as browsers do, such as https://app.example.com");
    };
    if scheme.is_empty() || host.trim_end_matches('/').is_empty() {
        return Err("is no origin: write it as browsers do, such as https://app.example.com");
    }
    // A pattern or a path would match no `Origin` that a browser sends, and fail without a word.
    if host.trim_end_matches('/').contains(['/', '?', '#', '@', '*', ' ']) {
        return Err("is more than an origin: give the scheme, the host and perhaps the port");
    }
    Ok(())
}

/// An origin without the port that browsers leave out, as they send it.
fn without_default_port(origin: String) -> String {
    for (scheme, port) in [("http://", ":80"), ("https://", ":443")] {
        let portless = origin.strip_suffix(port).filter(|origin| origin.starts_with(scheme));
        if let Some(portless) = portless {
            return portless.to_owned();
        }
    }
    origin
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_port_is_left_out_as_browsers_do() {
        for (text, sent) in [
            ("http://e.f:80", "http://e.f"),
            ("https://e.f:443", "https://e.f"),
            ("https://e.f:80", "https://e.f:80"),
            ("http://e.f:8080", "http://e.f:8080"),
        ] {
            assert_eq!(without_default_port(text.to_owned()), sent);
        }
    }

    #[test]
    fn an_origin_is_a_scheme_and_a_host() {
        for text in ["*", "https://app.example.com", "http://localhost:3000", "app://obsidian.md/"]
        {
            assert_eq!(origin(text), Ok(()), "{text}");
        }
        for text in ["app.example.com", "https://", "https://a/b", "https://*.example.com", "null"]
        {
            assert!(origin(text).is_err(), "{text}");
        }
    }
}
