//! Names in ledger rows that belong to windows long past: the next write of a row removes them, which
//! costs nothing extra.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use storage::Tallies;

use crate::{reservation::LedgerKey, row::LedgerRow, window::is_stale};

/// How many rows have their stale names remembered.
const MAX_ROWS: usize = 4_096;

/// How many stale names one write removes. DynamoDB's expressions have at most 4 KB, which some
/// hundred names would fill, and a call makes fewer than this.
const MAX_REMOVED: usize = 16;

/// The stale names that this process has seen in rows.
#[derive(Debug, Default)]
pub(crate) struct StaleNames(Mutex<HashMap<LedgerKey, Vec<String>>>);

impl StaleNames {
    /// Remembers some of the stale names in a row as it is now.
    pub(crate) fn remember(&self, key: &LedgerKey, row: &Tallies, now: u64) {
        let stale: Vec<String> = LedgerRow(row).stale(now).take(MAX_REMOVED).collect();
        let mut rows = self.lock();
        if stale.is_empty() {
            rows.remove(key);
            return;
        }
        // What is forgotten is seen again with the next write of its row.
        if MAX_ROWS <= rows.len() && !rows.contains_key(key) {
            rows.clear();
        }
        rows.insert(key.clone(), stale);
    }

    /// The names that the next write of a row is to remove.
    pub(crate) fn of(&self, key: &LedgerKey, now: u64) -> Vec<String> {
        let rows = self.lock();
        let stale = rows.get(key).into_iter().flatten();
        stale.filter(|name| is_stale(name, now)).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LedgerKey, Vec<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_860_000;

    fn row(names: u64) -> Tallies {
        let numbers = (0..names).map(|nth| (format!("m{nth}").into(), 1));
        Tallies { numbers: numbers.collect(), ..Tallies::default() }
    }

    #[test]
    fn one_write_removes_only_so_many_names() {
        let (names, key) = (StaleNames::default(), LedgerKey::tenant("t"));
        names.remember(&key, &row(1_000), NOW);
        assert_eq!(names.of(&key, NOW).len(), MAX_REMOVED);
        names.remember(&key, &row(0), NOW);
        assert_eq!(names.of(&key, NOW), [""; 0]);
    }

    #[test]
    fn any_number_of_rows_get_rid_of_their_names() {
        let names = StaleNames::default();
        for nth in 0..2 * MAX_ROWS + 1 {
            let key = LedgerKey::tenant(&nth.to_string());
            names.remember(&key, &row(1), NOW);
            assert_eq!(names.of(&key, NOW), ["m0"], "row {nth}");
            assert!(names.lock().len() <= MAX_ROWS);
        }
    }

    #[test]
    fn names_of_adjustments_are_stale_and_those_of_reservations_never() {
        let names = ["j202601_x", "r_m1", "r_j202601_x", "s202601"];
        let notes = names.into_iter().map(|name| (name.into(), "".into()));
        let row = Tallies { notes: notes.collect(), ..Tallies::default() };
        let key = LedgerKey::tenant("t");
        let stale = StaleNames::default();
        stale.remember(&key, &row, NOW);
        assert_eq!(stale.of(&key, NOW), ["j202601_x", "s202601"]);
    }
}
