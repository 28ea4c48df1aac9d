//! Cooldowns: a provider's model, under one of its keys, is not asked for a while after a failure.
//!
//! Within a process a cooldown is a time on the monotonic clock. Whoever owns a store shares it with
//! other instances: [`Cooldowns::take_changes`] gives what to write, [`Cooldowns::merge_shared`] takes what
//! was read. What is shared is a time on the wall clock, and never believed for longer than
//! [`MAX_SHARED_COOLDOWN`].

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use canonical::KeyFingerprint;
use serde::{Deserialize, Serialize};

/// The longest that a cooldown of another instance is believed.
pub const MAX_SHARED_COOLDOWN: Duration = Duration::from_secs(24 * 60 * 60);
/// The most cooldowns that are remembered: clients may type any model.
const MAX_COOLDOWNS: usize = 10_000;
/// How often a cooldown of an outage is doubled at most, while failures go on.
const MAX_DOUBLINGS: u32 = 16;
/// How long an outage that is over is remembered, so that the next failure prolongs it.
const OUTAGE_MEMORY: Duration = Duration::from_secs(10 * 60);

/// The subject of a cooldown: a provider's model, under one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cooldown {
    /// The provider's name in the configuration.
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
    /// The key.
    pub key: KeyFingerprint,
}

/// Why something cools down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CooldownReason {
    /// A limit of requests or tokens that is free again soon.
    #[default]
    RateLimit,
    /// A quota of the day is used up.
    DayQuota,
    /// The account's credit is spent, or its quota is used up.
    Credit,
    /// The key was refused.
    KeyRefused,
    /// The provider fails. One call probes whether it still does, before others follow.
    Outage,
}

impl CooldownReason {
    /// The reason's name.
    pub fn code(self) -> &'static str {
        match self {
            Self::RateLimit => "rate_limit",
            Self::DayQuota => "day_quota",
            Self::Credit => "credit",
            Self::KeyRefused => "key_refused",
            Self::Outage => "outage",
        }
    }

    /// The reason as a clause, for operators.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RateLimit => "its rate limit is reached",
            Self::DayQuota => "its quota of the day is used up",
            Self::Credit => "its credit or quota is spent",
            Self::KeyRefused => "its key was refused",
            Self::Outage => "it was failing",
        }
    }
}

/// How long a cooldown lasts, and why.
#[derive(Clone, Copy, Debug)]
pub struct CooldownCause {
    /// Why it begins.
    pub reason: CooldownReason,
    /// How long it lasts. Of an outage, that is its first time: the next is twice as long.
    pub length: Duration,
    /// How long it may become.
    pub max: Duration,
    /// Whether the provider named that time, which is then kept to.
    pub is_named: bool,
    /// When the request that failed was sent.
    pub sent: Instant,
}

/// A cooldown as operators see it.
#[derive(Clone, Debug)]
pub struct CooldownState {
    /// The provider's model and key that cool down.
    pub what: Cooldown,
    /// Why.
    pub reason: CooldownReason,
    /// How much longer; zero where one call probes whether it is over.
    pub left: Duration,
}

/// A cooldown as instances share it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedCooldown {
    /// The provider's name in the configuration.
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
    /// The fingerprint of the key.
    pub key: String,
    /// When the failure was noted, in milliseconds since 1970.
    pub since: u64,
    /// When the cooldown ends, in milliseconds since 1970.
    pub until: u64,
    /// Why it began.
    #[serde(default)]
    pub reason: CooldownReason,
    /// How often it was doubled.
    #[serde(default)]
    pub doublings: u32,
}

/// A change that other instances should know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CooldownChange {
    /// A cooldown began, or was prolonged.
    Began(SharedCooldown),
    /// A success ended a cooldown early.
    Ended(Cooldown),
}

/// Every cooldown that one process knows of.
#[derive(Debug, Default)]
pub struct Cooldowns {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    entries: Vec<Entry>,
    /// What no store has been sent yet: the newest change of each.
    changes: Vec<Change>,
}

