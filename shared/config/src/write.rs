//! A configuration as the keys and texts that give it again, with defaults left out.
//!
//! The reverse of `read`; YAML and stored rows are both written from this.

use std::time::Duration;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{
    Auth, Config, ConnectionOptions, DEFAULT_TIMEOUT, FETCH_BYTES, FETCH_TIMEOUT, Fetch,
    IDLE_TIMEOUT, Model, POOL_IDLE_TIMEOUT, PORT, PoolOptions, Price, Provider, Proxy,
    ROUTE_TIMEOUT, Script, SecretSource, ServerLimits, admin, cache, compatibility,
    connection::NO_PROXY,
    default_providers,
    duration::write_duration,
    ledger, log, metrics, outbound,
    provider::DEFAULT_KIND,
    records,
    secrets::{Place, header_place, key_place, provider_proxy_place},
    tls,
    values::write_money,
};

/// A value as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// A text, whatever it looks like.
    Text(String),
    /// A number, a duration, a known word or a variable: never in quotes.
    Bare(String),
    /// Values in order.
    List(Vec<Self>),
    /// Keys and values.
    Map(Entries),
}

/// Keys and values, in the order of the contract.
pub type Entries = Vec<(String, Written)>;

/// Says how a secret is written at its place.
pub(super) type WriteSecret<'w> = &'w dyn Fn(&Place, &SecretSource) -> Written;

