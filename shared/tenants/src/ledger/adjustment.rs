//! Corrections that an operator makes to what is settled in a period.

use storage::{Condition, Consistency, StoreError, Tallied, Tallies, Tally};

use super::Ledger;
use crate::{
    admission::{SORT_KEY, signed},
    reservation::LedgerKey,
    row::LedgerRow,
    settlement::blank,
    window::Period,
};

/// How often a correction is tried while others correct the same period.
const MAX_WRITES: usize = 4;

/// A correction that an operator makes to what is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjustment {
    /// The name of the correction: under the same name it is made once.
    pub id: String,
    /// The budget period to correct.
    pub period: Period,
    /// What to add to the settled sum, in micro-dollars; less than 0 gives money back.
    pub amount: i64,
    /// How much of the lost sum this corrects, in micro-dollars.
    pub of_lost: u64,
}

/// What became of a correction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adjusted {
    /// The correction was made.
    Made,
    /// The correction was made before.
    MadeBefore,
    /// The correction takes back more than there is in the period, and was not made.
    Exceeds {
        /// What is settled, in micro-dollars.
        settled: u64,
        /// What of it was charged for lost calls, in micro-dollars.
        lost: u64,
    },
}

impl Adjustment {
    /// The note that says that the correction was made.
    fn attribute(&self) -> String {
        format!("j{}_{}", self.period, self.id)
    }

    /// The note that names the latest correction of the period.
    fn latest(&self) -> String {
        format!("j{}_", self.period)
    }

    /// Why the correction cannot be made to this row.
    fn refused(&self, row: &Tallies) -> Option<Adjusted> {
        if row.note(&self.attribute()).is_some() {
            return Some(Adjusted::MadeBefore);
        }
        let row = LedgerRow(row);
        let settled = row.taken(&self.period.settled_attribute());
        let lost = row.taken(&self.period.lost_attribute());
        // A sum below 0 would be credit that no figure shows, since a reading begins at 0.
        let is_too_much = settled < self.amount.min(0).unsigned_abs() || lost < self.of_lost;
        is_too_much.then_some(Adjusted::Exceeds { settled, lost })
    }

    /// The write that makes the correction to the row that was read.
    fn tally(&self, key: &LedgerKey, row: &Tallies) -> Tally {
        let mut add = vec![
            (self.period.committed_attribute(), self.amount),
            (self.period.settled_attribute(), self.amount),
        ];
        if self.of_lost != 0 {
            add.push((self.period.lost_attribute(), -signed(self.of_lost)));
        }
        let (note, latest) = (self.attribute(), self.latest());
        // Calls only add to what is settled, so that without another correction what was read is
        // still there.
        let unchanged = match row.note(&latest) {
            Some(id) => Condition::Is(latest.clone(), id.to_owned()),
            None => Condition::Absent(latest.clone()),
        };
        Tally {
            // Under the same name a correction that is repeated changes nothing.
            conditions: vec![Condition::Absent(note.clone()), unchanged],
            add,
            set: vec![(note, self.amount.to_string()), (latest, self.id.clone())],
            ..blank(key)
        }
    }
}

impl Ledger {
    /// Corrects what is settled in a period, which never falls below 0.
    pub async fn adjust(
        &self,
        key: &LedgerKey,
        adjustment: &Adjustment,
        now: u64,
    ) -> Result<Adjusted, StoreError> {
        for _ in 0..MAX_WRITES {
            let strong = Consistency::Strong;
            let row = self.table.get_tallies(key.partition(), SORT_KEY, strong, now).await?;
            let row = row.unwrap_or_default();
            if let Some(refused) = adjustment.refused(&row) {
                return Ok(refused);
            }
            let written = self.write(key, adjustment.tally(key, &row), now).await?;
            self.refusals.forget(key);
            if matches!(written, Tallied::Done(_)) {
                return Ok(Adjusted::Made);
            }
        }
        Err(StoreError::new("correcting what is spent", "others correct it at the same time"))
    }
}
