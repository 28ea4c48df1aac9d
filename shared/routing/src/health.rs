//! Health of targets, for one process: cooldowns, failures in a row, latency, requests in flight.
//!
//! Attempts report here; what is read decides which target a call takes next.

mod cooldowns;
mod hedges;
mod sessions;
mod targets;

pub use cooldowns::{
    Cooldown, CooldownCause, CooldownChange, CooldownReason, CooldownState, Cooldowns,
    MAX_SHARED_COOLDOWN, SharedCooldown,
};
pub use hedges::HedgeBudget;
pub use sessions::Sessions;
pub use targets::TargetHealth;
use targets::TargetTable;

/// Health of every target that was attempted.
#[derive(Debug, Default)]
pub struct Health {
    /// Targets that are not asked for a while.
    pub cooldowns: Cooldowns,
    /// Which target served a session last.
    pub sessions: Sessions,
    /// How many calls may be hedged.
    pub hedges: HedgeBudget,
    /// Everything else that attempts show about a target.
    pub(crate) targets: TargetTable,
}

impl Health {
    /// What attempts have shown about a provider's model so far.
    pub fn target(&self, provider: &str, model: &str) -> TargetHealth {
        self.targets.get(provider, model)
    }

    /// What attempts have shown of each of a provider's models, by the model's name.
    pub fn targets_of(&self, provider: &str) -> Vec<(String, TargetHealth)> {
        self.targets.of(provider)
    }
}
