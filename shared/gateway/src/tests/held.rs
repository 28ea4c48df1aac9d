//! A table whose next change or query of a partition is held on its way, in front of a real one.

use std::sync::{Arc, Mutex};

use storage::{Change, Consistency, Page, Pending, Query, Row, Table, Tallied, Tallies, Tally};
use tokio::sync::Semaphore;

/// Where a request is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The table has not got the request yet.
    Request,
    /// The table has done it, and nobody has heard of it yet.
    Response,
}

#[derive(Debug)]
pub(crate) struct HeldTable {
    table: Arc<dyn Table>,
    held: Mutex<Option<(&'static str, Place)>>,
    reached: Semaphore,
    opened: Semaphore,
}

impl HeldTable {
    pub(crate) fn new(table: Arc<dyn Table>) -> Arc<Self> {
        let (reached, opened) = (Semaphore::new(0), Semaphore::new(0));
        Arc::new(Self { table, held: Mutex::default(), reached, opened })
    }

    /// Holds the next request about a partition of this prefix.
    pub(crate) fn hold(&self, prefix: &'static str, place: Place) {
        *self.held.lock().unwrap() = Some((prefix, place));
    }

    /// Waits until a request is held.
    pub(crate) async fn reached(&self) {
        self.reached.acquire().await.unwrap().forget();
    }

    /// Lets the request go on.
    pub(crate) fn open(&self) {
        self.opened.add_permits(1);
    }

    async fn pass(&self, pk: &str, place: Place) {
        let is_held = {
            let mut held = self.held.lock().unwrap();
            let found = held.take_if(|(prefix, at)| pk.starts_with(*prefix) && *at == place);
            found.is_some()
        };
        if is_held {
            self.reached.add_permits(1);
            self.opened.acquire().await.unwrap().forget();
        }
    }
}

impl Table for HeldTable {
    fn get<'a>(
        &'a self,
        pk: &'a str,
        sk: &'a str,
        consistency: Consistency,
        now: u64,
    ) -> Pending<'a, Option<Row>> {
        self.table.get(pk, sk, consistency, now)
    }

    fn query<'a>(&'a self, query: &'a Query) -> Pending<'a, Page> {
        Box::pin(async move {
            self.pass(&query.pk, Place::Request).await;
            let page = self.table.query(query).await;
            self.pass(&query.pk, Place::Response).await;
            page
        })
    }

    fn get_tallies<'a>(
        &'a self,
        pk: &'a str,
        sk: &'a str,
        consistency: Consistency,
        now: u64,
    ) -> Pending<'a, Option<Tallies>> {
        self.table.get_tallies(pk, sk, consistency, now)
    }

    fn tally<'a>(&'a self, change: &'a Tally) -> Pending<'a, Tallied> {
        Box::pin(async move {
            self.pass(&change.pk, Place::Request).await;
            let tallied = self.table.tally(change).await;
            self.pass(&change.pk, Place::Response).await;
            tallied
        })
    }

    fn write<'a>(&'a self, changes: &'a [Change]) -> Pending<'a, ()> {
        self.table.write(changes)
    }
}
