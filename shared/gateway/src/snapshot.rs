//! The configuration, made ready: what one call sees of it from its first to its last moment.

use std::{collections::HashMap, sync::Arc};

use canonical::{MicroDollars, Usage};
use config::{Config, Price, SecretSource};
use model_catalog::{PriceOverride, PriceTable, Rates};
use providers::{Client, Upstream};
use routing::Routes;
use storage::Secret;
use tenants::Authenticator;

/// The tenant whose key stands in the configuration.
const DEFAULT_TENANT: &str = "default";

/// Values of parameters, by name.
pub(crate) type Keys = HashMap<String, Secret>;

/// One state of the configuration.
#[derive(Debug)]
pub struct Snapshot {
    /// What the operator wrote.
    pub config: Config,
    pub(crate) authenticator: Authenticator,
    /// Whose calls those are that no other tenant makes.
    pub(crate) default_tenant: Arc<str>,
    /// From names to targets.
    pub routes: Routes,
    pub(crate) upstream: Upstream,
    pub(crate) keys: Keys,
    /// What changes when the document does.
    pub(crate) version: String,
    prices: PriceTable,
    /// Each provider's entry in the price table; none for those who are not who they resemble.
    price_kinds: HashMap<String, String>,
}

impl Snapshot {
    /// Prepares a document whose parameters have these values.
    pub(crate) fn new(config: Config, version: String, keys: Keys, client: &Client) -> Self {
        let resolve = |source: &SecretSource| match source {
            SecretSource::Value { value, .. } => Some(value.clone()),
            SecretSource::Parameter { name, .. } => keys.get(name).cloned(),
        };
        let price_kinds = price_kinds(&config);
        let window = |provider: &str, model: &str| {
            model_catalog::context_window(price_kinds.get(provider)?, model)
        };
        let fingerprint = |source: &SecretSource| {
            resolve(source).map(|secret| routing::fingerprint(secret.expose()))
        };
        Self {
            authenticator: Authenticator::new(config.api_key.iter().filter_map(resolve).collect()),
            default_tenant: Arc::from(DEFAULT_TENANT),
            routes: Routes::new(&config, &window, &fingerprint),
            upstream: Upstream::new(client, &config, &resolve),
            prices: PriceTable::new(config.prices.iter().map(overridden).collect()),
            price_kinds,
            keys,
            version,
            config,
        }
    }

    /// The most that a model can write, in tokens, where that is known.
    pub(crate) fn max_output(&self, provider: &str, model: &str) -> Option<u64> {
        model_catalog::max_output(self.price_kinds.get(provider)?, model)
    }

    /// What a call cost, when its price is known.
    pub(crate) fn cost(&self, provider: &str, model: &str, usage: &Usage) -> Option<MicroDollars> {
        let kind = self.price_kinds.get(provider).map_or("", String::as_str);
        self.prices.find(kind, provider, model).map(|it| model_catalog::cost(it, usage))
    }
}

/// A provider at an address of its own is not the company whose format it speaks.
fn price_kinds(config: &Config) -> HashMap<String, String> {
    let at_home = config.providers.iter().filter(|it| {
        let home = providers::find(&it.kind).map_or("", |it| it.base_url);
        it.base_url.as_deref().is_none_or(|it| home.is_empty() || it.trim_end_matches('/') == home)
    });
    at_home.map(|it| (it.name.clone(), it.kind.clone())).collect()
}

fn overridden(price: &Price) -> PriceOverride {
    let rates = Rates {
        input: price.input,
        output: price.output,
        cached_input: price.cached_input.unwrap_or(price.input),
        cache_write: price.cache_write.unwrap_or(price.input),
    };
    PriceOverride {
        provider: price.provider.clone(),
        model: price.model.clone(),
        price: rates.into(),
    }
}
