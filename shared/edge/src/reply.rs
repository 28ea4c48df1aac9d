//! From what the gateway gives to HTTP: answers with their headers, failures with their status.

use std::borrow::Cow;

use axum::body::Body;
use canonical::{Error, ErrorKind, ResponseBody};
use formats::Inbound;
use gateway::{GatewayReply, GatewayReplyBody};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};

use crate::{api::Api, conversation::Format, limits, request::Arrival};

const PROVIDER: HeaderName = HeaderName::from_static("x-gateway-provider");
const MODEL: HeaderName = HeaderName::from_static("x-gateway-model");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-gateway-attempts");
const PROVIDER_REQUEST_ID: HeaderName = HeaderName::from_static("x-gateway-provider-request-id");
const CACHE: HeaderName = HeaderName::from_static("x-gateway-cache");
const DROPPED: HeaderName = HeaderName::from_static("x-gateway-dropped");
const ESTIMATED: HeaderName = HeaderName::from_static("x-gateway-estimated");

/// How long a list of names in a header may be: what stands before us refuses large headers.
const LONGEST_LIST: usize = 4096;

/// Says who answers, and how it came to that.
pub(crate) fn describe(reply: &GatewayReply, format: &dyn Inbound, headers: &mut HeaderMap) {
    // A name that no header can carry is left out rather than mended.
    let mut say = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    say(PROVIDER, &reply.provider);
    say(MODEL, &reply.model);
    if let Some(id) = &reply.provider_request_id {
        say(PROVIDER_REQUEST_ID, id);
    }
    say(CACHE, "bypass");
    let mut dropped = reply.dropped.clone();
    dropped.extend(unsaid(&reply.body, format));
    if !dropped.is_empty() {
        say(DROPPED, &listed(&dropped));
    }
    if is_estimated(&reply.body) {
        say(ESTIMATED, "true");
    }
    headers.insert(ATTEMPTS, reply.attempts.into());
}

/// What a whole answer holds that the client's API has no word for.
fn unsaid(body: &GatewayReplyBody, format: &dyn Inbound) -> Vec<Cow<'static, str>> {
    let GatewayReplyBody::Whole(response, _) = body else {
        return vec![];
    };
    let ResponseBody::Chat(answer) = &response.body else {
        return vec![];
    };
    let unsupported_content = format.unsupported_content();
    let mut unsaid = vec![];
    for extra in answer.content_kinds().filter(|it| unsupported_content.contains(it)) {
        if !unsaid.contains(&extra) {
            unsaid.push(extra);
        }
    }
    unsaid.into_iter().map(|it| it.name().into()).collect()
}

/// Whether nobody counted what is told.
fn is_estimated(body: &GatewayReplyBody) -> bool {
    let GatewayReplyBody::Whole(response, _) = body else {
        return false;
    };
    matches!(response.body, ResponseBody::Tokens { estimated: true, .. })
}

