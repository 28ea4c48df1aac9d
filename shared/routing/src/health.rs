//! Who rests: a provider's model that failed is left alone for a while.
//!
//! A failure is noted here by the loop that saw it. The notes are shared with other instances by
//! whoever owns a store: [`Cooldowns::take_new`] gives what to write, [`Cooldowns::learn`] takes what
//! others wrote.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// One provider's model, under one of its keys, left alone until a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cooldown {
    /// The provider's name in the configuration.
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
    /// The place of the key in the provider's pool.
    pub key: usize,
    /// When it is free again, in milliseconds since 1970.
    pub until: u64,
}

/// Everyone who rests, for one process.
#[derive(Debug, Default)]
pub struct Cooldowns {
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    resting: Vec<Cooldown>,
    /// Changes that no store has seen yet.
    unshared: Vec<Cooldown>,
}

impl Notes {
    fn note(&mut self, rest: Cooldown, now: u64) {
        self.resting.retain(|it| now < it.until && !is_same(it, &rest));
        if now < rest.until {
            self.resting.push(rest);
        }
    }
}

impl Cooldowns {
    /// A panic while the lock is held leaves notes that are whole, so they stay in use.
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When this key of a provider's model is free again; `now` or earlier when it does not rest.
    pub fn until(&self, provider: &str, model: &str, key: usize) -> u64 {
        let notes = self.notes();
        let found = notes
            .resting
            .iter()
            .find(|it| it.key == key && it.model == model && it.provider == provider);
        found.map_or(0, |it| it.until)
    }

    /// Lets one rest.
    pub fn rest(&self, rest: Cooldown, now: u64) {
        let mut notes = self.notes();
        notes.unshared.push(rest.clone());
        notes.note(rest, now);
    }

    /// Notes that one answered a call which began at `since`: an older rest is over.
    pub fn wake(&self, provider: &str, model: &str, key: usize, now: u64) {
        let mut notes = self.notes();
        if notes.resting.is_empty() {
            return;
        }
        let over =
            Cooldown { provider: provider.to_owned(), model: model.to_owned(), key, until: now };
        if notes.resting.iter().any(|it| is_same(it, &over)) {
            notes.unshared.push(over.clone());
            notes.note(over, now);
        }
    }

    /// What changed since the last time, for a store.
    pub fn take_new(&self) -> Vec<Cooldown> {
        std::mem::take(&mut self.notes().unshared)
    }

    /// What others noted. Ours stand where they are newer than anything shared.
    pub fn learn(&self, others: impl IntoIterator<Item = Cooldown>, now: u64) {
        let mut notes = self.notes();
        for rest in others {
            if !notes.unshared.iter().any(|it| is_same(it, &rest)) {
                notes.note(rest, now);
            }
        }
    }
}

fn is_same(one: &Cooldown, other: &Cooldown) -> bool {
    one.key == other.key && one.model == other.model && one.provider == other.provider
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(provider: &str, until: u64) -> Cooldown {
        Cooldown { provider: provider.to_owned(), model: "m".to_owned(), key: 0, until }
    }

    #[test]
    fn a_rest_ends_by_itself() {
        let rests = Cooldowns::default();
        rests.rest(rest("a", 100), 0);
        assert_eq!(rests.until("a", "m", 0), 100);
        rests.rest(rest("b", 200), 150);
        assert_eq!(rests.until("a", "m", 0), 0);
    }

    #[test]
    fn a_success_ends_a_rest() {
        let rests = Cooldowns::default();
        rests.rest(rest("a", 100), 0);
        rests.wake("a", "m", 0, 50);
        assert_eq!(rests.until("a", "m", 0), 0);
    }

    #[test]
    fn rests_are_shared_once_and_learned() {
        let (ours, theirs) = (Cooldowns::default(), Cooldowns::default());
        ours.rest(rest("a", 100), 0);
        theirs.learn(ours.take_new(), 10);
        assert_eq!(theirs.until("a", "m", 0), 100);
        assert!(ours.take_new().is_empty() && theirs.take_new().is_empty());
    }
}
