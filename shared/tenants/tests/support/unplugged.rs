//! A table that can be unplugged: every verb fails until it is plugged in again.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use storage::{
    Change, Consistency, Page, Pending, Query, Row, StoreError, Table, Tallied, Tallies, Tally,
};

#[derive(Debug)]
pub(crate) struct Unpluggable {
    table: Arc<dyn Table>,
    is_unplugged: AtomicBool,
    calls: AtomicUsize,
}

impl Unpluggable {
    /// A table in memory.
    pub(crate) fn new() -> Arc<Self> {
        let (is_unplugged, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
        Arc::new(Self { table: storage::memory::open().state, is_unplugged, calls })
    }

    pub(crate) fn unplug(&self) {
        self.is_unplugged.store(true, Ordering::Relaxed);
    }

    pub(crate) fn plug_in(&self) {
        self.is_unplugged.store(false, Ordering::Relaxed);
    }

    /// How many verbs were called since this was last asked.
    pub(crate) fn take_calls(&self) -> usize {
        self.calls.swap(0, Ordering::Relaxed)
    }

    fn reach<'a, T: Send + 'a>(
        &'a self,
        verb: impl FnOnce(&'a dyn Table) -> Pending<'a, T>,
    ) -> Pending<'a, T> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if self.is_unplugged.load(Ordering::Relaxed) {
            return Box::pin(async { Err(StoreError::new("reaching the store", "unplugged")) });
        }
        verb(&*self.table)
    }
}

impl Table for Unpluggable {
    fn get<'a>(
        &'a self,
        pk: &'a str,
        sk: &'a str,
        consistency: Consistency,
        now: u64,
    ) -> Pending<'a, Option<Row>> {
        self.reach(|table| table.get(pk, sk, consistency, now))
    }

    fn query<'a>(&'a self, query: &'a Query) -> Pending<'a, Page> {
        self.reach(|table| table.query(query))
    }

    fn get_tallies<'a>(
        &'a self,
        pk: &'a str,
        sk: &'a str,
        consistency: Consistency,
        now: u64,
    ) -> Pending<'a, Option<Tallies>> {
        self.reach(|table| table.get_tallies(pk, sk, consistency, now))
    }

    fn tally<'a>(&'a self, change: &'a Tally) -> Pending<'a, Tallied> {
        self.reach(|table| table.tally(change))
    }

    fn write<'a>(&'a self, changes: &'a [Change]) -> Pending<'a, ()> {
        self.reach(|table| table.write(changes))
    }
}
