//! Tenants that the configuration declares: their settings and their keys.
//!
//! What a setting may be is decided by `tenants`, for the admin API too; here it gets its place.

use serde_json::{Map as JsonMap, Value as Json};
use tenants::{DEFAULT_TENANT, FieldError, TenantSettings, check_tenant_name};

use super::{
    SecretSource,
    cache::CACHE,
    declared_keys::{DeclaredKey, KEY, keys},
    error::Position,
    keys::{Key, Keys, Takes},
    node::{Node, Style, Value},
    provider::secret,
    read::{Rules, claim},
    reader::{Fields, Reader},
    secrets::{Place, tenant_key_place},
    values,
    write::{Entries, Map, WriteSecret, Written, bare, text},
};

/// How many characters a key has that nobody can guess.
const MIN_KEY_CHARS: usize = 16;

/// As much as every store can count to.
const MAX_COUNT: u64 = i64::MAX as u64;

pub(super) const TENANT: Keys = Keys {
    of: "a tenant",
    keys: &[
        Key::required(
            "name",
            Takes::Text,
            "letters, digits, `-`, `_`, `.`; `default` is the tenant of the `api_key` at the top",
        ),
        Key::new(
            "api_key",
            Takes::Text,
            "",
            "its key, or `sha256:` and the 64 hexadecimal digits of the key's hash",
        ),
        Key::new("api_keys", Takes::List(&Takes::TextOr(&KEY)), "", "or several of them"),
        Key::new("enabled", Takes::Flag, "`true`", "whether its keys work"),
        Key::new("key_prefix", Takes::Text, "`lg-`", "what its new keys begin with"),
        Key::new(
            "rate_limit_rpm",
            Takes::Whole(0, MAX_COUNT),
            "unlimited",
            "how many calls to models it may make in a minute; 0 is none, here and below",
        ),
        Key::new("requests_per_hour", Takes::Whole(0, MAX_COUNT), "unlimited", "in an hour"),
        Key::new("requests_per_day", Takes::Whole(0, MAX_COUNT), "unlimited", "in a day (UTC)"),
        Key::new(
            "daily_input_tokens",
            Takes::Whole(0, MAX_COUNT),
            "unlimited",
            "how many tokens it may send in a day (UTC)",
        ),
        Key::new(
            "daily_output_tokens",
            Takes::Whole(0, MAX_COUNT),
            "unlimited",
            "how many tokens it may get in a day (UTC)",
        ),
        Key::new(
            "max_input_tokens",
            Takes::Whole(0, MAX_COUNT),
            "unlimited",
            "how many tokens one request may have",
        ),
        Key::new(
            "max_output_tokens",
            Takes::Whole(0, MAX_COUNT),
            "unlimited",
            "how many tokens one response may have",
        ),
        Key::new(
            "max_concurrent",
            Takes::Whole(0, MAX_COUNT),
            "unlimited",
            "how many calls it may have at the same time",
        ),
        Key::new(
            "budget_usd",
            Takes::Money,
            "unlimited",
            "what it may spend in a period, in US dollars. A budget that is set within a period counts from then on",
        ),
        Key::new(
            "budget_period",
            Takes::Words(&["month", "day"]),
            "`month`",
            "`month` or `day` (UTC)",
        ),
        Key::new(
            "alert_levels",
            Takes::List(&Takes::Whole(1, 100)),
            "`[80, 95, 100]`",
            "the percentages of the budget at which an alert is sent",
        ),
        Key::new(
            "unpriced",
            Takes::Words(&["refuse", "allow"]),
            "`refuse`",
            "what happens to its calls of unknown price when it has a budget: `refuse` or `allow`",
        ),
        Key::new(
            "allowed_models",
            Takes::List(&Takes::Text),
            "all",
            "the names that it may put in `model`; `*` stands for any text",
        ),
        Key::new(
            "default_model",
            Takes::Text,
            "that at the top",
            "what serves a request of it that names no model",
        ),
        Key::new(
            "fallback_models",
            Takes::List(&Takes::Text),
            "none",
            "what is attempted, in order, when the requested model fails",
        ),
        Key::new("system_prompt", Takes::Text, "none", "a system prompt for its requests"),
        Key::new(
            "system_prompt_mode",
            Takes::Words(&["prepend", "locked"]),
            "`prepend`",
            "`prepend` puts it before the client's own, `locked` in its place. `/v1/completions` has no place for it: `prepend` leaves it out there, `locked` refuses the call",
        ),
        Key::new(
            "provider",
            Takes::Text,
            "",
            "the only provider of its calls: the name of one below, or a type with `provider_api_key` or `base_url`",
        ),
        Key::new("provider_api_key", Takes::Text, "", "the key of that provider"),
        Key::new("base_url", Takes::Text, "the provider's", "where that provider is reached"),
        Key::new(
            "tool_mode",
            Takes::Words(&["pass-through"]),
            "`pass-through`",
            "who runs tools: the client. The gateway has none of its own",
        ),
        Key::new(
            "cache",
            Takes::Mapping(&CACHE),
            "as at the top",
            "whether its responses are given again",
        ),
        Key::new("tags", Takes::Texts, "none", "labels, for records and for `when` in routes"),
    ],
};
/// Fields whose values, or whose lists' values, are numbers.
const NUMBERS: [&str; 10] = [
    "rate_limit_rpm",
    "requests_per_hour",
    "requests_per_day",
    "daily_input_tokens",
    "daily_output_tokens",
    "max_input_tokens",
    "max_output_tokens",
    "max_concurrent",
    "budget_usd",
    "alert_levels",
];
/// Fields whose values are true or false.
const FLAGS: [&str; 2] = ["enabled", "cache.enabled"];
/// Fields that hold secrets, which are no settings.
const SECRET_FIELDS: [&str; 3] = ["api_key", "api_keys", "provider_api_key"];

