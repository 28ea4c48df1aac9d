//! The key directory: whose key a client sends.
//!
//! A key is found by one point read of its hash, which is remembered for half a minute. While the
//! store cannot be reached, keys that were known in the last minutes work, and others are not
//! called wrong.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use canonical::{Error, ErrorKind, Result};
use storage::{Consistency, StoreError, Table};

use crate::{
    key::{ApiKey, KeyHash},
    principal::{ConfiguredKey, Credential, Principal},
    rows,
    tenant::Tenant,
};

/// How long a known key is not looked up again, in seconds: a change takes effect within this.
const KNOWN_SECONDS: u64 = 30;

/// How long an unknown key is not looked up again, in seconds.
const UNKNOWN_SECONDS: u64 = 10;

/// How long a known key works while the store cannot be reached, in seconds.
const OUTAGE_SECONDS: u64 = 600;

/// How long the store is left alone after it could not be reached, in seconds.
const STORE_PAUSE_SECONDS: u64 = 2;

/// What a client is told to wait when the store cannot be reached, in seconds.
const STORE_RETRY_SECONDS: u64 = 5;

/// How many known keys, and how many unknown ones, are remembered.
const MAX_KEYS: usize = 10_000;

/// How often the last use of a key is noted, in seconds.
const NOTE_USE_SECONDS: u64 = 300;

/// The keys of every tenant.
#[derive(Debug)]
pub struct KeyDirectory {
    table: Arc<dyn Table>,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    known: HashMap<KeyHash, Known>,
    unknown: HashMap<KeyHash, u64>,
    /// When all unknown keys were looked through for those of before, at most once a second.
    unknown_looked_through_at: u64,
    store_failed_at: u64,
    /// How often a change by this process made it forget something.
    forgets: u64,
}

#[derive(Clone, Debug)]
struct Known {
    key: Arc<ApiKey>,
    tenant: Arc<Tenant>,
    read_at: u64,
    use_noted_at: u64,
}

impl Memory {
    /// Remembers an unknown key. Strangers can send any number of them, so that only so many are
    /// remembered; those of before make room all at once, and not with every call.
    fn note_unknown(&mut self, hash: &KeyHash, now: u64) {
        if MAX_KEYS <= self.unknown.len() && self.unknown_looked_through_at != now {
            self.unknown_looked_through_at = now;
            self.unknown.retain(|_, read_at| is_within(UNKNOWN_SECONDS, *read_at, now));
        }
        if self.unknown.len() < MAX_KEYS {
            self.unknown.insert(hash.clone(), now);
        }
    }
}

/// What the memory says about a key.
enum Remembered {
    Known(Principal),
    Unknown,
    Stale(Option<Principal>),
}

impl KeyDirectory {
    /// The keys in a table.
    pub fn new(table: Arc<dyn Table>) -> Self {
        Self { table, memory: Mutex::default() }
    }

    /// Finds whose key a client sends, among those of the configuration and those of the table. Any
    /// of several will do.
    ///
    /// The error is 401 for a key that is wrong, disabled or expired, without saying which, and 503
    /// while the store cannot be reached.
    pub async fn authenticate(
        &self,
        sent: &[&str],
        configured: &[ConfiguredKey],
        now: u64,
    ) -> Result<Principal> {
        if sent.iter().all(|key| key.is_empty()) {
            return Err(Error::new(
                ErrorKind::Unauthenticated,
                "No API key was sent; send `Authorization: Bearer KEY`, `X-Api-Key` or `x-goog-api-key`.",
            ));
        }
        let hashes: Vec<KeyHash> =
            sent.iter().filter(|key| !key.is_empty()).map(|key| KeyHash::of(key)).collect();
        // The configuration's keys first: they are in memory, and work while the store is down.
        if let Some(principal) = configured_principal(configured, &hashes) {
            return usable(principal, now);
        }

        for hash in &hashes {
            if let Some(principal) = self.find(hash, now).await? {
                return usable(principal, now);
            }
        }
        Err(wrong_key())
    }

    /// The row that says when a key was last used, at most once in five minutes; to be written to
    /// the state table in the background.
    pub fn note_use(&self, principal: &Principal, now: u64) -> Option<storage::Row> {
        let Credential::Issued(key) = &principal.credential else { return None };
        let mut memory = self.memory();
        let known = memory.known.get_mut(&key.hash)?;
        if is_within(NOTE_USE_SECONDS, known.use_noted_at, now) {
            return None;
        }
        // Before the row is written: of many calls at once one writes.
        known.use_noted_at = now;
        Some(rows::last_use(key, now))
    }

    /// Forgets everything about a tenant, so that a change by this process takes effect at once.
    pub fn forget(&self, tenant_id: &str) {
        let mut memory = self.memory();
        memory.forgets += 1;
        memory.known.retain(|_, known| known.tenant.id != tenant_id);
        // A key that was just made may have been tried before.
        memory.unknown.clear();
    }

    async fn find(&self, hash: &KeyHash, now: u64) -> Result<Option<Principal>> {
        let stale = match self.recall(hash, now) {
            Remembered::Known(principal) => return Ok(Some(principal)),
            Remembered::Unknown => None,
            Remembered::Stale(stale) => stale,
        };
        if self.memory().unknown.contains_key(hash) {
            return Ok(None);
        }
        // A store that is down would otherwise cost every call its timeout.
        if is_within(STORE_PAUSE_SECONDS, self.memory().store_failed_at, now) {
            return stale.map(Some).ok_or_else(|| unavailable(None));
        }

        let forgets = self.memory().forgets;
        match self.look_up(hash, now).await {
            Ok(found) => {
                self.remember(hash, found.clone(), (now, forgets));
                Ok(found.map(|(key, tenant)| issued(key, tenant)))
            }
            Err(cause) => {
                self.memory().store_failed_at = now;
                stale.map(Some).ok_or_else(|| unavailable(Some(cause)))
            }
        }
    }

