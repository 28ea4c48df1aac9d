//! Requests of clients: checked before they pass through, decoded in full for other formats.

use std::borrow::Cow;

use canonical::{
    CanonicalRequest, EmbeddingInput, EmbeddingPurpose, EmbeddingRequest, Error, ErrorKind, Result,
};
use serde_json::value::RawValue;

use crate::{RawObject, json};

/// The forms of `input`.
const WANTED: &str = "a text, a list of texts, a list of tokens or a list of token lists";
/// Members that are read here, or say nothing about the texts.
const KNOWN: &[&str] = &["dimensions", "encoding_format", "input", "input_type", "model", "user"];

/// Refuses what no provider could take. The texts themselves are not read.
pub(super) fn check(raw: &RawObject) -> Result<()> {
    // Before a provider is called, because each refuses them in other words, or takes an object for
    // a text.
    items(raw)?;
    dimensions(raw)?;
    wants_base64(raw)?;
    user(raw).map(drop)
}

/// Decodes a request for a provider of another format.
pub(super) fn decode(raw: &RawObject) -> Result<CanonicalRequest> {
    let inputs = match items(raw)? {
        Items::One(text) => vec![EmbeddingInput::Text(json::parsed_text(text, "input", "a text")?)],
        Items::Tokens(list) => vec![EmbeddingInput::Tokens(tokens(list, "input")?)],
        Items::Many(list) => list
            .iter()
            .enumerate()
            .map(|(at, item)| input(item.get(), at))
            .collect::<Result<_>>()?,
    };
    let members = json::object(raw)?;
    let unknown = members.present().map(|it| it.0).filter(|it| !KNOWN.contains(it));
    let mut other: Vec<String> = unknown.map(str::to_owned).collect();
    let named: Option<Cow<'_, str>> = json::read(raw, "input_type", "a string")?;
    let purpose = named.as_deref().and_then(purpose);
    // A word that is not known is named, rather than taken for another purpose.
    if named.is_some() && purpose.is_none() {
        other.push("input_type".to_owned());
    }
    Ok(CanonicalRequest::Embedding(EmbeddingRequest {
        inputs,
        dimensions: dimensions(raw)?,
        base64: wants_base64(raw)?,
        purpose,
        user: user(raw)?,
        unmapped_fields: other,
    }))
}

/// The texts as they stand in the body.
enum Items<'a> {
    /// One text, which is no list.
    One(&'a str),
    /// One text as tokens: the list of them.
    Tokens(&'a str),
    /// A list of texts or of token lists.
    Many(Vec<&'a RawValue>),
}

/// The type of a JSON text, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    Text,
    Number,
    List,
    Object,
    Other,
}

impl Shape {
    fn of(json: &str) -> Self {
        match json.as_bytes().first() {
            Some(b'"') => Self::Text,
            Some(b'0'..=b'9' | b'-') => Self::Number,
            Some(b'[') => Self::List,
            Some(b'{') => Self::Object,
            _ => Self::Other,
        }
    }
}

fn items(raw: &RawObject) -> Result<Items<'_>> {
    let member = json::find(raw, "input")?.map(|it| json::text(&raw.body, &it.value));
    let Some(text) = member.filter(|it| *it != "null") else {
        return Err(Error::invalid("input", format!("`input` is missing; it must be {WANTED}.")));
    };
    match Shape::of(text) {
        Shape::Text => return Ok(Items::One(text)),
        Shape::List => {}
        Shape::Number | Shape::Object | Shape::Other => {
            return Err(Error::invalid("input", format!("`input` must be {WANTED}.")));
        }
    }
    let list: Vec<&RawValue> = json::parsed_text(text, "input", WANTED)?;
    let Some(first) = list.first().map(|it| Shape::of(it.get())) else {
        return Err(Error::invalid("input", "`input` is empty; at least one text is needed."));
    };
    let differs = |it: &&RawValue| Shape::of(it.get()) != first;
    let odd = if first == Shape::Other { Some(0) } else { list.iter().position(differs) };
    if let Some(at) = odd {
        let message = format!("`input[{at}]` does not fit: `input` must be {WANTED}.");
        return Err(Error::invalid(&format!("input[{at}]"), message));
    }
    match first {
        // Parsed to be checked: `[1.5]` and `[1, "a"]` begin like tokens.
        Shape::Number => tokens(text, "input").map(|_| Items::Tokens(text)),
        _ => Ok(Items::Many(list)),
    }
}

fn input(json: &str, at: usize) -> Result<EmbeddingInput> {
    let name = format!("input[{at}]");
    match Shape::of(json) {
        Shape::Text => Ok(EmbeddingInput::Text(json::parsed_text(json, &name, "a text")?)),
        Shape::List => Ok(EmbeddingInput::Tokens(tokens(json, &name)?)),
        Shape::Number | Shape::Object | Shape::Other => {
            let message = "objects in `input` are not known to its API; send texts";
            let mut error = Error::new(ErrorKind::Unsupported, message);
            error.param = Some(name);
            Err(error)
        }
    }
}