#[derive(Clone, Debug)]
struct Entry {
    what: Cooldown,
    since: Instant,
    until: Instant,
    reason: CooldownReason,
    doublings: u32,
    /// Until when one call probes whether an outage is over.
    probed_until: Option<Instant>,
    shared: Option<Shared>,
}

/// How a store is known to hold a cooldown.
#[derive(Clone, Copy, Debug)]
struct Shared {
    /// When that was known. A later read that lacks the cooldown says that another instance's success
    /// has ended it.
    at: Instant,
    /// When the failure was noted, as the store has it, so that a newer cooldown differs from the
    /// same one.
    since: u64,
}

#[derive(Clone, Debug)]
struct Change {
    what: Cooldown,
    /// The cooldown that began; none for one that ended.
    began: Option<Entry>,
}

impl Cooldowns {
    /// A panic while the lock is held leaves entries that are whole, so they stay in use.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long a key of a provider's model still cools down; zero when it may be asked.
    pub fn remaining(
        &self,
        provider: &str,
        model: &str,
        key: KeyFingerprint,
        now: Instant,
    ) -> Duration {
        let table = self.lock();
        let entry = table.entries.iter().find(|it| it.what.is(provider, model, key));
        entry.map_or(Duration::ZERO, |it| it.remaining(now))
    }

    /// Why a key of a provider's model cools down; none when it may be asked.
    pub fn reason(
        &self,
        provider: &str,
        model: &str,
        key: KeyFingerprint,
        now: Instant,
    ) -> Option<CooldownReason> {
        let table = self.lock();
        let entry = table.entries.iter().find(|it| it.what.is(provider, model, key))?;
        if entry.remaining(now).is_zero() { None } else { Some(entry.reason) }
    }

    /// Begins a cooldown and gives its length; the newest word about a key counts. An outage that goes
    /// on after its cooldown is over cools down for twice as long.
    pub fn begin(&self, what: Cooldown, cause: CooldownCause, now: Instant) -> Duration {
        let mut table = self.lock();
        let known = table.entries.iter().find(|it| it.what == what);
        let doublings = known.map_or(0, |it| it.next_doublings(&cause));
        // A cooldown that is configured longer than its maximum keeps its length.
        let grown = cause.length.saturating_mul(1 << doublings).min(cause.max.max(cause.length));
        let length = if cause.is_named { cause.length } else { grown };
        // A provider may name a time that no clock holds.
        let until = now.checked_add(length).unwrap_or(now + MAX_SHARED_COOLDOWN);
        let reason = cause.reason;
        let probed_until = None;
        let entry =
            Entry { what, since: now, until, reason, doublings, probed_until, shared: None };
        table.set_change(Change { what: entry.what.clone(), began: Some(entry.clone()) });
        table.set(entry, now);
        length
    }

    /// Notes that a call is sent which shows whether an outage is over: others pass over the target
    /// for as long as the call may take.
    pub fn claim_probe(
        &self,
        provider: &str,
        model: &str,
        key: KeyFingerprint,
        probed_until: Instant,
    ) {
        let mut table = self.lock();
        let entry = table.entries.iter_mut().find(|it| it.what.is(provider, model, key));
        // Only an outage is probed: a limit that is over is over for all calls at once.
        if let Some(entry) = entry.filter(|it| it.reason == CooldownReason::Outage) {
            entry.probed_until = Some(probed_until);
        }
    }

    /// Lets another call probe, since the one that did says nothing.
    pub fn release_probe(&self, provider: &str, model: &str, key: KeyFingerprint) {
        let mut table = self.lock();
        let entry = table.entries.iter_mut().find(|it| it.what.is(provider, model, key));
        if let Some(entry) = entry {
            entry.probed_until = None;
        }
    }

