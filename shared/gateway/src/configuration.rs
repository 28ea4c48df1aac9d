//! The configuration in force: read at the start, kept, and refreshed behind calls.
//!
//! A store that fails leaves the last good one in place. A call reads no store while one is there.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use canonical::{Error, ErrorKind, Result};
use config::{Auth, Config, SecretSource, rows};
use providers::Client;
use routing::Health;
use storage::{Change, Parameters, Query, Row, Stores, Tally};
use tokio::sync::oneshot;

use crate::{
    background::Background,
    call::Clock,
    cooldown_store::{CooldownStore, READ_TIMEOUT},
    snapshot::{Keys, Snapshot},
};

/// How often keys are read again because a provider refused one, in milliseconds.
const MIN_RENEWAL_MS: u64 = 10_000;
/// When a client should try again while there is no configuration.
const UNAVAILABLE_RETRY_AFTER: Duration = Duration::from_secs(5);
/// The uptime at the start, in milliseconds: whatever has not happened yet was long ago.
const FIRST_UPTIME: u64 = 24 * 60 * 60 * 1000;

/// Where a configuration comes from.
#[derive(Debug)]
pub enum Source {
    /// A document that was read at the start, and that an operator may replace.
    Config(Box<Config>, Option<Parameters>),
    /// Rows in the `config` table, and parameters that hold keys.
    Store(Parameters),
}

/// How old things may be before they are read again, behind a call.
#[derive(Clone, Copy, Debug)]
pub struct Freshness {
    /// The configuration, and with it the shared cooldowns.
    pub configuration: Duration,
    /// The values of parameters.
    pub keys: Duration,
}

impl Default for Freshness {
    fn default() -> Self {
        Self { configuration: Duration::from_secs(60), keys: Duration::from_secs(300) }
    }
}

/// The configuration in force.
#[derive(Debug, Clone)]
pub struct Configuration(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The configuration that only [`Configuration::replace`] changes, and how often it did.
    fixed: Option<Mutex<(Config, u64)>>,
    parameters: Option<Parameters>,
    stores: Stores,
    client: Client,
    cooldowns: CooldownStore,
    started: Instant,
    freshness: Freshness,
    current: ArcSwapOption<Snapshot>,
    /// Held from the reading of a configuration until it is in force, so that an older one never takes
    /// the place of a newer one.
    refreshing: tokio::sync::Mutex<()>,
    /// When the configuration was last read, or tried to be, as an uptime.
    read_at: AtomicU64,
    keys_read_at: AtomicU64,
    /// When the keys were last read because a provider refused one.
    renewed_at: AtomicU64,
    background: Background,
}

impl Configuration {
    /// Prepares a configuration; [`Configuration::load`] reads it where it has to be read.
    pub fn new(source: Source, stores: Stores, client: Client, freshness: Freshness) -> Self {
        let (fixed, parameters) = match source {
            Source::Config(config, parameters) => (Some(Mutex::new((*config, 0))), parameters),
            Source::Store(parameters) => (None, Some(parameters)),
        };
        Self(Arc::new(Inner {
            fixed,
            parameters,
            cooldowns: CooldownStore::new(stores.clone()),
            stores,
            client,
            started: Instant::now(),
            freshness,
            current: ArcSwapOption::empty(),
            refreshing: tokio::sync::Mutex::default(),
            read_at: AtomicU64::new(0),
            keys_read_at: AtomicU64::new(0),
            renewed_at: AtomicU64::new(0),
            background: Background::default(),
        }))
    }

    /// Puts a configuration in the place of the one that was read at the start, for calls from now on.
    /// Where the configuration is in a store, reads it anew.
    pub(crate) async fn replace(&self, config: Config, clock: Clock) -> Result<()> {
        if let Some(fixed) = &self.0.fixed {
            let mut fixed = fixed.lock().unwrap_or_else(PoisonError::into_inner);
            let changes = fixed.1 + 1;
            *fixed = (config, changes);
        }
        self.0.refresh(clock).await
    }

