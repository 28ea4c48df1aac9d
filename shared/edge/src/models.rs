//! `GET /v1/models`: what the caller's key may use, in OpenAI's shape.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Extension, Path, State},
    routing::MethodFilter,
};
use canonical::{Error, Kind, Result};
use http::{HeaderMap, Response, StatusCode};
use routing::Document;
use serde::Serialize;

use crate::{
    App, Routes, reply,
    request::{self, Arrival},
};

/// `/v1/models` and `/v1/models/{id}`, where the id may hold slashes.
pub fn models() -> Routes {
    Routes::configured().at(MethodFilter::GET, "/v1/models", list).at(
        MethodFilter::GET,
        "/v1/models/{*id}",
        one,
    )
}

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Item<'a>>,
}

#[derive(Serialize)]
struct Item<'a> {
    id: &'a str,
    object: &'static str,
    /// Nobody knows when a model was made; clients only want a number.
    created: u64,
    owned_by: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
}

async fn list(
    State(app): State<Arc<App>>,
    Extension(arrival): Extension<Arrival>,
    headers: HeaderMap,
) -> Response<Body> {
    answer(&app, &arrival, &headers, |document| {
        written(&List { object: "list", data: items(document).collect() })
    })
    .await
}

async fn one(
    State(app): State<Arc<App>>,
    Extension(arrival): Extension<Arrival>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    answer(&app, &arrival, &headers, |document| {
        let found = items(document).find(|it| it.id == id);
        written(&found.ok_or_else(|| Error::unknown_model(&id))?)
    })
    .await
}

async fn answer(
    app: &App,
    arrival: &Arrival,
    headers: &HeaderMap,
    write: impl FnOnce(&Document) -> Result<Vec<u8>>,
) -> Response<Body> {
    let admitted = app.gateway.admit(&request::keys(headers), arrival.clock).await;
    match admitted.and_then(|snapshot| write(&snapshot.document)) {
        Ok(body) => reply::json(StatusCode::OK, body),
        Err(error) => reply::failure(&error, &arrival.request_id),
    }
}

fn items(document: &Document) -> impl Iterator<Item = Item<'_>> {
    let item =
        |id, owned_by, description| Item { id, object: "model", created: 0, owned_by, description };
    let routes = document
        .routes
        .iter()
        .map(move |it| item(it.name.as_str(), "lockgate", it.description.as_deref()));
    let models = document
        .models
        .iter()
        .map(move |it| item(it.name.as_str(), it.provider.as_str(), it.description.as_deref()));
    routes.chain(models)
}

fn written(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| {
        Error::new(Kind::Internal, "The list of models cannot be written.").caused_by(error)
    })
}
