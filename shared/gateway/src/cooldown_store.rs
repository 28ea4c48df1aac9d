//! Cooldowns in a table, where other instances see them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use routing::{Cooldown, CooldownChange, Health, SharedCooldown};
use storage::{Change, Query, Row, Stores};

use crate::call::Clock;

/// How old what is known of other instances' cooldowns may be.
const MAX_AGE: Duration = Duration::from_secs(5);
/// How long a call waits for what other instances know.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_millis(50);
/// The partition of the `state` table that holds cooldowns.
const PARTITION: &str = "cooldown";

/// The health of targets, and the table through which instances share cooldowns.
#[derive(Debug)]
pub(crate) struct CooldownStore {
    pub(crate) health: Arc<Health>,
    stores: Stores,
    started: Instant,
    /// When the table was last read, in milliseconds since `started`; the highest number for never.
    read_at: AtomicU64,
}

impl CooldownStore {
    pub(crate) fn new(stores: Stores) -> Self {
        Self {
            health: Arc::default(),
            stores,
            started: Instant::now(),
            read_at: AtomicU64::new(u64::MAX),
        }
    }

    /// Whether what is known is too old, and nobody else reads the table now.
    pub(crate) fn claim_read(&self, now: Instant) -> bool {
        let read_at = self.read_at.load(Ordering::Relaxed);
        let uptime = self.uptime(now);
        let is_fresh = read_at != u64::MAX && uptime.saturating_sub(read_at) < millis(MAX_AGE);
        if is_fresh {
            return false;
        }
        let claimed =
            self.read_at.compare_exchange(read_at, uptime, Ordering::Relaxed, Ordering::Relaxed);
        claimed.is_ok()
    }

    /// Learns what other instances know.
    pub(crate) async fn read(&self, clock: Clock) {
        let (read_at, wall) = (clock.instant(), clock.now());
        // Before the read: a store that hangs is not asked again by every call.
        self.read_at.store(self.uptime(read_at), Ordering::Relaxed);
        let query = Query::partition(PARTITION, wall / 1000);
        match self.stores.state.query(&query).await {
            Ok(page) => {
                let rows = page.rows.iter();
                let shared: Vec<SharedCooldown> =
                    // A row of a newer version that cannot be read is passed over; cooldowns are
                    // hints.
                    rows.filter_map(|row| serde_json::from_str(&row.value).ok()).collect();
                self.health.cooldowns.merge_shared(&shared, read_at, wall);
            }
            Err(error) => tracing::warn!(%error, "failed to load shared cooldowns"),
        }
    }

    /// Writes changes where other instances read them.
    pub(crate) async fn publish(&self, changes: &[CooldownChange], clock: Clock) {
        let rows: Vec<Change> = changes.iter().map(as_row).collect();
        match self.stores.state.write(&rows).await {
            Ok(()) => self.health.cooldowns.published(changes, clock.instant()),
            Err(error) => tracing::warn!(%error, "failed to publish a cooldown"),
        }
    }

    fn uptime(&self, now: Instant) -> u64 {
        millis(now.saturating_duration_since(self.started))
    }
}

fn as_row(change: &CooldownChange) -> Change {
    let pk = PARTITION.to_owned();
    match change {
        CooldownChange::Began(shared) => {
            let sk = sort_key(&shared.provider, &shared.model, &shared.key);
            // Texts and numbers are always JSON.
            let value = serde_json::to_string(shared).unwrap_or_default();
            Change::Put(Row { pk, sk, value, expires: Some(shared.until.div_ceil(1000)) })
        }
        CooldownChange::Ended(Cooldown { provider, model, key }) => {
            Change::Delete { pk, sk: sort_key(provider, model, &key.to_string()) }
        }
    }
}

fn sort_key(provider: &str, model: &str, key: &str) -> String {
    // A separator that no name holds, so that no two cooldowns share a row.
    format!("{provider}\u{1f}{model}\u{1f}{key}")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
