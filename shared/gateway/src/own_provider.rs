//! A tenant's own provider: the configuration as that tenant's calls see it.
//!
//! Such calls go to that provider alone, under its own key. Routes and models keep the steps that they
//! have there; any other name goes there as it is. What opens a stored key is known to the process, or
//! is read once it is needed.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use canonical::{Error, ErrorKind, Origin, Result};
use config::{Admin, Config, Model, Price, Provider, Route, SecretSource};
use tenants::{ProviderSettings, SealingKey, Tenant};
use tokio::sync::OnceCell;

use crate::{Configuration, Snapshot};

/// The type of a provider that is named by its address alone.
const DEFAULT_KIND: &str = "openai";
/// When a client should try again while the secret that opens keys cannot be read.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// For how many tenants a configuration is kept ready.
const MAX_PREPARED: usize = 256;

/// What opens the keys of tenants' own providers, which rows hold sealed.
#[derive(Debug, Default)]
pub enum Sealing {
    /// Nothing does.
    #[default]
    None,
    /// This key.
    Key(Box<SealingKey>),
    /// The key in this parameter, as hexadecimal digits.
    Parameter(String),
}

/// The configurations of tenants with a provider of their own.
#[derive(Debug, Default)]
pub(crate) struct OwnProviders {
    sealing: Sealing,
    /// The key that a parameter holds.
    read: OnceCell<SealingKey>,
    prepared: Mutex<HashMap<String, Prepared>>,
}

/// What was made of a configuration for one tenant.
#[derive(Debug)]
struct Prepared {
    base: Weak<Snapshot>,
    settings: ProviderSettings,
    snapshot: Arc<Snapshot>,
}

/// The own provider of the tenant that a configuration was made for.
#[derive(Debug)]
pub(crate) struct OwnProvider {
    /// What the tenant's settings call the provider; none where they give its address alone.
    pub(crate) alias: Option<String>,
    /// What the configuration calls the provider.
    pub(crate) name: String,
}

impl OwnProviders {
    pub(crate) fn new(sealing: Sealing) -> Self {
        Self { sealing, ..Self::default() }
    }

    /// The configuration as a tenant's calls see it: `base` for a tenant without a provider of its own.
    pub(crate) async fn snapshot_for(
        &self,
        tenant: &Tenant,
        base: Arc<Snapshot>,
        configuration: &Configuration,
    ) -> Result<Arc<Snapshot>> {
        let settings = &tenant.settings.provider;
        if !settings.is_set() {
            return Ok(base);
        }
        if let Some(known) = self.prepared().get(&tenant.id)
            && known.settings == *settings
            && known.base.upgrade().is_some_and(|it| Arc::ptr_eq(&it, &base))
        {
            return Ok(known.snapshot.clone());
        }

        let key = self.key_of(tenant, &base, configuration).await?;
        let (config, own) = config_of(&base.config, tenant, key)?;
        let snapshot = Snapshot::of_tenant(&base, config, own, configuration.client());
        let snapshot = Arc::new(snapshot);
        let prepared = Prepared {
            // Weak, so that a configuration that was replaced is freed though its tenants call no
            // more.
            base: Arc::downgrade(&base),
            settings: settings.clone(),
            snapshot: snapshot.clone(),
        };
        self.keep(&tenant.id, prepared);
        Ok(snapshot)
    }

    /// The key of a tenant's own provider, where it has one.
    async fn key_of(
        &self,
        tenant: &Tenant,
        base: &Snapshot,
        configuration: &Configuration,
    ) -> Result<Option<SecretSource>> {
        if let Some(sealed) = &tenant.settings.provider.sealed_api_key {
            let opened = match &self.sealing {
                Sealing::None => None,
                Sealing::Key(key) => key.open(&tenant.id, sealed),
                Sealing::Parameter(name) => {
                    let read = || read_sealing_key(name, configuration);
                    self.read.get_or_try_init(read).await?.open(&tenant.id, sealed)
                }
            };
            let value = opened.ok_or_else(|| {
                unusable("its key cannot be opened")
                    .caused_by("the key was sealed under another secret, or for another tenant")
            })?;
            return Ok(Some(SecretSource::Value { value, variable: None, place: None }));
        }
        let mut declared = base.config.tenants.iter();
        let declared = declared.find(|it| it.settings.name == tenant.id);
        // Version 0 is a declared tenant. One of the store may have its name, and has no right to its
        // key.
        Ok(declared.filter(|_| tenant.version == 0).and_then(|it| it.provider_api_key.clone()))
    }

