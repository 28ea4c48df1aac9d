//! The health of providers as operators see it: what attempts have shown, and what cools down.

use std::time::Duration;

use routing::{CooldownReason, CooldownState, TargetHealth};

use crate::{Clock, Gateway};

/// The health of one provider.
#[derive(Clone, Debug)]
pub struct ProviderHealth {
    /// The provider's name in the configuration.
    pub name: String,
    /// Whether calls go there.
    pub breaker: BreakerState,
    /// What attempts have shown of each model, in this process.
    pub models: Vec<(String, TargetHealth)>,
    /// What cools down there, as all instances know.
    pub cooldowns: Vec<CooldownState>,
}

/// Whether calls go to a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls go to the provider.
    Closed,
    /// One call finds out whether an outage is over.
    HalfOpen,
    /// No calls go to the provider: an outage goes on.
    Open,
}

impl BreakerState {
    /// The state's name, as earlier gateways wrote it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half-open",
            Self::Open => "open",
        }
    }

    fn of(cooldowns: &[CooldownState]) -> Self {
        let mut outages = cooldowns.iter().filter(|it| it.reason == CooldownReason::Outage);
        match outages.clone().next() {
            None => Self::Closed,
            Some(_) if outages.all(|it| it.left == Duration::ZERO) => Self::HalfOpen,
            Some(_) => Self::Open,
        }
    }
}

impl Gateway {
    /// The health of every configured provider. No provider is called.
    pub async fn provider_health(&self, clock: Clock) -> canonical::Result<Vec<ProviderHealth>> {
        let snapshot = self.configuration.current(clock).await?;
        self.configuration.refresh_cooldowns(clock).await;
        let health = self.configuration.health();
        let states = health.cooldowns.states(clock.instant());
        let of = |provider: &config::Provider| {
            let own = states.iter().filter(|state| state.what.provider == provider.name);
            let cooldowns: Vec<CooldownState> = own.cloned().collect();
            ProviderHealth {
                breaker: BreakerState::of(&cooldowns),
                models: health.targets_of(&provider.name),
                cooldowns,
                name: provider.name.clone(),
            }
        };
        Ok(snapshot.config.providers.iter().map(of).collect())
    }
}