    /// The tables.
    pub(crate) fn stores(&self) -> &Stores {
        &self.0.stores
    }

    /// Where secrets are kept, if they are kept outside of the configuration.
    pub(crate) fn parameters(&self) -> Option<&Parameters> {
        self.0.parameters.as_ref()
    }

    /// What calls others over HTTP.
    pub(crate) fn client(&self) -> &Client {
        &self.0.client
    }

    /// Starts work that no client waits for.
    pub(crate) fn start_behind(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.background.start(task);
    }

    /// Writes a row to the state table, behind the call.
    pub(crate) fn write_behind(&self, row: Row) {
        let table = self.0.stores.state.clone();
        self.0.background.start(async move {
            if let Err(error) = table.write(&[Change::Put(row)]).await {
                tracing::warn!(%error, "failed to note the use of a key");
            }
        });
    }

    /// Changes counters in the state table, behind the call.
    pub(crate) fn tally_behind(&self, changes: Vec<Tally>) {
        if changes.is_empty() {
            return;
        }
        let table = self.0.stores.state.clone();
        self.0.background.start(async move {
            for change in changes {
                if let Err(error) = table.tally(&change).await {
                    tracing::warn!(%error, "failed to give back what an attempt held of its limits");
                }
            }
        });
    }

    /// The health of every target.
    pub(crate) fn health(&self) -> &Arc<Health> {
        &self.0.cooldowns.health
    }

    /// Reads everything for the first time. After a failure the first call tries again.
    pub async fn load(&self, clock: Clock) -> Result<()> {
        self.0.refresh(clock).await
    }

    /// Whether there is a configuration to answer by, or the store that has it can be read.
    pub(crate) async fn is_ready(&self, now: u64) -> bool {
        if self.0.current.load().is_some() {
            return true;
        }
        let query = Query::partition(rows::PARTITION, now / 1000);
        let found = self.0.stores.config.query(&query).await;
        found.is_ok_and(|page| rows::from_rows(&page.rows, &kinds()).is_ok())
    }

    /// The configuration in force, if one was read already.
    pub(crate) fn known(&self) -> Option<Arc<Snapshot>> {
        self.0.current.load_full()
    }

    /// The configuration in force; refreshed behind the call when it is old.
    pub(crate) async fn current(&self, clock: Clock) -> Result<Arc<Snapshot>> {
        // Only the first call waits for a store; later ones take what is there.
        let Some(snapshot) = self.0.current.load_full() else {
            self.0.refresh(clock).await?;
            return self.0.current.load_full().ok_or_else(|| unavailable("nothing was read"));
        };
        let now = self.0.uptime(clock);
        let read_at = self.0.read_at.load(Ordering::Relaxed);
        let due = read_at + millis(self.0.freshness.configuration) <= now;
        // One call of many takes the refresh upon itself, and does not wait for it.
        if due && claim(&self.0.read_at, read_at, now) {
            let inner = self.0.clone();
            self.0.background.start(async move {
                if let Err(error) = inner.refresh(clock).await {
                    let cause = error.cause().map(tracing::field::display);
                    tracing::warn!(cause, "{error} The last good configuration stays in force.");
                }
            });
        }
        Ok(snapshot)
    }

    /// Reads the keys again after a provider refused one of `seen`. None when nothing changed.
    pub(crate) async fn renew_keys(&self, seen: &Snapshot, clock: Clock) -> Option<Arc<Snapshot>> {
        let now = self.0.uptime(clock);
        let current = self.0.current.load_full()?;
        // Another call has renewed them meanwhile.
        if !same_keys(&current.keys, &seen.keys) {
            return Some(current);
        }
        let renewed_at = self.0.renewed_at.load(Ordering::Relaxed);
        // A key that is simply wrong would otherwise cost a read of the store for every call.
        let too_soon = now < renewed_at + MIN_RENEWAL_MS;
        if self.0.parameters.is_none() || too_soon || !claim(&self.0.renewed_at, renewed_at, now) {
            return None;
        }
        let _refreshing = self.0.refreshing.lock().await;
        // Read again under the lock: an operator may have replaced it meanwhile.
        let current = self.0.current.load_full()?;
        let keys = self.0.read_keys(&current.config).await.ok()?;
        self.0.keys_read_at.store(now, Ordering::Relaxed);
        if same_keys(&current.keys, &keys) {
            return None;
        }
        let (config, version) = (current.config.clone(), current.version.clone());
        let snapshot = Arc::new(Snapshot::new(config, version, keys, &self.0.client));
        self.0.current.store(Some(snapshot.clone()));
        Some(snapshot)
    }

