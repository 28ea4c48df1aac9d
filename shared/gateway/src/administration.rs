//! What the administration of a gateway needs of it: its tables, its ledger, its secrets.

use config::SecretSource;
use storage::{Secret, StoreError, Stores};
use tenants::{Adjustment, LedgerUsage, Tenant};

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

    /// Corrects what a tenant has spent; `false` if this correction was made before.
    pub async fn adjust_ledger(
        &self,
        tenant: &Tenant,
        adjustment: &Adjustment,
        clock: Clock,
    ) -> Result<bool, StoreError> {
        self.settlements.ledger.adjust(&tenant.ledger_key(), adjustment, clock.now() / 1000).await
    }
}

impl Snapshot {
    /// The value of a secret of the configuration, wherever it is kept; none where it is missing.
    pub fn secret(&self, source: &SecretSource) -> Option<Secret> {
        match source {
            SecretSource::Value { value, .. } => Some(value.clone()),
            SecretSource::Parameter { name, .. } => self.keys.get(name).cloned(),
        }
    }
}