    /// Whether an outage is remembered whose cooldown is over: the next failure prolongs it at once.
    pub fn is_probed(
        &self,
        provider: &str,
        model: &str,
        key: KeyFingerprint,
        now: Instant,
    ) -> bool {
        let table = self.lock();
        let entry = table.entries.iter().find(|it| it.what.is(provider, model, key));
        entry.is_some_and(|it| it.reason == CooldownReason::Outage && it.until <= now)
    }

    /// Every cooldown that is not over, for operators.
    pub fn states(&self, now: Instant) -> Vec<CooldownState> {
        let table = self.lock();
        let state = |entry: &Entry| CooldownState {
            what: entry.what.clone(),
            reason: entry.reason,
            left: entry.until.saturating_duration_since(now),
        };
        let is_over = |entry: &&Entry| entry.remaining(now).is_zero();
        table.entries.iter().filter(|entry| !is_over(entry)).map(state).collect()
    }

    /// Notes that a request which was sent at `sent` succeeded. A cooldown that began before is
    /// over; one that began later is news that the request could not have had.
    pub fn end(&self, provider: &str, model: &str, key: KeyFingerprint, sent: Instant) {
        let mut table = self.lock();
        let found = table
            .entries
            .iter()
            .position(|entry| entry.what.is(provider, model, key) && entry.since <= sent);
        if let Some(place) = found {
            let what = table.entries.swap_remove(place).what;
            // Also without a store: what is not taken stays bounded, one change for each cooldown.
            table.set_change(Change { what, began: None });
        }
    }

    /// What changed since the last time, for a store: at most one change of each cooldown. `wall` is
    /// the same moment as `now`, in milliseconds since 1970.
    pub fn take_changes(&self, now: Instant, wall: u64) -> Vec<CooldownChange> {
        let mut table = self.lock();
        if table.changes.is_empty() {
            return vec![];
        }
        let changes = std::mem::take(&mut table.changes);
        changes.into_iter().map(|it| it.shared(now, wall)).collect()
    }

    /// Notes that a store holds these changes now.
    pub fn published(&self, changes: &[CooldownChange], now: Instant) {
        let mut table = self.lock();
        for change in changes {
            let CooldownChange::Began(shared) = change else { continue };
            let entry = table.entries.iter_mut().find(|it| shared.is_about(&it.what));
            if let Some(entry) = entry {
                entry.shared = Some(Shared { at: now, since: shared.since });
            }
        }
    }

    /// Takes in every cooldown that a store held when it was asked at `read_at`. `wall` is the same
    /// moment, in milliseconds since 1970.
    pub fn merge_shared(&self, shared: &[SharedCooldown], read_at: Instant, wall: u64) {
        let mut table = self.lock();
        // What another instance's success has removed from the store is over here too, unless the
        // store had not heard of it yet.
        table.entries.retain(|entry| {
            let is_held = shared.iter().any(|it| it.is_about(&entry.what));
            let is_over = entry.until <= read_at;
            is_held || is_over || entry.shared.is_none_or(|shared| read_at <= shared.at)
        });
        for cooldown in shared {
            if let Some(entry) = cooldown.entry(read_at, wall)
                && table.is_news(&entry)
            {
                table.set(entry, read_at);
            }
        }
    }
}

impl Table {
    fn set(&mut self, entry: Entry, now: Instant) {
        // Here rather than by a timer: the list is only as long as recent failures.
        self.entries.retain(|it| it.is_remembered(now) && it.what != entry.what);
        if MAX_COOLDOWNS <= self.entries.len() {
            // The one that is over first is missed least.
            let soonest = (0..self.entries.len()).min_by_key(|it| self.entries[*it].until);
            soonest.map(|place| self.entries.swap_remove(place));
        }
        if now < entry.until {
            self.entries.push(entry);
        }
    }

    fn set_change(&mut self, change: Change) {
        self.changes.retain(|it| it.what != change.what);
        if MAX_COOLDOWNS <= self.changes.len() {
            // The oldest is closest to its end, so that losing it costs least.
            self.changes.remove(0);
        }
        self.changes.push(change);
    }

