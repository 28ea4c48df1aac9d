//! Tenants that the configuration declares: their settings and their keys.
//!
//! What a setting may be is decided by `tenants`, for the admin API too; here it gets its place.

use serde_json::{Map, Value as Json};
use tenants::{DEFAULT_TENANT, KeyHash, TenantSettings};

use super::{
    SecretSource,
    node::{Node, Style, Value},
    provider::secret,
    read::{Rules, claim},
    reader::{Fields, Keys, Reader},
    values,
};

/// What the hash of a key begins with.
pub(super) const HASH_PREFIX: &str = "sha256:";
/// How many characters a key has that nobody can guess.
const MIN_KEY_CHARS: usize = 16;

const TENANT: Keys = Keys {
    of: "a tenant",
    known: &[
        "name",
        "api_key",
        "api_keys",
        "enabled",
        "rate_limit_rpm",
        "requests_per_hour",
        "requests_per_day",
        "allowed_models",
        "default_model",
    ],
    later: tenants::UNSUPPORTED_FIELDS,
};
/// Fields whose values are numbers.
const NUMBERS: [&str; 3] = ["rate_limit_rpm", "requests_per_hour", "requests_per_day"];
/// Fields whose values are true or false.
const FLAGS: [&str; 1] = ["enabled"];
/// Fields that hold keys, which are no settings.
const KEY_FIELDS: [&str; 2] = ["api_key", "api_keys"];

/// A tenant that the configuration declares.
#[derive(Clone, Debug)]
pub struct DeclaredTenant {
    /// What the operator set. The name is the tenant's id too.
    pub settings: TenantSettings,
    /// The tenant's keys; at least one.
    pub keys: Vec<DeclaredKey>,
}

/// A key of a declared tenant.
#[derive(Clone, Debug)]
pub enum DeclaredKey {
    /// The key itself, or where it is kept.
    Secret(SecretSource),
    /// Its SHA-256, written `sha256:` and 64 hexadecimal digits.
    Hash(KeyHash),
}

impl DeclaredTenant {
    /// The keys that must not be seen.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretSource> {
        self.keys.iter().filter_map(DeclaredKey::secret)
    }
}

