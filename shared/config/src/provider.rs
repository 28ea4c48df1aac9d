//! What the configuration may say about a provider, and the secrets in it.

use std::collections::BTreeMap;

use storage::Secret;

use super::{
    Provider, Script, SecretSource, WrittenPlace,
    connection::connection,
    keys::{Key, Keys, Takes},
    node::{Node, Value},
    outbound,
    read::{Rules, claim},
    reader::{Fields, Reader, shown},
    values, variables,
};

/// What the catalog of providers says about one `type`.
#[derive(Clone, Copy, Debug)]
pub struct ProviderKind {
    /// The word for `type`.
    pub name: &'static str,
    /// Whether only the operator knows where it lives.
    pub needs_base_url: bool,
    /// Whether every call without a key is refused.
    pub needs_key: bool,
    /// Whether it lives in many regions, and its address names one.
    pub takes_region: bool,
}

/// The `type` of a provider that names none.
pub(super) const DEFAULT_KIND: &str = "openai";
/// The `type` of the scripted provider.
const SCRIPTED: &str = "mock";

pub(super) const PROVIDER: Keys = Keys {
    of: "a provider",
    keys: &[
        Key::required("name", Takes::Text, "what routes call it; letters, digits, `-`, `_`, `.`"),
        Key::new("type", Takes::Kind, "`openai`", "one of the types below"),
        Key::new(
            "base_url",
            Takes::Text,
            "the type's",
            "where it lives. Without a path it gets the type's usual one, with a path it is used as it is",
        ),
        Key::new("api_key", Takes::Text, "", "its key"),
        Key::new(
            "api_keys",
            Takes::List(&Takes::Text),
            "",
            "or a pool of keys: the next one is used when one is rejected or rate limited",
        ),
        Key::new(
            "headers",
            Takes::Texts,
            "",
            "headers that every call carries. Their values are treated as secrets",
        ),
        Key::new(
            "region",
            Takes::Text,
            "where the gateway runs (`AWS_REGION`)",
            "the region of AWS, for the types of `bedrock`",
        ),
        Key::new("api_version", Takes::Text, "the type's", "for `azure-openai`"),
        Key::new(
            "timeout",
            Takes::Duration,
            "`default_timeout`",
            "time for one step at this provider",
        ),
        Key::new(
            "limits",
            Takes::Mapping(&outbound::LIMITS),
            "unlimited",
            "what it allows each key, so that it is left before it refuses",
        ),
        Key::new("probe", Takes::Mapping(&outbound::PROBE), "off", "small calls in the background"),
        Key::new("proxy", Takes::Text, "that at the top", "the proxy through which it is called"),
        Key::new(
            "ca_file",
            Takes::Text,
            "that at the top",
            "the root certificates that are trusted for it, or its own, self-signed one",
        ),
        Key::new(
            "connect_timeout",
            Takes::Duration,
            "that at the top",
            "time for a connection to it",
        ),
        Key::new("script", Takes::Mapping(&SCRIPT), "", "what a provider of type `mock` returns"),
    ],
};
pub(super) const SCRIPT: Keys = Keys {
    of: "a script",
    keys: &[
        Key::new("answer", Takes::Text, "a sentence", "the text of its responses"),
        Key::new(
            "status",
            Takes::Whole(400, 599),
            "500 if it fails",
            "the status of its failures. Without `fail_first`, every call fails with it",
        ),
        Key::new("delay", Takes::Duration, "none", "how long it waits before its response"),
        Key::new(
            "pause",
            Takes::Duration,
            "none",
            "how long it waits between the words of a stream",
        ),
        Key::new(
            "fail_first",
            Takes::Whole(0, 4294967295),
            "",
            "how many calls fail before the first that works",
        ),
        Key::new(
            "retry_after",
            Takes::Whole(0, 86400),
            "",
            "what a failure says in `Retry-After`, in seconds",
        ),
    ],
};
/// Reads one provider.
pub(super) fn provider(
    rules: &mut Rules<'_>,
    reader: &mut Reader<'_>,
    node: &Node<'_>,
) -> Option<Provider> {
    let fields = reader.fields(node, &PROVIDER)?;
    let name = reader.required(fields, "name", |reader, node| {
        let name = reader.checked_text(node, values::provider_name);
        claim(&mut rules.providers, reader, &name, node.at);
        name
    });
    let kind = reader.optional(fields, "type", |reader, node| kind(rules, reader, node));
    let provider = Provider {
        name,
        kind: kind.unwrap_or_else(|| DEFAULT_KIND.to_owned()),
        base_url: reader
            .optional(fields, "base_url", |it, node| it.checked_text(node, values::base_url)),
        keys: keys(reader, fields),
        headers: reader.optional(fields, "headers", headers).unwrap_or_default(),
        region: reader.optional(fields, "region", |it, node| it.checked_text(node, values::region)),
        api_version: reader.optional(fields, "api_version", Reader::text),
        timeout: reader.optional(fields, "timeout", Reader::time_limit),
        limits: reader.section(fields, "limits", outbound::limits),
        probe: reader.optional(fields, "probe", outbound::probe).flatten(),
        connection: connection(reader, fields),
        script: reader.optional(fields, "script", script).flatten(),
    };
    // Last, for these rules are about several keys together.
    check_kind(rules, reader, fields, &provider);
    Some(provider)
}