    /// Whether a shared cooldown says more than what is known here. A change that was not sent yet is
    /// newer than anything shared.
    fn is_news(&self, entry: &Entry) -> bool {
        let is_changed_here = self.changes.iter().any(|it| it.what == entry.what);
        let known = self.entries.iter().find(|it| it.what == entry.what);
        let since = |entry: &Entry| entry.shared.map(|shared| shared.since);
        let is_newer = known.is_none_or(|it| since(it) != since(entry) && it.since < entry.since);
        !is_changed_here && is_newer
    }
}

impl Entry {
    /// How long until a call may be made. One that probes keeps others away.
    fn remaining(&self, now: Instant) -> Duration {
        let left = self.until.saturating_duration_since(now);
        match self.probed_until {
            Some(probed_until) if left.is_zero() => probed_until.saturating_duration_since(now),
            _ => left,
        }
    }

    fn is_remembered(&self, now: Instant) -> bool {
        let memory = match self.reason {
            CooldownReason::Outage => OUTAGE_MEMORY,
            CooldownReason::RateLimit
            | CooldownReason::DayQuota
            | CooldownReason::Credit
            | CooldownReason::KeyRefused => Duration::ZERO,
        };
        now < self.until + memory
    }

    /// How often the next cooldown is doubled. A failure of a request that was sent before the end of
    /// this one is part of the same outage.
    fn next_doublings(&self, cause: &CooldownCause) -> u32 {
        let is_outage = |reason: CooldownReason| reason == CooldownReason::Outage;
        if !is_outage(self.reason) || !is_outage(cause.reason) {
            0
        } else if cause.sent < self.until {
            self.doublings
        } else {
            (self.doublings + 1).min(MAX_DOUBLINGS)
        }
    }
}

impl Cooldown {
    fn is(&self, provider: &str, model: &str, key: KeyFingerprint) -> bool {
        self.key == key && self.model == model && self.provider == provider
    }
}

impl Change {
    fn shared(self, now: Instant, wall: u64) -> CooldownChange {
        let Some(Entry { since, until, reason, doublings, .. }) = self.began else {
            return CooldownChange::Ended(self.what);
        };
        CooldownChange::Began(SharedCooldown {
            key: self.what.key.to_string(),
            provider: self.what.provider,
            model: self.what.model,
            since: wall.saturating_sub(millis(now.saturating_duration_since(since))),
            until: wall.saturating_add(millis(until.saturating_duration_since(now))),
            reason,
            doublings,
        })
    }
}

impl SharedCooldown {
    fn is_about(&self, what: &Cooldown) -> bool {
        self.model == what.model
            && self.provider == what.provider
            && what.key.to_string() == self.key
    }

    /// The cooldown on this process's clock; none when it is over or about no key.
    ///
    /// A wall clock that was set back since would prolong it, so it lasts at most as long as it was
    /// meant to.
    fn entry(&self, read_at: Instant, wall: u64) -> Option<Entry> {
        let length = Duration::from_millis(self.until.saturating_sub(self.since));
        let left = Duration::from_millis(self.until.saturating_sub(wall));
        let left = left.min(length).min(MAX_SHARED_COOLDOWN);
        let age = Duration::from_millis(wall.saturating_sub(self.since));
        let what = Cooldown {
            provider: self.provider.clone(),
            model: self.model.clone(),
            key: self.key.parse().ok()?,
        };
        let since = read_at.checked_sub(age).unwrap_or(read_at);
        let entry = Entry {
            what,
            since,
            until: read_at + left,
            reason: self.reason,
            doublings: self.doublings.min(MAX_DOUBLINGS),
            probed_until: None,
            shared: Some(Shared { at: read_at, since: self.since }),
        };
        if left.is_zero() { None } else { Some(entry) }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
