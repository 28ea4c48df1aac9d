//! The budget of hedged attempts: a share of the calls, so that a slow provider is not asked twice as
//! often as it can bear.

use std::sync::{Mutex, PoisonError};

/// After so many calls both counts are halved, so that a quiet hour saves nothing up.
const WINDOW_CALLS: u64 = 1_000;

/// How many calls could have been hedged, and how many were.
#[derive(Debug, Default)]
pub struct HedgeBudget {
    counts: Mutex<Counts>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    calls: u64,
    hedges: u64,
}

impl HedgeBudget {
    /// Counts a call that may be hedged.
    pub fn note_call(&self) {
        self.change(|counts| {
            counts.calls += 1;
            if WINDOW_CALLS <= counts.calls {
                counts.calls /= 2;
                counts.hedges /= 2;
            }
        });
    }

    /// Takes one hedged attempt out of a budget of `percent` of the calls. False when it is used up.
    pub fn take(&self, percent: u32) -> bool {
        let mut is_taken = false;
        self.change(|counts| {
            // Rounded up: a route with few calls could otherwise never hedge.
            let allowed = (counts.calls * u64::from(percent)).div_ceil(100);
            is_taken = counts.hedges < allowed;
            counts.hedges += u64::from(is_taken);
        });
        is_taken
    }

    /// A panic while the lock is held leaves whole numbers behind, so they stay in use.
    fn change(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hedged(percent: u32, calls: usize) -> usize {
        let budget = HedgeBudget::default();
        let hedges = (0..calls).filter(|_| {
            budget.note_call();
            budget.take(percent)
        });
        hedges.count()
    }

    #[test]
    fn hedges_are_a_share_of_the_calls() {
        assert_eq!(hedged(0, 100), 0);
        assert_eq!(hedged(5, 1), 1);
        assert_eq!(hedged(5, 20), 1);
        assert_eq!(hedged(5, 100), 5);
        assert_eq!(hedged(100, 100), 100);
        assert!((240..=260).contains(&hedged(5, 5_000)));
    }
}
