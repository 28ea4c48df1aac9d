//! The admin API over HTTP: who asks, what is asked, and how the response is written.
//!
//! What is done, and how it is shown, is decided in the crate `admin`.

use std::collections::BTreeMap;

use admin::{Admin, ApiBody, ApiRequest, ApiResponse, Operation, Operator, Problem, Role};
use canonical::{Error, ErrorKind, Result};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use crate::{
    body::{Body, empty, full},
    endpoint::HandlerFuture,
    front::Exchange,
    operator_credentials, request, request_body,
    request_body::BodyLimits,
    response,
};

/// How large a body of the admin API may be, in bytes.
const MAX_ADMIN_BODY_BYTES: usize = 1024 * 1024;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Finds out which operator makes a request, and refuses one whose role does not allow it.
pub(crate) async fn sign_in(exchange: &mut Exchange, needed: Role) -> Result<Operator> {
    let mut origins = public_origins(exchange);
    let snapshot = exchange.app.gateway.snapshot(exchange.arrival.clock).await.ok();
    // A configuration that cannot be read must not lock out whoever comes to mend it.
    origins.extend(snapshot.and_then(|it| it.config.admin.public_url.clone()));
    let admin = administration(exchange)?;
    let (request, arrival) = (&exchange.request, &exchange.arrival);
    let headers = request.headers();
    // Before the credentials: a page of another site brings the operator's cookie with it.
    if !operator_credentials::is_from_own_page(request.method(), headers, &origins) {
        let message = "A page of another origin must not change anything here.";
        return Err(Error::new(ErrorKind::Forbidden, message));
    }
    let address = arrival.connection.as_ref().map(|connection| connection.address());
    let credentials = operator_credentials::credentials(headers);
    let operator = admin.authenticate(&credentials, address, arrival.clock).await;
    let operator = operator.map_err(|problem| refusal(&problem))?;
    if operator.role < needed {
        let message = format!("This takes the role `{needed}`; yours is `{}`.", operator.role);
        return Err(Error::new(ErrorKind::Forbidden, message));
    }
    Ok(operator)
}

/// Responds to an operator whose role allows the request.
pub(crate) fn respond(exchange: &mut Exchange, operation: Operation) -> HandlerFuture<'_> {
    Box::pin(async move {
        let app = exchange.app.clone();
        let limits = BodyLimits {
            // A stack may allow less than that: what its events hold.
            max_bytes: MAX_ADMIN_BODY_BYTES.min(app.body_limits.max_bytes),
            ..app.body_limits
        };
        let body = request_body::read(&mut exchange.request, limits, &app.memory).await?;
        let admin = administration(exchange)?;
        let operator = exchange.operator()?;
        let headers = exchange.request.headers();
        let query = query(exchange);
        let request = ApiRequest {
            operator,
            parameters: &exchange.parameters,
            query: &query,
            content_type: text(headers, &header::CONTENT_TYPE),
            if_match: text(headers, &header::IF_MATCH),
            idempotency_key: text(headers, &IDEMPOTENCY_KEY),
            body: &body,
            clock: exchange.arrival.clock,
        };
        let outcome = admin.respond(operation, &request).await;
        let response = match outcome {
            Ok(answered) => encode(answered),
            Err(problem) => encode_problem(&problem, &exchange.arrival.request_id),
        };
        log(exchange, operation, response.status());
        Ok(response)
    })
}

/// One line for each change; a page that polls is not worth one.
fn log(exchange: &Exchange, operation: Operation, status: StatusCode) {
    let operator = exchange.operator().map_or("", |operator| operator.name.as_str());
    let request_id = exchange.arrival.request_id.as_str();
    let status = status.as_u16();
    if exchange.request.method().is_safe() {
        tracing::debug!(request_id, operator, ?operation, status, "admin request");
    } else {
        tracing::info!(request_id, operator, ?operation, status, "admin request");
    }
}

fn administration(exchange: &Exchange) -> Result<&Admin> {
    exchange
        .app
        .admin
        .as_ref()
        .ok_or_else(|| response::internal_error().caused_by("the process has no administration"))
}

/// The origins under which operators reach the process: those that it was started with and, where
/// clients connect to it themselves, the host that they name.
pub(crate) fn public_origins(exchange: &Exchange) -> Vec<String> {
    let mut origins = exchange.app.public_origins.clone();
    // Behind CloudFront the header names the function's own address, which no browser shows.
    if exchange.arrival.connection.is_some()
        && let Some(host) = text(exchange.request.headers(), &header::HOST)
    {
        origins.extend([format!("http://{host}"), format!("https://{host}")]);
    }
    origins
}

fn query(exchange: &Exchange) -> BTreeMap<String, String> {
    let uri = exchange.request.uri();
    let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let names = pairs.map(|pair| pair.split('=').next().unwrap_or_default());
    // Repeated parameters count once, with their last value, as everywhere in the gateway.
    let value = |name: &str| Some((name.to_owned(), request::query_value(uri, name)?));
    names.filter_map(value).collect()
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// Why somebody is not let in, as the front writes it.
fn refusal(problem: &Problem) -> Error {
    let kind = match problem.kind.status() {
        401 => ErrorKind::Unauthenticated,
        403 => ErrorKind::Forbidden,
        429 => ErrorKind::RateLimited,
        503 => ErrorKind::Unavailable,
        _ => ErrorKind::Internal,
    };
    let mut error = Error::new(kind, problem.detail.as_str());
    error.retry_after = problem.retry_after.map(std::time::Duration::from_secs);
    match problem.cause() {
        Some(cause) => error.caused_by(cause.to_string()),
        None => error,
    }
}

fn encode(answered: ApiResponse) -> Response<Body> {
    let status = StatusCode::from_u16(answered.status).unwrap_or(StatusCode::OK);
    let mut response = match answered.body {
        ApiBody::Json(body) => response::json(status, body.to_string()),
        ApiBody::Yaml(text) => {
            let mut response = Response::new(full(text));
            let kind = HeaderValue::from_static("application/yaml");
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            response
        }
        ApiBody::Empty => Response::new(empty()),
    };
    *response.status_mut() = status;
    for (name, value) in [(header::ETAG, answered.etag), (header::LOCATION, answered.location)] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn encode_problem(problem: &Problem, request_id: &str) -> Response<Body> {
    if let Some(cause) = problem.cause() {
        tracing::warn!(request_id, %cause, "{problem}");
    }
    let status = StatusCode::from_u16(problem.kind.status());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = response::problem(status, problem.to_json(request_id).to_string());
    if let Some(seconds) = problem.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}
