//! What a configuration may say: one function per mapping, read from the top.

use super::{
    Auth, Config, DEFAULT_TIMEOUT, IDLE_TIMEOUT, Model, PORT, Price, ROUTE_TIMEOUT, admin, cache,
    compatibility,
    connection::{POOL, connection, pool},
    cors::{CORS, cors},
    declared_keys::gateway_key,
    declared_tenants::{TENANT, tenant},
    default_providers::{self, DEFAULT_PROVIDER},
    error::{ConfigErrors, Position},
    fetch::{FETCH, fetch},
    keys::{Key, Keys, Takes},
    ledger, log, metrics,
    node::{Node, Value},
    provider::{PROVIDER, ProviderKind, provider},
    reader::{Fields, Reader, Variables, shown},
    records, route,
    server::{SERVER, server},
    tls, values, yaml,
};

pub(super) const DOCUMENT: Keys = Keys {
    of: "a configuration",
    keys: &[
        Key::new(
            "api_key",
            Takes::Text,
            "none",
            "the key of the tenant `default`, who may use everything",
        ),
        Key::new(
            "auth",
            Takes::Words(&["keys", "none"]),
            "`keys`",
            "`none` lets every program in without a key, on loopback addresses only; pages in browsers as `cors` says",
        ),
        Key::new(
            "port",
            Takes::Whole(1, 65535),
            "8080",
            "where `serve` listens, on 127.0.0.1 (`--listen` says otherwise)",
        ),
        Key::new(
            "default_timeout",
            Takes::Duration,
            "300s",
            "time for one step: the whole response, or the first token of a stream",
        ),
        Key::new("route_timeout", Takes::Duration, "600s", "time for all steps together"),
        Key::new(
            "idle_timeout",
            Takes::Duration,
            "60s",
            "silence allowed inside a stream, from its first token on; until then `default_timeout` counts",
        ),
        Key::new(
            "default_provider",
            Takes::Text,
            "none",
            "the provider that gets unknown models, their name unchanged",
        ),
        Key::new(
            "default_providers",
            Takes::List(&Takes::Mapping(&DEFAULT_PROVIDER)),
            "",
            "the providers that get unknown models of some names, before `default_provider` does",
        ),
        Key::new(
            "default_model",
            Takes::Text,
            "none",
            "the route, model or `provider/model` that serves a request which names none; without it, moderations and images that name none go to `default_provider`, which chooses",
        ),
        Key::new(
            "proxy",
            Takes::Text,
            "the environment's",
            "the proxy for calls to providers, see [connections](#connections)",
        ),
        Key::new(
            "ca_file",
            Takes::Text,
            "none",
            "a PEM file of root certificates that are trusted beside the public ones, or of a server's own, self-signed one",
        ),
        Key::new(
            "connect_timeout",
            Takes::Duration,
            "3s",
            "time for the lookup of a provider's name, the connection and TLS together",
        ),
        Key::new(
            "pool",
            Takes::Mapping(&POOL),
            "",
            "which unused connections to providers are kept, see [connections](#connections)",
        ),
        Key::new(
            "fetch",
            Takes::Mapping(&FETCH),
            "nothing is fetched",
            "the hosts from which the gateway may fetch images and documents, see below",
        ),
        Key::new(
            "cors",
            Takes::Mapping(&CORS),
            "pages of this machine",
            "which pages in browsers may call, see below",
        ),
        Key::new("server", Takes::Mapping(&SERVER), "", "bounds of `lockgate serve`, see below"),
        Key::new(
            "tls",
            Takes::Mapping(&tls::TLS),
            "plain HTTP",
            "the certificate with which `serve` serves HTTPS",
        ),
        Key::new("admin", Takes::Mapping(&admin::ADMIN), "", "who may use `/admin`, see below"),
        Key::new(
            "metrics",
            Takes::Mapping(&metrics::METRICS),
            "",
            "who may read `/metrics`, see below",
        ),
        Key::new("log", Takes::Mapping(&log::LOG), "", "what is logged, and how, see below"),
        Key::new(
            "requests",
            Takes::Mapping(&records::REQUESTS),
            "",
            "how long the request log keeps what, see below",
        ),
        Key::new(
            "cache",
            Takes::Mapping(&cache::CACHE),
            "off",
            "whether responses are given again, see below",
        ),
        Key::new(
            "idempotency",
            Takes::Mapping(&cache::IDEMPOTENCY),
            "",
            "how long the response to a request with an `Idempotency-Key` is kept",
        ),
        Key::new(
            "unpriced",
            Takes::Words(&["refuse", "allow"]),
            "`refuse`",
            "what happens to a call of unknown price of a tenant with a budget: `refuse` or `allow`",
        ),
        Key::new(
            "store_down",
            Takes::Mapping(&ledger::STORE_DOWN),
            "",
            "what happens to limited calls while the store cannot be reached",
        ),
        Key::new(
            "alerts",
            Takes::Mapping(&ledger::ALERTS),
            "the log only",
            "whom budget alerts are sent to, see below",
        ),
        Key::new(
            "usage_events",
            Takes::Mapping(&ledger::USAGE_EVENTS),
            "nobody",
            "whom the usage of every call is sent to",
        ),
        Key::new(
            "compatibility",
            Takes::Mapping(&compatibility::COMPATIBILITY),
            "",
            "what is done as an earlier gateway did it, see below",
        ),
        Key::required(
            "providers",
            Takes::List(&Takes::Mapping(&PROVIDER)),
            "the providers to call; at least one",
        ),
        Key::new(
            "routes",
            Takes::List(&Takes::Mapping(&route::ROUTE)),
            "",
            "names, and the steps behind each",
        ),
        Key::new(
            "models",
            Takes::List(&Takes::Mapping(&MODEL)),
            "",
            "names that one provider serves",
        ),
        Key::new(
            "prices",
            Takes::List(&Takes::Mapping(&PRICE)),
            "",
            "what models cost, over the shipped table",
        ),
        Key::new(
            "tenants",
            Takes::List(&Takes::Mapping(&TENANT)),
            "",
            "who else has keys, and what each may use, see below",
        ),
    ],
};
pub(super) const MODEL: Keys = Keys {
    of: "a model",
    keys: &[
        Key::required("name", Takes::Text, "what clients call it, and the provider too"),
        Key::required("provider", Takes::Text, "the name of a provider"),
        Key::new("description", Takes::Text, "", "shown in `GET /v1/models`"),
    ],
};
pub(super) const PRICE: Keys = Keys {
    of: "a price",
    keys: &[
        Key::required("provider", Takes::Text, "the name of a provider"),
        Key::required("model", Takes::Text, "the provider's name for the model"),
        Key::required("input", Takes::Money, "for a million tokens of the prompt"),
        Key::required("output", Takes::Money, "for a million tokens of the response"),
        Key::new(
            "cached_input",
            Takes::Money,
            "`input`",
            "for a million tokens that are read from the provider's cache",
        ),
        Key::new(
            "cache_write",
            Takes::Money,
            "`input`",
            "for a million tokens that are written to the provider's cache",
        ),
    ],
};

