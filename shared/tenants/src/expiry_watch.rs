//! When this process last looked for holds of dead owners in a row.
//!
//! A look needs a copy of every open hold of a tenant. A hold is lost a minute after its deadline at
//! the soonest, so that one look a second is enough.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::reservation::LedgerKey;

/// How many rows have their last look remembered.
const MAX_ROWS: usize = 4_096;

/// The second of the last look at each row.
#[derive(Debug, Default)]
pub(crate) struct ExpiryWatch(Mutex<HashMap<LedgerKey, u64>>);

impl ExpiryWatch {
    /// Whether a row is to be looked at now (seconds since 1970), which then counts as done.
    pub(crate) fn is_due(&self, key: &LedgerKey, now: u64) -> bool {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match looks.get_mut(key) {
            Some(last) => std::mem::replace(last, now) != now,
            None => {
                // What is forgotten is looked at once more than needed.
                if MAX_ROWS <= looks.len() {
                    looks.clear();
                }
                looks.insert(key.clone(), now);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_looked_at_once_a_second() {
        let (watch, a, b) =
            (ExpiryWatch::default(), LedgerKey::tenant("a"), LedgerKey::tenant("b"));
        let due = |key, now| watch.is_due(key, now);
        assert_eq!([due(&a, 5), due(&a, 5), due(&b, 5), due(&a, 6)], [true, false, true, true]);
        // A clock that was set back does not end the looks.
        assert!(due(&a, 4));
    }

    #[test]
    fn any_number_of_rows_are_looked_at() {
        let watch = ExpiryWatch::default();
        for nth in 0..=MAX_ROWS {
            assert!(watch.is_due(&LedgerKey::tenant(&nth.to_string()), 1));
        }
        assert!(watch.0.lock().unwrap().len() <= MAX_ROWS);
    }
}