fn kind(rules: &Rules<'_>, reader: &mut Reader<'_>, node: &Node<'_>) -> String {
    let kind = reader.text(node);
    let known: Vec<&str> = rules.kinds.iter().map(|kind| kind.name).collect();
    // An empty kind was complained of already.
    if kind.is_empty() || known.contains(&&*kind) {
        return kind;
    }
    let shown = shown(node);
    let known_list = known.join(", ");
    let message = match values::nearest(&kind, &known) {
        Some(near) => format!("{shown} is no type; did you mean {near}? (known: {known_list})"),
        None => format!("{shown} is no type (known: {known_list})"),
    };
    reader.report(node.at, message);
    String::new()
}

/// Whether a provider has what its type needs, and nothing that its type has no use for.
fn check_kind(rules: &Rules<'_>, reader: &mut Reader<'_>, fields: Fields<'_>, provider: &Provider) {
    // A script at a real provider would look as if responses came from it.
    if let Some(node) = fields.get("script").filter(|_| provider.kind != SCRIPTED) {
        let message = format!("is for `type: {SCRIPTED}` only; remove it");
        reader.inside("script", |reader| reader.report(node.at, message));
    }
    // An unknown type has its error already, and what it needs is not known.
    let Some(kind) = rules.kinds.iter().find(|kind| kind.name == provider.kind) else { return };
    if let Some(node) = fields.get("region").filter(|_| !kind.takes_region) {
        let message = format!("is nothing that a provider of type {} has; remove it", kind.name);
        reader.inside("region", |reader| reader.report(node.at, message));
    }
    let mut missing = |key: &str, message: String| {
        reader.inside(key, |reader| reader.report(fields.at, message));
    };
    let has_address = fields.get("base_url").is_some();
    if kind.needs_base_url && !has_address {
        missing("base_url", format!("is missing; nobody else knows where your {} is", kind.name));
    }
    let name = &provider.name;
    let is_preset = rules.kinds.iter().any(|kind| kind.name == name);
    // A provider named `groq` without a type would send Groq's key to OpenAI's default address.
    if is_preset && name != DEFAULT_KIND && fields.get("type").is_none() && !has_address {
        let message = format!(
            "is missing, so {name} and its key would go to {DEFAULT_KIND}; add `type: {name}`, \
             or `type: {DEFAULT_KIND}` if that is meant"
        );
        missing("type", message);
        return;
    }
    let has_key = ["api_key", "api_keys"].iter().any(|key| fields.get(key).is_some())
        || provider.headers.keys().any(|it| values::is_key_header(it));
    // A server at an address of one's own may be open, unless its type always has such an address.
    let may_be_open = has_address && !kind.needs_base_url;
    if kind.needs_key && !has_key && !may_be_open {
        missing("api_key", format!("is missing; a provider of type {} needs one", kind.name));
    }
}

