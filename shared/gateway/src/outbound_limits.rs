//! What a provider allows us: counted before each attempt, in one row for each provider and key that
//! all instances share, so that a free tier is left before it refuses.
//!
//! The row holds the requests of this minute (`m…`) and day (`d…`), the tokens of this minute (`t…`),
//! how many attempts run (`live`), and each of those with its end (`r…`), so that one whose instance
//! died stops counting. While the store cannot be reached, nothing is limited.

mod row;

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::{BuildHasher, Hasher},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use canonical::{Error, ErrorKind, KeyFingerprint, Origin, Result};
use config::{Provider, ProviderLimits};
use storage::{StoreError, Table, Tallied, Tallies, Tally};

use crate::{Clock, Configuration, background::OwnedWrite};
use row::{Demand, Refusal, Windows};

/// How long an attempt holds its place at least, unless it ends: a stream in which nothing comes for a
/// while is renewed late.
const MIN_LIFETIME: Duration = Duration::from_secs(600);

/// The counters of every provider and key that is limited.
#[derive(Debug)]
pub(crate) struct OutboundLimits {
    configuration: Configuration,
    /// What is known of each row, so that a window that is full is not asked for again.
    known: Mutex<HashMap<String, Known>>,
    /// What tells the attempts of this process from those of others.
    process: u64,
    next_id: AtomicU64,
}

/// What one process knows of a row.
#[derive(Clone, Debug, Default)]
struct Known {
    refused: Option<Refused>,
    /// Names in the row that are over.
    stale: Vec<String>,
}

/// A refusal that holds until a window ends.
#[derive(Clone, Debug)]
struct Refused {
    /// The end of the window, in milliseconds since 1970.
    until: u64,
    /// The limit.
    refusal: Refusal,
    /// The tokens of the attempt. One with fewer may pass where this one was refused.
    tokens: u64,
}

impl Refused {
    /// Whether an attempt with this many tokens is refused as well.
    fn holds(&self, limits: &ProviderLimits, tokens: u64, now: u64) -> bool {
        // A clock that was set back must not prolong the window.
        let is_in_window = now < self.until && self.until - now <= self.refusal.window();
        let is_as_large = match self.refusal {
            Refusal::TokensPerMinute(_) => self.tokens <= tokens,
            Refusal::RequestsPerMinute(_) | Refusal::RequestsPerDay(_) | Refusal::Concurrent(_) => {
                true
            }
        };
        is_in_window && is_as_large && self.refusal.is_of(limits)
    }
}

/// What an attempt holds of its provider's limits. Given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    held: Held,
    /// How long the place is held, in milliseconds, and until when.
    lifetime: u64,
    until: u64,
}

/// What a row of the limits may hold for an attempt.
#[derive(Clone, Debug)]
struct Held {
    configuration: Configuration,
    sort_key: String,
    id: String,
    windows: Windows,
    is_counted: bool,
    /// How many tokens were counted, and how many were used as far as that is known.
    tokens: Option<(u64, u64)>,
}

impl OutboundLimits {
    pub(crate) fn new(configuration: Configuration) -> Self {
        let process = RandomState::new().build_hasher().finish();
        Self { configuration, known: Mutex::default(), process, next_id: AtomicU64::new(0) }
    }

    fn table(&self) -> &Arc<dyn Table> {
        &self.configuration.stores().state
    }

    /// Counts an attempt at a provider under a key. The error says that a limit is reached, and when
    /// it is free again. The place is held for as long as the call may take, and longer where the permit
    /// is renewed.
    pub(crate) async fn acquire(
        &self,
        (provider, key): (&Provider, KeyFingerprint),
        tokens: u64,
        allowed: Duration,
        clock: Clock,
    ) -> Result<Option<Permit>> {
        let limits = &provider.limits;
        let now = clock.now();
        let sort_key = format!("{}\u{1f}{key}", provider.name);
        let known = self.known(&sort_key);
        // A window that is known to be full costs no write until it is over.
        if let Some(it) = known.refused.filter(|it| it.holds(limits, tokens, now)) {
            return Err(reached(provider, &it.refusal, it.until.saturating_sub(now)));
        }

        let lifetime = millis(allowed.max(MIN_LIFETIME));
        let until = now.saturating_add(lifetime);
        let demand = Demand { limits, id: self.id(), tokens, until, now };
        let mut change = row::admit(&sort_key, &demand, &known.stale);
        for _ in 0..2 {
            let held = self.held(&sort_key, &demand);
            let row = match self.count(change, held.clone()).await {
                Ok(Tallied::Done(row)) => {
                    self.remember_row(&sort_key, None, row::stale(&row, now));
                    return Ok(Some(Permit { held, lifetime, until }));
                }
                Ok(Tallied::Refused(row)) => row,
                Err(error) => {
                    tracing::warn!(%error, "failed to count a request against its provider's limits");
                    // The write may have been made, and would keep its place until its time is over.
                    held.release();
                    // A store that fails must not stop calls; the provider itself still refuses
                    // what is too much.
                    return Ok(None);
                }
            };
            match self.refused(&sort_key, &demand, &row).await {
                Some((until, refusal)) => {
                    return Err(reached(provider, &refusal, until.saturating_sub(now)));
                }
                // What dead instances held is free again.
                None => change = row::admit(&sort_key, &demand, &[]),
            }
        }
        Err(reached(provider, &Refusal::Concurrent(limits.concurrent.unwrap_or(0)), 1_000))
    }