/// A tenant that the configuration declares.
#[derive(Clone, Debug)]
pub struct DeclaredTenant {
    /// What the operator set. The name is the tenant's id too.
    pub settings: TenantSettings,
    /// The tenant's keys; at least one.
    pub keys: Vec<DeclaredKey>,
    /// The key of the tenant's own provider, which the settings of a declared tenant never hold.
    pub provider_api_key: Option<SecretSource>,
}

impl DeclaredTenant {
    /// The keys of clients that must not be seen.
    fn client_secrets(&self) -> impl Iterator<Item = &SecretSource> {
        self.keys.iter().filter_map(DeclaredKey::secret)
    }
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
    // Secrets are read first and apart from settings, which are kept and shown as they are.
    let keys = keys(rules, reader, fields);
    let provider_api_key = reader.optional(fields, "provider_api_key", secret).flatten();
    check_models(rules, reader, fields);
    check_provider(rules, reader, fields);

    let mut object = JsonMap::new();
    let is_setting = |key: &str| TENANT.find(key).is_some() && !SECRET_FIELDS.contains(&key);
    for (key, node) in fields.entries.iter().filter(|(key, _)| is_setting(&key.text)) {
        let value = reader.inside(&key.text, |reader| json(reader, &key.text, node));
        object.extend(value.map(|value| (key.text.to_string(), value)));
    }

    // A name that cannot be one is complained of already.
    let is_named = !name.is_empty();
    object.insert("name".to_owned(), Json::from(if is_named { &*name } else { "unnamed" }));

    // The admin API reads tenants with the same function, so no rule can differ between the two.
    match TenantSettings::from_json(object) {
        Ok(settings) => Some(DeclaredTenant { settings, keys, provider_api_key }),
        Err(errors) => {
            for error in errors {
                complain(reader, fields, &error);
            }
            None
        }
    }
}

/// Notes what `tenants` finds wrong with a field, which may stand within another: `cache.ttl`.
fn complain(reader: &mut Reader<'_>, fields: Fields<'_>, error: &FieldError) {
    let message = error.message.trim_end_matches('.');
    let message = message.strip_prefix("This ").unwrap_or(message);
    // A rule over several fields may name one that is absent, which stands nowhere.
    let at = place_of(fields, &error.field).or(fields.at);
    reader.inside(&error.field, |reader| reader.report(at, message));
}

fn place_of(fields: Fields<'_>, field: &str) -> Option<Position> {
    let (outer, inner) = field.split_once('.').unwrap_or((field, ""));
    let node = fields.get(outer)?;
    match &node.value {
        Value::Map(entries) => {
            let found = entries.iter().find(|(key, _)| key.text == inner);
            found.map_or(node.at, |(_, value)| value.at)
        }
        Value::List(_) | Value::Scalar { .. } => node.at,
    }
}

fn tenant_name(text: &str) -> Result<(), &'static str> {
    // Its key stands at the top; two sources for one tenant would have to be merged.
    if text == DEFAULT_TENANT {
        return Err("is the tenant of the gateway's own api_key; choose another name");
    }
    check_tenant_name(text)?;
    // In AWS the name is a part of a parameter's name.
    values::provider_name(text).map_err(|_rule_for_providers| {
        "is not the name of a declared tenant: at most 64 letters without accents, digits, `-`, `_` \
         and `.`, a letter or a digit first"
    })
}

