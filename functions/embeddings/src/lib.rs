//! `POST /v1/embeddings`, in OpenAI's format.

use edge::Routes;
use formats::openai::embeddings::OpenAiEmbeddings;

/// The endpoint, under its two paths.
pub fn routes() -> Routes {
    edge::conversation(&["/v1/embeddings", "/openai/v1/embeddings"], &OpenAiEmbeddings)
}
