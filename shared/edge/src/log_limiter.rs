//! Log lines that strangers can cause: at most one a second.

use std::sync::atomic::{AtomicU64, Ordering};

/// The time between two lines, in milliseconds.
const INTERVAL_MS: u64 = 1_000;

/// Lets one line a second pass, and counts the others.
#[derive(Debug, Default)]
pub(crate) struct LogLimiter {
    next_at: AtomicU64,
    suppressed: AtomicU64,
}

impl LogLimiter {
    /// Whether a line may be written at a time in milliseconds. Gives how often the same happened
    /// since the last line, this time included.
    pub(crate) fn count(&self, now_ms: u64) -> Option<u64> {
        let next_at = self.next_at.load(Ordering::Relaxed);
        let is_due = next_at <= now_ms;
        // Of several threads at the same moment one wins the exchange and writes the line.
        let is_first = is_due
            && self
                .next_at
                .compare_exchange(
                    next_at,
                    now_ms + INTERVAL_MS,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_ok();
        if is_first {
            return Some(self.suppressed.swap(0, Ordering::Relaxed) + 1);
        }
        self.suppressed.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second_counts_all_before_it() {
        let limiter = LogLimiter::default();
        assert_eq!(limiter.count(5_000), Some(1));
        assert_eq!(limiter.count(5_001), None);
        assert_eq!(limiter.count(5_999), None);
        assert_eq!(limiter.count(6_000), Some(3));
    }
}
