//! Vectors of a response that passes through, in the encoding that its request names.
//!
//! OpenAI's SDKs ask for base64 by themselves, and the one for Node.js decodes whatever comes as
//! base64; not every provider knows it.

use std::{borrow::Cow, ops::Range};

use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::Bytes;
use canonical::{Error, ErrorKind, Result};
use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{request_decode, wire};
use crate::{GatewayRequest, RawObject, json};

/// Members by which a request asks for vectors that are no lists of numbers, of Jina and Voyage.
const OTHER_ENCODINGS: &[&str] = &["embedding_type", "output_dtype"];

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow, default)]
    embedding: Option<&'a RawValue>,
}

/// The response with its vectors as the request wants them. All other bytes are kept.
pub(super) fn as_requested(body: Bytes, request: &GatewayRequest) -> Result<Bytes> {
    let base64 = request_decode::wants_base64(&request.raw)?;
    let is_fine = |first| if base64 { first == b'"' } else { first == b'[' };
    // A look at the first vector instead of reading millions of numbers. The encoding of all of
    // them is the same.
    if first_of_vectors(&body).is_some_and(is_fine) || (!base64 && asks_otherwise(&request.raw)) {
        return Ok(body);
    }
    let changes = changes(&body, base64)?;
    if changes.is_empty() {
        return Ok(body);
    }

    let added: usize = changes.iter().map(|it| it.1.len()).sum();
    let mut fitted = Vec::with_capacity(body.len() + added);
    let mut at = 0;
    for (place, vector) in changes {
        fitted.extend_from_slice(body.get(at..place.start).unwrap_or_default());
        fitted.extend_from_slice(vector.as_bytes());
        at = place.end;
    }
    fitted.extend_from_slice(body.get(at..).unwrap_or_default());
    Ok(fitted.into())
}

/// The first byte of the first vector of a response.
fn first_of_vectors(body: &[u8]) -> Option<u8> {
    let name = b"\"embedding\"";
    memmem::find_iter(body, name).find_map(|at| {
        // `"object": "embedding"` is a value, with no colon behind it.
        let behind = body.get(at + name.len()..)?.trim_ascii_start();
        behind.strip_prefix(b":")?.trim_ascii_start().first().copied()
    })
}

fn asks_otherwise(raw: &RawObject) -> bool {
    let is_other = |name: &str| OTHER_ENCODINGS.contains(&name);
    raw.members.iter().any(|it| is_other(&json::name_of(&raw.body, it)))
}

/// The places of the vectors that have another encoding, each with the vector as it has to be.
fn changes(body: &Bytes, base64: bool) -> Result<Vec<(Range<usize>, String)>> {
    let response: wire::ResponseJson<'_> =
        serde_json::from_slice(body).map_err(|it| wire::unreadable(&it))?;
    let data = response.data.map_or("[]", RawValue::get);
    let items: Vec<Item<'_>> = serde_json::from_str(data).map_err(|it| wire::unreadable(&it))?;
    let mut changes = vec![];
    for value in items.into_iter().filter_map(|it| it.embedding) {
        if let Some(vector) = changed(value.get(), base64)? {
            // A `RawValue` borrows from the body, so that the difference of addresses is its place.
            let start = value.get().as_ptr() as usize - body.as_ptr() as usize;
            changes.push((start..start + value.get().len(), vector));
        }
    }
    Ok(changes)
}

/// A vector in the other encoding; none where it has the right one, or is no list of numbers.
fn changed(vector: &str, base64: bool) -> Result<Option<String>> {
    if base64 {
        // Several vectors of one text are a list of lists, for which base64 has no form.
        let numbers: Option<Vec<f32>> = serde_json::from_str(vector).ok();
        return Ok(numbers.map(|it| json::quoted(&as_base64(&it))));
    }
    if !vector.starts_with('"') {
        return Ok(None);
    }
    numbers(vector).map(|it| Some(json::quoted(&it)))
}

/// Numbers in base64: little-endian, as OpenAI's SDK decodes them (`numpy.frombuffer` with
/// `float32`).
pub(super) fn as_base64(numbers: &[f32]) -> String {
    let bytes: Vec<u8> = numbers.iter().flat_map(|it| it.to_le_bytes()).collect();
    BASE64_STANDARD.encode(bytes)
}

/// The numbers of a vector, which some providers write in base64 whatever the request asks for.
pub(super) fn numbers(vector: &str) -> Result<Vec<f32>> {
    if !vector.starts_with('"') {
        return serde_json::from_str(vector).map_err(|it| wire::unreadable(&it));
    }
    let text: Cow<'_, str> = serde_json::from_str(vector).map_err(|it| wire::unreadable(&it))?;
    let broken = || {
        let message = "returned a vector that is neither numbers nor numbers in base64";
        Error::new(ErrorKind::Upstream, message)
    };
    let bytes =
        BASE64_STANDARD.decode(text.as_bytes()).map_err(|error| broken().caused_by(error))?;
    let (numbers, []) = bytes.as_chunks() else { return Err(broken()) };
    Ok(numbers.iter().map(|it| f32::from_le_bytes(*it)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Inbound, openai::embeddings::OpenAiEmbeddings};

    const NUMBERS: &str = r#"{ "data":[{"object":"embedding","index":0,"embedding" : [1.0, -2.5]},
        {"embedding":[0.1],"index":1}],"model":"m","vendor":1e400}"#;
    const BASE64: &str = r#"{"data":[{"object":"embedding","embedding":"AACAPwAAIMA="}]}"#;

    fn fitted(request: &str, body: &'static str) -> Result<String> {
        let request = format!(r#"{{"input":["a","b"]{request}}}"#);
        let request = OpenAiEmbeddings.decode(request.into()).unwrap();
        as_requested(Bytes::from_static(body.as_bytes()), &request)
            .map(|it| String::from_utf8(it.to_vec()).unwrap())
    }

    #[test]
    fn numbers_become_base64_where_it_was_requested() {
        let expected = NUMBERS.replace("[1.0, -2.5]", r#""AACAPwAAIMA=""#);
        let expected = expected.replace("[0.1]", r#""zczMPQ==""#);
        assert_eq!(fitted(r#","encoding_format":"base64""#, NUMBERS).unwrap(), expected);
    }

    #[test]
    fn base64_becomes_numbers_where_it_was_not_requested() {
        let expected = BASE64.replace(r#""AACAPwAAIMA=""#, "[1.0,-2.5]");
        for request in ["", r#","encoding_format":"float""#, r#","encoding_format":null"#] {
            assert_eq!(fitted(request, BASE64).unwrap(), expected, "{request}");
        }
    }

    #[test]
    fn vectors_as_requested_keep_their_bytes() {
        for (request, body) in [
            ("", NUMBERS),
            (r#","encoding_format":"base64""#, BASE64),
            (r#","embedding_type":"base64""#, BASE64),
            (r#","encoding_format":"base64""#, r#"{"data":[{"embedding":[[1.0],[2.0]]}]}"#),
            ("", r#"{"data":[{"embedding":{"vendor":[1]}}]}"#),
        ] {
            assert_eq!(fitted(request, body).unwrap(), body);
        }
    }

    #[test]
    fn what_stands_for_no_numbers_is_an_error() {
        for body in [r#"{"data":[{"embedding":"AACA"}]}"#, r#"{"data":[{"embedding":"no!"}]}"#] {
            assert_eq!(fitted("", body).unwrap_err().kind, ErrorKind::Upstream, "{body}");
        }
    }
}
