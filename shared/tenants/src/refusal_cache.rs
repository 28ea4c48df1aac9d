//! Refusals of one process, kept for a moment so that a client that keeps asking costs no writes.
//!
//! Admissions are never kept.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    limits::{LimitSource, Limits},
    refusal::{Refusal, RefusalKind},
    reservation::LedgerKey,
    window::Window,
};

/// How many rows have refusals kept.
const MAX_ROWS: usize = 4_096;

/// How long a refusal lasts that a settlement anywhere may lift, in seconds.
const SHORT_SECONDS: u64 = 1;

/// Into how many parts rows are divided, to count how often room came back.
const PARTS: usize = 32;

/// The refusals of this process.
#[derive(Debug, Default)]
pub(crate) struct RefusalCache {
    state: Mutex<State>,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct State {
    rows: HashMap<LedgerKey, Kept>,
    /// How often room came back, by a part of the rows.
    lifts: [u64; PARTS],
}

impl State {
    /// Whether a row has a refusal that a settlement may lift. Windows of requests are not given back by
    /// one.
    fn waits_for_room(&self, key: &LedgerKey) -> bool {
        self.rows.get(key).is_some_and(|kept| !kept.refusal.quota.source.counts_requests())
    }
}

/// The moment before a call is admitted, and how often room had come back by then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before {
    pub(crate) now: u64,
    lifts: u64,
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
        let state = self.lock();
        let kept = state.rows.get(key)?;
        let source = kept.refusal.quota.source;
        // A clock that was set back must not prolong the refusal.
        let is_in_window = now < kept.until && kept.until - now <= length(source);
        let is_current = is_in_window && kept.limits == *limits;
        // A smaller call may fit where a larger one was refused.
        (is_current && kept.refusal.needed <= needed(source)).then(|| kept.refusal.clone())
    }

    /// The moment before a call is admitted.
    pub(crate) fn before(&self, key: &LedgerKey, now: u64) -> Before {
        Before { now, lifts: self.lock().lifts[self.part_of(key)] }
    }

    /// Keeps a refusal: until its window ends where requests are counted, else for a moment.
    pub(crate) fn keep(&self, key: &LedgerKey, limits: &Limits, refusal: &Refusal, before: Before) {
        let now = before.now;
        let until = match refusal.retry_at {
            Some(at) if refusal.quota.source.counts_requests() => at,
            _ => now + SHORT_SECONDS,
        };
        // A price may be set at any moment, and the refusal costs no write anyway.
        if refusal.kind == RefusalKind::BudgetUnpriced || until <= now {
            return;
        }

        let State { rows, lifts } = &mut *self.lock();
        // Room that came back since then may have lifted the refusal, and nobody would
        // forget it any more.
        let is_lifted = lifts[self.part_of(key)] != before.lifts;
        if is_lifted && !refusal.quota.source.counts_requests() {
            return;
        }
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
        let mut state = self.lock();
        state.lifts[self.part_of(key)] += 1;
        if state.waits_for_room(key) {
            state.rows.remove(key);
        }
    }

    /// Whether callers are being refused that the end of a call would let pass.
    pub(crate) fn waits_for_room(&self, key: &LedgerKey) -> bool {
        self.lock().waits_for_room(key)
    }

    fn part_of(&self, key: &LedgerKey) -> usize {
        usize::try_from(self.hasher.hash_one(key) % PARTS as u64).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a refusal lasts at most, in seconds.
fn length(source: LimitSource) -> u64 {
    match source {
        LimitSource::RequestsPerMinute => Window::Minute.seconds(),
        LimitSource::RequestsPerHour => Window::Hour.seconds(),
        LimitSource::RequestsPerDay => Window::Day.seconds(),
        LimitSource::DailyInputTokens
        | LimitSource::DailyOutputTokens
        | LimitSource::Concurrency
        | LimitSource::Budget => SHORT_SECONDS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::Quota;

    fn refusal(source: LimitSource) -> Refusal {
        let quota = Quota { source, limit: 1, used: 1, held: 1, reset: None };
        Refusal {
            kind: RefusalKind::RateLimit,
            quota,
            needed: 1,
            retry_at: Some(160),
            in_flight: 1,
            quotas: vec![],
        }
    }

    #[test]
    fn callers_wait_for_room_until_some_call_has_ended() {
        let (cache, limits, key) =
            (RefusalCache::default(), Limits::default(), LedgerKey::tenant("a"));
        for (source, waits) in
            [(LimitSource::RequestsPerDay, false), (LimitSource::Concurrency, true)]
        {
            assert!(!cache.waits_for_room(&key));
            cache.keep(&key, &limits, &refusal(source), cache.before(&key, 100));
            assert_eq!(cache.waits_for_room(&key), waits, "{source:?}");
            cache.forget(&key);
        }
    }

    #[test]
    fn a_clock_that_is_set_back_prolongs_no_refusal() {
        let (cache, limits) = (RefusalCache::default(), Limits::default());
        let key = LedgerKey::tenant("a");
        let source = LimitSource::RequestsPerMinute;
        cache.keep(&key, &limits, &refusal(source), cache.before(&key, 110));
        for (now, is_refused) in [(159, true), (160, false), (100, true), (99, false)] {
            assert_eq!(cache.find(&key, &limits, |_| 1, now).is_some(), is_refused, "at {now}");
        }
    }

    #[test]
    fn a_refusal_that_was_lifted_while_the_ledger_answered_is_not_kept() {
        let (cache, limits) = (RefusalCache::default(), Limits::default());
        let (key, other) = (LedgerKey::tenant("a"), LedgerKey::tenant("b"));
        for (source, lifted, is_kept) in [
            (LimitSource::Concurrency, &key, false),
            (LimitSource::Concurrency, &other, true),
            // A settlement gives no request back.
            (LimitSource::RequestsPerMinute, &key, true),
        ] {
            // Keys of one part are lifted together.
            if (cache.part_of(&key) == cache.part_of(lifted)) != (lifted == &key) {
                continue;
            }
            let before = cache.before(&key, 100);
            cache.forget(lifted);
            cache.keep(&key, &limits, &refusal(source), before);
            assert_eq!(cache.find(&key, &limits, |_| 1, 100).is_some(), is_kept, "{source:?}");
            cache.forget(&key);
        }
    }
}
