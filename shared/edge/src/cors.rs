//! Cross-origin requests from pages in browsers (the Fetch standard, "CORS protocol").
//!
//! Credentials are never allowed: a page sends its key in a header.

use canonical::{Error, ErrorKind, Result};
use config::Cors;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};

use crate::body::{Body, empty};

/// Which response headers a page may read: all, since the gateway has none that it may not.
const EXPOSED: HeaderValue = HeaderValue::from_static("*");
/// How long a browser may keep the response to a preflight, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
const REQUEST_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-allow-private-network");

/// Whether a request is a preflight, which browsers send without a key.
pub(crate) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The origin that a response allows; none where the page may not call.
pub(crate) fn allowed_origin(cors: &Cors, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    let text = origin.to_str().ok()?.to_ascii_lowercase();
    match &cors.origins {
        None => is_local(&text).then(|| origin.clone()),
        Some(origins) if origins.iter().any(|allowed| allowed == "*") => {
            // The star itself, not the origin: the response is then the same for every page and may
            // be cached.
            Some(HeaderValue::from_static("*"))
        }
        Some(origins) => origins.contains(&text).then(|| origin.clone()),
    }
}

/// Whether a page comes from the machine itself, such as `http://localhost:3000`.
fn is_local(origin: &str) -> bool {
    let Some((_, host)) = origin.split_once("://") else { return false };
    let name = match host.strip_prefix('[') {
        Some(six) => six.split(']').next(),
        None => host.split(':').next(),
    };
    matches!(name, Some("localhost" | "127.0.0.1" | "::1"))
}

/// Responds to a preflight to a path with these methods.
pub(crate) fn preflight(
    allowed_origin: Option<&HeaderValue>,
    methods: &[Method],
    request: &HeaderMap,
) -> Result<Response<Body>> {
    // A preflight without the headers fails as well; the status lets its developer find the reason.
    if allowed_origin.is_none() {
        let message = "Pages of this origin may not call the gateway; `cors.origins` in its \
                       configuration lists those that may.";
        return Err(Error::new(ErrorKind::Forbidden, message));
    }
    let mut response = Response::new(empty());
    *response.status_mut() = StatusCode::NO_CONTENT;

    let headers = response.headers_mut();
    let methods: Vec<&str> = methods.iter().map(Method::as_str).collect();
    if let Ok(methods) = HeaderValue::from_str(&methods.join(", ")) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    }
    // SDKs send headers of their own, so that those which the page names are allowed.
    if let Some(wanted) = request.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    // Chromium asks this before a public page may reach a private address (Private Network Access).
    if request.contains_key(REQUEST_PRIVATE_NETWORK) {
        headers.insert(ALLOW_PRIVATE_NETWORK, HeaderValue::from_static("true"));
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    Ok(response)
}

/// Lets the page read a response.
pub(crate) fn add_headers(headers: &mut HeaderMap, allowed_origin: HeaderValue) {
    // A cache that keeps one response for all origins would show another page's permission.
    if allowed_origin != "*" {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed_origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(origins: Option<&[&str]>, origin: &'static str) -> Option<HeaderValue> {
        let origins = origins.map(|it| it.iter().map(|origin| (*origin).to_owned()).collect());
        let origin = HeaderValue::from_static(origin);
        allowed_origin(&Cors { origins }, &HeaderMap::from_iter([(header::ORIGIN, origin)]))
    }

    #[test]
    fn pages_of_the_machine_itself_may_call_by_default() {
        for local in
            ["http://localhost", "http://localhost:3000", "https://127.0.0.1:1", "http://[::1]:8"]
        {
            assert_eq!(allowed(None, local).unwrap(), local);
            assert_eq!(allowed(Some(&[]), local), None);
        }
        for foreign in
            ["https://evil.example", "http://localhost.evil.example", "null", "http://[::2]"]
        {
            assert_eq!(allowed(None, foreign), None, "{foreign}");
        }
    }

    #[test]
    fn named_origins_may_call_and_a_star_is_every_page() {
        let named = Some(&["https://app.example.com"][..]);
        assert_eq!(allowed(named, "https://App.example.com").unwrap(), "https://App.example.com");
        assert_eq!(allowed(named, "https://app.example.com:444"), None);
        assert_eq!(allowed(Some(&["*"]), "https://any.example").unwrap(), "*");
    }
}
