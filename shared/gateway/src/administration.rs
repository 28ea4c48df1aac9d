//! What the administration of a gateway needs of it: its tables, its ledger, its secrets.

use canonical::Result;
use config::{Config, SecretSource};
use model_catalog::Price;
use providers::ModelListing;
use routing::CooldownState;
use storage::{Secret, StoreError, Stores};
use tenants::{Adjusted, Adjustment, LedgerUsage, Tenant};

use crate::{Gateway, Snapshot, call::Clock};

impl Gateway {
    /// The tables of the gateway.
    pub fn stores(&self) -> &Stores {
        self.configuration.stores()
    }

    /// Forgets what is remembered of a tenant, so that a change takes effect at once.
    pub fn forget_tenant(&self, id: &str) {
        self.keys.forget(id);
    }

    /// What the ledger says of a tenant: spent, held, lost and left.
    pub async fn ledger_usage(
        &self,
        tenant: &Tenant,
        clock: Clock,
    ) -> Result<LedgerUsage, StoreError> {
        let (key, limits) = (tenant.ledger_key(), tenant.settings.limits());
        self.settlements.ledger.usage(&key, &limits, clock.now() / 1000).await
    }

    /// Corrects what a tenant has spent.
    pub async fn adjust_ledger(
        &self,
        tenant: &Tenant,
        adjustment: &Adjustment,
        clock: Clock,
    ) -> Result<Adjusted, StoreError> {
        self.settlements.ledger.adjust(&tenant.ledger_key(), adjustment, clock.now() / 1000).await
    }

    /// Puts a configuration in the place of the one that was read at the start, or reads the stored
    /// one anew.
    pub async fn replace_config(&self, config: Config, clock: Clock) -> Result<()> {
        self.configuration.replace(config, clock).await
    }

    /// Reads the configuration anew where it is in a store, and its keys where they are too old.
    pub async fn reload_config(&self, clock: Clock) -> Result<()> {
        self.configuration.load(clock).await
    }

    /// What cools down right now, for operators.
    pub async fn cooldown_states(&self, clock: Clock) -> Vec<CooldownState> {
        self.configuration.refresh_cooldowns(clock).await;
        self.configuration.health().cooldowns.states(clock.instant())
    }

    /// What each provider lists as its models, asked of all at once.
    pub async fn list_upstream_models(&self, clock: Clock) -> Result<Vec<ModelListing>> {
        self.list_upstream_models_watched(clock, &|_| ()).await
    }

    /// What each provider lists as its models; `done` gets the name of each as its list ends.
    pub async fn list_upstream_models_watched(
        &self,
        clock: Clock,
        done: &(dyn Fn(&str) + Sync),
    ) -> Result<Vec<ModelListing>> {
        let snapshot = self.configuration.current(clock).await?;
        Ok(snapshot.upstream.list_models(done).await)
    }
}

impl Snapshot {
    /// The price of a provider's model, where it is known.
    pub fn price(&self, provider: &str, model: &str) -> Option<&Price> {
        let kind = self.price_kinds.get(provider).map_or("", String::as_str);
        self.prices.find(kind, provider, model)
    }

    /// The value of a secret of the configuration, wherever it is kept; none where it is missing.
    pub fn secret(&self, source: &SecretSource) -> Option<Secret> {
        match source {
            SecretSource::Value { value, .. } => Some(value.clone()),
            SecretSource::Parameter { name, .. } => self.keys.get(name).cloned(),
        }
    }
}
