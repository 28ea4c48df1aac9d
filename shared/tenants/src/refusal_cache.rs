//! Refusals of one process, kept for a moment so that a client that keeps asking costs no writes.
//!
//! Admissions are never kept.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    limits::{LimitSource, Limits},
    refusal::{Refusal, RefusalKind},
    reservation::LedgerKey,
};

/// How many rows have refusals kept.
const MAX_ROWS: usize = 4_096;

/// How long a refusal lasts that a settlement anywhere may lift, in seconds.
const SHORT_SECONDS: u64 = 1;

/// The refusals of this process.
#[derive(Debug, Default)]
pub(crate) struct RefusalCache {
    rows: Mutex<HashMap<LedgerKey, Kept>>,
}

#[derive(Debug)]
struct Kept {
    refusal: Refusal,
    limits: Limits,
    until: u64,
}

impl RefusalCache {
    /// The refusal that still holds for a call that needs this much of each limit.
    pub(crate) fn find(
        &self,
        key: &LedgerKey,
        limits: &Limits,
        needed: impl Fn(LimitSource) -> u64,
        now: u64,
    ) -> Option<Refusal> {
        let rows = self.lock();
        let kept = rows.get(key)?;
        let source = kept.refusal.quota.source;
        let is_current = now < kept.until && kept.limits == *limits;
        // A smaller call may fit where a larger one was refused.
        (is_current && kept.refusal.needed <= needed(source)).then(|| kept.refusal.clone())
    }

    /// Keeps a refusal: until its window ends where requests are counted, else for a moment.
    pub(crate) fn keep(&self, key: &LedgerKey, limits: &Limits, refusal: &Refusal, now: u64) {
        let until = match refusal.retry_at {
            Some(at) if refusal.quota.source.counts_requests() => at,
            _ => now + SHORT_SECONDS,
        };
        // A price may be set at any moment, and the refusal costs no write anyway.
        if refusal.kind == RefusalKind::BudgetUnpriced || until <= now {
            return;
        }

        let mut rows = self.lock();
        if MAX_ROWS <= rows.len() && !rows.contains_key(key) {
            rows.retain(|_, kept| now < kept.until);
        }
        if rows.len() < MAX_ROWS || rows.contains_key(key) {
            let (refusal, limits) = (refusal.clone(), limits.clone());
            rows.insert(key.clone(), Kept { refusal, limits, until });
        }
    }

    /// Forgets a refusal that a settlement may have lifted.
    pub(crate) fn forget(&self, key: &LedgerKey) {
        let mut rows = self.lock();
        // Windows of requests are not given back by a settlement.
        if rows.get(key).is_some_and(|kept| !kept.refusal.quota.source.counts_requests()) {
            rows.remove(key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LedgerKey, Kept>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
