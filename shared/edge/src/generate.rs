//! Endpoints that name the model, and what is wanted of it, in their path, as Google's do.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Extension, Path, State, rejection::PathRejection},
    routing::MethodFilter,
};
use canonical::{Error, ErrorKind};
use http::{Request, Uri};

use crate::{
    App, Routes,
    conversation::{Beside, ByPath, Format, converse},
    reply,
    request::{self, Arrival},
};

/// How the paths of these endpoints end.
const BY_METHOD: &str = "{model}:{method}";

/// Endpoints under these paths, each of which ends with `{model}:{method}`: one format for what is
/// generated, one for tokens that are counted. The model's name may hold slashes.
pub fn generate_content(paths: &[&str], generate: Format, count: Format) -> Routes {
    paths.iter().fold(Routes::configured(), |routes, path| {
        // Whatever else answers under these paths calls the rest by the same name.
        let path = path.replace(BY_METHOD, "{*id}");
        routes.at(
            MethodFilter::POST,
            &path,
            move |State(app): State<Arc<App>>,
                  Extension(arrival): Extension<Arrival>,
                  id: Result<Path<String>, PathRejection>,
                  request: Request<Body>| async move {
                let id = id.map(|it| it.0).unwrap_or_default();
                match beside(&id, request.uri(), generate, count) {
                    Ok(beside) => converse(app, arrival, beside, request).await,
                    Err(error) => reply::refuse(generate, &error, request).await,
                }
            },
        )
    })
}

fn beside(id: &str, uri: &Uri, generate: Format, count: Format) -> canonical::Result<Beside> {
    let (model, method) = id.rsplit_once(':').unwrap_or((id, ""));
    let (format, stream) = match method {
        "generateContent" => (generate, false),
        "streamGenerateContent" => (generate, true),
        "countTokens" => (count, false),
        "embedContent" | "batchEmbedContents" => {
            let message = "Embeddings are not served in this format; use POST /v1/embeddings.";
            return Err(Error::new(ErrorKind::UnknownPath, message));
        }
        _ => return Err(reply::no_such_method(uri.path())),
    };
    let alt = request::queried(uri, "alt").or_else(|| request::queried(uri, "$alt"));
    Ok(Beside {
        format,
        keys: request::queried(uri, "key").into_iter().collect(),
        path: Some(ByPath { model: model.to_owned(), stream, alt }),
    })
}
