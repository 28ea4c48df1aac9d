//! `POST /v1beta/models/{model}:generateContent`, and what else a model does, in Gemini's format.

use edge::Routes;
use formats::google::generate_content::{Gemini, GeminiCount};

/// The endpoints, under their four paths.
pub fn routes() -> Routes {
    let paths = [
        "/v1beta/models/{model}:{method}",
        "/v1/models/{model}:{method}",
        "/gemini/v1beta/models/{model}:{method}",
        "/gemini/v1/models/{model}:{method}",
    ];
    edge::generate_content(&paths, &Gemini, &GeminiCount)
}
