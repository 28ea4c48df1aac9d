//! Embeddings of Bedrock's `InvokeModel`, out: Amazon Titan and Cohere Embed. There are no streams.
//!
//! Sources: docs.aws.amazon.com/bedrock, *Amazon Titan Embeddings* and *Cohere Embed*, seen 2026-11.
//! The endpoint is one and the same, so the model's family decides what is encoded. Titan takes one
//! text for each call. Cohere demands a purpose, which is that of documents where the client names
//! none, and reports its tokens only in the header `x-amzn-bedrock-input-token-count`.

use bytes::Bytes;
use canonical::{
    EmbeddingPurpose, EmbeddingRequest, EmbeddingResponse, Error, ErrorKind, Field,
    GatewayResponse, ModelFacts, ModelFamily, ResponseBody, Result, Usage,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    DecodeOptions, EncodeOptions, EncodedRequest, Outbound, OutboundEmbeddings,
    google::embeddings::texts, json, size_limits::tokens,
};

/// The most texts that one call to Cohere may have.
const MAX_TEXTS: usize = 96;

/// The format.
#[derive(Clone, Copy, Debug)]
pub struct BedrockEmbeddings;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Titan<'a> {
    input_text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u64>,
}

#[derive(Serialize)]
struct Cohere<'a> {
    texts: Vec<&'a str>,
    input_type: &'static str,
    embedding_types: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimension: Option<u64>,
}

/// A response of either model.
#[derive(Deserialize)]
struct ResponseJson<'a> {
    /// Titan's.
    #[serde(default)]
    embedding: Option<Vec<f32>>,
    /// Titan's.
    #[serde(rename = "inputTextTokenCount", default)]
    tokens: Option<u64>,
    /// Cohere's: a list, or a list for each type.
    #[serde(borrow, default)]
    embeddings: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ByType {
    float: Vec<Vec<f32>>,
}

impl Outbound for BedrockEmbeddings {
    fn name(&self) -> &'static str {
        "bedrock_embeddings"
    }

    fn response(&self, body: Bytes, _options: DecodeOptions) -> Result<GatewayResponse> {
        let response: ResponseJson<'_> =
            serde_json::from_slice(&body).map_err(|it| unreadable(&it))?;
        let vectors = match (response.embedding, response.embeddings) {
            (Some(vector), _) => vec![vector],
            (None, Some(list)) if list.get().starts_with('[') => {
                serde_json::from_str(list.get()).map_err(|it| unreadable(&it))?
            }
            (None, Some(types)) => {
                serde_json::from_str::<ByType>(types.get()).map_err(|it| unreadable(&it))?.float
            }
            (None, None) => vec![],
        };
        if vectors.is_empty() {
            return Err(Error::new(ErrorKind::Upstream, "returned a response without embeddings"));
        }
        Ok(GatewayResponse {
            body: ResponseBody::Embedding(EmbeddingResponse {
                vectors,
                ..EmbeddingResponse::default()
            }),
            usage: response.tokens.map(|it| Usage { input: tokens(Some(it)), ..Usage::default() }),
            facts: None,
        })
    }
}

impl OutboundEmbeddings for BedrockEmbeddings {
    fn encode(
        &self,
        request: &EmbeddingRequest,
        options: &EncodeOptions<'_>,
    ) -> Result<EncodedRequest> {
        match options.facts.family {
            ModelFamily::TitanEmbed => titan(request, options.facts),
            ModelFamily::CohereEmbed => cohere(request, options.facts),
            _ => {
                let message = "is known to embed with Titan and Cohere Embed only";
                Err(Error::new(ErrorKind::Unsupported, message))
            }
        }
    }
}

fn titan(requested: &EmbeddingRequest, facts: &ModelFacts) -> Result<EncodedRequest> {
    // `base64` is how the client wants its response, whatever the provider sends.
    let EmbeddingRequest { inputs, dimensions, base64: _, purpose, user, unmapped_fields: _ } =
        requested;
    let mut dropped = vec![];
    dropped.extend(purpose.iter().map(|_| Field::EmbeddingPurpose));
    dropped.extend(user.iter().map(|_| Field::User));
    let shortens = facts.dimensions;
    dropped.extend(dimensions.iter().filter(|_| !shortens).map(|_| Field::Dimensions));
    let dimensions = dimensions.filter(|_| shortens);
    let input_text = texts(inputs, 1)?.first().copied().unwrap_or_default();
    Ok(written(&Titan { input_text, dimensions }, dropped))
}

fn cohere(requested: &EmbeddingRequest, facts: &ModelFacts) -> Result<EncodedRequest> {
    // `base64` is how the client wants its response, whatever the provider sends.
    let EmbeddingRequest { inputs, dimensions, base64: _, purpose, user, unmapped_fields: _ } =
        requested;
    let mut dropped: Vec<Field> = user.iter().map(|_| Field::User).collect();
    let shortens = facts.dimensions;
    dropped.extend(dimensions.iter().filter(|_| !shortens).map(|_| Field::Dimensions));
    let request = Cohere {
        texts: texts(inputs, MAX_TEXTS)?,
        input_type: input_type(purpose.unwrap_or(EmbeddingPurpose::Document)),
        embedding_types: ["float"],
        output_dimension: dimensions.filter(|_| shortens),
    };
    Ok(written(&request, dropped))
}

/// Cohere's name for the purpose of an embedding.
fn input_type(purpose: EmbeddingPurpose) -> &'static str {
    match purpose {
        EmbeddingPurpose::Document => "search_document",
        EmbeddingPurpose::Query => "search_query",
        EmbeddingPurpose::Classification => "classification",
        EmbeddingPurpose::Clustering => "clustering",
    }
}

fn written(request: &impl Serialize, dropped: Vec<Field>) -> EncodedRequest {
    EncodedRequest { body: json::written(request).into(), headers: vec![], dropped }
}

fn unreadable(error: &serde_json::Error) -> Error {
    Error::new(ErrorKind::Upstream, "returned no embedding").caused_by(json::unquoted(error))
}

#[cfg(test)]
mod tests {
    use canonical::EmbeddingInput;

    use super::*;

    fn encoded(model: &str) -> Result<EncodedRequest> {
        let inputs = vec![EmbeddingInput::Text("a".to_owned())];
        let requested =
            EmbeddingRequest { inputs, dimensions: Some(256), ..EmbeddingRequest::default() };
        let facts = crate::options::facts("bedrock", model);
        let target = EncodeOptions { model, facts, ..EncodeOptions::default() };
        BedrockEmbeddings.encode(&requested, &target)
    }

    #[test]
    fn dimensions_are_sent_to_models_that_have_them() {
        for (model, can) in [
            ("amazon.titan-embed-text-v1", false),
            ("amazon.titan-embed-g1-text-02", false),
            ("amazon.titan-embed-text-v2:0", true),
            ("cohere.embed-multilingual-v3", false),
            ("global.cohere.embed-v4:0", true),
        ] {
            let encoded = encoded(model).unwrap();
            let requested = String::from_utf8_lossy(&encoded.body).contains("256");
            assert_eq!((requested, encoded.dropped.is_empty()), (can, can), "{model}");
        }
    }

    #[test]
    fn a_model_that_does_not_embed_is_passed_over() {
        assert_eq!(encoded("amazon.nova-micro-v1:0").unwrap_err().kind, ErrorKind::Unsupported);
    }
}
