//! HTTP responses: those of the gateway with their headers, errors with their status.

use std::borrow::Cow;

use bytes::Bytes;
use canonical::{Error, ErrorKind, ErrorWords, ResponseBody};
use config::Config;
use formats::ClientFormat;
use gateway::{ClientResponse, ClientResponseBody};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};

use crate::{
    api::Api,
    body::{Body, full},
};

const PROVIDER: HeaderName = HeaderName::from_static("x-gateway-provider");
const MODEL: HeaderName = HeaderName::from_static("x-gateway-model");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-gateway-attempts");
const PROVIDER_REQUEST_ID: HeaderName = HeaderName::from_static("x-gateway-provider-request-id");
pub(crate) const CACHE: HeaderName = HeaderName::from_static("x-gateway-cache");
/// The header that official SDKs obey before anything else.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
const DROPPED: HeaderName = HeaderName::from_static("x-gateway-dropped");
const ESTIMATED: HeaderName = HeaderName::from_static("x-gateway-estimated");

/// What tells browsers to show nothing of a response, and to show the response in no page. Pages for
/// operators have policies of their own.
const SECURITY_HEADERS: [(HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
];

/// How long a list of names in a header may be, in bytes: proxies refuse large headers.
const MAX_LIST_BYTES: usize = 4096;

/// The headers of a model's response: who responded, after how many attempts, and what was dropped.
pub(crate) fn add_headers(
    response: &ClientResponse,
    format: ClientFormat,
    headers: &mut HeaderMap,
) {
    // A name that no header can carry is left out rather than mended.
    let mut add = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    add(PROVIDER, &response.provider);
    add(MODEL, &response.model);
    if let Some(id) = &response.provider_request_id {
        add(PROVIDER_REQUEST_ID, id);
    }
    add(CACHE, response.cache.as_str());
    let mut dropped = response.dropped.clone();
    dropped.extend(dropped_from_body(&response.body, format));
    if !dropped.is_empty() {
        add(DROPPED, &join_names(&dropped));
    }
    if is_estimated(&response.body) {
        add(ESTIMATED, "true");
    }
    headers.insert(ATTEMPTS, response.attempts.into());
    if let Some(age) = response.age {
        headers.insert(header::AGE, age.into());
    }
}

/// The kinds of content in a whole response that the client's format does not support.
fn dropped_from_body(body: &ClientResponseBody, format: ClientFormat) -> Vec<Cow<'static, str>> {
    let ClientResponseBody::Whole(response, _) = body else {
        return vec![];
    };
    let ResponseBody::Chat(chat) = &response.body else {
        return vec![];
    };
    let unsupported = format.unsupported_content();
    let mut dropped = vec![];
    for extra in chat.content_kinds().filter(|it| unsupported.contains(it)) {
        if !dropped.contains(&extra) {
            dropped.push(extra);
        }
    }
    dropped.into_iter().map(|it| it.name().into()).collect()
}

/// Whether a count of tokens is an estimate.
fn is_estimated(body: &ClientResponseBody) -> bool {
    let ClientResponseBody::Whole(response, _) = body else {
        return false;
    };
    matches!(response.body, ResponseBody::Tokens { estimated: true, .. })
}

/// Names of fields as the value of one header. Clients may have called fields anything.
fn join_names(names: &[Cow<'_, str>]) -> String {
    let mut list = String::new();
    for (at, name) in names.iter().enumerate() {
        if MAX_LIST_BYTES < list.len() + name.len() {
            list.push_str(&format!("{} more", names.len() - at));
            break;
        }
        let printable = |it: char| if it.is_ascii_graphic() || it == ' ' { it } else { '?' };
        list.extend(name.chars().map(printable));
        list.push_str(if at + 1 < names.len() { ", " } else { "" });
    }
    list
}

/// A JSON response.
pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    json_body(status, full(body))
}

/// A JSON response whose body may still be written.
pub(crate) fn json_body(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// A problem of the gateway's own API (RFC 9457).
pub(crate) fn problem(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = json(status, body);
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// An error of the front as a problem.
fn error_as_problem(error: &Error, status: StatusCode, request_id: &str) -> Response<Body> {
    let mut body = serde_json::json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "detail": error.message(),
        "error": error.message(),
        "request_id": request_id,
    });
    if let Some(field) = &error.param {
        body["field"] = serde_json::json!(field);
    }
    problem(status, body.to_string())
}

