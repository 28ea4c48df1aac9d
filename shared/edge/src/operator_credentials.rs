//! What an operator's request shows of its sender: credentials, and the page that it comes from.

use admin::{Credentials, PLAIN_SESSION_COOKIE, PageHeaders, SESSION_COOKIE};
use http::{HeaderMap, HeaderName, Method, header};
use storage::Secret;

pub(crate) const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The credentials of a request: HTTP Basic (RFC 7617), a bearer token, or a session's cookie.
pub(crate) fn credentials(headers: &HeaderMap) -> Credentials {
    // A header wins over the cookie: programs send one on purpose, browsers send the cookie
    // unasked.
    if let Some((scheme, value)) = text(headers, header::AUTHORIZATION).and_then(split_scheme) {
        if scheme.eq_ignore_ascii_case("basic")
            && let Some((name, password)) = basic(value)
        {
            return Credentials::Password { name, password: Secret::new(password) };
        }
        if scheme.eq_ignore_ascii_case("bearer") && !value.is_empty() {
            return Credentials::Token(Secret::new(value));
        }
    }
    session(headers).map_or(Credentials::None, Credentials::Session)
}

/// Whether a request may come from the page that it comes from. Only unsafe ones can do harm.
pub(crate) fn is_from_own_page(
    method: &Method,
    headers: &HeaderMap,
    public_origins: &[String],
) -> bool {
    let page = PageHeaders {
        fetch_site: text(headers, FETCH_SITE),
        origin: text(headers, header::ORIGIN),
    };
    // A link or an image of another site only reads, and sees nothing of what is read.
    method.is_safe() || admin::is_same_origin(page, public_origins)
}

fn split_scheme(value: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = value.split_once(' ')?;
    Some((scheme, rest.trim()))
}

/// The name and the password of HTTP Basic.
fn basic(encoded: &str) -> Option<(String, String)> {
    // The password may hold colons; the name ends at the first (RFC 7617, section 2).
    let decoded = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, encoded).ok()?;
    let (name, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

/// The value of the session's cookie.
fn session(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|it| it.to_str().ok());
    let mut pairs = cookies.flat_map(|it| it.split(';')).filter_map(|it| it.trim().split_once('='));
    let found = pairs.find(|(name, _)| [SESSION_COOKIE, PLAIN_SESSION_COOKIE].contains(name));
    found.map(|(_, value)| value.to_owned())
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: HeaderName, value: &str) -> Credentials {
        credentials(&HeaderMap::from_iter([(name, value.parse().unwrap())]))
    }

    #[test]
    fn credentials_come_by_basic_bearer_or_cookie() {
        // `ann:s3:cret`: a password may hold a colon.
        let Credentials::Password { name, password } =
            shown(header::AUTHORIZATION, "basic YW5uOnMzOmNyZXQ=")
        else {
            panic!("HTTP Basic is read");
        };
        assert_eq!((name.as_str(), password.expose()), ("ann", "s3:cret"));
        assert!(matches!(
            shown(header::AUTHORIZATION, "Bearer lga-1"),
            Credentials::Token(token) if token.expose() == "lga-1"
        ));
        for cookie in ["a=b; __Host-lockgate=v|w", "lockgate=v|w"] {
            assert!(matches!(
                shown(header::COOKIE, cookie),
                Credentials::Session(value) if value == "v|w"
            ));
        }
        for (name, value) in [
            (header::AUTHORIZATION, "Basic ???"),
            (header::AUTHORIZATION, "Bearer "),
            (header::AUTHORIZATION, "Digest x"),
            (header::COOKIE, "other=v"),
        ] {
            assert!(matches!(shown(name, value), Credentials::None), "{value}");
        }
    }

    #[test]
    fn a_page_of_another_site_may_read_and_not_write() {
        let evil =
            HeaderMap::from_iter([(header::ORIGIN, "https://evil.example".parse().unwrap())]);
        assert!(is_from_own_page(&Method::GET, &evil, &[]));
        assert!(!is_from_own_page(&Method::POST, &evil, &[]));
        assert!(is_from_own_page(&Method::POST, &HeaderMap::new(), &[]));
    }
}