    fn keep(&self, tenant: &str, new: Prepared) {
        let mut prepared = self.prepared();
        if MAX_PREPARED <= prepared.len() {
            // Those of replaced configurations first. Where that is not enough, all: each is made
            // again when it is needed.
            prepared.retain(|_, it| it.base.strong_count() != 0);
        }
        if MAX_PREPARED <= prepared.len() {
            prepared.clear();
        }
        prepared.insert(tenant.to_owned(), new);
    }

    fn prepared(&self) -> MutexGuard<'_, HashMap<String, Prepared>> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn read_sealing_key(name: &str, configuration: &Configuration) -> Result<SealingKey> {
    let Some(parameters) = configuration.parameters() else {
        return Err(unusable("its key cannot be opened"));
    };
    let found = parameters.get(&[name.to_owned()]).await.map_err(|cause| {
        let message = "The key of this tenant's provider cannot be read at the moment.";
        let mut error = Error::new(ErrorKind::Unavailable, message);
        error.retry_after = Some(RETRY_AFTER);
        error.caused_by(cause)
    })?;
    let key = found.get(name).and_then(SealingKey::from_digits);
    key.ok_or_else(|| {
        unusable("its key cannot be opened")
            .caused_by(format!("the parameter {name} is missing or may not be read"))
    })
}

/// A configuration with a tenant's own provider alone.
fn config_of(
    base: &Config,
    tenant: &Tenant,
    key: Option<SecretSource>,
) -> Result<(Config, OwnProvider)> {
    let settings = &tenant.settings.provider;
    let alias = settings.name.as_deref().unwrap_or(DEFAULT_KIND);
    let configured = base.providers.iter().find(|it| it.name == alias);
    let provider = own_provider(configured, tenant, alias, key)?;
    let own = OwnProvider { alias: settings.name.clone(), name: provider.name.clone() };

    let is_there = |name: &str| {
        name == alias
            || configured.is_none()
                && base.providers.iter().any(|it| it.name == name && it.kind == alias)
    };
    let routes = base.routes.iter().map(|route| {
        let mut route = Route::clone(route);
        route.steps.retain(|step| is_there(&step.provider));
        route.steps.iter_mut().for_each(|step| step.provider.clone_from(&own.name));
        route
    });
    let models = base.models.iter().filter(|model| is_there(&model.provider));
    let prices = base.prices.iter().filter(|price| price.provider == alias);
    let config = Config {
        // The caller is authenticated by now: who may call is not copied for every tenant.
        api_key: None,
        admin: Admin::default(),
        tenants: vec![],
        default_provider: Some(own.name.clone()),
        default_providers: vec![],
        routes: routes.filter(|route| !route.steps.is_empty()).collect(),
        models: models.map(|it| Model { provider: own.name.clone(), ..it.clone() }).collect(),
        prices: prices.map(|it| Price { provider: own.name.clone(), ..it.clone() }).collect(),
        providers: vec![provider],
        ..base.clone()
    };
    Ok((config, own))
}

/// The provider itself. The configuration's own keys and headers never go to an address of the
/// tenant's, and its keys never stand in for one that the tenant has.
fn own_provider(
    configured: Option<&Provider>,
    tenant: &Tenant,
    alias: &str,
    key: Option<SecretSource>,
) -> Result<Provider> {
    let base_url = tenant.settings.provider.base_url.clone();
    let kind = configured.map_or(alias, |it| &it.kind).to_owned();
    if providers::find(&kind).is_none() {
        return Err(unusable("it is neither a provider of the configuration nor a type"));
    }
    match (configured, base_url) {
        (Some(configured), None) => Ok(match key {
            None => configured.clone(),
            Some(key) => {
                Provider { keys: vec![key], headers: own_headers(configured), ..configured.clone() }
            }
        }),
        (Some(configured), Some(base_url)) => Ok(Provider {
            // Health and prices of another server are not those of the configured one.
            name: format!("{alias}.{}", tenant.id),
            base_url: Some(base_url),
            keys: key.into_iter().collect(),
            headers: BTreeMap::new(),
            ..configured.clone()
        }),
        (None, base_url) => Ok(Provider {
            name: match &base_url {
                Some(_) => format!("{alias}.{}", tenant.id),
                None => alias.to_owned(),
            },
            kind,
            base_url,
            keys: key.into_iter().collect(),
            ..Provider::default()
        }),
    }
}

/// The headers of a configured provider but for those that are a key.
fn own_headers(configured: &Provider) -> BTreeMap<String, SecretSource> {
    let headers = configured.headers.iter().filter(|(name, _)| !config::is_key_header(name));
    headers.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn unusable(reason: &str) -> Error {
    let message = format!("The provider of this key's tenant cannot be used: {reason}.");
    Error::new(ErrorKind::ProviderAccess, message).from_origin(Origin::Policy)
}
