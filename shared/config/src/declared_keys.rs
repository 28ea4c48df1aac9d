//! Keys of declared tenants: their text or hash, a name, and when they end.

use tenants::KeyHash;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    SecretSource,
    keys::{Key, Keys, Takes},
    node::{Node, Value},
    provider::secret,
    read::{Rules, claim},
    reader::{Fields, Reader},
    secrets::Place,
    write::{Map, WriteSecret, Written, text},
};

/// What the hash of a key begins with.
const HASH_PREFIX: &str = "sha256:";
pub(super) const KEY: Keys = Keys {
    of: "a key",
    keys: &[
        Key::required("key", Takes::Text, "the key, or `sha256:` and the hash"),
        Key::new("name", Takes::Text, "", "a name for you"),
        Key::new(
            "expires",
            Takes::Text,
            "never",
            "from when on it does not work: `2027-01-31` or `2027-01-31T18:00:00Z`",
        ),
    ],
};

/// A key of a declared tenant.
#[derive(Clone, Debug)]
pub struct DeclaredKey {
    /// The key, or its hash.
    pub source: KeySource,
    /// A name for the operator.
    pub name: Option<String>,
    /// From when on the key does not work any more, in seconds since 1970. Absent: never.
    pub expires: Option<u64>,
}

/// What the configuration knows of a client's key.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// The key itself, or where it is kept.
    Secret(SecretSource),
    /// The SHA-256 of the key, written `sha256:` and 64 hexadecimal digits.
    Hash(KeyHash),
}

impl DeclaredKey {
    /// The key, unless only its hash is known.
    pub fn secret(&self) -> Option<&SecretSource> {
        match &self.source {
            KeySource::Secret(source) => Some(source),
            KeySource::Hash(_) => None,
        }
    }

    /// Writes a key: a mapping where more than the key itself is known.
    pub(super) fn write(&self, place: &Place, secret: WriteSecret<'_>) -> Written {
        let key = match &self.source {
            KeySource::Secret(source) => secret(place, source),
            KeySource::Hash(hash) => Written::Text(format!("{HASH_PREFIX}{}", hash.as_str())),
        };
        // The short form keeps a file that was exported as short as its operator wrote it.
        if self.name.is_none() && self.expires.is_none() {
            return key;
        }
        let mut map = Map::default();
        map.put("key", key);
        map.some("name", self.name.as_ref().map(text));
        map.some("expires", self.expires.and_then(write_moment));
        Written::Map(map.0)
    }
}

/// Reads the key of the tenant `default`.
pub(super) fn gateway_key(
    rules: &mut Rules<'_>,
    reader: &mut Reader<'_>,
    node: &Node<'_>,
) -> Option<SecretSource> {
    let source = secret(reader, node)?;
    claim_key(rules, reader, node, &source);
    Some(source)
}

/// The one key or the several of a tenant.
pub(super) fn keys(
    rules: &mut Rules<'_>,
    reader: &mut Reader<'_>,
    fields: Fields<'_>,
) -> Vec<DeclaredKey> {
    // Both forms are read before they are judged, so that errors within either are listed too.
    let one = reader.optional(fields, "api_key", |it, node| declared_key(rules, it, node));
    let several = reader.list(fields, "api_keys", |it, node| declared_key(rules, it, node));
    let (has_one, node) = (fields.get("api_key").is_some(), fields.get("api_keys"));
    let (at, message) = match node {
        Some(node) if has_one => (node.at, "stands beside api_key; keep one of the two"),
        Some(Node { at, value: Value::List(items), .. }) if items.is_empty() => {
            (*at, "is empty; give a key, or remove the line")
        }
        None if !has_one => (fields.at, "is missing; a tenant has at least one key"),
        Some(_) | None => return one.flatten().into_iter().chain(several).collect(),
    };
    let key = if node.is_some() { "api_keys" } else { "api_key" };
    reader.inside(key, |reader| reader.report(at, message));
    vec![]
}

fn declared_key(
    rules: &mut Rules<'_>,
    reader: &mut Reader<'_>,
    node: &Node<'_>,
) -> Option<DeclaredKey> {
    if !matches!(node.value, Value::Map(_)) {
        let source = key_source(rules, reader, node)?;
        return Some(DeclaredKey { source, name: None, expires: None });
    }
    let fields = reader.fields(node, &KEY)?;
    let source = reader.required(fields, "key", |it, node| key_source(rules, it, node));
    let name = reader.optional(fields, "name", Reader::text);
    let expires = reader.optional(fields, "expires", moment).flatten();
    Some(DeclaredKey { source: source?, name, expires })
}

fn key_source(
    rules: &mut Rules<'_>,
    reader: &mut Reader<'_>,
    node: &Node<'_>,
) -> Option<KeySource> {
    let source = secret(reader, node)?;
    // A hash may not come from a parameter: whether it is one decides how it is kept, before
    // loading.
    let SecretSource::Value { value, .. } = &source else {
        return Some(KeySource::Secret(source));
    };
    let Some(digits) = value.expose().strip_prefix(HASH_PREFIX) else {
        // Keys are compared as hashes, so that a key and the hash of the same key collide.
        claim_key(rules, reader, node, &source);
        return Some(KeySource::Secret(source));
    };
    let Some(hash) = KeyHash::parse(digits) else {
        reader.report(node.at, "after `sha256:` come the 64 hexadecimal digits of a hash");
        return None;
    };
    // Two tenants with one key could not be told apart when a client shows it.
    claim(&mut rules.keys, reader, hash.as_str(), node.at);
    Some(KeySource::Hash(hash))
}

/// Notes that a key is taken, or that another tenant has it already.
fn claim_key(
    rules: &mut Rules<'_>,
    reader: &mut Reader<'_>,
    node: &Node<'_>,
    source: &SecretSource,
) {
    if let SecretSource::Value { value, .. } = source {
        let hash = KeyHash::of(value.expose());
        claim(&mut rules.keys, reader, hash.as_str(), node.at);
    }
}

/// A date (its first second, UTC) or a date and time, in seconds since 1970.
fn moment(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<u64> {
    let text = reader.text(node);
    // Shorter than RFC 3339, and what people write; the first second of the day, in UTC.
    let whole = if text.len() == "2027-01-31".len() { format!("{text}T00:00:00Z") } else { text };
    let moment = OffsetDateTime::parse(&whole, &Rfc3339).ok();
    let seconds = moment.and_then(|it| u64::try_from(it.unix_timestamp()).ok());
    if seconds.is_none() {
        reader.report(node.at, "is no date: write 2027-01-31, or 2027-01-31T18:00:00Z");
    }
    seconds
}

fn write_moment(seconds: u64) -> Option<Written> {
    let moment = OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).ok()?).ok()?;
    let written = moment.format(&Rfc3339).ok()?;
    // Written as it may have been read; both forms mean the same second.
    Some(text(&written.strip_suffix("T00:00:00Z").unwrap_or(&written)))
}