/// Names of fields, as one header can carry them: clients may have called them anything.
fn listed(names: &[Cow<'_, str>]) -> String {
    let mut list = String::new();
    for (at, name) in names.iter().enumerate() {
        if LONGEST_LIST < list.len() + name.len() {
            list.push_str(&format!("{} more", names.len() - at));
            break;
        }
        let printable = |it: char| if it.is_ascii_graphic() || it == ' ' { it } else { '?' };
        list.extend(name.chars().map(printable));
        list.push_str(if at + 1 < names.len() { ", " } else { "" });
    }
    list
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// A failure in the shape that a format's clients expect.
pub(crate) fn failure_in(format: &dyn Inbound, error: &Error, request_id: &str) -> Response<Body> {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(status, format.error(error, request_id));
    let headers = response.headers_mut();
    if let Some(wait) = error.retry_after {
        headers.insert(header::RETRY_AFTER, whole_seconds(wait).into());
    }
    if !error.attempts.is_empty() {
        headers.insert(ATTEMPTS, error.attempts.len().into());
    }
    if error.kind == ErrorKind::Unauthenticated {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

fn whole_seconds(wait: std::time::Duration) -> u64 {
    (wait.as_secs() + u64::from(0 < wait.subsec_nanos())).max(1)
}

/// A fault of ours, of which a client learns nothing but that.
pub(crate) fn internal() -> Error {
    Error::new(ErrorKind::Internal, "Something went wrong within the gateway.")
}

/// What a client gets while there is no configuration to answer by.
pub(crate) fn not_ready() -> Error {
    let mut error =
        Error::new(ErrorKind::Unavailable, "There is no configuration to answer by yet.");
    error.retry_after = Some(std::time::Duration::from_secs(5));
    error
}

/// What a request to the function's own address gets.
pub(crate) fn not_from_the_front_door() -> Error {
    Error::new(
        ErrorKind::Forbidden,
        "This address is not open to clients; use the gateway's base URL.",
    )
}

/// A path that no endpoint has.
pub(crate) async fn unknown_path(request: Request<Body>) -> Response<Body> {
    let message = format!("No endpoint is at `{}`.", request.uri().path());
    let format = Api::of(request.uri().path(), request.headers()).format();
    refuse(format, &Error::new(ErrorKind::UnknownPath, message), request).await
}

/// A method that the path does not have; axum adds `Allow`.
pub(crate) async fn wrong_method(request: Request<Body>) -> Response<Body> {
    let (method, path) = (request.method(), request.uri().path());
    let error = if *method == Method::POST && path.contains("/models/") && path.contains(':') {
        // In Lambda, what is behind a model's name decides which function is asked.
        no_such_method(path)
    } else {
        let message =
            format!("`{path}` has no method {method}; the header `Allow` lists those it has.");
        Error::new(ErrorKind::WrongMethod, message)
    };
    let format = Api::of(path, request.headers()).format();
    refuse(format, &error, request).await
}

/// What Google lets one do with a model, but not here.
pub(crate) fn no_such_method(path: &str) -> Error {
    let message = format!(
        "No endpoint is at `{path}`; a model's methods are generateContent, streamGenerateContent \
         and countTokens."
    );
    Error::new(ErrorKind::UnknownPath, message)
}

/// Refuses a request that nobody reads.
pub(crate) async fn refuse(
    format: Format,
    error: &Error,
    request: Request<Body>,
) -> Response<Body> {
    let arrival = request.extensions().get::<Arrival>().cloned();
    limits::discard(request).await;
    failure_in(format, error, arrival.as_ref().map_or("", |it| it.request_id.as_str()))
}

#[cfg(test)]
mod tests {
    use canonical::GatewayResponse;

    use super::*;

    #[test]
    fn an_estimate_says_that_it_is_one() {
        for estimated in [true, false] {
            let body = ResponseBody::Tokens { count: 7, estimated };
            let response = GatewayResponse { body, usage: None };
            let reply = GatewayReply {
                provider: "first".to_owned(),
                model: "m".to_owned(),
                attempts: 1,
                provider_request_id: None,
                dropped: vec![],
                body: GatewayReplyBody::Whole(response, Box::default()),
            };
            let mut headers = HeaderMap::new();
            describe(&reply, &formats::openai::chat::OpenAiChat, &mut headers);
            assert_eq!(headers.contains_key(ESTIMATED), estimated);
        }
    }

    #[test]
    fn any_names_fit_a_header() {
        let names =
            |names: &[&str]| listed(&names.iter().map(|it| Cow::from(*it)).collect::<Vec<_>>());
        assert_eq!(names(&["seed", "tools[].type=web_search"]), "seed, tools[].type=web_search");
        assert_eq!(names(&["gr\u{f6}\u{df}e\n", "n"]), "gr??e?, n");
        let long = "x".repeat(3000);
        assert_eq!(names(&[&long, &long, "n"]), format!("{long}, 2 more"));
    }
}
