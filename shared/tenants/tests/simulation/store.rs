//! The store at the far end of every link: the in-memory table, with the truth about each change
//! kept beside it.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
};

use storage::{Consistency, Pending, StoreError, Table, Tallied, Tallies, Tally};

use crate::{mutant::Mutant, truth::Truth};

/// The store.
#[derive(Debug)]
pub(crate) struct Store {
    table: Arc<dyn Table>,
    mutant: Option<Mutant>,
    /// What happened, as the invariants need to know.
    pub(crate) truth: Truth,
}

impl Store {
    /// An empty store.
    pub(crate) fn new(mutant: Option<Mutant>, truth: Truth) -> Self {
        Self { table: storage::memory::open().state, mutant, truth }
    }

    /// The table without a link.
    pub(crate) fn table(&self) -> Arc<dyn Table> {
        Arc::clone(&self.table)
    }

    /// Makes a change and compares the row with the truth.
    pub(crate) fn apply(&mut self, change: &Tally) -> Result<Tallied, StoreError> {
        let Some(mutant) = self.mutant else {
            let outcome = now(self.table.tally(change))?;
            self.observe(change, &outcome);
            return Ok(outcome);
        };
        let before = self.read(change);
        if let Some(swallowed) = mutant.swallows(change, &before) {
            return Ok(swallowed);
        }
        let mutated = mutant.change(change);
        let mut outcome = now(self.table.tally(&mutated))?;
        if let (Tallied::Refused(_), Some(more)) = (&outcome, mutant.after_refusal(change)) {
            let (Tallied::Done(row) | Tallied::Refused(row)) = now(self.table.tally(&more))?;
            outcome = Tallied::Refused(row);
        }
        self.observe(change, &outcome);
        Ok(outcome)
    }

    /// Shows the truth the whole row: what comes back of a change may lack open holds.
    fn observe(&mut self, change: &Tally, outcome: &Tallied) {
        let whole = match outcome {
            Tallied::Done(_) => Tallied::Done(self.read(change)),
            Tallied::Refused(row) => Tallied::Refused(row.clone()),
        };
        self.truth.observe(change, &whole);
    }

    /// Notes that a request may arrive when nobody expects it.
    pub(crate) fn note_stray(&mut self, change: &Tally) {
        self.truth.note_stray(change);
    }

    fn read(&self, change: &Tally) -> Tallies {
        let read = self.table.get_tallies(&change.pk, &change.sk, Consistency::Strong, 0);
        now(read).unwrap().unwrap_or_default()
    }
}

/// The value of a future of the in-memory table, which never waits.
fn now<T>(mut pending: Pending<'_, T>) -> Result<T, StoreError> {
    match pending.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("the in-memory table never waits"),
    }
}