/// Adds what browsers heed, unless the response has policies of its own.
pub(crate) fn add_security_headers(headers: &mut HeaderMap) {
    for (name, value) in SECURITY_HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// Whose words clients read in errors, where the configuration says so.
pub(crate) fn error_words(config: &Config) -> Option<ErrorWords> {
    config.compatibility.error_words.map(|whose| match whose {
        config::ErrorWords::A => ErrorWords::A,
        config::ErrorWords::B => ErrorWords::B,
        config::ErrorWords::C => ErrorWords::C,
        config::ErrorWords::D => ErrorWords::D,
    })
}

/// An error in the format of an API. `allowed` are the methods of the path, for a wrong one.
pub(crate) fn error(
    api: Api,
    error: &Error,
    allowed: &[Method],
    request_id: &str,
) -> Response<Body> {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = match api {
        Api::Admin => error_as_problem(error, status, request_id),
        Api::OpenAi | Api::Anthropic | Api::Gemini => {
            json(status, api.format().error(error, request_id))
        }
    };
    let headers = response.headers_mut();
    if let Some(wait) = error.retry_after {
        headers.insert(header::RETRY_AFTER, whole_seconds(wait).into());
    }
    // OpenAI's and Anthropic's SDKs retry every 429, which a spent budget makes pointless.
    if let Some(limit) = &error.limit {
        let value = if limit.should_retry { "true" } else { "false" };
        headers.insert(SHOULD_RETRY, HeaderValue::from_static(value));
    }
    if !error.attempts.is_empty() {
        headers.insert(ATTEMPTS, error.attempts.len().into());
    }
    if error.kind == ErrorKind::Unauthenticated {
        let scheme = match api {
            Api::Admin => "Basic realm=\"Lockgate\", charset=\"UTF-8\"",
            Api::OpenAi | Api::Anthropic | Api::Gemini => "Bearer",
        };
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
    }
    if error.kind == ErrorKind::WrongMethod {
        let methods: Vec<&str> = allowed.iter().map(Method::as_str).collect();
        if let Ok(methods) = HeaderValue::from_str(&methods.join(",")) {
            headers.insert(header::ALLOW, methods);
        }
    }
    response
}

fn whole_seconds(wait: std::time::Duration) -> u64 {
    // Rounded up, because a client that comes back a moment early is refused again.
    (wait.as_secs() + u64::from(0 < wait.subsec_nanos())).max(1)
}

/// A fault of the gateway's own, without details for the client.
pub(crate) fn internal_error() -> Error {
    Error::new(ErrorKind::Internal, "Something went wrong within the gateway.")
}

/// The error while there is no configuration to serve with.
pub(crate) fn not_ready() -> Error {
    let mut error =
        Error::new(ErrorKind::Unavailable, "There is no configuration to answer by yet.");
    error.retry_after = Some(std::time::Duration::from_secs(5));
    error
}

/// The error for a request to a function's own address.
pub(crate) fn not_from_the_front_door() -> Error {
    Error::new(
        ErrorKind::Forbidden,
        "This address is not open to clients; use the gateway's base URL.",
    )
}

#[cfg(test)]
mod tests {
    use canonical::GatewayResponse;

    use super::*;

    #[test]
    fn an_estimate_is_marked() {
        for estimated in [true, false] {
            let body = ResponseBody::Tokens { count: 7, estimated };
            let response = GatewayResponse { body, usage: None, facts: None };
            let response = ClientResponse {
                content_type: None,
                provider: "first".to_owned(),
                model: "m".to_owned(),
                attempts: 1,
                provider_request_id: None,
                dropped: vec![],
                cache: telemetry::CacheOutcome::Bypass,
                age: None,
                body: ClientResponseBody::Whole(response, Box::default()),
            };
            let mut headers = HeaderMap::new();
            let format = ClientFormat::Chat(&formats::openai::chat::OpenAiChat);
            add_headers(&response, format, &mut headers);
            assert_eq!(headers.contains_key(ESTIMATED), estimated);
        }
    }

    #[test]
    fn names_of_any_kind_fit_a_header() {
        let names =
            |names: &[&str]| join_names(&names.iter().map(|it| Cow::from(*it)).collect::<Vec<_>>());
        assert_eq!(names(&["seed", "tools[].type=web_search"]), "seed, tools[].type=web_search");
        assert_eq!(names(&["gr\u{f6}\u{df}e\n", "n"]), "gr??e?, n");
        let long = "x".repeat(3000);
        assert_eq!(names(&[&long, &long, "n"]), format!("{long}, 2 more"));
    }
}