/// Whether the models of a tenant are served.
fn check_models(rules: &Rules<'_>, reader: &mut Reader<'_>, fields: Fields<'_>) {
    reader.optional(fields, "default_model", |it, node| rules.served_model(it, node));
    reader.list(fields, "fallback_models", |it, node| Some(rules.served_model(it, node)));
}

/// Whether a tenant's own provider is one of the document, or a type that the tenant has a key or
/// an address for.
fn check_provider(rules: &Rules<'_>, reader: &mut Reader<'_>, fields: Fields<'_>) {
    let is_given = |key: &str| fields.get(key).is_some();
    let is_own = is_given("provider_api_key") || is_given("base_url");
    if let Some(node) = fields.get("provider_api_key")
        && !is_given("provider")
        && !is_given("base_url")
    {
        let message = "needs a provider or a base_url that it is for";
        reader.inside("provider_api_key", |reader| reader.report(node.at, message));
    }
    let is_type = |text: &str| rules.kinds.iter().any(|kind| kind.name == text);
    // A preset's name with a key is a provider that only this tenant has; without one it must be
    // declared, for its key would be the gateway's.
    reader.optional(fields, "provider", |reader, node| match &node.value {
        Value::Scalar { text, .. } if is_own && is_type(text) => text.to_string(),
        Value::Scalar { .. } | Value::List(_) | Value::Map(_) => rules.provider_of(reader, node),
    });
}

/// A value as JSON; its field says which type a scalar has.
fn json(reader: &mut Reader<'_>, field: &str, node: &Node<'_>) -> Option<Json> {
    match &node.value {
        Value::List(items) => {
            let items = items.iter().map(|item| json(reader, field, item));
            Some(Json::Array(items.collect::<Option<_>>()?))
        }
        Value::Map(_) => {
            let fields = reader.map(node)?;
            let mut object = JsonMap::new();
            for (key, node) in fields.entries {
                let value = reader.inside(&key.text, |reader| {
                    json(reader, &format!("{field}.{}", key.text), node)
                });
                object.insert(key.text.to_string(), value?);
            }
            Some(Json::Object(object))
        }
        Value::Scalar { .. } => {
            let scalar = reader.present(node, |reader, node| reader.scalar(node)).flatten()?;
            let text = || Some(Json::from(&*scalar.text));
            // YAML says that what stands in quotes is a text; the rules of the tenant then refuse
            // it with a sentence about numbers.
            if scalar.style == Style::Quoted {
                return text();
            }
            if NUMBERS.contains(&field) {
                // What is no number stays a text, for the tenant's rules name the field and its
                // bounds.
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

/// Writes a declared tenant; what is a default is left out.
pub(super) fn write(it: &DeclaredTenant, secret: WriteSecret<'_>) -> Entries {
    let mut map = Map::default();
    let settings = &it.settings;
    map.put("name", text(&settings.name));
    let place = |index| tenant_key_place(&settings.name, index, it.keys.len());
    let keys = it.keys.iter().enumerate().map(|(index, key)| key.write(&place(index), secret));
    let mut keys: Vec<Written> = keys.collect();
    match &mut keys[..] {
        [key] if !matches!(key, Written::Map(_)) => map.some("api_key", keys.pop()),
        _ => map.put("api_keys", Written::List(keys)),
    }

    // Compared with an untouched tenant, so that a new setting with a default needs no line here.
    let default = TenantSettings::named(&settings.name).to_json();
    let fields = settings.to_json();
    for (field, value) in fields.iter().filter(|(field, value)| default.get(*field) != Some(value))
    {
        map.put(field, written(value));
    }
    let place = Place::TenantProvider { tenant: settings.name.clone() };
    let key = it.provider_api_key.as_ref().map(|source| secret(&place, source));
    map.some("provider_api_key", key);
    map.0
}

fn written(value: &Json) -> Written {
    match value {
        Json::String(it) => text(it),
        Json::Array(items) => Written::List(items.iter().map(written).collect()),
        Json::Object(fields) => {
            let entry = |(field, value): (&String, &Json)| (field.clone(), written(value));
            Written::Map(fields.iter().map(entry).collect())
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => bare(value),
    }
}

/// What is risky about the keys of clients: each key's place and the warning.
pub(super) fn key_warnings(config: &super::Config) -> Vec<String> {
    let gateway = config.api_key.iter().map(|key| ("api_key".to_owned(), key));
    let declared = config.tenants.iter().flat_map(|tenant| {
        let place = format!("the key of tenant {}", tenant.settings.name);
        tenant.client_secrets().map(move |key| (place.clone(), key))
    });
    let mut warnings = vec![];
    for (place, source) in gateway.chain(declared) {
        // Parameters are not loaded yet, and a warning must not cost a call to AWS.
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
