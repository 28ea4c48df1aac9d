//! Cross-origin requests: a page of somebody else's must not act as the operator who looks at it.
//!
//! Browsers send cookies and Basic credentials by themselves, so that both are guarded. As OWASP's
//! sheet and Go's `CrossOriginProtection` have it: `Sec-Fetch-Site` decides where it is sent, the
//! `Origin` else; a request with neither comes from no browser.

/// What a request says of the page that it comes from.
#[derive(Clone, Copy, Debug, Default)]
pub struct PageHeaders<'a> {
    /// `Sec-Fetch-Site`.
    pub fetch_site: Option<&'a str>,
    /// `Origin`.
    pub origin: Option<&'a str>,
}

/// Whether an unsafe request may come from where it comes from. `public_origins` are those under
/// which operators reach the gateway, such as `https://ai.example.com`: configured, since the front
/// door replaces `Host`.
pub fn is_same_origin(headers: PageHeaders<'_>, public_origins: &[String]) -> bool {
    let is_public = |origin: &str| public_origins.iter().any(|known| known == origin);
    match (headers.fetch_site, headers.origin) {
        // `none` is a page that the operator opened by typing its address or from a bookmark.
        (Some("same-origin" | "none"), _) | (None, None) => true,
        // Pages under one of the public origins may send to another of them.
        (Some(_), origin) => origin.is_some_and(is_public),
        (None, Some(origin)) => is_public(origin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(fetch_site: Option<&str>, origin: Option<&str>) -> bool {
        let public = ["https://ai.example.com".to_owned()];
        is_same_origin(PageHeaders { fetch_site, origin }, &public)
    }

    #[test]
    fn a_request_of_another_site_is_refused() {
        for site in ["cross-site", "same-site", "bogus"] {
            assert!(!allows(Some(site), Some("https://evil.example")), "{site}");
            assert!(!allows(Some(site), None), "{site}");
        }
        for origin in ["https://evil.example", "null", "http://ai.example.com", ""] {
            assert!(!allows(None, Some(origin)), "{origin}");
        }
    }

    #[test]
    fn our_own_pages_and_programs_may() {
        assert!(allows(Some("same-origin"), Some("https://ai.example.com")));
        assert!(allows(Some("none"), None));
        assert!(allows(None, Some("https://ai.example.com")));
        assert!(allows(None, None));
    }
}
