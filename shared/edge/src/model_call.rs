//! Calls to models: a request in one format, from its headers and body to the gateway and back.

use std::sync::Arc;

use bytes::Bytes;
use canonical::{Error, Result};
use config::Config;
use formats::{ClientFormat, Framing, GatewayRequest, Inbound};
use gateway::Call;
use http::{HeaderMap, HeaderName, Response};
use serde::Deserialize;
use tenants::{Tenant, policy};

use crate::{
    body::Body,
    cache_headers,
    front::Exchange,
    request::{self, Arrival},
    request_body,
    response_stream::{self, ClientWriter},
    session_id,
    text::MAX_NAME_CHARS,
};

/// How many bytes are buffered between the provider and the client of one call.
const STREAM_BUFFER_BYTES: usize = 128 * 1024;

const STRICT: HeaderName = HeaderName::from_static("x-gateway-strict");

/// What the path of a request says of it, before its body is read.
pub(crate) struct PathFormat {
    /// The format of the body and of the response.
    pub(crate) format: ClientFormat,
    /// The fields that the path has, where other APIs have them in the body.
    pub(crate) fields: Option<PathFields>,
}

/// Fields of a request in its path.
pub(crate) struct PathFields {
    /// The model; empty where the client leaves the choice to the gateway.
    pub(crate) model: String,
    /// Whether the response is a stream.
    pub(crate) stream: bool,
    /// The `alt` parameter: how a stream's elements are framed.
    pub(crate) alt: Option<String>,
}

impl From<ClientFormat> for PathFormat {
    fn from(format: ClientFormat) -> Self {
        Self { format, fields: None }
    }
}

impl PathFields {
    fn apply(self, request: &mut GatewayRequest) -> Result<()> {
        request.model = Some(self.model).filter(|model| !model.is_empty());
        request.stream = self.stream;
        // Google's own clients add options behind a semicolon.
        let alt = self.alt.as_deref().map(|alt| alt.split(';').next().unwrap_or_default());
        request.framing = match alt {
            Some("sse") => Framing::Events,
            None | Some("json") => Framing::Array,
            Some(_) => return Err(Error::invalid("alt", "`alt` must be `sse` or `json`.")),
        };
        Ok(())
    }
}

/// Reads a request and responds with what the gateway gives.
pub(crate) async fn respond(
    exchange: &mut Exchange,
    path_format: PathFormat,
) -> Result<Response<Body>> {
    let (format, inbound) = (path_format.format, path_format.format.inbound());
    if let Some(record) = &mut exchange.record {
        record.request.format = inbound.format().name;
    }
    let headers = exchange.request.headers();
    // Headers are checked before the body is read: a mistake in them then costs no upload.
    let only_provider = request::only_provider(headers)?;
    let strict = request::flag(headers, &STRICT)?;
    let passed = passed_headers(inbound, headers)?;
    let hints = request::hints(headers, exchange.snapshot()?.routes.condition_headers())?;
    let (cache, idempotency_key) =
        (cache_headers::cache_directives(headers)?, cache_headers::idempotency_key(headers)?);

    let (limits, memory) = (exchange.app.body_limits, &exchange.app.memory);
    // Before the body: a call that could not stream its response shall not take more memory first.
    memory.check(STREAM_BUFFER_BYTES)?;
    let body = request_body::read(&mut exchange.request, limits, memory).await?;
    // Behind it: a client that announces a body and is silent shall hold nothing for it.
    let buffers = memory.reserve(STREAM_BUFFER_BYTES)?;
    let tenant = exchange.tenant()?.clone();
    let decoded = decode(inbound, &body, path_format.fields, &tenant)?;
    // The request holds what it needs of the body.
    drop(body);
    let mut request = arrived(decoded, &exchange.arrival);
    request.headers = passed;
    if let Some(record) = &mut exchange.record {
        record.request.model.clone_from(&request.model);
        record.request.stream = request.stream;
        // A header goes before what the body says: proxies set it where programs cannot.
        let session = record.client.session.take();
        record.client.session = session.or_else(|| session_id::named_in(&request.raw));
    }
    authorize_model(&tenant, &exchange.snapshot()?.config, &mut request)?;

    let snapshot = exchange.snapshot()?.clone();
    // The call takes the record along and finishes it, on whatever way out.
    let Some(record) = exchange.record.take() else {
        return Err(crate::response::internal_error());
    };
    let client = ClientWriter {
        format,
        framing: request.stream.then_some(request.framing),
        request_id: exchange.arrival.request_id.clone(),
        error_words: exchange.error_words(),
        encoder: format.stream_encoder(&request),
        _buffers: buffers,
        in_flight: exchange.app.in_flight.begin(inbound.format().name, request.stream),
    };
    let call = Call {
        request: Arc::new(request),
        only_provider,
        strict,
        cache,
        idempotency_key,
        tenant,
        hints,
        snapshot,
        clock: exchange.arrival.clock,
        platform_deadline: exchange.arrival.platform_deadline,
        watch: exchange.watch.take(),
        place: client.in_flight.place(),
        record,
    };
    // Before the response begins, so that a refusal still has its own status and limits stand in
    // the headers.
    let admitted = exchange.app.gateway.admit_call(call, &mut exchange.limits).await?;
    response_stream::respond(Arc::clone(&exchange.app), client, admitted).await
}

