//! Whether the gateway runs and is ready: open to anyone, and never a call to a provider.

use http::StatusCode;

use crate::{endpoint::HandlerFuture, front::Exchange, response};

/// `GET /health`, `GET /health/live` and `HEAD /`: the process runs.
pub(crate) fn live(_: &mut Exchange) -> HandlerFuture<'_> {
    const BODY: &str =
        concat!(r#"{"status":"healthy","version":""#, env!("CARGO_PKG_VERSION"), "\"}");
    Box::pin(async move { Ok(response::json(StatusCode::OK, BODY)) })
}

/// `GET /health/ready`: there is a configuration to answer by.
pub(crate) fn ready(exchange: &mut Exchange) -> HandlerFuture<'_> {
    Box::pin(async move {
        if !exchange.app.gateway.is_ready(exchange.arrival.clock).await {
            return Err(response::not_ready());
        }
        Ok(response::json(StatusCode::OK, r#"{"status":"ready"}"#))
    })
}
