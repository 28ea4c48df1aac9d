//! Failures in a row, latency and requests in flight of each target.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The most models that are remembered for one provider: clients may type any name.
const MAX_MODELS: usize = 1_000;
/// How much of the latest latency goes into the mean: a quarter.
const SMOOTHING: u32 = 4;

/// The health of one target, as attempts have shown it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TargetHealth {
    /// Attempts that have begun and not ended.
    pub in_flight: u32,
    /// Failures since the last success.
    pub consecutive_failures: u32,
    /// The smoothed time from a request to its first event, or to a whole response.
    pub latency: Option<Duration>,
    /// How the latest attempts went, the newest in the lowest bit: 1 is a failure.
    recent: u64,
}

impl TargetHealth {
    /// How many of the latest `window` attempts failed; at most 64 are remembered.
    pub fn recent_failures(&self, window: u32) -> u32 {
        // Shifting a number by all of its bits is an overflow in Rust.
        let mask = if window < u64::BITS { (1 << window) - 1 } else { u64::MAX };
        (self.recent & mask).count_ones()
    }
}

/// The health of every target, by provider and model.
#[derive(Debug, Default)]
pub(crate) struct TargetTable {
    providers: Mutex<HashMap<String, HashMap<String, TargetHealth>>>,
}

impl TargetTable {
    /// A panic while the lock is held leaves whole numbers behind, so they stay in use.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, HashMap<String, TargetHealth>>> {
        self.providers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, provider: &str, model: &str) -> TargetHealth {
        let providers = self.lock();
        providers.get(provider).and_then(|models| models.get(model)).copied().unwrap_or_default()
    }

    pub(crate) fn of(&self, provider: &str) -> Vec<(String, TargetHealth)> {
        let providers = self.lock();
        let models = providers.get(provider).into_iter().flatten();
        let mut models: Vec<_> = models.map(|(model, health)| (model.clone(), *health)).collect();
        models.sort_by(|one, other| one.0.cmp(&other.0));
        models
    }

    pub(crate) fn began(&self, provider: &str, model: &str) {
        self.change(provider, model, |health| health.in_flight += 1);
    }

    pub(crate) fn ended(&self, provider: &str, model: &str) {
        self.change(provider, model, |health| {
            health.in_flight = health.in_flight.saturating_sub(1);
        });
    }

    pub(crate) fn failed(&self, provider: &str, model: &str) {
        self.change(provider, model, |health| {
            health.consecutive_failures = health.consecutive_failures.saturating_add(1);
            health.recent = health.recent << 1 | 1;
        });
    }

    pub(crate) fn succeeded(&self, provider: &str, model: &str, latency: Duration) {
        self.change(provider, model, |health| {
            health.consecutive_failures = 0;
            health.recent <<= 1;
            let mean = health.latency.unwrap_or(latency);
            health.latency = Some((mean * (SMOOTHING - 1) + latency) / SMOOTHING);
        });
    }

    /// Forgets how the latest attempts went: a cooldown begins, and what follows is judged anew.
    pub(crate) fn forget_recent(&self, provider: &str, model: &str) {
        self.change(provider, model, |health| health.recent = 0);
    }

    fn change(&self, provider: &str, model: &str, change: impl FnOnce(&mut TargetHealth)) {
        let mut providers = self.lock();
        // Looked up by borrowed names first: nearly every call finds its target and allocates
        // nothing.
        if let Some(health) = providers.get_mut(provider).and_then(|it| it.get_mut(model)) {
            change(health);
            return;
        }
        let models = providers.entry(provider.to_owned()).or_default();
        if MAX_MODELS <= models.len() {
            // Only what is in flight must be kept, or its count would go below zero later.
            models.retain(|_, health| 0 < health.in_flight);
        }
        change(models.entry(model.to_owned()).or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_success_ends_a_row_of_failures() {
        let table = TargetTable::default();
        table.failed("a", "m");
        table.failed("a", "m");
        assert_eq!(table.get("a", "m").consecutive_failures, 2);
        table.succeeded("a", "m", Duration::from_millis(8));
        assert_eq!(table.get("a", "m").consecutive_failures, 0);
        assert_eq!(table.get("a", "other"), TargetHealth::default());
    }

    #[test]
    fn failures_are_counted_within_a_window() {
        let table = TargetTable::default();
        for _ in 0..3 {
            table.failed("a", "m");
        }
        table.succeeded("a", "m", Duration::ZERO);
        let health = table.get("a", "m");
        let counts = [1, 2, 4, 64, 99].map(|window| health.recent_failures(window));
        assert_eq!(counts, [0, 1, 3, 3, 3]);
        table.forget_recent("a", "m");
        assert_eq!(table.get("a", "m").recent_failures(64), 0);
    }

    #[test]
    fn latency_follows_slowly() {
        let table = TargetTable::default();
        table.succeeded("a", "m", Duration::from_millis(100));
        table.succeeded("a", "m", Duration::from_millis(500));
        assert_eq!(table.get("a", "m").latency, Some(Duration::from_millis(200)));
    }

    #[test]
    fn models_that_clients_make_up_are_forgotten() {
        let table = TargetTable::default();
        table.began("a", "kept");
        for nth in 0..2 * MAX_MODELS {
            table.failed("a", &nth.to_string());
        }
        assert!(table.lock()["a"].len() <= MAX_MODELS);
        assert_eq!(table.get("a", "kept").in_flight, 1);
    }
}
