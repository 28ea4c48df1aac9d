//! The latest failures, kept beside the sums: rows are read for those anyway, and a page that looked
//! for failures in the log would read every call in between.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use crate::request_log::CallRow;

/// How many failures are kept.
pub const LATEST_FAILURES: usize = 8;

/// The latest failures and refusals, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct LatestFailures(Vec<CallRow>);

impl LatestFailures {
    /// Takes a call in, if it failed and is late enough. One that is known already changes nothing.
    pub(super) fn note(&mut self, row: &CallRow) {
        let place = |it: &CallRow| Reverse((it.ended(), it.id.clone()));
        // A row that cannot be read has no id, and says nothing of how its call ended.
        if !row.has_failed() || row.id.is_empty() {
            return;
        }
        let is_too_old = LATEST_FAILURES <= self.0.len()
            && self.0.last().is_some_and(|last| place(last) <= place(row));
        if is_too_old {
            return;
        }
        if let Err(at) = self.0.binary_search_by_key(&place(row), place) {
            self.0.insert(at, row.clone());
            self.0.truncate(LATEST_FAILURES);
        }
    }

    /// The failures, newest first.
    pub(super) fn rows(&self) -> &[CallRow] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(ended: u64, outcome: &str) -> CallRow {
        CallRow {
            id: format!("req_{ended}"),
            arrived: ended,
            outcome: outcome.to_owned(),
            ..CallRow::default()
        }
    }

    #[test]
    fn the_latest_failures_are_kept_in_order_and_once() {
        let mut latest = LatestFailures::default();
        for ended in [5, 1, 9, 9, 3, 2, 8, 7, 6, 4, 10, 5] {
            latest.note(&call(ended, "timeout"));
            latest.note(&call(100 + ended, "success"));
            latest.note(&call(200 + ended, "canceled"));
        }
        latest.note(&CallRow::default());
        let ended: Vec<u64> = latest.rows().iter().map(CallRow::ended).collect();
        assert_eq!(ended, [10, 9, 8, 7, 6, 5, 4, 3]);
    }
}