    async fn look_up(
        &self,
        hash: &KeyHash,
        now: u64,
    ) -> Result<Option<(Arc<ApiKey>, Arc<Tenant>)>, StoreError> {
        let (pk, sk) = rows::key_by_hash(hash);
        let Some(row) = self.table.get(&pk, sk, Consistency::Eventual, now).await? else {
            return Ok(None);
        };
        let key: ApiKey = rows::read_key(&row)?;
        // The row was found by its hash; compared once more, so that no defect of the store lets a
        // key in.
        if !key.hash.matches(hash) {
            return Ok(None);
        }
        let tenant =
            rows::read_tenant(&*self.table, &key.tenant, Consistency::Eventual, now).await?;
        Ok(tenant.map(|tenant| (Arc::new(key), Arc::new(tenant))))
    }

    fn recall(&self, hash: &KeyHash, now: u64) -> Remembered {
        let mut memory = self.memory();
        match memory.unknown.get(hash) {
            Some(read_at) if is_within(UNKNOWN_SECONDS, *read_at, now) => {
                return Remembered::Unknown;
            }
            Some(_) => drop(memory.unknown.remove(hash)),
            None => {}
        }
        let Some(known) = memory.known.get(hash) else { return Remembered::Stale(None) };
        let principal = issued(Arc::clone(&known.key), Arc::clone(&known.tenant));
        if is_within(KNOWN_SECONDS, known.read_at, now) {
            return Remembered::Known(principal);
        }
        Remembered::Stale(is_within(OUTAGE_SECONDS, known.read_at, now).then_some(principal))
    }

    /// Remembers what was found by a look that began at this moment, after so many forgets.
    fn remember(
        &self,
        hash: &KeyHash,
        found: Option<(Arc<ApiKey>, Arc<Tenant>)>,
        (now, forgets): (u64, u64),
    ) {
        let mut memory = self.memory();
        // What was read before a change must not be remembered after it.
        if memory.forgets != forgets {
            return;
        }
        let Some((key, tenant)) = found else {
            memory.known.remove(hash);
            memory.note_unknown(hash, now);
            return;
        };
        if MAX_KEYS <= memory.known.len() && !memory.known.contains_key(hash) {
            memory.known.retain(|_, known| is_within(KNOWN_SECONDS, known.read_at, now));
        }
        // Then the key is looked up with every call, which works and is only slower.
        if MAX_KEYS <= memory.known.len() && !memory.known.contains_key(hash) {
            return;
        }
        let use_noted_at = memory.known.get(hash).map_or(0, |known| known.use_noted_at);
        memory.known.insert(hash.clone(), Known { key, tenant, read_at: now, use_noted_at });
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a moment is less than so many seconds away. Also where it lies ahead, since the clock was set
/// back: what is remembered must not live longer for that.
fn is_within(seconds: u64, moment: u64, now: u64) -> bool {
    now.abs_diff(moment) < seconds
}

/// Every configured key is compared, so that the place of the right one does not show.
fn configured_principal(configured: &[ConfiguredKey], hashes: &[KeyHash]) -> Option<Principal> {
    let pairs = configured.iter().flat_map(|key| hashes.iter().map(move |hash| (key, hash)));
    let matching = pairs.filter(|(key, hash)| key.hash.matches(hash));
    let matching: Vec<(&ConfiguredKey, &KeyHash)> = matching.collect();
    let (key, _) = matching.first()?;
    let tenant = Arc::clone(&key.tenant);
    Some(Principal { tenant, credential: Credential::Configured((*key).clone()) })
}

fn issued(key: Arc<ApiKey>, tenant: Arc<Tenant>) -> Principal {
    Principal { tenant, credential: Credential::Issued(key) }
}

/// The principal, if the key has not expired and the tenant is enabled.
fn usable(principal: Principal, now: u64) -> Result<Principal> {
    let works = match &principal.credential {
        Credential::Issued(key) => key.works(now),
        Credential::Configured(key) => key.works(now),
        Credential::Open => true,
    };
    // One error for all three: an expired key must not be distinguished from one that never was.
    if works && principal.tenant.settings.enabled { Ok(principal) } else { Err(wrong_key()) }
}

fn wrong_key() -> Error {
    Error::new(ErrorKind::Unauthenticated, "This API key is not known here.")
}

fn unavailable(cause: Option<StoreError>) -> Error {
    let mut error = Error::new(
        ErrorKind::Unavailable,
        "API keys cannot be checked at the moment; try again soon.",
    );
    error.retry_after = Some(Duration::from_secs(STORE_RETRY_SECONDS));
    match cause {
        Some(cause) => error.caused_by(cause),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_of_before_make_room_for_new_ones() {
        let mut memory = Memory::default();
        for nth in 0..=MAX_KEYS {
            memory.note_unknown(&KeyHash::of(&nth.to_string()), 100);
        }
        assert_eq!(memory.unknown.len(), MAX_KEYS);
        memory.note_unknown(&KeyHash::of("new"), 100 + UNKNOWN_SECONDS);
        assert_eq!(memory.unknown.len(), 1);
    }
}
