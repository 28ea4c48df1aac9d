//! Gemini embeddings, in: `models/{model}:embedContent` and `:batchEmbedContents`.
//!
//! Source: the API reference of both methods (v1beta) and the package `@google/genai` 1.37, seen
//! 2026-11. The model stands in the path. A text of several parts is one text.

use bytes::Bytes;
use canonical::{
    CallSummary, CanonicalRequest, EmbeddingInput, EmbeddingPurpose, EmbeddingRequest,
    EmbeddingResponse, Error, ErrorKind, Result, Task, Usage,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::generate_content::Gemini;
use crate::{
    EncodeOptions, EncodedRequest, Format, GatewayRequest, Inbound, InboundEmbeddings, RawObject,
    json, size_limits,
};

/// `embedContent`: the vector of one text.
#[derive(Clone, Copy, Debug)]
pub struct GeminiEmbed;

/// `batchEmbedContents`: the vectors of several texts.
#[derive(Clone, Copy, Debug)]
pub struct GeminiEmbedBatch;

const FORMAT: Format = Format {
    name: "gemini_embed_content",
    decode: decode_one,
    apply_policy: crate::common::request_policy::unchanged,
    output: crate::OutputMembers::NONE,
    passthrough: only_translated,
    word: canonical::Field::openai_chat_name,
};

const BATCH_FORMAT: Format = Format {
    name: "gemini_batch_embed_contents",
    decode: decode_batch,
    apply_policy: crate::common::request_policy::unchanged,
    output: crate::OutputMembers::NONE,
    passthrough: only_translated,
    word: canonical::Field::openai_chat_name,
};

/// Requests are encoded for Gemini too, whose providers are always asked for a batch.
fn only_translated(
    _request: &GatewayRequest,
    _options: &EncodeOptions<'_>,
) -> Result<EncodedRequest> {
    Err(Error::new(ErrorKind::Unsupported, "takes embeddings in batches alone"))
}

/// Members of one text's request that are decoded.
const KNOWN: &[&str] =
    &["content", "model", "outputDimensionality", "output_dimensionality", "taskType", "task_type"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OneJson {
    content: ContentJson,
    #[serde(default, alias = "task_type")]
    task_type: Option<String>,
    #[serde(default, alias = "output_dimensionality")]
    output_dimensionality: Option<u64>,
}

#[derive(Deserialize)]
struct ContentJson {
    parts: Vec<PartJson>,
}

#[derive(Deserialize)]
struct PartJson {
    #[serde(default)]
    text: Option<String>,
}

fn decode_one(raw: &RawObject) -> Result<CanonicalRequest> {
    let request = json::object(raw)?;
    let text = std::str::from_utf8(&raw.body).unwrap_or_default();
    let mut embedding = EmbeddingRequest::default();
    add(text, &request, "", &mut embedding)?;
    Ok(CanonicalRequest::Embedding(embedding))
}

fn decode_batch(raw: &RawObject) -> Result<CanonicalRequest> {
    let wanted = "a list of requests, each with a `content`";
    let requests: Option<Vec<&RawValue>> = json::read(raw, "requests", wanted)?;
    let mut embedding = EmbeddingRequest::default();
    for (at, request) in requests.unwrap_or_default().into_iter().enumerate() {
        let path = format!("requests[{at}].");
        let object: json::Object<'_> = json::parsed(request, path.trim_end_matches('.'), wanted)?;
        add(request.get(), &object, &path, &mut embedding)?;
    }
    Ok(CanonicalRequest::Embedding(embedding))
}

/// Adds one text to a request. All texts of one request are for one purpose and of one length.
fn add(
    text: &str,
    object: &json::Object<'_>,
    path: &str,
    embedding: &mut EmbeddingRequest,
) -> Result<()> {
    let content = format!("{path}content");
    let one: OneJson = json::parsed_text(text, &content, "an object with `parts`")?;
    let purpose = one.task_type.as_deref().and_then(purpose);
    let is_first = embedding.inputs.is_empty();
    let agrees = embedding.purpose == purpose && embedding.dimensions == one.output_dimensionality;
    // Other APIs have one purpose and one length for all texts of a request.
    if !is_first && !agrees {
        let message = "takes one `taskType` and one `outputDimensionality` for all texts";
        let mut error = Error::new(ErrorKind::Unsupported, message);
        error.param = Some(format!("{path}taskType"));
        return Err(error);
    }
    embedding.purpose = purpose;
    embedding.dimensions = one.output_dimensionality;

    let unmapped = &mut embedding.unmapped_fields;
    if one.task_type.is_some() && purpose.is_none() {
        size_limits::note(unmapped, "taskType".to_owned());
    }
    for (name, _) in object.present().filter(|it| !KNOWN.contains(&it.0)) {
        size_limits::note(unmapped, name.to_owned());
    }
    let texts = one.content.parts.into_iter().map(|it| it.text);
    let texts: Option<Vec<String>> = texts.collect();
    // A part without a text is an image or the like, which embedding APIs of other formats do not
    // take.
    let Some(texts) = texts else {
        let mut error = Error::new(ErrorKind::Unsupported, "takes texts alone");
        error.param = Some(format!("{content}.parts"));
        return Err(error);
    };
    embedding.inputs.push(EmbeddingInput::Text(texts.concat()));
    Ok(())
}

/// What Google's word for a purpose means.
fn purpose(word: &str) -> Option<EmbeddingPurpose> {
    Some(match word {
        "RETRIEVAL_DOCUMENT" => EmbeddingPurpose::Document,
        "RETRIEVAL_QUERY" => EmbeddingPurpose::Query,
        "CLASSIFICATION" => EmbeddingPurpose::Classification,
        "CLUSTERING" => EmbeddingPurpose::Clustering,
        _ => return None,
    })
}

#[derive(Serialize)]
struct ValuesJson<'a> {
    values: &'a [f32],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UsageJson {
    prompt_token_count: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResponseJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding: Option<ValuesJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embeddings: Option<Vec<ValuesJson<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_metadata: Option<UsageJson>,
}

fn usage(usage: Option<&Usage>) -> Option<UsageJson> {
    usage.map(|it| UsageJson { prompt_token_count: it.all_input() })
}

impl Inbound for GeminiEmbed {
    fn format(&self) -> &'static Format {
        &FORMAT
    }

    fn decode(&self, body: Bytes) -> Result<GatewayRequest> {
        let raw = json::members(body)?;
        decode_one(&raw)?;
        Ok(GatewayRequest::new(&FORMAT, Task::Embed, raw))
    }

    fn error(&self, error: &Error, request_id: &str) -> Bytes {
        failure(error, request_id)
    }
}