impl DeclaredKey {
    /// The key, unless only its hash is known.
    pub fn secret(&self) -> Option<&SecretSource> {
        match self {
            Self::Secret(source) => Some(source),
            Self::Hash(_) => None,
        }
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

/// Reads one declared tenant.
pub(super) fn tenant(
    rules: &mut Rules<'_>,
    reader: &mut Reader<'_>,
    node: &Node<'_>,
) -> Option<DeclaredTenant> {
    let fields = reader.fields(node, &TENANT)?;
    let name = reader.required(fields, "name", |reader, node| {
        let name = reader.checked_text(node, tenant_name);
        claim(&mut rules.tenants, reader, &name, node.at);
        name
    });
    let keys = keys(rules, reader, fields);
    check_models(rules, reader, fields);

    let mut object = Map::new();
    let is_setting = |key: &str| TENANT.known.contains(&key) && !KEY_FIELDS.contains(&key);
    for (key, node) in fields.entries.iter().filter(|(key, _)| is_setting(&key.text)) {
        let value = reader.inside(&key.text, |reader| json(reader, &key.text, node));
        object.extend(value.map(|value| (key.text.to_string(), value)));
    }
    // A name that cannot be one is complained of already.
    let is_named = !name.is_empty();
    object.insert("name".to_owned(), Json::from(if is_named { &*name } else { "unnamed" }));
    match TenantSettings::from_json(object) {
        Ok(settings) => Some(DeclaredTenant { settings, keys }),
        Err(errors) => {
            for error in errors {
                let at = fields.get(&error.field).map_or(fields.at, |node| node.at);
                let message = error.message.trim_end_matches('.');
                let message = message.strip_prefix("This ").unwrap_or(message);
                reader.inside(&error.field, |reader| reader.fault(at, message));
            }
            None
        }
    }
}

fn tenant_name(text: &str) -> Result<(), &'static str> {
    if text == DEFAULT_TENANT {
        return Err("is the tenant of the gateway's own api_key; choose another name");
    }
    values::provider_name(text)
}

/// The one key or the several of a tenant.
fn keys(rules: &mut Rules<'_>, reader: &mut Reader<'_>, fields: Fields<'_>) -> Vec<DeclaredKey> {
    let one = reader.optional(fields, "api_key", |it, node| declared_key(rules, it, node));
    let several = reader.list(fields, "api_keys", |it, node| declared_key(rules, it, node));
    let (has_one, node) = (fields.get("api_key").is_some(), fields.get("api_keys"));
    let (at, message) = match node {
        Some(node) if has_one => (node.at, "stands beside api_key; keep one of the two"),
        Some(Node { at, value: Value::List(items) }) if items.is_empty() => {
            (*at, "is empty; give a key, or remove the line")
        }
        None if !has_one => (fields.at, "is missing; a tenant has at least one key"),
        Some(_) | None => return one.flatten().into_iter().chain(several).collect(),
    };
    let key = if node.is_some() { "api_keys" } else { "api_key" };
    reader.inside(key, |reader| reader.fault(at, message));
    vec![]
}

fn declared_key(
    rules: &mut Rules<'_>,
    reader: &mut Reader<'_>,
    node: &Node<'_>,
) -> Option<DeclaredKey> {
    let source = secret(reader, node)?;
    let SecretSource::Value { value, .. } = &source else {
        return Some(DeclaredKey::Secret(source));
    };
    let Some(digits) = value.expose().strip_prefix(HASH_PREFIX) else {
        claim_key(rules, reader, node, &source);
        return Some(DeclaredKey::Secret(source));
    };
    let Some(hash) = KeyHash::parse(digits) else {
        reader.fault(node.at, "after `sha256:` come the 64 hexadecimal digits of a hash");
        return None;
    };
    claim(&mut rules.keys, reader, hash.as_str(), node.at);
    Some(DeclaredKey::Hash(hash))
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

/// Whether the models of a tenant are served.
fn check_models(rules: &Rules<'_>, reader: &mut Reader<'_>, fields: Fields<'_>) {
    reader.optional(fields, "default_model", |it, node| rules.served_model(it, node));
}

/// A value as JSON; its field says which type a scalar has.
fn json(reader: &mut Reader<'_>, field: &str, node: &Node<'_>) -> Option<Json> {
    match &node.value {
        Value::List(items) => {
            let items = items.iter().map(|item| json(reader, field, item));
            Some(Json::Array(items.collect::<Option<_>>()?))
        }
        Value::Map(_) => {
            reader.fault(node.at, "takes a value or a list, not a mapping");
            None
        }
        Value::Scalar { .. } => {
            let scalar = reader.present(node, |reader, node| reader.scalar(node)).flatten()?;
            let text = || Some(Json::from(&*scalar.text));
            if scalar.style == Style::Quoted {
                return text();
            }
            if NUMBERS.contains(&field) {
                return serde_json::from_str(&scalar.text).ok().map(Json::Number).or_else(text);
            }
            match &*scalar.text {
                "true" | "false" if FLAGS.contains(&field) => {
                    Some(Json::from(scalar.text == "true"))
                }
                _ => text(),
            }
        }
    }
}

/// What is risky about the keys of clients: each key's place and the warning.
pub(super) fn key_warnings(config: &super::Config) -> Vec<String> {
    let gateway = config.api_key.iter().map(|key| ("api_key".to_owned(), key));
    let declared = config.tenants.iter().flat_map(|tenant| {
        let place = format!("the key of tenant {}", tenant.settings.name);
        tenant.secrets().map(move |key| (place.clone(), key))
    });
    let mut warnings = vec![];
    for (place, source) in gateway.chain(declared) {
        let SecretSource::Value { value, .. } = source else { continue };
        let chars = value.expose().chars().count();
        if chars < MIN_KEY_CHARS {
            warnings.push(format!(
                "{place} has {chars} characters and can be guessed; use at least {MIN_KEY_CHARS}, \
                 such as those that `openssl rand -hex 32` prints"
            ));
        }
    }
    warnings
}

#[cfg(test)]
mod tests;
