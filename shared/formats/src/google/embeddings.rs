//! Gemini embeddings, out: `models/{model}:batchEmbedContents`. There are no streams.
//!
//! Source: the API reference of `models.batchEmbedContents` (v1beta) and the package `@google/genai`
//! 1.37, seen 2026-11. Each request of a batch names its model again. What is longer than the model
//! takes is cut there, unlike elsewhere. Older models say nothing of tokens.

use bytes::Bytes;
use canonical::{
    CanonicalRequest, EmbeddingInput, EmbeddingPurpose, EmbeddingRequest, EmbeddingResponse, Error,
    ErrorKind, Field, GatewayResponse, ResponseBody, Result, Usage,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    DecodeOptions, EncodeOptions, EncodedRequest, GatewayRequest, Outbound, StreamDecoder,
    bound::tokens, error_body, json, unstreamed,
};

/// The most texts that one call may have.
const MOST: usize = 100;

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
struct ChatResponse<'a> {
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

    fn passthrough(
        &self,
        _request: &GatewayRequest,
        _target: &EncodeOptions<'_>,
    ) -> Result<EncodedRequest> {
        Err(unstreamed::no_client_format())
    }

    fn encode(
        &self,
        canonical: &CanonicalRequest,
        target: &EncodeOptions<'_>,
    ) -> Result<EncodedRequest> {
        // Whom `base64` is for is decided where the response is written.
        let EmbeddingRequest { inputs, dimensions, base64: _, purpose, user, unmapped_fields: _ } =
            canonical.embedding()?;
        // Some name a model with the collection that it is in.
        let name = target.model.strip_prefix("models/").unwrap_or(target.model);
        let model = format!("models/{name}");
        let one = |text| One {
            model: &model,
            content: Contents { parts: [Text { text }] },
            task_type: purpose.map(task_type),
            output_dimensionality: *dimensions,
        };
        let requests = texts(inputs, MOST)?.into_iter().map(one).collect();
        let body = json::written(&Batch { requests }).into();
        let dropped = user.iter().map(|_| Field::User).collect();
        Ok(EncodedRequest { body, headers: vec![], dropped })
    }

    fn response(&self, body: Bytes, _reading: DecodeOptions) -> Result<GatewayResponse> {
        let answer: ChatResponse<'_> = serde_json::from_slice(&body).map_err(|error| {
            Error::new(ErrorKind::Upstream, "returned no batch of embeddings")
                .caused_by(json::unquoted(&error))
        })?;
        if let Some(error) = answer.error {
            return Err(error_body::inside_success(error));
        }
        if answer.embeddings.is_empty() {
            return Err(Error::new(ErrorKind::Upstream, "returned a response without embeddings"));
        }
        let count = answer.usage_metadata.and_then(|it| it.prompt_token_count);
        let vectors = answer.embeddings.into_iter().map(|it| it.values).collect();
        Ok(GatewayResponse {
            body: ResponseBody::Embedding(EmbeddingResponse {
                vectors,
                ..EmbeddingResponse::default()
            }),
            usage: count.map(|it| Usage { input: tokens(Some(it)), ..Usage::default() }),
        })
    }

    fn stream_decoder(&self, _reading: DecodeOptions) -> Box<dyn StreamDecoder> {
        Box::new(unstreamed::NoReader)
    }

    fn error(&self, status: u16, body: &[u8]) -> Error {
        error_body::from_status(status, body)
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

/// Google's word for what an embedding is for.
fn task_type(purpose: EmbeddingPurpose) -> &'static str {
    match purpose {
        EmbeddingPurpose::Document => "RETRIEVAL_DOCUMENT",
        EmbeddingPurpose::Query => "RETRIEVAL_QUERY",
        EmbeddingPurpose::Classification => "CLASSIFICATION",
        EmbeddingPurpose::Clustering => "CLUSTERING",
    }
}
