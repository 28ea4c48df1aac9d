//! Both tables in memory: the reference for what every backend does.
//!
//! Nothing outlives the process. Expired rows are not returned, and are never removed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    error::StoreError,
    limits,
    query::{Consistency, Order, Page, Query},
    table::{Change, Pending, Row, Stores, Table},
    tally::{Tallied, Tallies, Tally},
};

/// Opens two empty tables that last as long as the returned value and its clones.
pub fn open() -> Stores {
    Stores { config: Arc::new(MemoryTable::default()), state: Arc::new(MemoryTable::default()) }
}

type Partition = BTreeMap<String, Stored>;

#[derive(Debug, Default)]
struct MemoryTable {
    partitions: Mutex<BTreeMap<String, Partition>>,
}

/// A row without its keys.
#[derive(Debug, Default)]
struct Stored {
    value: String,
    tallies: Tallies,
    expires: Option<u64>,
}

impl Stored {
    fn is_live(&self, now: u64) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    fn to_row(&self, pk: &str, sk: &str) -> Row {
        let (value, expires) = (self.value.clone(), self.expires);
        Row { pk: pk.to_owned(), sk: sk.to_owned(), value, expires }
    }
}

impl MemoryTable {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Partition>> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, pk: &str, sk: &str, now: u64, read: impl FnOnce(&Stored) -> T) -> Option<T> {
        let partitions = self.lock();
        let stored = partitions.get(pk)?.get(sk)?;
        stored.is_live(now).then(|| read(stored))
    }

    fn rows(&self, query: &Query) -> Vec<Row> {
        let partitions = self.lock();
        let Some(partition) = partitions.get(&query.pk) else {
            return vec![];
        };

        let rows = partition
            .iter()
            .filter(|(sk, stored)| query.contains(sk) && stored.is_live(query.now))
            .map(|(sk, stored)| stored.to_row(&query.pk, sk));
        match query.order {
            Order::Ascending => rows.take(query.rows_to_read()).collect(),
            Order::Descending => rows.rev().take(query.rows_to_read()).collect(),
        }
    }

    fn change(&self, group: &[&Change]) {
        let mut partitions = self.lock();
        for change in group {
            let (pk, sk) = change.keys();
            let partition = partitions.entry(pk.to_owned()).or_default();
            match change {
                Change::Put(row) => {
                    let (value, expires) = (row.value.clone(), row.expires);
                    // A put replaces the row with its tallies, as DynamoDB's `PutItem` does.
                    let stored = Stored { value, tallies: Tallies::default(), expires };
                    partition.insert(sk.to_owned(), stored);
                }
                Change::Delete { .. } => drop(partition.remove(sk)),
            }
        }
    }

    fn apply(&self, change: &Tally) -> Result<Tallied, String> {
        let mut partitions = self.lock();

        let stored = partitions.get(&change.pk).and_then(|partition| partition.get(&change.sk));
        let mut tallies = stored.map(|stored| stored.tallies.clone()).unwrap_or_default();
        // The lock is held from the conditions to the change: that is all of a conditional write.
        if !tallies.apply(change)? {
            return Ok(Tallied::Refused(tallies));
        }
        let partition = partitions.entry(change.pk.clone()).or_default();
        let stored = partition.entry(change.sk.clone()).or_default();
        let returned = tallies.after(change);
        stored.tallies = tallies;
        stored.expires = change.expires.or(stored.expires);
        Ok(Tallied::Done(returned))
    }
}

impl Table for MemoryTable {
    fn get<'a>(
        &'a self,
        pk: &'a str,
        sk: &'a str,
        _: Consistency,
        now: u64,
    ) -> Pending<'a, Option<Row>> {
        Box::pin(async move {
            limits::check_row(pk, sk)?;
            Ok(self.read(pk, sk, now, |stored| stored.to_row(pk, sk)))
        })
    }

    fn query<'a>(&'a self, query: &'a Query) -> Pending<'a, Page> {
        Box::pin(async move {
            limits::check_query(query)?;
            Ok(query.page(self.rows(query)))
        })
    }

    fn get_tallies<'a>(
        &'a self,
        pk: &'a str,
        sk: &'a str,
        _: Consistency,
        now: u64,
    ) -> Pending<'a, Option<Tallies>> {
        Box::pin(async move {
            limits::check_row(pk, sk)?;
            Ok(self.read(pk, sk, now, |stored| stored.tallies.clone()))
        })
    }

    fn tally<'a>(&'a self, change: &'a Tally) -> Pending<'a, Tallied> {
        Box::pin(async move {
            limits::check_tally(change)?;
            self.apply(change).map_err(|cause| StoreError::new("changing tallies", cause))
        })
    }

    fn write<'a>(&'a self, changes: &'a [Change]) -> Pending<'a, ()> {
        Box::pin(async move {
            for group in limits::groups(changes)? {
                self.change(&group);
            }
            Ok(())
        })
    }
}
