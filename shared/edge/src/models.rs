//! `GET /v1/models` and its kin: what the caller's key may use, in the shape of the path's own API.

mod shapes;

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Extension, Path, State, rejection::PathRejection},
    routing::MethodFilter,
};
use canonical::{Error, Result};
use config::Config;
use http::{HeaderMap, Response, StatusCode, Uri};

use crate::{
    App, Routes,
    api::Api,
    reply,
    request::{self, Arrival},
};

/// Where lists are.
const LISTS: [&str; 6] = [
    "/v1/models",
    "/openai/v1/models",
    "/anthropic/v1/models",
    "/v1beta/models",
    "/gemini/v1beta/models",
    "/gemini/v1/models",
];

/// The lists, and under each `/{id}`, where the id may hold slashes.
pub fn models() -> Routes {
    LISTS.iter().fold(Routes::configured(), |routes, path| {
        routes.at(MethodFilter::GET, path, list).at(
            MethodFilter::GET,
            &format!("{path}/{{*id}}"),
            one,
        )
    })
}

/// One name that a client may put into `model`.
struct Model<'a> {
    id: &'a str,
    owned_by: &'a str,
    description: Option<&'a str>,
}

async fn list(
    State(app): State<Arc<App>>,
    Extension(arrival): Extension<Arrival>,
    headers: HeaderMap,
    uri: Uri,
) -> Response<Body> {
    answer(&app, &arrival, (&uri, &headers), |api, models| shapes::list(api, models, &uri)).await
}

async fn one(
    State(app): State<Arc<App>>,
    Extension(arrival): Extension<Arrival>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    uri: Uri,
) -> Response<Body> {
    let id = id.map(|it| it.0).unwrap_or_default();
    answer(&app, &arrival, (&uri, &headers), |api, models| {
        let found = models.iter().find(|it| it.id == id);
        shapes::one(api, found.ok_or_else(|| Error::unknown_model(&id))?)
    })
    .await
}

async fn answer(
    app: &App,
    arrival: &Arrival,
    (uri, headers): (&Uri, &HeaderMap),
    write: impl FnOnce(Api, &[Model<'_>]) -> Result<Vec<u8>>,
) -> Response<Body> {
    let api = Api::of(uri.path(), headers);
    let in_query = (api == Api::Gemini).then(|| request::queried(uri, "key")).flatten();
    let mut keys = request::keys(headers);
    keys.extend(in_query.as_deref());
    let admitted = app.gateway.admit(&keys, arrival.clock).await;
    match admitted.and_then(|snapshot| write(api, &all(&snapshot.config))) {
        Ok(body) => reply::json(StatusCode::OK, body),
        Err(error) => reply::failure_in(api.format(), &error, &arrival.request_id),
    }
}

fn all(config: &Config) -> Vec<Model<'_>> {
    let model = |id, owned_by, description| Model { id, owned_by, description };
    let routes = config
        .routes
        .iter()
        .map(|it| model(it.name.as_str(), "lockgate", it.description.as_deref()));
    let models = config
        .models
        .iter()
        .map(|it| model(it.name.as_str(), it.provider.as_str(), it.description.as_deref()));
    routes.chain(models).collect()
}