    /// Which limit refused a request, and until when; none when a dead instance held it.
    async fn refused(
        &self,
        sort_key: &str,
        demand: &Demand<'_>,
        row: &Tallies,
    ) -> Option<(u64, Refusal)> {
        let (until, refusal) = row::refusal(row, demand);
        if let Refusal::Concurrent(_) = refusal {
            let expired = row::expired(row, demand.now);
            for id in &expired {
                let change = row::release(sort_key, id);
                if let Err(error) = self.table().tally(&change).await {
                    tracing::warn!(%error, "failed to free what a dead instance held");
                }
            }
            return if expired.is_empty() { Some((until, refusal)) } else { None };
        }
        let refused = Refused { until, refusal: refusal.clone(), tokens: demand.tokens };
        self.remember_row(sort_key, Some(refused), row::stale(row, demand.now));
        Some((until, refusal))
    }

    /// Counts an attempt, and gives its place back if nobody waits for the outcome any more.
    fn count(&self, change: Tally, held: Held) -> OwnedWrite<Result<Tallied, StoreError>> {
        let table = self.table().clone();
        let undo = move |outcome| {
            let is_refused = matches!(outcome, Ok(Tallied::Refused(_)));
            if !is_refused {
                held.release();
            }
        };
        OwnedWrite::new(&self.configuration, async move { table.tally(&change).await }, undo)
    }

    fn held(&self, sort_key: &str, demand: &Demand<'_>) -> Held {
        let limits = demand.limits;
        Held {
            configuration: self.configuration.clone(),
            sort_key: sort_key.to_owned(),
            windows: Windows::at(demand.now),
            is_counted: limits.concurrent.is_some(),
            tokens: limits.tokens_per_minute.map(|_| (demand.tokens, demand.tokens)),
            id: demand.id.clone(),
        }
    }

    fn known(&self, sort_key: &str) -> Known {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(sort_key).cloned().unwrap_or_default()
    }

    fn remember_row(&self, sort_key: &str, refused: Option<Refused>, stale: Vec<String>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(sort_key.to_owned(), Known { refused, stale });
    }

    /// An id that no other attempt of any instance has.
    fn id(&self) -> String {
        let nth = self.next_id.fetch_add(1, Ordering::Relaxed);
        // A random number of the process, since instances share no counter.
        format!("r{:x}-{nth:x}", self.process)
    }
}

impl Permit {
    /// Notes how many tokens the attempt used.
    pub(crate) fn used(&mut self, tokens: u64) {
        if let Some((_, used)) = &mut self.held.tokens {
            *used = tokens;
        }
    }

    /// Keeps the place of an attempt that goes on, behind the call. Nothing is written before half of
    /// its time is over.
    pub(crate) fn renew(&mut self, clock: Clock) {
        let now = clock.now();
        if !self.held.is_counted || now.saturating_add(self.lifetime / 2) < self.until {
            return;
        }
        self.until = now.saturating_add(self.lifetime);
        let change = row::renew(&self.held.sort_key, &self.held.id, self.until);
        self.held.configuration.tally_behind(vec![change]);
    }
}

impl Held {
    fn release(&self) {
        let release = self.is_counted.then(|| row::release(&self.sort_key, &self.id));
        let used = self.tokens.filter(|(counted, used)| counted != used);
        let correct = used.map(|used| row::correct(&self.sort_key, &self.windows, used));
        let changes: Vec<_> = release.into_iter().chain(correct).collect();
        self.configuration.tally_behind(changes);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        // Dropping is the only end that a canceled attempt has, so that the release hangs on it.
        self.held.release();
    }
}

fn reached(provider: &Provider, refusal: &Refusal, left: u64) -> Error {
    let message = format!("was not asked: {refusal}, which the configuration sets, is reached");
    let mut error = Error::new(ErrorKind::RateLimited, message)
        .from_origin(Origin::Provider(provider.name.clone()));
    error.retry_after = Some(Duration::from_millis(left.max(1_000)));
    error
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
