//! Conditions under which a step of a route is for a request.

use std::collections::BTreeMap;

use super::{
    keys::{Key, Keys, Takes},
    node::Node,
    reader::{Fields, Reader},
    values,
    write::{Map, Written, bare, text},
};

pub(super) const WHEN: Keys = Keys {
    of: "when",
    keys: &[
        Key::new("stream", Takes::Flag, "either", "whether the request asks for a stream"),
        Key::new("tools", Takes::Flag, "either", "whether it brings tools"),
        Key::new("images", Takes::Flag, "either", "whether it holds images"),
        Key::new(
            "schema",
            Takes::Flag,
            "either",
            "whether it asks for JSON, with a schema or without",
        ),
        Key::new(
            "min_input_tokens",
            Takes::Whole(0, MAX_TOKENS),
            "none",
            "the fewest input tokens, by the gateway's estimate",
        ),
        Key::new(
            "max_input_tokens",
            Takes::Whole(0, MAX_TOKENS),
            "none",
            "the most input tokens, by the gateway's estimate",
        ),
        Key::new(
            "tag",
            Takes::Texts,
            "none",
            "tags of the tenant, and the text that each has to have",
        ),
        Key::new(
            "header",
            Takes::Texts,
            "none",
            "headers of the request, and the text that each has to have",
        ),
    ],
};
const MAX_TOKENS: u64 = 1_000_000_000;

/// Conditions on a request, all of which have to hold. An absent one always holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct When {
    /// Whether the request asks for a stream.
    pub stream: Option<bool>,
    /// Whether the request brings tools.
    pub tools: Option<bool>,
    /// Whether the request holds images.
    pub images: Option<bool>,
    /// Whether the request asks for JSON, with a schema or without.
    pub schema: Option<bool>,
    /// The fewest input tokens, by the gateway's own estimate.
    pub min_input_tokens: Option<u64>,
    /// The most input tokens, by the gateway's own estimate.
    pub max_input_tokens: Option<u64>,
    /// Tags of the tenant, and the text that each has to have.
    pub tags: BTreeMap<String, String>,
    /// Headers of the request, in lower case, and the text that each has to have.
    pub headers: BTreeMap<String, String>,
}

impl When {
    /// Whether every request fulfils the conditions.
    pub fn is_always(&self) -> bool {
        *self == Self::default()
    }
}

pub(super) fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<When> {
    let fields = reader.fields(node, &WHEN)?;
    let flag = |reader: &mut Reader<'_>, key| reader.optional(fields, key, Reader::flag);
    let tokens = |reader: &mut Reader<'_>, key| reader.count(fields, key);
    let when = When {
        stream: flag(reader, "stream"),
        tools: flag(reader, "tools"),
        images: flag(reader, "images"),
        schema: flag(reader, "schema"),
        min_input_tokens: tokens(reader, "min_input_tokens"),
        max_input_tokens: tokens(reader, "max_input_tokens"),
        tags: reader.optional(fields, "tag", texts).unwrap_or_default(),
        headers: reader.optional(fields, "header", headers).unwrap_or_default(),
    };
    check_tokens(reader, fields, &when);
    Some(when)
}

fn check_tokens(reader: &mut Reader<'_>, fields: Fields<'_>, when: &When) {
    let Some(node) = fields.get("max_input_tokens") else { return };
    if when.min_input_tokens.zip(when.max_input_tokens).is_some_and(|(min, max)| max < min) {
        let message = "is less than min_input_tokens, so that no request would fit";
        reader.inside("max_input_tokens", |reader| reader.report(node.at, message));
    }
}

fn texts(reader: &mut Reader<'_>, node: &Node<'_>) -> BTreeMap<String, String> {
    let Some(fields) = reader.map(node) else { return BTreeMap::new() };
    let entries = fields.entries.iter().filter_map(|(key, _)| {
        let value = reader.optional(fields, &key.text, Reader::text)?;
        Some((key.text.to_string(), value))
    });
    entries.collect()
}

fn headers(reader: &mut Reader<'_>, node: &Node<'_>) -> BTreeMap<String, String> {
    let Some(fields) = reader.map(node) else { return BTreeMap::new() };
    for (key, _) in fields.entries {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if key.text.is_empty() || !key.text.bytes().all(fits) {
            reader.inside(&key.text, |reader| reader.report(key.at, "is not a header's name"));
        // Conditions are kept and shown in the clear, which no key may be.
        } else if values::is_key_header(&key.text) {
            let message = "carries a key, which decides nothing here; use another header";
            reader.inside(&key.text, |reader| reader.report(key.at, message));
        }
    }
    // Header names arrive in lower case.
    let lower = |(name, value): (String, String)| (name.to_ascii_lowercase(), value);
    texts(reader, node).into_iter().map(lower).collect()
}

pub(super) fn write(it: &When) -> Option<Written> {
    let entries = |texts: &BTreeMap<String, String>| {
        Written::Map(texts.iter().map(|(name, value)| (name.clone(), text(value))).collect())
    };
    let mut map = Map::default();
    map.some("stream", it.stream.as_ref().map(bare));
    map.some("tools", it.tools.as_ref().map(bare));
    map.some("images", it.images.as_ref().map(bare));
    map.some("schema", it.schema.as_ref().map(bare));
    map.some("min_input_tokens", it.min_input_tokens.as_ref().map(bare));
    map.some("max_input_tokens", it.max_input_tokens.as_ref().map(bare));
    map.unless("tag", it.tags.is_empty(), entries(&it.tags));
    map.unless("header", it.headers.is_empty(), entries(&it.headers));
    map.section()
}
