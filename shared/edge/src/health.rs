//! `GET /health` and its kin: open, and never a call to a provider.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Extension, State},
    routing::MethodFilter,
};
use http::{Response, StatusCode};

use crate::{App, Routes, api::Api, reply, request::Arrival};

/// `/health`, `/health/live`, `/health/ready`, and `HEAD /` for clients that look whether anybody is there.
pub fn health() -> Routes {
    Routes::open()
        .at(MethodFilter::GET, "/health", live)
        .at(MethodFilter::GET, "/health/live", live)
        .at(MethodFilter::GET, "/health/ready", ready)
        .at(MethodFilter::HEAD, "/", live)
}

async fn live() -> Response<Body> {
    let body = concat!(r#"{"status":"healthy","version":""#, env!("CARGO_PKG_VERSION"), "\"}");
    reply::json(StatusCode::OK, body)
}

async fn ready(
    State(app): State<Arc<App>>,
    Extension(arrival): Extension<Arrival>,
) -> Response<Body> {
    if app.gateway.is_ready(arrival.clock).await {
        return reply::json(StatusCode::OK, r#"{"status":"ready"}"#);
    }
    reply::failure_in(Api::OpenAi.format(), &reply::not_ready(), &arrival.request_id)
}
