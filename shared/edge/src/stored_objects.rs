//! `/v1/files` and `/v1/batches`: what one provider keeps for its account, passed through.
//!
//! A batch's file names its models, which nobody here reads, and the account's files are
//! everybody's who shares its key: so a key that may not use every model may use neither. What a
//! batch costs is known to its provider alone: so a key whose use is bounded may make none.

use bytes::Bytes;
use canonical::{Error, ErrorKind, Origin, Result};
use gateway::{RelayPayload, RelayRequest};
use http::{Method, Response, StatusCode, header};
use tenants::policy;

use crate::{
    api::Api,
    body::{Body, GuardedBody, boxed},
    endpoint::HandlerFuture,
    front::Exchange,
    request, request_body, response,
    upload::{self, MAX_UPLOAD_BYTES, UploadError},
};

/// The collection of files.
const FILES: &str = "files";

/// The collection of batches.
const BATCHES: &str = "batches";

/// Responds to a request for files.
pub(crate) fn files(exchange: &mut Exchange) -> HandlerFuture<'_> {
    Box::pin(respond(exchange, FILES))
}

/// Responds to a request for batches.
pub(crate) fn batches(exchange: &mut Exchange) -> HandlerFuture<'_> {
    Box::pin(respond(exchange, BATCHES))
}

async fn respond(exchange: &mut Exchange, collection: &'static str) -> Result<Response<Body>> {
    if exchange.api == Api::Gemini {
        // Google's clients cannot read OpenAI's objects, nor OpenAI theirs.
        let message = format!("`{collection}` of Google's API are not served; send files inline.");
        return Err(Error::new(ErrorKind::UnknownPath, message));
    }
    let tenant = exchange.tenant()?.clone();
    if tenant.settings.models.allowed.is_some() {
        let message = format!("This key may not use `{collection}`: it may not use every model.");
        return Err(Error::new(ErrorKind::Forbidden, message).from_origin(Origin::Policy));
    }
    if makes_batch(exchange, collection) {
        policy::authorize_batch(&tenant)?;
    }
    let only_provider = request::only_provider(exchange.request.headers())?;

    let rest = rest_of_url(exchange)?;
    let whole = read_body(exchange, collection).await?;
    let (app, clock) = (exchange.app.clone(), exchange.arrival.clock);
    // After the body: a request that is malformed is not counted against the tenant.
    let snapshot = exchange.snapshot()?.clone();
    app.gateway.count_request(&tenant, &snapshot, clock, &mut exchange.limits).await?;

    let provider = app.gateway.provider_of(&snapshot, collection, only_provider.as_deref())?;
    if let Some(record) = &mut exchange.record {
        record.request.format = collection;
        record.provider = Some(provider.to_owned());
    }
    let (body, upload_error) = match whole {
        Some(body) => (RelayPayload::Whole(body), UploadError::default()),
        None => {
            let silence = app.body_limits.silence;
            let (body, upload_error) = upload::take_body(&mut exchange.request, silence);
            (RelayPayload::Streamed(body), upload_error)
        }
    };
    let relayed = RelayRequest {
        method: relayed_method(exchange.request.method()),
        collection,
        rest,
        content_type: exchange.request.headers().get(header::CONTENT_TYPE).cloned(),
        body,
        timeout: snapshot.config.default_timeout,
        now: exchange.arrival.clock.now(),
    };
    let relayed = app.gateway.relay(&snapshot, provider, relayed).await;
    let relayed = relayed.map_err(|error| upload_error.or(error))?;
    if exchange.request.method() == Method::HEAD {
        return Ok(response::json(StatusCode::OK, Bytes::new()));
    }

    // A body that breaks ends with a line that no JSON parser and no reader of lines takes for
    // whole.
    let body = boxed(GuardedBody::new(relayed.body, |_| Bytes::from_static(BROKEN)));
    let status = StatusCode::from_u16(relayed.status).unwrap_or(StatusCode::OK);
    let mut response = response::json_body(status, body);
    if let Some(kind) = relayed.content_type {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    let name = http::HeaderValue::from_str(provider);
    name.into_iter().for_each(|name| drop(response.headers_mut().insert(PROVIDER, name)));
    Ok(response)
}

/// The header that names who responded.
const PROVIDER: &str = "x-gateway-provider";

/// What ends a body that broke.
const BROKEN: &[u8] =
    b"\n{\"error\":{\"message\":\"The response is incomplete.\",\"type\":\"server_error\"}}\n";

fn relayed_method(method: &Method) -> Method {
    if *method == Method::HEAD { Method::GET } else { method.clone() }
}

/// Whether a request makes a batch. All that may be posted to one that exists is to cancel it.
fn makes_batch(exchange: &Exchange, collection: &str) -> bool {
    let cancels = exchange.id.as_deref().is_some_and(|id| id.ends_with("/cancel"));
    collection == BATCHES && exchange.request.method() == Method::POST && !cancels
}

/// The body of a request; none for a file, which passes as it comes: nothing is asked of it here, and no
/// other provider gets it. What is compressed is read and decompressed.
async fn read_body(exchange: &mut Exchange, collection: &'static str) -> Result<Option<Bytes>> {
    if exchange.request.method() != Method::POST {
        return Ok(Some(Bytes::new()));
    }
    let headers = exchange.request.headers();
    if collection == FILES && !headers.contains_key(header::CONTENT_ENCODING) {
        let length = request_body::content_length(headers);
        if length.is_some_and(|length| MAX_UPLOAD_BYTES < length) {
            return Err(request_body::too_large(MAX_UPLOAD_BYTES));
        }
        return Ok(None);
    }
    let (limits, memory) = (exchange.app.body_limits, exchange.app.memory.clone());
    request_body::read(&mut exchange.request, limits, &memory).await.map(Some)
}

/// What follows the collection: an object and what is wanted of it, and the query.
fn rest_of_url(exchange: &Exchange) -> Result<String> {
    let id = exchange.id.as_deref().unwrap_or_default();
    // An id becomes part of the provider's path, so that dots and encoded slashes could lead
    // elsewhere.
    let is_plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-' | '/');
    if !id.chars().all(is_plain) {
        return Err(Error::new(ErrorKind::UnknownPath, "No object has such an id."));
    }
    let mut rest = if id.is_empty() { String::new() } else { format!("/{id}") };
    if let Some(query) = exchange.request.uri().query() {
        rest.push('?');
        rest.push_str(query);
    }
    Ok(rest)
}
