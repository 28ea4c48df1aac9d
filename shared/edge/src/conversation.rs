//! An endpoint that takes and answers one format.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Extension, State},
    routing::MethodFilter,
};
use canonical::{Error, Result};
use formats::{Framing, Inbound};
use gateway::{Call, Snapshot};
use http::{HeaderMap, Request, Response};
use telemetry::CallRecord;

use crate::{
    App, Routes,
    answer::{self, ClientWriter},
    limits, reply,
    request::{self, Arrival},
};

/// A format that lives as long as the program.
pub(crate) type Format = &'static dyn Inbound;

/// Endpoints under these paths, which speak one format.
pub fn conversation(paths: &[&str], format: Format) -> Routes {
    paths.iter().fold(Routes::configured(), |routes, path| {
        routes.at(
            MethodFilter::POST,
            path,
            move |State(app): State<Arc<App>>,
                  Extension(arrival): Extension<Arrival>,
                  request: Request<Body>| {
                converse(app, arrival, Beside::nothing(format), request)
            },
        )
    })
}

/// What is said beside the headers and the body.
pub(crate) struct Beside {
    /// The format of the body, and of the answer.
    pub(crate) format: Format,
    /// Keys that are part of the address.
    pub(crate) keys: Vec<String>,
    /// What the path says, where it says what others put into the body.
    pub(crate) path: Option<ByPath>,
}

/// What a path says of a request.
pub(crate) struct ByPath {
    /// The model; empty where the client leaves the choice to us.
    pub(crate) model: String,
    /// Whether the answer is wanted piece by piece.
    pub(crate) stream: bool,
    /// The word for how the pieces are told apart.
    pub(crate) alt: Option<String>,
}

impl Beside {
    fn nothing(format: Format) -> Self {
        Self { format, keys: vec![], path: None }
    }
}

impl ByPath {
    fn complete(self, request: &mut formats::GatewayRequest) -> Result<()> {
        request.model = Some(self.model).filter(|it| !it.is_empty());
        request.stream = self.stream;
        // Google's own clients add their wishes behind a semicolon.
        let alt = self.alt.as_deref().map(|it| it.split(';').next().unwrap_or_default());
        request.framing = match alt {
            Some("sse") => Framing::Events,
            None | Some("json") => Framing::Array,
            Some(_) => return Err(Error::invalid("alt", "`alt` must be `sse` or `json`.")),
        };
        Ok(())
    }
}

/// Answers a request: in its own format, whatever happens.
pub(crate) async fn converse(
    app: Arc<App>,
    arrival: Arrival,
    beside: Beside,
    mut request: Request<Body>,
) -> Response<Body> {
    let format = beside.format;
    let mut record = CallRecord::new(&arrival.request_id, &arrival.trace_id, arrival.clock.started);
    record.format = format.format().name;
    let request_id = arrival.request_id.clone();
    match prepare(&app, &arrival, beside, &mut request, &mut record).await {
        Ok(prepared) => {
            let request = &prepared.request;
            let framing = request.stream.then_some(request.framing);
            let asker = ClientWriter {
                format,
                framing,
                request_id,
                writer: format.stream_encoder(request),
            };
            answer::respond(app, asker, prepared.into_call(&arrival, record)).await
        }
        Err(error) => {
            record.failed(&error);
            limits::discard(request).await;
            reply::failure_in(format, &error, &request_id)
        }
    }
}

/// A request that was let in and understood.
struct Prepared {
    request: formats::GatewayRequest,
    only_provider: Option<String>,
    strict: bool,
    snapshot: Arc<Snapshot>,
}

async fn prepare(
    app: &App,
    arrival: &Arrival,
    beside: Beside,
    request: &mut Request<Body>,
    record: &mut CallRecord,
) -> Result<Prepared> {
    let headers = request.headers();
    let mut keys = request::keys(headers);
    keys.extend(beside.keys.iter().map(String::as_str));
    let snapshot = app.gateway.admit(&keys, arrival.clock).await?;
    let only_provider = request::only_provider(headers)?;
    let strict = request::flag(headers, "x-gateway-strict")?;
    let passed = passed(beside.format, headers)?;
    let mut request = beside.format.decode(limits::body(request, app.body_limit).await?)?;
    request.arrived = arrival.clock.arrived;
    request.headers = passed;
    if let Some(path) = beside.path {
        path.complete(&mut request)?;
    }
    record.asked.clone_from(&request.model);
    record.stream = request.stream;
    Ok(Prepared { request, only_provider, strict, snapshot })
}

/// The headers that a provider of the same format gets too. One that came in several lines is one.
fn passed(format: Format, headers: &HeaderMap) -> Result<Vec<(&'static str, String)>> {
    let mut passed = vec![];
    for name in format.passthrough_headers() {
        let lines = headers.get_all(*name).iter().map(|it| it.to_str());
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

impl Prepared {
    fn into_call(self, arrival: &Arrival, record: CallRecord) -> Call {
        Call {
            request: self.request,
            only_provider: self.only_provider,
            strict: self.strict,
            snapshot: self.snapshot,
            clock: arrival.clock,
            platform_deadline: arrival.platform_deadline,
            record,
        }
    }
}