impl Inbound for GeminiEmbedBatch {
    fn format(&self) -> &'static Format {
        &BATCH_FORMAT
    }

    fn decode(&self, body: Bytes) -> Result<GatewayRequest> {
        let raw = json::members(body)?;
        let has_any = json::list(&raw, "requests", "a list of requests")?.unwrap_or(false);
        if !has_any {
            let message = "`requests` is missing or empty; at least one is needed.";
            return Err(Error::invalid("requests", message));
        }
        // Decoded already here, so that a wrong request is refused before anything is reserved for
        // it.
        decode_batch(&raw)?;
        Ok(GatewayRequest::new(&BATCH_FORMAT, Task::Embed, raw))
    }

    fn error(&self, error: &Error, request_id: &str) -> Bytes {
        failure(error, request_id)
    }
}

impl InboundEmbeddings for GeminiEmbed {
    fn encode(
        &self,
        response: &EmbeddingResponse,
        tokens: Option<&Usage>,
        _summary: &CallSummary,
    ) -> Bytes {
        let values = response.vectors.first().map_or(&[][..], Vec::as_slice);
        json::written(&ResponseJson {
            embedding: Some(ValuesJson { values }),
            embeddings: None,
            usage_metadata: usage(tokens),
        })
        .into()
    }
}

impl InboundEmbeddings for GeminiEmbedBatch {
    fn encode(
        &self,
        response: &EmbeddingResponse,
        tokens: Option<&Usage>,
        _summary: &CallSummary,
    ) -> Bytes {
        let list = response.vectors.iter().map(|values| ValuesJson { values }).collect();
        json::written(&ResponseJson {
            embedding: None,
            embeddings: Some(list),
            usage_metadata: usage(tokens),
        })
        .into()
    }
}

fn failure(error: &Error, request_id: &str) -> Bytes {
    Inbound::error(&Gemini, error, request_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embedding(format: &dyn Inbound, body: &'static str) -> Result<EmbeddingRequest> {
        let request = format.decode(Bytes::from_static(body.as_bytes()))?;
        Ok(request.canonical()?.embedding()?.clone())
    }

    #[test]
    fn one_text_is_decoded() {
        let body = r#"{"content":{"parts":[{"text":"a"},{"text":"b"}]},"taskType":"RETRIEVAL_QUERY",
            "outputDimensionality":8,"title":"t"}"#;
        let decoded = embedding(&GeminiEmbed, body).unwrap();
        assert_eq!(decoded.inputs, [EmbeddingInput::Text("ab".to_owned())]);
        assert_eq!((decoded.purpose, decoded.dimensions), (Some(EmbeddingPurpose::Query), Some(8)));
        assert_eq!(decoded.unmapped_fields, ["title"]);
    }

    #[test]
    fn texts_of_a_batch_agree() {
        let two = r#"{"requests":[{"model":"models/m","content":{"parts":[{"text":"a"}]}},
            {"content":{"parts":[{"text":"b"}]}}]}"#;
        assert_eq!(embedding(&GeminiEmbedBatch, two).unwrap().inputs.len(), 2);
        let odd = r#"{"requests":[{"content":{"parts":[{"text":"a"}]}},
            {"content":{"parts":[{"text":"b"}]},"outputDimensionality":8}]}"#;
        let error = embedding(&GeminiEmbedBatch, odd).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("requests[1].taskType"));
    }

    #[test]
    fn what_is_no_text_is_refused_by_its_name() {
        for (body, param) in
            [("{}", "content"), (r#"{"content":{"parts":[{"inlineData":{}}]}}"#, "content.parts")]
        {
            let error = embedding(&GeminiEmbed, body).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(param), "{body}");
        }
        let error = embedding(&GeminiEmbedBatch, r#"{"requests":[]}"#).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("requests"));
    }
}
