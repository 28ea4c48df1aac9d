//! An endpoint that takes and answers one format.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Extension, State},
    routing::MethodFilter,
};
use canonical::Result;
use formats::Inbound;
use gateway::{Call, Snapshot};
use http::{Request, Response};
use telemetry::Record;

use crate::{
    App, Routes,
    answer::{self, Asker},
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
                  request: Request<Body>| converse(app, arrival, format, request),
        )
    })
}

async fn converse(
    app: Arc<App>,
    arrival: Arrival,
    format: Format,
    mut request: Request<Body>,
) -> Response<Body> {
    let mut record = Record::new(&arrival.request_id, &arrival.trace_id, arrival.clock.started);
    let request_id = arrival.request_id.clone();
    match prepare(&app, &arrival, format, &mut request, &mut record).await {
        Ok(prepared) => {
            let asker = Asker { format, request_id, writer: format.writer(&prepared.request) };
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
    request: canonical::Request,
    only_provider: Option<String>,
    strict: bool,
    snapshot: Arc<Snapshot>,
}

async fn prepare(
    app: &App,
    arrival: &Arrival,
    format: Format,
    request: &mut Request<Body>,
    record: &mut Record,
) -> Result<Prepared> {
    let headers = request.headers();
    let snapshot = app.gateway.admit(&request::keys(headers), arrival.clock).await?;
    let only_provider = request::only_provider(headers)?;
    let strict = request::flag(headers, "x-gateway-strict")?;
    let mut request = format.decode(limits::body(request, app.body_limit).await?)?;
    request.arrived = arrival.clock.arrived;
    record.asked.clone_from(&request.model);
    record.stream = request.stream;
    Ok(Prepared { request, only_provider, strict, snapshot })
}

impl Prepared {
    fn into_call(self, arrival: &Arrival, record: Record) -> Call {
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