/// Reads a configuration that people wrote, as YAML.
///
/// `variables` says what each `${VAR}` stands for, `kinds` which types of provider there are.
pub fn read(
    text: &str,
    variables: Variables<'_>,
    kinds: &[ProviderKind],
) -> Result<Config, ConfigErrors> {
    read_node(&yaml::parse(text)?, Some(variables), kinds)
}

/// Reads a configuration that a store kept: the same rules, but a `${` is only that.
pub(super) fn read_stored(node: &Node<'_>, kinds: &[ProviderKind]) -> Result<Config, ConfigErrors> {
    read_node(node, None, kinds)
}

fn read_node(
    node: &Node<'_>,
    variables: Option<Variables<'_>>,
    kinds: &[ProviderKind],
) -> Result<Config, ConfigErrors> {
    let mut rules = Rules {
        kinds,
        providers: vec![],
        served: vec![],
        prices: vec![],
        tenants: vec![],
        keys: vec![],
    };
    let mut reader = Reader::new(variables);
    let config = rules.config(&mut reader, node);
    let errors = reader.into_errors();
    match config {
        Some(config) if errors.is_empty() => Ok(config),
        _ => Err(ConfigErrors::in_order(errors)),
    }
}

/// The rules, and the names that were met so far.
pub(super) struct Rules<'k> {
    pub(super) kinds: &'k [ProviderKind],
    pub(super) providers: Vec<Named>,
    served: Vec<Named>,
    prices: Vec<Named>,
    pub(super) tenants: Vec<Named>,
    /// The hashes of clients' keys.
    pub(super) keys: Vec<Named>,
}