/// Stored rows hold every scalar as a text; the field that reads it knows its type.
impl Serialize for Written {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            // Rows have texts only: the field that reads one decides its type.
            Self::Text(text) | Self::Bare(text) => serializer.serialize_str(text),
            Self::List(items) => serializer.collect_seq(items),
            Self::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

/// What stands at the top of a document, its lists left out.
pub(super) fn settings(it: &Config, secret: WriteSecret<'_>) -> Entries {
    let mut map = Map::default();
    map.some("api_key", it.api_key.as_ref().map(|key| secret(&Place::Gateway, key)));
    map.unless("auth", it.auth == Auth::Keys, bare(&"none"));
    map.unless("port", it.port == PORT, bare(&it.port));
    let mut timeout = |key, value, default| map.unless(key, value == default, time(value));
    timeout("default_timeout", it.default_timeout, DEFAULT_TIMEOUT);
    timeout("route_timeout", it.route_timeout, ROUTE_TIMEOUT);
    timeout("idle_timeout", it.idle_timeout, IDLE_TIMEOUT);
    map.some("default_provider", it.default_provider.as_ref().map(text));
    map.some("default_providers", default_providers::write(&it.default_providers));
    map.some("default_model", it.default_model.as_ref().map(text));
    connection(&mut map, &it.connection, |proxy| secret(&Place::Proxy, proxy));
    map.unless("pool", it.pool.is_default(), pool(&it.pool));
    map.some("fetch", it.fetch.as_ref().map(fetch));
    map.some("cors", it.cors.origins.as_ref().map(|origins| cors(origins)));
    map.unless("server", it.server == ServerLimits::default(), server(&it.server));
    map.some("tls", it.tls.as_ref().map(tls::write));
    map.some("admin", admin::write(&it.admin, secret));
    map.some("metrics", metrics::write(&it.metrics, secret));
    map.some("log", log::write(&it.log));
    map.some("requests", records::write(&it.requests));
    map.some("cache", cache::write(&it.cache));
    map.some("idempotency", cache::write_idempotency(&it.idempotency));
    map.some("unpriced", ledger::write_unpriced(it.unpriced));
    map.some("store_down", ledger::write_store_down(it.store_down));
    map.some("alerts", ledger::write_alerts(&it.alerts, secret));
    map.some("usage_events", ledger::write_usage_events(&it.usage_events));
    map.some("compatibility", compatibility::write(&it.compatibility));
    map.0
}

fn connection(
    map: &mut Map,
    it: &ConnectionOptions,
    write_proxy: impl FnOnce(&SecretSource) -> Written,
) {
    let proxy = it.proxy.as_ref().map(|proxy| match proxy {
        Proxy::None => bare(&NO_PROXY),
        Proxy::Url(source) => write_proxy(source),
    });
    map.some("proxy", proxy);
    map.some("ca_file", it.ca_file.as_ref().map(text));
    map.some("connect_timeout", it.connect_timeout.map(time));
}

fn pool(it: &PoolOptions) -> Written {
    let mut map = Map::default();
    map.unless("idle_timeout", it.idle_timeout == POOL_IDLE_TIMEOUT, time(it.idle_timeout));
    map.some("max_idle_per_host", it.max_idle_per_host.as_ref().map(bare));
    Written::Map(map.0)
}

fn cors(origins: &[String]) -> Written {
    let mut map = Map::default();
    map.put("origins", Written::List(origins.iter().map(text).collect()));
    Written::Map(map.0)
}

fn server(it: &ServerLimits) -> Written {
    let defaults = ServerLimits::default();
    let mut map = Map::default();
    map.some("workers", it.workers.as_ref().map(bare));
    let mut number = |key, value: u64, default| map.unless(key, value == default, bare(&value));
    let connections = (it.max_connections.into(), defaults.max_connections.into());
    number("max_connections", connections.0, connections.1);
    let per_address = it.max_connections_per_address.into();
    number("max_connections_per_address", per_address, defaults.max_connections_per_address.into());
    number("max_memory_bytes", it.max_memory_bytes, defaults.max_memory_bytes);
    number("max_body_bytes", it.max_body_bytes, defaults.max_body_bytes);
    let mut timeout = |key, value, default| map.unless(key, value == default, time(value));
    timeout("head_timeout", it.head_timeout, defaults.head_timeout);
    timeout("body_timeout", it.body_timeout, defaults.body_timeout);
    timeout("write_timeout", it.write_timeout, defaults.write_timeout);
    timeout("keep_alive_timeout", it.keep_alive_timeout, defaults.keep_alive_timeout);
    timeout("drain_timeout", it.drain_timeout, defaults.drain_timeout);
    timeout("shutdown_timeout", it.shutdown_timeout, defaults.shutdown_timeout);
    Written::Map(map.0)
}

fn fetch(it: &Fetch) -> Written {
    let mut map = Map::default();
    map.put("hosts", Written::List(it.hosts.iter().map(text).collect()));
    map.unless("max_bytes", it.max_bytes == FETCH_BYTES, bare(&it.max_bytes));
    map.unless("timeout", it.timeout == FETCH_TIMEOUT, time(it.timeout));
    Written::Map(map.0)
}

pub(super) fn provider(it: &Provider, secret: WriteSecret<'_>) -> Entries {
    let mut map = Map::default();
    map.put("name", text(&it.name));
    map.unless("type", it.kind == DEFAULT_KIND && !is_ambiguous(it), text(&it.kind));
    map.some("base_url", it.base_url.as_ref().map(text));
    let place = |index| key_place(&it.name, index, it.keys.len());

    let keys = it.keys.iter().enumerate().map(|(index, key)| secret(&place(index), key));
    // One key is written as `api_key`, as people write it; several are a pool.
    let mut keys: Vec<Written> = keys.collect();
    if keys.len() == 1 {
        map.some("api_key", keys.pop());
    }
    map.unless("api_keys", keys.is_empty(), Written::List(keys));

    let header = |(name, value): (&String, &SecretSource)| {
        (name.clone(), secret(&header_place(&it.name, name), value))
    };
    let headers = Written::Map(it.headers.iter().map(header).collect());
    map.unless("headers", it.headers.is_empty(), headers);
    map.some("region", it.region.as_ref().map(text));
    map.some("api_version", it.api_version.as_ref().map(text));
    map.some("timeout", it.timeout.map(time));
    map.some("limits", outbound::write_limits(&it.limits));
    map.some("probe", it.probe.as_ref().map(outbound::write_probe));
    connection(&mut map, &it.connection, |proxy| secret(&provider_proxy_place(&it.name), proxy));
    map.some("script", it.script.as_ref().map(script));
    map.0
}

/// Whether the provider's name, without a type beside it, could be taken for the type.
fn is_ambiguous(it: &Provider) -> bool {
    it.base_url.is_none() && it.name != DEFAULT_KIND
}

fn script(it: &Script) -> Written {
    let mut map = Map::default();
    map.some("answer", it.answer.as_ref().map(text));
    map.some("status", it.status.as_ref().map(bare));
    map.some("delay", it.delay.map(time));
    map.some("pause", it.pause.map(time));
    map.some("fail_first", it.fail_first.as_ref().map(bare));
    map.some("retry_after", it.retry_after.as_ref().map(bare));
    Written::Map(map.0)
}

pub(super) fn model(it: &Model) -> Entries {
    let mut map = Map::default();
    map.put("name", text(&it.name));
    map.put("provider", text(&it.provider));
    map.some("description", it.description.as_ref().map(text));
    map.0
}

pub(super) fn price(it: &Price) -> Entries {
    // Bare, since the reader refuses a number in quotes.
    let money = |micros| Written::Bare(write_money(micros));
    let mut map = Map::default();
    map.put("provider", text(&it.provider));
    map.put("model", text(&it.model));
    map.put("input", money(it.input));
    map.put("output", money(it.output));
    map.some("cached_input", it.cached_input.map(money));
    map.some("cache_write", it.cache_write.map(money));
    map.0
}

/// A mapping that is being written.
#[derive(Default)]
pub(super) struct Map(pub(super) Entries);

impl Map {
    pub(super) fn put(&mut self, key: &str, value: Written) {
        self.0.push((key.to_owned(), value));
    }

    pub(super) fn some(&mut self, key: &str, value: Option<Written>) {
        self.0.extend(value.map(|value| (key.to_owned(), value)));
    }

    pub(super) fn unless(&mut self, key: &str, is_default: bool, value: Written) {
        if !is_default {
            self.put(key, value);
        }
    }

    /// The mapping, unless everything in it was left out.
    pub(super) fn section(self) -> Option<Written> {
        Some(Written::Map(self.0)).filter(|it| *it != Written::Map(vec![]))
    }
}

pub(super) fn text(it: &impl ToString) -> Written {
    Written::Text(it.to_string())
}

pub(super) fn bare(it: &impl ToString) -> Written {
    Written::Bare(it.to_string())
}

pub(super) fn time(it: Duration) -> Written {
    Written::Bare(write_duration(it))
}
