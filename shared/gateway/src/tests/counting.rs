//! A table that counts what it is asked, in front of a real one.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use storage::{
    Change, Consistency, Page, Pending, Query, Row, StoreError, Table, Tallied, Tallies, Tally,
};

/// A table that notes the kind and the partition of each request before it passes it on.
#[derive(Debug)]
pub(crate) struct CountingTable {
    table: Arc<dyn Table>,
    seen: Mutex<Vec<String>>,
    fails: AtomicBool,
}

impl CountingTable {
    pub(crate) fn new(table: Arc<dyn Table>) -> Arc<Self> {
        Arc::new(Self { table, seen: Mutex::default(), fails: AtomicBool::new(false) })
    }

    /// What was asked so far, but for cooldowns and the configuration, which have reads of their own.
    pub(crate) fn take(&self) -> Vec<String> {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap());
        seen.into_iter().filter(|it| !it.contains("cooldown")).collect()
    }

    /// Fails every tally from now on.
    pub(crate) fn fail_tallies(&self) {
        self.fails.store(true, Ordering::Relaxed);
    }

    fn note(&self, verb: &str, pk: &str) {
        self.seen.lock().unwrap().push(format!("{verb} {pk}"));
    }
}

impl Table for CountingTable {
    fn get<'a>(
        &'a self,
        pk: &'a str,
        sk: &'a str,
        consistency: Consistency,
        now: u64,
    ) -> Pending<'a, Option<Row>> {
        self.note("get", pk);
        self.table.get(pk, sk, consistency, now)
    }

    fn query<'a>(&'a self, query: &'a Query) -> Pending<'a, Page> {
        self.note("query", &query.pk);
        self.table.query(query)
    }

    fn get_tallies<'a>(
        &'a self,
        pk: &'a str,
        sk: &'a str,
        consistency: Consistency,
        now: u64,
    ) -> Pending<'a, Option<Tallies>> {
        self.note("get_tallies", pk);
        self.table.get_tallies(pk, sk, consistency, now)
    }

    fn tally<'a>(&'a self, change: &'a Tally) -> Pending<'a, Tallied> {
        self.note("tally", &change.pk);
        if self.fails.load(Ordering::Relaxed) {
            return Box::pin(async { Err(StoreError::new("asking", "nobody is there")) });
        }
        self.table.tally(change)
    }

    fn write<'a>(&'a self, changes: &'a [Change]) -> Pending<'a, ()> {
        for change in changes {
            match change {
                Change::Put(row) => self.note("put", &row.pk),
                Change::Delete { pk, .. } => self.note("delete", pk),
            }
        }
        self.table.write(changes)
    }
}