/// A name, and what has it.
pub(super) struct Named {
    pub(super) name: String,
    path: String,
    at: Option<Position>,
}

impl Rules<'_> {
    fn config(&mut self, reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Config> {
        let fields = reader.fields(node, &DOCUMENT)?;
        need_entries(reader, fields, "providers", "a gateway calls at least one provider");

        // Providers first and defaults last, so that each name is known before it is used.
        let providers = reader.list(fields, "providers", |it, node| provider(self, it, node));
        let routes = reader.list(fields, "routes", |it, node| route::read(self, it, node));
        let models = reader.list(fields, "models", |it, node| self.model(it, node));
        let api_key = reader.optional(fields, "api_key", |it, node| gateway_key(self, it, node));
        let tenants = reader.list(fields, "tenants", |it, node| tenant(self, it, node));

        let timeout = |reader: &mut Reader<'_>, key: &str, default| {
            reader.optional(fields, key, Reader::time_limit).unwrap_or(default)
        };
        Some(Config {
            api_key: api_key.flatten(),
            auth: reader.optional(fields, "auth", auth).unwrap_or_default(),
            port: port(reader, fields),
            default_timeout: timeout(reader, "default_timeout", DEFAULT_TIMEOUT),
            route_timeout: timeout(reader, "route_timeout", ROUTE_TIMEOUT),
            idle_timeout: timeout(reader, "idle_timeout", IDLE_TIMEOUT),
            default_provider: reader
                .optional(fields, "default_provider", |it, node| self.provider_of(it, node)),
            default_providers: reader.list(fields, "default_providers", |it, node| {
                default_providers::read(self, it, node)
            }),
            default_model: reader
                .optional(fields, "default_model", |it, node| self.served_model(it, node)),
            connection: connection(reader, fields),
            pool: reader.section(fields, "pool", pool),
            fetch: reader.optional(fields, "fetch", fetch).flatten(),
            cors: reader.section(fields, "cors", cors),
            server: reader.section(fields, "server", server),
            tls: reader.optional(fields, "tls", tls::read).flatten(),
            admin: reader.section(fields, "admin", admin::read),
            metrics: reader.section(fields, "metrics", metrics::read),
            log: reader.section(fields, "log", log::read),
            requests: reader.section(fields, "requests", records::read),
            cache: reader.section(fields, "cache", cache::read),
            idempotency: reader.section(fields, "idempotency", cache::read_idempotency),
            unpriced: reader.optional(fields, "unpriced", ledger::unpriced).unwrap_or_default(),
            store_down: reader.section(fields, "store_down", ledger::store_down),
            alerts: reader.section(fields, "alerts", ledger::alerts),
            usage_events: reader.section(fields, "usage_events", ledger::usage_events),
            compatibility: reader.section(fields, "compatibility", compatibility::read),
            prices: reader.list(fields, "prices", |it, node| self.price(it, node)),
            providers,
            routes,
            models,
            tenants,
        })
    }

    fn model(&mut self, reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Model> {
        let fields = reader.fields(node, &MODEL)?;
        Some(Model {
            name: reader.required(fields, "name", |it, node| self.served_name(it, node)),
            provider: reader.required(fields, "provider", |it, node| self.provider_of(it, node)),
            description: reader.optional(fields, "description", Reader::text),
        })
    }

    fn price(&mut self, reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Price> {
        let fields = reader.fields(node, &PRICE)?;
        let price = Price {
            provider: reader.required(fields, "provider", |it, node| self.provider_of(it, node)),
            model: reader.required(fields, "model", model_name),
            input: reader.required(fields, "input", Reader::money),
            output: reader.required(fields, "output", Reader::money),
            cached_input: reader.optional(fields, "cached_input", Reader::money),
            cache_write: reader.optional(fields, "cache_write", Reader::money),
        };
        // Names that are wrong are empty and would collide with each other.
        if !price.provider.is_empty() && !price.model.is_empty() {
            let name = format!("{}/{}", price.provider, price.model);
            claim(&mut self.prices, reader, &name, node.at);
        }
        Some(price)
    }

    /// The name of a route or model, which no other has.
    pub(super) fn served_name(&mut self, reader: &mut Reader<'_>, node: &Node<'_>) -> String {
        let name = model_name(reader, node);
        claim(&mut self.served, reader, &name, node.at);
        name
    }

    /// The name of a provider of this document.
    pub(super) fn provider_of(&self, reader: &mut Reader<'_>, node: &Node<'_>) -> String {
        let name = reader.text(node);
        if name.is_empty() || self.providers.iter().any(|known| known.name == name) {
            return name;
        }
        let known: Vec<&str> = self.providers.iter().map(|it| &*it.name).collect();
        let list = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        reader.report(node.at, format!("names no provider: {} (known: {list})", shown(node)));
        // Empty, so that what refers to it is not complained of a second time.
        String::new()
    }

    /// The name of a route or model, or `provider/model`.
    pub(super) fn served_model(&self, reader: &mut Reader<'_>, node: &Node<'_>) -> String {
        // Unknown models under a known provider pass, for `default_provider` and `provider/model`
        // reach models that no file lists.
        let name = reader.text(node);
        let is_served = self.served.iter().any(|known| known.name == name);
        let provider = name.split_once('/').map(|(provider, _)| provider);
        let names_provider = self.providers.iter().any(|known| Some(&*known.name) == provider);
        if !is_served && !names_provider && !name.is_empty() {
            let known: Vec<&str> = self.served.iter().map(|it| &*it.name).collect();
            let hint = values::nearest(&name, &known)
                .map_or(String::new(), |near| format!("; did you mean {near}?"));
            reader.report(node.at, format!("names no route and no model: {}{hint}", shown(node)));
        }
        name
    }
}

/// Notes that the value being read has this name, or that another has it already.
pub(super) fn claim(
    names: &mut Vec<Named>,
    reader: &mut Reader<'_>,
    name: &str,
    at: Option<Position>,
) {
    if name.is_empty() {
        return;
    }
    if let Some(first) = names.iter().find(|known| known.name == name) {
        let line = first.at.map_or(String::new(), |at| format!(" on line {}", at.line));
        reader.report(at, format!("is taken by {}{line}", first.path));
        return;
    }
    let path = reader.path().trim_end_matches(".name").to_owned();
    names.push(Named { name: name.to_owned(), path, at });
}

/// Whether a list that must have entries is there and has some.
pub(super) fn need_entries(reader: &mut Reader<'_>, fields: Fields<'_>, key: &str, why: &str) {
    let (at, what) = match fields.get(key) {
        None => (fields.at, "is missing"),
        Some(Node { at, value: Value::List(items), .. }) if items.is_empty() => (*at, "is empty"),
        Some(_) => return,
    };
    reader.inside(key, |reader| reader.report(at, format!("{what}; {why}")));
}

fn port(reader: &mut Reader<'_>, fields: Fields<'_>) -> u16 {
    reader.count(fields, "port").and_then(|port| u16::try_from(port).ok()).unwrap_or(PORT)
}

/// The name of a model.
pub(super) fn model_name(reader: &mut Reader<'_>, node: &Node<'_>) -> String {
    reader.checked_text(node, values::model_name)
}

fn auth(reader: &mut Reader<'_>, node: &Node<'_>) -> Auth {
    reader.word(node, &[("keys", Auth::Keys), ("none", Auth::None)]).unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests;