fn tokens(json: &str, name: &str) -> Result<Vec<u64>> {
    json::parsed_text(json, name, "a list of tokens, which are whole numbers")
}

fn dimensions(raw: &RawObject) -> Result<Option<u64>> {
    let wanted = "a whole number above 0";
    let dimensions = json::read(raw, "dimensions", wanted)?;
    if dimensions == Some(0) {
        return Err(Error::invalid("dimensions", format!("`dimensions` must be {wanted}.")));
    }
    Ok(dimensions)
}

/// Whether vectors are wanted in base64 rather than as numbers.
pub(super) fn wants_base64(raw: &RawObject) -> Result<bool> {
    let wanted = "`float` or `base64`";
    let format: Option<Cow<'_, str>> = json::read(raw, "encoding_format", wanted)?;
    match format.as_deref() {
        None | Some("float") => Ok(false),
        Some("base64") => Ok(true),
        Some(_) => {
            let message = format!("`encoding_format` must be {wanted}.");
            Err(Error::invalid("encoding_format", message))
        }
    }
}

fn user(raw: &RawObject) -> Result<Option<String>> {
    json::read(raw, "user", "a string")
}

/// The name of a purpose at providers that accept one in this format.
fn purpose(word: &str) -> Option<EmbeddingPurpose> {
    match word {
        "document" | "passage" | "search_document" => Some(EmbeddingPurpose::Document),
        "query" | "search_query" => Some(EmbeddingPurpose::Query),
        "classification" => Some(EmbeddingPurpose::Classification),
        "clustering" => Some(EmbeddingPurpose::Clustering),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn raw(json: &str) -> RawObject {
        json::members(Bytes::copy_from_slice(json.as_bytes())).unwrap()
    }

    fn embedding(json: &str) -> EmbeddingRequest {
        check(&raw(json)).unwrap();
        decode(&raw(json)).unwrap().embedding().unwrap().clone()
    }

    fn inputs(json: &str) -> Vec<EmbeddingInput> {
        embedding(&format!("{{\"input\":{json}}}")).inputs
    }

    fn refused(json: &str) -> Error {
        check(&raw(json)).unwrap_err()
    }

    #[test]
    fn an_input_has_four_forms() {
        let text = |it: &str| EmbeddingInput::Text(it.to_owned());
        assert_eq!(inputs(r#""a\n""#), [text("a\n")]);
        assert_eq!(inputs(r#"["a", ""]"#), [text("a"), text("")]);
        assert_eq!(inputs("[1, 2]"), [EmbeddingInput::Tokens(vec![1, 2])]);
        let lists = [EmbeddingInput::Tokens(vec![1]), EmbeddingInput::Tokens(vec![2, 3])];
        assert_eq!(inputs("[[1],[2,3]]"), lists);
    }

    #[test]
    fn another_form_is_refused_by_its_name() {
        for (input, param) in [
            ("5", "input"),
            ("{}", "input"),
            ("true", "input"),
            ("null", "input"),
            ("[]", "input"),
            ("[1.5]", "input"),
            ("[-1]", "input"),
            ("[null]", "input[0]"),
            (r#"["a", 1]"#, "input[1]"),
            (r#"[[1], "a"]"#, "input[1]"),
        ] {
            let error = refused(&format!("{{\"input\":{input}}}"));
            assert_eq!(error.kind, ErrorKind::InvalidRequest, "{input}");
            assert_eq!(error.param.as_deref(), Some(param), "{input}");
        }
        assert!(refused("{}").message().contains("missing"));
    }

    #[test]
    fn what_only_some_providers_take_is_left_to_them() {
        let body = raw(r#"{"input":[{"text":"a"}]}"#);
        check(&body).unwrap();
        let error = decode(&body).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unsupported);
        assert_eq!(error.param.as_deref(), Some("input[0]"));
    }

    #[test]
    fn a_wrong_member_is_refused_by_its_name() {
        for (member, param) in [
            (r#""dimensions":0"#, "dimensions"),
            (r#""dimensions":"256""#, "dimensions"),
            (r#""encoding_format":"int8""#, "encoding_format"),
            (r#""user":5"#, "user"),
        ] {
            let error = refused(&format!("{{\"input\":\"a\",{member}}}"));
            assert_eq!(error.param.as_deref(), Some(param));
        }
    }

    #[test]
    fn every_member_is_decoded_or_named() {
        let decoded = embedding(
            r#"{"model":"m","input":"a","dimensions":256,"encoding_format":"base64","user":"u",
            "input_type":"passage","truncate":"END","priority":null}"#,
        );
        assert_eq!((decoded.dimensions, decoded.base64), (Some(256), true));
        assert_eq!(decoded.user.as_deref(), Some("u"));
        assert_eq!(decoded.purpose, Some(EmbeddingPurpose::Document));
        assert_eq!(decoded.unmapped_fields, ["truncate"]);
        assert_eq!(
            embedding(r#"{"input":"a","input_type":"image"}"#).unmapped_fields,
            ["input_type"]
        );
    }
}
