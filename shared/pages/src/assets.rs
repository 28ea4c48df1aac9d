//! The stylesheet, the script and the icon under paths that change with their content, and the headers
//! that every page needs.

use std::sync::LazyLock;

const STYLE: &str = include_str!("../assets/lockgate.css");
const SCRIPT: &str = include_str!("../assets/lockgate.js");
const ICON: &str = include_str!("../assets/lockgate.svg");

/// Where the assets are. Everything below is immutable.
pub const PREFIX: &str = "/admin/assets/";

/// The `Cache-Control` of an asset, whose path changes with its content.
pub const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

/// The headers of every page. Scripts cannot write markup at all: no Trusted Types policy is allowed.
pub const PAGE_HEADERS: [(&str, &str); 6] = [
    (
        "content-security-policy",
        // Without `unsafe-inline`: names, prompts and errors on a page are written by strangers.
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    // The path of a page holds ids of tenants and calls, which are nobody else's.
    ("referrer-policy", "no-referrer"),
    // Pages show keys and prompts, which neither a proxy nor the back button of the next user may
    // keep.
    ("cache-control", "private, no-store"),
    ("cross-origin-opener-policy", "same-origin"),
    // One path has a page or JSON by `Accept`, and another page once a session ends.
    ("vary", "accept, cookie"),
];

/// A file that pages load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asset {
    /// The media type.
    pub content_type: &'static str,
    /// The content.
    pub content: &'static str,
}

/// The paths of the assets, which templates refer to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The stylesheet.
    pub style: String,
    /// The ES module.
    pub script: String,
    /// The icon.
    pub icon: String,
}

static PATHS: LazyLock<Paths> = LazyLock::new(|| Paths {
    style: path(STYLE, "css"),
    script: path(SCRIPT, "js"),
    icon: path(ICON, "svg"),
});

/// The 64-bit FNV-1a hash, which is for change and not for secrecy.
fn hash(content: &str) -> u64 {
    content.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn path(content: &str, extension: &str) -> String {
    format!("{PREFIX}lockgate-{:016x}.{extension}", hash(content))
}

/// The paths of the assets.
pub fn paths() -> &'static Paths {
    &PATHS
}

/// The asset at a path, if there is one with just this content.
pub fn at(path: &str) -> Option<Asset> {
    let paths = paths();
    let (content_type, content) = match path {
        _ if path == paths.style => ("text/css; charset=utf-8", STYLE),
        _ if path == paths.script => ("text/javascript; charset=utf-8", SCRIPT),
        _ if path == paths.icon => ("image/svg+xml", ICON),
        // Another hash is another version of the file: a wrong answer would be cached for a year.
        _ => return None,
    };
    Some(Asset { content_type, content })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asset_is_found_under_its_hash_only() {
        let style = at(&paths().style).unwrap();
        assert_eq!(style.content_type, "text/css; charset=utf-8");
        assert!(style.content.contains("--accent"));
        assert_eq!(at("/admin/assets/lockgate-0000000000000000.css"), None);
        assert_eq!(hash("a"), 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn the_stylesheet_needs_no_other_file() {
        assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
    }
}