/// Decodes a request. That its model may not be used goes before what is wrong with the rest.
fn decode(
    inbound: &dyn Inbound,
    body: &Bytes,
    path: Option<PathFields>,
    tenant: &Tenant,
) -> Result<GatewayRequest> {
    let decoded = inbound.decode(body.clone()).or_else(|error| {
        let model = path.as_ref().map(|path| path.model.clone());
        authorize_named(tenant, model.or_else(|| named_model(body))).and(Err(error))
    });
    let mut request = decoded?;
    if let Some(path) = path {
        path.apply(&mut request)?;
    }
    check_model(request.model.as_deref())?;
    Ok(request)
}

/// A request with the time and the id that it arrived with.
fn arrived(mut request: GatewayRequest, arrival: &Arrival) -> GatewayRequest {
    request.arrived = arrival.clock.arrived;
    request.call_id.clone_from(&arrival.request_id);
    request
}

/// Lets a tenant use the models that it may, and its own default where the client names none.
fn authorize_model(tenant: &Tenant, config: &Config, request: &mut GatewayRequest) -> Result<()> {
    let default = config.default_model.as_deref();
    let models = policy::requested_models(tenant, request.model.as_deref(), default);
    // Without any model the call goes on, and resolving fails with a sentence that says what to
    // configure.
    let Some(model) = models.first().map(|model| (*model).to_owned()) else { return Ok(()) };
    policy::authorize_model(tenant, &model)?;
    request.model = Some(model);
    Ok(())
}

/// Refuses a model that a request names which cannot be decoded.
fn authorize_named(tenant: &Tenant, model: Option<String>) -> Result<()> {
    check_model(model.as_deref())?;
    let named = model.filter(|model| !model.is_empty());
    named.map_or(Ok(()), |model| policy::authorize_model(tenant, &model))
}

/// The model that a body names, whatever else is in it.
fn named_model(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        model: Option<String>,
    }
    serde_json::from_slice::<Named>(body).ok()?.model
}

/// Refuses a name that no model can have, before it gets into logs and messages.
fn check_model(model: Option<&str>) -> Result<()> {
    // Counted without walking to the end of a name of ten megabytes.
    if model.unwrap_or_default().chars().nth(MAX_NAME_CHARS).is_some() {
        let message = format!("`model` must have at most {MAX_NAME_CHARS} characters.");
        return Err(Error::invalid("model", message));
    }
    Ok(())
}

/// The headers that a provider of the same format gets too. One that came in several lines is one.
fn passed_headers(
    format: &dyn Inbound,
    headers: &HeaderMap,
) -> Result<Vec<(&'static str, String)>> {
    let mut passed = vec![];
    for name in format.passthrough_headers() {
        // Lines of one header may be joined with commas (RFC 9110, section 5.3), and providers
        // expect one.
        let lines = headers.get_all(*name).iter().map(|line| line.to_str());
        let lines: Vec<&str> = lines.collect::<Result<_, _>>().map_err(|error| {
            let message = format!("The header `{name}` must be plain text.");
            Error::invalid(name, message).caused_by(error)
        })?;
        if !lines.is_empty() {
            passed.push((*name, lines.join(",")));
        }
    }
    Ok(passed)
}
