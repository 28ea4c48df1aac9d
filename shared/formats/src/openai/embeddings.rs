//! OpenAI embeddings, in and out. There are no streams.
//!
//! Source: the API reference of `POST /v1/embeddings` and the types of the `openai` Python package
//! 3.54 (`EmbeddingCreateParams`, `CreateEmbeddingResponse`), which asks for base64 unless told
//! otherwise. `input_type` is not OpenAI's own: NVIDIA, Cohere and Voyage take it in this format.

mod encoding_format;
mod inbound;
mod outbound;
mod request_decode;
mod request_passthrough;
mod wire;

use crate::Format;

/// The format.
#[derive(Clone, Copy, Debug)]
pub struct OpenAiEmbeddings;

/// The part of the format that travels with a request.
const FORMAT: Format = Format {
    name: "openai_embeddings",
    decode: request_decode::decode,
    apply_policy: crate::common::request_policy::unchanged,
    output: crate::OutputMembers::NONE,
    passthrough: request_passthrough::passthrough,
    word: canonical::Field::openai_chat_name,
};
