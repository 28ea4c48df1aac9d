//! Tables whose failures are counted, for metrics.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    Change, Consistency, Page, Pending, Query, Row, StoreError, Stores, Table, Tallied, Tallies,
    Tally,
};

/// How many operations on tables have failed in this process.
#[derive(Clone, Debug, Default)]
pub struct StoreErrors(Arc<AtomicU64>);

impl StoreErrors {
    /// The number so far.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Stores {
    /// The same tables, and the count of operations on them that fail from now on.
    pub fn counted(self) -> (Self, StoreErrors) {
        let errors = StoreErrors::default();
        let counted =
            |table| -> Arc<dyn Table> { Arc::new(CountedTable { table, errors: errors.clone() }) };
        let stores = Self { config: counted(self.config), state: counted(self.state) };
        (stores, errors)
    }
}

struct CountedTable {
    table: Arc<dyn Table>,
    errors: StoreErrors,
}

impl CountedTable {
    fn counting<'a, T: 'a>(&'a self, operation: Pending<'a, T>) -> Pending<'a, T> {
        Box::pin(async move {
            let outcome: Result<T, StoreError> = operation.await;
            if outcome.is_err() {
                // Relaxed: nothing is ordered by the count.
                self.errors.0.fetch_add(1, Ordering::Relaxed);
            }
            outcome
        })
    }
}

impl Table for CountedTable {
    fn get<'a>(
        &'a self,
        pk: &'a str,
        sk: &'a str,
        consistency: Consistency,
        now: u64,
    ) -> Pending<'a, Option<Row>> {
        self.counting(self.table.get(pk, sk, consistency, now))
    }

    fn query<'a>(&'a self, query: &'a Query) -> Pending<'a, Page> {
        self.counting(self.table.query(query))
    }

    fn get_tallies<'a>(
        &'a self,
        pk: &'a str,
        sk: &'a str,
        consistency: Consistency,
        now: u64,
    ) -> Pending<'a, Option<Tallies>> {
        self.counting(self.table.get_tallies(pk, sk, consistency, now))
    }

    fn tally<'a>(&'a self, change: &'a Tally) -> Pending<'a, Tallied> {
        self.counting(self.table.tally(change))
    }

    fn tally_soon<'a>(&'a self, change: &'a Tally) -> Pending<'a, Tallied> {
        self.counting(self.table.tally_soon(change))
    }

    fn write<'a>(&'a self, changes: &'a [Change]) -> Pending<'a, ()> {
        self.counting(self.table.write(changes))
    }
}

impl fmt::Debug for CountedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountedTable").field("errors", &self.errors.count()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory;

    #[tokio::test]
    async fn operations_that_fail_are_counted_and_others_are_not() {
        let (stores, errors) = memory::open().counted();
        let row =
            |value: String| Row { pk: "p".to_owned(), sk: "s".to_owned(), value, expires: None };
        stores.state.put(row("short".to_owned())).await.unwrap();
        assert_eq!(errors.count(), 0);
        stores.state.put(row("x".repeat(500_000))).await.unwrap_err();
        stores.config.put(row("x".repeat(500_000))).await.unwrap_err();
        assert_eq!(errors.count(), 2);
        assert_eq!(stores.state.query(&Query::partition("p", 0)).await.unwrap().rows.len(), 1);
    }
}
