//! What a configuration may say: one function per mapping, read from the top.

use super::{
    Auth, Config, DEFAULT_TIMEOUT, IDLE_TIMEOUT, Model, PORT, Price, ROUTE_TIMEOUT, admin, cache,
    compatibility,
    connection::{connection, pool},
    cors::cors,
    declared_keys::gateway_key,
    declared_tenants::tenant,
    error::{ConfigErrors, Position},
    fetch::fetch,
    ledger, log, metrics,
    node::{Node, Value},
    provider::{ProviderKind, provider},
    reader::{Fields, Keys, Reader, Variables, shown},
    records, route,
    server::server,
    tls, values, yaml,
};

pub(super) const DOCUMENT: Keys = Keys {
    of: "a configuration",
    known: &[
        "api_key",
        "auth",
        "port",
        "default_timeout",
        "route_timeout",
        "idle_timeout",
        "default_provider",
        "default_model",
        "proxy",
        "ca_file",
        "connect_timeout",
        "pool",
        "fetch",
        "cors",
        "server",
        "tls",
        "admin",
        "metrics",
        "log",
        "requests",
        "cache",
        "idempotency",
        "unpriced",
        "store_down",
        "alerts",
        "usage_events",
        "compatibility",
        "providers",
        "routes",
        "models",
        "prices",
        "tenants",
    ],
};
pub(super) const MODEL: Keys = Keys { of: "a model", known: &["name", "provider", "description"] };
pub(super) const PRICE: Keys = Keys {
    of: "a price",
    known: &["provider", "model", "input", "output", "cached_input", "cache_write"],
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
    let faults = reader.into_faults();
    match config {
        Some(config) if faults.is_empty() => Ok(config),
        _ => Err(ConfigErrors::in_order(faults)),
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
        let timeout = |reader: &mut Reader<'_>, key: &str, usual| {
            reader.optional(fields, key, Reader::time_limit).unwrap_or(usual)
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
        reader.fault(node.at, format!("names no provider: {} (known: {list})", shown(node)));
        String::new()
    }

    /// The name of a route or model, or `provider/model`.
    pub(super) fn served_model(&self, reader: &mut Reader<'_>, node: &Node<'_>) -> String {
        let name = reader.text(node);
        let is_served = self.served.iter().any(|known| known.name == name);
        let provider = name.split_once('/').map(|(provider, _)| provider);
        let names_provider = self.providers.iter().any(|known| Some(&*known.name) == provider);
        if !is_served && !names_provider && !name.is_empty() {
            let known: Vec<&str> = self.served.iter().map(|it| &*it.name).collect();
            let hint = values::nearest(&name, &known)
                .map_or(String::new(), |near| format!("; did you mean {near}?"));
            reader.fault(node.at, format!("names no route and no model: {}{hint}", shown(node)));
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
        reader.fault(at, format!("is taken by {}{line}", first.path));
        return;
    }
    let path = reader.path().trim_end_matches(".name").to_owned();
    names.push(Named { name: name.to_owned(), path, at });
}

/// Whether a list that must have entries is there and has some.
pub(super) fn need_entries(reader: &mut Reader<'_>, fields: Fields<'_>, key: &str, why: &str) {
    let (at, what) = match fields.get(key) {
        None => (fields.at, "is missing"),
        Some(Node { at, value: Value::List(items) }) if items.is_empty() => (*at, "is empty"),
        Some(_) => return,
    };
    reader.inside(key, |reader| reader.fault(at, format!("{what}; {why}")));
}

fn port(reader: &mut Reader<'_>, fields: Fields<'_>) -> u16 {
    let port = reader.optional(fields, "port", |it, node| it.whole(node, 1..=65_535));
    port.and_then(|port| u16::try_from(port).ok()).unwrap_or(PORT)
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