    /// Learns the cooldowns of other instances where what is known is too old. The call waits for
    /// them only as long as a store in good health takes.
    pub(crate) async fn refresh_cooldowns(&self, clock: Clock) {
        if !self.0.cooldowns.claim_read(clock.instant()) {
            return;
        }
        // Read by a task of its own: a call that gives up waiting, or is canceled, does not stop
        // the reading.
        let inner = self.0.clone();
        let (done, is_done) = oneshot::channel::<()>();
        self.0.background.start(async move {
            inner.cooldowns.read(clock).await;
            drop(done);
        });
        // Whatever comes of it, the call goes on.
        drop(tokio::time::timeout(READ_TIMEOUT, is_done).await);
    }

    /// Publishes cooldowns that began or ended, behind the call.
    pub(crate) fn publish_cooldowns(&self, clock: Clock) {
        let cooldowns = &self.health().cooldowns;
        let changes = cooldowns.take_changes(clock.instant(), clock.now());
        if changes.is_empty() {
            return;
        }
        let inner = self.0.clone();
        self.0.background.start(async move { inner.cooldowns.publish(&changes, clock).await });
    }

    /// Waits for what runs behind calls, within a time.
    pub(crate) async fn drain(&self, within: Duration) {
        self.0.background.drain(within).await;
    }
}

impl Inner {
    /// The time since the start, in milliseconds, on the clock that only goes forward.
    fn uptime(&self, clock: Clock) -> u64 {
        FIRST_UPTIME + millis(clock.instant().saturating_duration_since(self.started))
    }

    /// Reads the configuration, the keys and the shared cooldowns.
    async fn refresh(&self, clock: Clock) -> Result<()> {
        let _refreshing = self.refreshing.lock().await;
        let now = self.uptime(clock);
        let ((), config) = tokio::join!(self.cooldowns.read(clock), self.config(clock.now()));
        let (config, version) = config?;
        let keys = self.keys_for(&config, now).await?;
        let current = self.current.load_full();
        // A new snapshot resolves every route and opens clients, which most refreshes need not do.
        let unchanged =
            current.is_some_and(|it| it.version == version && same_keys(&it.keys, &keys));
        if !unchanged {
            let snapshot = Snapshot::new(config, version, keys, &self.client);
            self.current.store(Some(Arc::new(snapshot)));
        }
        // Last: after a failure the next call finds it due again.
        self.read_at.store(now, Ordering::Relaxed);
        Ok(())
    }

    /// The document and its version. One that is read while it is changed is read once more.
    async fn config(&self, now: u64) -> Result<(Config, String)> {
        if let Some(fixed) = &self.fixed {
            let (config, changes) = &*fixed.lock().unwrap_or_else(PoisonError::into_inner);
            return Ok((config.clone(), changes.to_string()));
        }
        let mut found = self.rows(now).await?;
        if matches!(rows::from_rows(&found, &kinds()), Err(rows::Unreadable::Torn)) {
            found = self.rows(now).await?;
        }
        let mut config = rows::from_rows(&found, &kinds())
            .map_err(|errors| unavailable("it is not valid").caused_by(errors))?;
        // Functions have no loopback address, so that none of them may be open.
        config.auth = Auth::Keys;
        Ok((config, rows::version_row(&found).value))
    }

    async fn rows(&self, now: u64) -> Result<Vec<Row>> {
        let query = Query::partition(rows::PARTITION, now / 1000);
        let found = self.stores.config.query(&query).await;
        found
            .map(|page| page.rows)
            .map_err(|error| unavailable("it cannot be read").caused_by(error))
    }