fn script(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Script> {
    let fields = reader.fields(node, &SCRIPT)?;
    let status = reader.count(fields, "status").and_then(|status| u16::try_from(status).ok());
    let fail_first = reader.small_count(fields, "fail_first");
    let retry_after = reader.small_count(fields, "retry_after");
    Some(Script {
        answer: reader.optional(fields, "answer", Reader::any_text),
        status,
        delay: reader.optional(fields, "delay", Reader::duration),
        pause: reader.optional(fields, "pause", Reader::duration),
        fail_first,
        retry_after,
    })
}

/// The one key or the pool of keys.
fn keys(reader: &mut Reader<'_>, fields: Fields<'_>) -> Vec<SecretSource> {
    let one = reader.optional(fields, "api_key", secret).flatten();
    let pool = reader.list(fields, "api_keys", secret);
    if let Some(node) = fields.get("api_keys") {
        let message = if fields.get("api_key").is_some() {
            Some("stands beside api_key; keep one of the two")
        } else if matches!(&node.value, Value::List(items) if items.is_empty()) {
            Some("is empty; give a key, or remove the line")
        } else {
            None
        };
        if let Some(message) = message {
            reader.inside("api_keys", |reader| reader.report(node.at, message));
        }
    }
    one.into_iter().chain(pool).collect()
}

fn headers(reader: &mut Reader<'_>, node: &Node<'_>) -> BTreeMap<String, SecretSource> {
    let mut headers = BTreeMap::new();
    let Some(fields) = reader.map(node) else { return headers };
    for (key, node) in fields.entries {
        let name = key.text.to_string();
        reader.inside(&name, |reader| {
            if let Err(message) = values::header_name(&name) {
                reader.report(key.at, message);
            }
            // In another case it is still the same header on the wire.
            let twin = headers.keys().find(|it: &&String| it.eq_ignore_ascii_case(&name));
            if let Some(twin) = twin.filter(|twin| **twin != name) {
                reader.report(key.at, format!("is the same header as {twin}; remove one"));
            }
            if let Some(value) = reader.present(node, secret).flatten() {
                headers.insert(name.clone(), value);
            }
        });
    }
    headers
}

/// Where a secret stands in a file.
fn written_place(node: &Node<'_>) -> Option<WrittenPlace> {
    let Value::Scalar { text, .. } = &node.value else { return None };
    // What is read from rows stands in no file.
    node.at?;
    let has_variables = variables::has_variable(text);
    Some(WrittenPlace { bytes: node.bytes.clone(), has_variables })
}

/// A value that must not be seen, or `ssm:` and the name of the parameter that holds it.
///
/// A stored reference also says, behind a `#`, which variable `export` writes in its place.
pub(super) fn secret(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<SecretSource> {
    let scalar = reader.text_scalar(node)?;
    let Some(reference) = scalar.text.strip_prefix("ssm:") else {
        if let Err(message) = values::secret(&scalar.text) {
            reader.report(node.at, message);
        }
        let value = Secret::new(&*scalar.text);
        let place = written_place(node);
        return Some(SecretSource::Value { value, variable: scalar.variable, place });
    };
    let (name, remembered) = match reference.split_once('#') {
        Some((name, variable)) => (name, Some(variable)),
        None => (reference, None),
    };
    if let Err(message) = values::parameter_name(name) {
        reader.report(node.at, message);
    }
    if remembered.is_some_and(|variable| !variables::is_name(variable)) {
        reader.report(node.at, "after `#` comes the name of a variable");
    }
    // What a row remembers wins: the reference itself may have come from a variable as well.
    let variable = remembered.map(str::to_owned).or(scalar.variable);
    Some(SecretSource::Parameter { name: name.to_owned(), variable })
}
