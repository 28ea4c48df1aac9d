//! The verbs that every backend has, over one flat table of rows.
//!
//! What a row means is for the callers. `tests/contract.rs` holds every backend to this page.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use crate::{
    error::StoreError,
    query::{Consistency, Page, Query},
    tally::{Tallied, Tallies, Tally},
};

/// The future of a verb, which can be held behind `dyn Table`.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// One row of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The partition: rows that are read together.
    pub pk: String,
    /// The key within the partition; rows are ordered by its bytes.
    pub sk: String,
    /// The content of the row, as JSON text. Empty for a row that only `tally` has written.
    pub value: String,
    /// When the row ends, in seconds since 1970. Absent: never.
    pub expires: Option<u64>,
}

/// One change of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Writes a row over the one with the same keys, tallies included.
    Put(Row),
    /// Removes a row, if it is there.
    Delete {
        /// The partition.
        pk: String,
        /// The key within the partition.
        sk: String,
    },
}

impl Change {
    /// The partition and the key within it.
    pub(crate) fn keys(&self) -> (&str, &str) {
        match self {
            Self::Put(row) => (&row.pk, &row.sk),
            Self::Delete { pk, sk } => (pk, sk),
        }
    }
}

/// A table of rows that outlives the process.
///
/// Every verb may fail after the store made the change: a response can be lost. A caller that
/// must know writes an id with `tally` and looks for it.
pub trait Table: fmt::Debug + Send + Sync {
    /// Reads one row, unless it has expired at `now` (seconds since 1970).
    fn get<'a>(
        &'a self,
        pk: &'a str,
        sk: &'a str,
        consistency: Consistency,
        now: u64,
    ) -> Pending<'a, Option<Row>>;

    /// Reads rows of one partition, in order of `sk`, without those that have expired.
    fn query<'a>(&'a self, query: &'a Query) -> Pending<'a, Page>;

    /// Reads the numbers and notes of one row, unless the row has expired at `now`.
    fn get_tallies<'a>(
        &'a self,
        pk: &'a str,
        sk: &'a str,
        consistency: Consistency,
        now: u64,
    ) -> Pending<'a, Option<Tallies>>;

    /// Changes numbers and notes of one row if all conditions hold, in one atomic step. The row is
    /// made if it is not there; its `value` stays as it is.
    ///
    /// Stores remove expired rows late, so a row that has expired may still count as there.
    fn tally<'a>(&'a self, change: &'a Tally) -> Pending<'a, Tallied>;

    /// The same as [`Self::tally`], for a change whose outcome no client waits for: a store may hold
    /// it back for some 50 ms, to write it together with others. Changes of one row are made in the
    /// order in which they come.
    fn tally_soon<'a>(&'a self, change: &'a Tally) -> Pending<'a, Tallied> {
        self.tally(change)
    }

    /// Makes all changes or none. Beyond 100 changes this holds for each group of 100, in order.
    ///
    /// A row may have 400 KB with its keys, a group 4 MB; a partition's name has 1 to 2048 bytes
    /// and a row's key within it 1 to 1024. Nothing is written when one change breaks this. Of
    /// several changes of one row the last wins.
    fn write<'a>(&'a self, changes: &'a [Change]) -> Pending<'a, ()>;

    /// Writes one row over the one with the same keys.
    fn put(&self, row: Row) -> Pending<'_, ()> {
        Box::pin(async move { self.write(&[Change::Put(row)]).await })
    }

    /// Removes one row, if it is there.
    fn delete<'a>(&'a self, pk: &'a str, sk: &'a str) -> Pending<'a, ()> {
        Box::pin(async move {
            self.write(&[Change::Delete { pk: pk.to_owned(), sk: sk.to_owned() }]).await
        })
    }
}

/// The two tables of a gateway.
#[derive(Clone, Debug)]
pub struct Stores {
    /// The table of operators' decisions: read by every process, written by operators only.
    pub config: Arc<dyn Table>,
    /// The table of what calls leave behind; most rows expire.
    pub state: Arc<dyn Table>,
}