    /// The keys that a document needs: those at hand while they are fresh, or while the store fails.
    async fn keys_for(&self, config: &Config, now: u64) -> Result<Keys> {
        let current = self.current.load_full();
        let at_hand = current.as_ref().map(|it| &it.keys);
        let complete =
            at_hand.is_some_and(|keys| parameters(config).iter().all(|it| keys.contains_key(it)));
        let fresh_until = self.keys_read_at.load(Ordering::Relaxed) + millis(self.freshness.keys);
        if complete && now < fresh_until {
            return Ok(at_hand.cloned().unwrap_or_default());
        }
        match (self.read_keys(config).await, at_hand) {
            (Ok(keys), _) => {
                self.keys_read_at.store(now, Ordering::Relaxed);
                Ok(keys)
            }
            (Err(error), Some(keys)) => {
                let cause = error.cause().map(tracing::field::display);
                tracing::warn!(cause, "{error} The keys at hand stay in use.");
                Ok(keys.clone())
            }
            (Err(error), None) => Err(error),
        }
    }

    async fn read_keys(&self, config: &Config) -> Result<Keys> {
        let Some(store) = &self.parameters else {
            return Ok(Keys::new());
        };
        let names = parameters(config);
        let keys = store
            .get(&names)
            .await
            .map_err(|error| unavailable("its keys cannot be read").caused_by(error))?;
        // Once for each reading and not for each call that misses it.
        for missing in names.iter().filter(|it| !keys.contains_key(*it)) {
            tracing::error!(
                parameter = missing,
                "a parameter is missing or may not be read; its providers cannot be used"
            );
        }
        Ok(keys)
    }
}

/// Takes a task that is due since `seen`, unless somebody else just did.
fn claim(at: &AtomicU64, seen: u64, now: u64) -> bool {
    at.compare_exchange(seen, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 2)
}

/// The types of provider, as the reader of the configuration needs them.
pub fn kinds() -> Vec<config::ProviderKind> {
    let kind = |it: &&'static providers::Provider| config::ProviderKind {
        name: it.name,
        needs_base_url: it.base_url.is_empty(),
        needs_key: it.key == providers::Key::Required,
        takes_region: it.takes_region(),
    };
    providers::CATALOG.iter().map(kind).collect()
}

/// A type of provider that a key alone is enough to call.
#[derive(Clone, Copy, Debug)]
pub struct KeyedProvider {
    /// The word for `type`.
    pub name: &'static str,
    /// The variables that usually hold the key, the usual one first.
    pub key_variables: &'static [&'static str],
}

impl KeyedProvider {
    /// Every such type, in order of the catalog.
    pub fn all() -> impl Iterator<Item = Self> {
        let keyed = providers::CATALOG.iter().filter(|it| !it.key_variables.is_empty());
        keyed.map(|it| Self { name: it.name, key_variables: it.key_variables })
    }

    /// How the names of the models begin that it makes, with `*` behind each; `*` alone where it serves
    /// everybody's.
    pub fn maker_names(self) -> &'static [&'static str] {
        model_catalog::maker_names(self.name)
    }

    /// The names of its models that are known without asking it.
    pub fn known_models(self) -> Vec<&'static str> {
        model_catalog::models(self.name)
    }
}

/// The parameters that a document names.
fn parameters(config: &Config) -> Vec<String> {
    let named = |it: &SecretSource| match it {
        SecretSource::Parameter { name, .. } => Some(name.clone()),
        SecretSource::Value { .. } => None,
    };
    config.secrets().filter_map(named).collect()
}

fn same_keys(one: &Keys, other: &Keys) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .all(|(name, key)| other.get(name).is_some_and(|it| it.expose() == key.expose()))
}

fn unavailable(what: &str) -> Error {
    let mut error =
        Error::new(ErrorKind::Unavailable, format!("The configuration is not available: {what}."));
    error.retry_after = Some(UNAVAILABLE_RETRY_AFTER);
    error
}
