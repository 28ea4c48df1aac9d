//! Gemini embeddings, out: `models/{model}:batchEmbedContents`. There are no streams.
//!
//! Source: the API reference of `models.batchEmbedContents` (v1beta) and the package `@google/genai`
//! 1.37, seen 2026-11. Each request of a batch names its model again. What is longer than the model
//! takes is cut there, unlike elsewhere. Older models say nothing of tokens.

use bytes::Bytes;
use canonical::{
    EmbeddingInput, EmbeddingPurpose, EmbeddingRequest, EmbeddingResponse, Error, ErrorKind, Field,
    GatewayResponse, ResponseBody, Result, Usage,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    DecodeOptions, EncodeOptions, EncodedRequest, Outbound, OutboundEmbeddings, error_body, json,
    size_limits::tokens,
};

/// The most texts that one call may have.
const MAX_TEXTS: usize = 100;

/// The format.
#[derive(Clone, Copy, Debug)]
pub struct GeminiEmbeddings;

#[derive(Serialize)]
struct Batch<'a> {
    requests: Vec<One<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct One<'a> {
    model: &'a str,
    content: Contents<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimensionality: Option<u64>,
}

#[derive(Serialize)]
struct Contents<'a> {
    parts: [Text<'a>; 1],
}

#[derive(Serialize)]
struct Text<'a> {
    text: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResponseJson<'a> {
    #[serde(default)]
    embeddings: Vec<Values>,
    #[serde(default)]
    usage_metadata: Option<Tokens>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Values {
    values: Vec<f32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tokens {
    #[serde(default)]
    prompt_token_count: Option<u64>,
}

impl Outbound for GeminiEmbeddings {
    fn name(&self) -> &'static str {
        "gemini_embeddings"
    }

    fn response(&self, body: Bytes, _options: DecodeOptions) -> Result<GatewayResponse> {
        let response: ResponseJson<'_> = serde_json::from_slice(&body).map_err(|error| {
            Error::new(ErrorKind::Upstream, "returned no batch of embeddings")
                .caused_by(json::unquoted(&error))
        })?;
        if let Some(error) = response.error {
            return Err(error_body::inside_success(error));
        }
        if response.embeddings.is_empty() {
            return Err(Error::new(ErrorKind::Upstream, "returned a response without embeddings"));
        }
        let count = response.usage_metadata.and_then(|it| it.prompt_token_count);
        let vectors = response.embeddings.into_iter().map(|it| it.values).collect();
        Ok(GatewayResponse {
            body: ResponseBody::Embedding(EmbeddingResponse {
                vectors,
                ..EmbeddingResponse::default()
            }),
            usage: count.map(|it| Usage { input: tokens(Some(it)), ..Usage::default() }),
            facts: None,
        })
    }
}

impl OutboundEmbeddings for GeminiEmbeddings {
    fn encode(
        &self,
        request: &EmbeddingRequest,
        options: &EncodeOptions<'_>,
    ) -> Result<EncodedRequest> {
        // `base64` is how the client wants its response, whatever the provider sends.
        let EmbeddingRequest { inputs, dimensions, base64: _, purpose, user, unmapped_fields: _ } =
            request;
        // A configuration may name a model with its collection.
        let name = options.model.strip_prefix("models/").unwrap_or(options.model);
        let model = format!("models/{name}");
        let one = |text| One {
            model: &model,
            content: Contents { parts: [Text { text }] },
            task_type: purpose.map(task_type),
            output_dimensionality: *dimensions,
        };
        let requests = texts(inputs, MAX_TEXTS)?.into_iter().map(one).collect();
        let body = json::written(&Batch { requests }).into();
        let dropped = user.iter().map(|_| Field::User).collect();
        Ok(EncodedRequest { body, headers: vec![], dropped })
    }
}

/// The inputs, where all have to be texts and no more than so many.
pub(crate) fn texts(inputs: &[EmbeddingInput], most: usize) -> Result<Vec<&str>> {
    if most < inputs.len() {
        let most = if most == 1 { "one text" } else { &format!("{most} texts") };
        let count = inputs.len();
        return Err(unfit(format!("accepts no more than {most} at once, not {count}")));
    }
    let all = inputs.iter().map(|input| match input {
        EmbeddingInput::Text(text) => Ok(text.as_str()),
        EmbeddingInput::Tokens(_) => {
            let message = "accepts texts, not tokens of another model's vocabulary";
            Err(unfit(message.to_owned()))
        }
    });
    all.collect()
}

fn unfit(message: String) -> Error {
    let mut error = Error::new(ErrorKind::Unsupported, message);
    error.param = Some("input".to_owned());
    error
}

/// Google's name for the purpose of an embedding.
fn task_type(purpose: EmbeddingPurpose) -> &'static str {
    match purpose {
        EmbeddingPurpose::Document => "RETRIEVAL_DOCUMENT",
        EmbeddingPurpose::Query => "RETRIEVAL_QUERY",
        EmbeddingPurpose::Classification => "CLASSIFICATION",
        EmbeddingPurpose::Clustering => "CLUSTERING",
    }
}
