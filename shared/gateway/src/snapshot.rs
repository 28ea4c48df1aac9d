//! The configuration, made ready: what one call sees of it from its first to its last moment.

use std::{collections::HashMap, sync::Arc};

use canonical::{MicroDollars, ModelFacts, Usage};
use config::{Config, DeclaredTenant, KeySource, Price, SecretSource};
use model_catalog::{PriceOverride, PriceTable, Rates};
use providers::{Client, Upstream};
use routing::{ModelQuery, Routes, Target};
use storage::Secret;
use tenants::{ConfiguredKey, KeyHash, WorstPrice};

use crate::{call_plan::by_own_name, model_facts::CatalogFacts, own_provider::OwnProvider};

/// Values of parameters, by name.
pub(crate) type Keys = HashMap<String, Secret>;

/// What is known of a model or route.
#[derive(Debug, Default)]
pub struct ModelDetails {
    /// The most tokens that prompt and response may have together, at every target.
    pub context_window: Option<u64>,
    /// The most output tokens, at every target.
    pub max_output: Option<u64>,
    /// The price of the first target.
    pub price: Option<model_catalog::Price>,
    /// Facts about the model of each target.
    pub facts: Vec<Arc<ModelFacts>>,
}

/// One state of the configuration.
#[derive(Debug)]
pub struct Snapshot {
    /// The configuration as written.
    pub config: Config,
    /// The keys of clients that the configuration names.
    pub(crate) client_keys: Vec<ConfiguredKey>,
    /// From names to targets.
    pub routes: Routes,
    pub(crate) upstream: Upstream,
    pub(crate) keys: Keys,
    /// A version that changes with the configuration.
    pub(crate) version: String,
    pub(crate) prices: PriceTable,
    /// Each provider's entry in the price table; none for those who are not who they resemble.
    pub(crate) price_kinds: HashMap<String, String>,
    /// The provider that all of these calls go to, where their tenant has one of its own.
    pub(crate) own: Option<OwnProvider>,
}

impl Snapshot {
    /// Prepares a document whose parameters have these values.
    pub(crate) fn new(config: Config, version: String, keys: Keys, client: &Client) -> Self {
        let resolve = |source: &SecretSource| match source {
            SecretSource::Value { value, .. } => Some(value.clone()),
            SecretSource::Parameter { name, .. } => keys.get(name).cloned(),
        };

        let price_kinds = price_kinds(&config);
        let facts = CatalogFacts::new(&config, &price_kinds);
        let fingerprint = |source: &SecretSource| {
            resolve(source).map(|secret| routing::fingerprint(secret.expose()))
        };
        Self {
            client_keys: client_keys(&config, &resolve),
            routes: Routes::new(&config, facts, &fingerprint),
            upstream: Upstream::new(client, &config, &resolve),
            prices: PriceTable::new(config.prices.iter().map(overridden).collect()),
            price_kinds,
            keys,
            version,
            config,
            own: None,
        }
    }

    /// The same state, with a configuration that one tenant's calls are made under.
    pub(crate) fn of_tenant(
        base: &Self,
        config: Config,
        own: OwnProvider,
        client: &Client,
    ) -> Self {
        let snapshot = Self::new(config, base.version.clone(), base.keys.clone(), client);
        Self { own: Some(own), ..snapshot }
    }

    /// The provider that a call for this model is sent to first; none where no target has such a name.
    pub fn first_provider(&self, model: &str) -> Option<String> {
        let query = ModelQuery { model: Some(model), provider: None };
        let plan = self.routes.resolve(by_own_name(self.own.as_ref(), query)).ok()?;
        plan.targets.first().map(|target| target.provider.clone())
    }

    /// What is known of a model or route: limits that all of its targets keep, and the price of the
    /// first.
    pub fn model_details(&self, model: &str) -> ModelDetails {
        let query = ModelQuery { model: Some(model), provider: None };
        let Ok(plan) = self.routes.resolve(query) else { return ModelDetails::default() };
        let windows =
            plan.targets.iter().filter_map(|it| it.context_window.or(it.facts.context_window));
        let written = plan.targets.iter().filter_map(|it| it.facts.max_output);
        let first = plan.targets.first();
        ModelDetails {
            context_window: windows.min(),
            max_output: written.min(),
            price: first.and_then(|target| self.price(&target.provider, &target.model)).copied(),
            facts: plan.targets.iter().map(|target| target.facts.clone()).collect(),
        }
    }

    /// Whether the configuration names a target, as a model or as a step of a route.
    pub(crate) fn names_target(&self, provider: &str, model: &str) -> bool {
        let models = self.config.models.iter().map(|it| (&*it.provider, &*it.name));
        let steps = self.config.routes.iter().flat_map(|route| &route.steps);
        let steps = steps.map(|step| (&*step.provider, &*step.model));
        models.chain(steps).any(|target| target == (provider, model))
    }

    /// The highest rates that a call with this much input may be charged; none where no price is
    /// known.
    pub(crate) fn worst_price(
        &self,
        provider: &str,
        model: &str,
        input: u64,
    ) -> Option<WorstPrice> {
        let kind = self.price_kinds.get(provider).map_or("", String::as_str);
        let rates = self.prices.find(kind, provider, model)?.rates_for(input);
        // How much of a prompt is cached is not known before the call, so that the highest class
        // counts.
        let max_input = rates.input.max(rates.cached_input).max(rates.cache_write);
        Some(WorstPrice { input: max_input, output: rates.output })
    }

    /// Whether a target continues a last message of the model.
    pub(crate) fn takes_prefill(&self, target: &Target) -> bool {
        self.upstream.takes_prefill(target) || target.facts.prefill == Some(true)
    }

    /// The cost of a call, where its price is known.
    pub(crate) fn cost(&self, provider: &str, model: &str, usage: &Usage) -> Option<MicroDollars> {
        let kind = self.price_kinds.get(provider).map_or("", String::as_str);
        self.prices.find(kind, provider, model).map(|it| model_catalog::cost(it, usage))
    }
}

/// The key of the tenant `default` and those of declared tenants, as far as they can be read.
fn client_keys(
    config: &Config,
    resolve: &dyn Fn(&SecretSource) -> Option<Secret>,
) -> Vec<ConfiguredKey> {
    let default = config.api_key.iter().filter_map(resolve);
    let mut keys: Vec<ConfiguredKey> =
        default.map(|key| ConfiguredKey::default_tenant(key.expose())).collect();
    for DeclaredTenant { settings, keys: declared, .. } in &config.tenants {
        // A key whose parameter cannot be read is left out: its tenant gets 401, and all others go
        // on.
        let declared = declared.iter().filter_map(|key| {
            let hash = match &key.source {
                KeySource::Secret(source) => KeyHash::of(resolve(source)?.expose()),
                KeySource::Hash(hash) => hash.clone(),
            };
            let declared = ConfiguredKey::declared(hash, settings.clone());
            Some(declared.known_as(key.name.clone(), key.expires))
        });
        keys.extend(declared);
    }
    keys
}

/// A provider at an address of its own is not the company whose format it speaks, but the one whose
/// host that address names.
fn price_kinds(config: &Config) -> HashMap<String, String> {
    let kind = |it: &config::Provider| {
        let kind = providers::find(&it.kind)?;
        match &it.base_url {
            Some(base_url) if !kind.base_url.is_empty() => {
                providers::find_by_host(base_url, kind).map(|it| it.name)
            }
            _ => Some(kind.name),
        }
    };
    let known = config.providers.iter().filter_map(|it| Some((it.name.clone(), kind(it)?)));
    known.map(|(name, kind)| (name, kind.to_owned())).collect()
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
