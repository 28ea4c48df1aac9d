//! `POST /v1/responses`, in OpenAI's format that remembers nothing here.

use edge::Routes;
use formats::openai::responses::OpenAiResponses;

/// The endpoint, under its two paths.
pub fn routes() -> Routes {
    edge::conversation(&["/v1/responses", "/openai/v1/responses"], &OpenAiResponses)
}
