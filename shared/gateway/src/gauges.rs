//! How the gateway is right now: what cools down, and how far budgets are used.

use std::collections::BTreeMap;

use canonical::Result;
use tenants::{Tenant, Tenants};

use crate::{Gateway, call::Clock};

/// How many tenants of the store are looked at, so that a scrape stays short.
const MAX_TENANTS: usize = 200;

impl Gateway {
    /// The providers that cool down, for all models under some key, and whether one call probes
    /// whether that is over.
    pub async fn cooling_down(&self, clock: Clock) -> BTreeMap<String, bool> {
        self.configuration.refresh_cooldowns(clock).await;
        let mut providers = BTreeMap::new();
        for state in self.configuration.health().cooldowns.states(clock.instant()) {
            let is_probed = state.left.is_zero();
            let known = providers.entry(state.what.provider).or_insert(true);
            *known = *known && is_probed;
        }
        providers
    }

    /// How much of its budget each tenant has used, what is held included. Tenants whose ledger
    /// cannot be read are left out.
    pub async fn budget_ratios(&self, clock: Clock) -> Result<BTreeMap<String, f64>> {
        let snapshot = self.snapshot(clock).await?;
        let declared = snapshot.config.tenants.iter();
        let mut tenants: Vec<Tenant> =
            declared.map(|it| Tenant::declared(it.settings.clone())).collect();
        let repository = Tenants::new(self.stores().config.clone());
        if let Ok(page) = repository.list(None, MAX_TENANTS, clock.now() / 1000).await {
            tenants.extend(page.items);
        }

        let mut ratios = BTreeMap::new();
        for tenant in tenants.iter().filter(|it| it.settings.limits().budget.is_some()) {
            let usage = self.ledger_usage(tenant, clock).await.ok();
            if let Some(budget) = usage.and_then(|usage| usage.budget) {
                let used = budget.used.saturating_add(budget.held);
                ratios.insert(tenant.id.clone(), ratio(used, budget.limit));
            }
        }
        Ok(ratios)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a ratio is shown with a few digits")]
fn ratio(used: u64, limit: u64) -> f64 {
    // A budget of nothing is used up; dividing by it would give no number.
    if limit == 0 { 1.0 } else { used as f64 / limit as f64 }
}
