//! A table whose next read or write of rows waits in the middle, and whose writes may fail, in front of
//! one in memory.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use storage::{
    Change, Consistency, Page, Pending, Query, Row, StoreError, Table, Tallied, Tallies, Tally,
};
use tokio::sync::Notify;

#[derive(Debug)]
pub(crate) struct PausingTable {
    table: Arc<dyn Table>,
    pause: Mutex<Option<Arc<Notify>>>,
    /// How many writes and tallies succeed from now on.
    writes: AtomicUsize,
}

impl PausingTable {
    pub(crate) fn new() -> Arc<Self> {
        let (pause, writes) = (Mutex::default(), AtomicUsize::new(usize::MAX));
        Arc::new(Self { table: storage::memory::open().config, pause, writes })
    }

    /// Lets the next read of a row wait before its response, or the next write before its request.
    pub(crate) fn pause_next(&self) -> Arc<Notify> {
        let pause = Arc::new(Notify::new());
        *self.pause.lock().unwrap() = Some(pause.clone());
        pause
    }

    /// Fails every write and tally after so many more.
    pub(crate) fn fail_after(&self, writes: usize) {
        self.writes.store(writes, Ordering::Relaxed);
    }

    async fn pause(&self) {
        let pause = self.pause.lock().unwrap().take();
        if let Some(pause) = pause {
            pause.notified().await;
        }
    }

    fn take_write(&self) -> Result<(), StoreError> {
        let left = self.writes.load(Ordering::Relaxed);
        let Some(left) = left.checked_sub(1) else {
            return Err(StoreError::new("writing", "the disk is full"));
        };
        self.writes.store(left, Ordering::Relaxed);
        Ok(())
    }
}

impl Table for PausingTable {
    fn get<'a>(
        &'a self,
        pk: &'a str,
        sk: &'a str,
        consistency: Consistency,
        now: u64,
    ) -> Pending<'a, Option<Row>> {
        Box::pin(async move {
            let row = self.table.get(pk, sk, consistency, now).await;
            self.pause().await;
            row
        })
    }

    fn query<'a>(&'a self, query: &'a Query) -> Pending<'a, Page> {
        self.table.query(query)
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
            self.take_write()?;
            self.table.tally(change).await
        })
    }

    fn write<'a>(&'a self, changes: &'a [Change]) -> Pending<'a, ()> {
        Box::pin(async move {
            self.pause().await;
            self.take_write()?;
            self.table.write(changes).await
        })
    }
}
