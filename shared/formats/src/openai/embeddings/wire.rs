//! Wire forms, as far as the gateway decodes or encodes them.

use bytes::Bytes;
use canonical::{
    EmbeddingInput, EmbeddingRequest, EmbeddingResponse, Error, ErrorKind, Field, Result, Usage,
};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::value::RawValue;

use super::encoding_format;
use crate::{json, size_limits::tokens};

/// A whole response.
#[derive(Deserialize)]
pub(super) struct ResponseJson<'a> {
    #[serde(borrow, default)]
    pub(super) data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Item<'a> {
    index: usize,
    #[serde(borrow)]
    embedding: &'a RawValue,
}

#[derive(Deserialize, Serialize)]
struct Tokens {
    prompt_tokens: u64,
    #[serde(default)]
    total_tokens: u64,
}

/// How many vectors there are.
pub(super) fn count(data: &RawValue) -> Result<usize> {
    let items: Vec<IgnoredAny> = serde_json::from_str(data.get()).map_err(|it| unreadable(&it))?;
    Ok(items.len())
}

/// The numbers of each text, in the order of the texts.
pub(super) fn vectors(data: &RawValue) -> Result<EmbeddingResponse> {
    let mut items: Vec<Item<'_>> =
        serde_json::from_str(data.get()).map_err(|it| unreadable(&it))?;
    // Each vector names its text by its index; nothing promises their order.
    items.sort_by_key(|it| it.index);
    let numbers = items.iter().map(|it| encoding_format::numbers(it.embedding.get()));
    let vectors = numbers.collect::<Result<_>>()?;
    Ok(EmbeddingResponse { vectors, ..EmbeddingResponse::default() })
}

pub(super) fn unreadable(error: &serde_json::Error) -> Error {
    Error::new(ErrorKind::Upstream, "returned a body that is not a list of embeddings")
        .caused_by(json::unquoted(error))
}

/// Reads a usage object; none when it says nothing.
pub(super) fn usage(json: &RawValue) -> Option<Usage> {
    let read: Tokens = serde_json::from_str::<Option<_>>(json.get()).ok()??;
    Some(Usage { input: tokens(Some(read.prompt_tokens)), ..Usage::default() })
}

/// Writes a response for a client. Numbers are written as they are, without a value in between:
/// there may be millions of them. Unknown usage is 0 here, because the member has to be there.
pub(super) fn encode_response(
    vectors: &EmbeddingResponse,
    model: &str,
    usage: Option<&Usage>,
) -> Bytes {
    let numbers: usize = vectors.vectors.iter().map(Vec::len).sum();
    let mut out = Vec::with_capacity(256 + vectors.vectors.len() * 64 + numbers * 12);
    out.extend_from_slice(br#"{"object":"list","data":["#);
    for (index, vector) in vectors.vectors.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let head = format!(r#"{comma}{{"object":"embedding","index":{index},"embedding":"#);
        out.extend_from_slice(head.as_bytes());
        if vectors.base64 {
            put(&encoding_format::as_base64(vector), &mut out);
        } else {
            put(vector, &mut out);
        }
        out.push(b'}');
    }
    out.extend_from_slice(br#"],"model":"#);
    put(model, &mut out);
    let read = usage.map_or(0, Usage::all_input);
    out.extend_from_slice(br#","usage":"#);
    put(&Tokens { prompt_tokens: read, total_tokens: read }, &mut out);
    out.push(b'}');
    out.into()
}

/// Writes a value. Strings and numbers only: this cannot fail, and a reader would see it if it did.
fn put<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    drop(serde_json::to_writer(out, value));
}

/// A request, as a provider of this format takes it.
#[derive(Serialize)]
pub(super) struct RequestJson<'a> {
    pub(super) model: &'a str,
    input: Vec<Input<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u64>,
    encoding_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Input<'a> {
    Text(&'a str),
    Tokens(&'a [u64]),
}

/// The request in this format, and the fields that it does not have.
pub(super) fn encode<'a>(
    request: &'a EmbeddingRequest,
    model: &'a str,
) -> (RequestJson<'a>, Vec<Field>) {
    // Whom `base64` is for is decided where the response is encoded.
    let EmbeddingRequest { inputs, dimensions, base64: _, purpose, user, unmapped_fields: _ } =
        request;
    let input = |it: &'a EmbeddingInput| match it {
        EmbeddingInput::Text(text) => Input::Text(text),
        EmbeddingInput::Tokens(tokens) => Input::Tokens(tokens),
    };
    let encode = RequestJson {
        model,
        input: inputs.iter().map(input).collect(),
        dimensions: *dimensions,
        // Numbers, because not every provider of this format knows base64.
        encoding_format: "float",
        user: user.as_deref(),
    };
    (encode, purpose.iter().map(|_| Field::EmbeddingPurpose).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(base64: bool) -> String {
        let vectors = EmbeddingResponse { vectors: vec![vec![1.0, -2.5], vec![0.1]], base64 };
        let usage = Usage { input: 7, ..Usage::default() };
        String::from_utf8(encode_response(&vectors, "m", Some(&usage)).to_vec()).unwrap()
    }

    #[test]
    fn numbers_are_written_as_requested() {
        let list = |one: &str, two: &str| {
            format!(
                r#"{{"object":"list","data":[{{"object":"embedding","index":0,"embedding":{one}}},{{"object":"embedding","index":1,"embedding":{two}}}],"model":"m","usage":{{"prompt_tokens":7,"total_tokens":7}}}}"#
            )
        };
        assert_eq!(written(false), list("[1.0,-2.5]", "[0.1]"));
        assert_eq!(written(true), list(r#""AACAPwAAIMA=""#, r#""zczMPQ==""#));
    }

    #[test]
    fn vectors_stand_in_the_order_of_their_texts() {
        let data = r#"[{"index":1,"embedding":[2]},{"index":0,"embedding":[1.5]}]"#;
        let found = vectors(serde_json::from_str(data).unwrap()).unwrap();
        assert_eq!(found.vectors, [vec![1.5], vec![2.0]]);
    }

    #[test]
    fn vectors_in_base64_are_read_too() {
        let data = r#"[{"index":0,"embedding":"AACAPwAAIMA="}]"#;
        let found = vectors(serde_json::from_str(data).unwrap()).unwrap();
        assert_eq!(found.vectors, [vec![1.0, -2.5]]);
    }

    #[test]
    fn a_usage_without_counts_is_none() {
        for json in ["null", "{}", r#"{"prompt_tokens":"many"}"#] {
            assert_eq!(usage(serde_json::from_str(json).unwrap()), None, "{json}");
        }
    }
}
