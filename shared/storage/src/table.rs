//! The few verbs that every backend has, over one flat table.

use std::{fmt, future::Future, iter, pin::Pin, sync::Arc};

/// What a verb gives: a future that can be held behind `dyn Table`.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// One row of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The partition: rows that are read together.
    pub pk: String,
    /// The row's place within its partition; rows come back in this order.
    pub sk: String,
    /// What the row holds, as JSON text.
    pub value: String,
    /// When the row stops being true, in seconds since 1970. Absent: never.
    pub expires: Option<u64>,
}

/// One change of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Writes a row, over the one with the same keys.
    Put(Row),
    /// Removes a row, if it is there.
    Delete {
        /// The partition.
        pk: String,
        /// The place within it.
        sk: String,
    },
}

impl Change {
    /// The partition, and the place within it.
    pub(crate) fn keys(&self) -> (&str, &str) {
        match self {
            Self::Put(row) => (&row.pk, &row.sk),
            Self::Delete { pk, sk } => (pk, sk),
        }
    }
}

/// A table of rows that outlives the process.
pub trait Table: fmt::Debug + Send + Sync {
    /// Every row of a partition that has not expired at `now` (seconds since 1970), in order of `sk`.
    fn query<'a>(&'a self, pk: &'a str, now: u64) -> Pending<'a, Vec<Row>>;

    /// Makes all changes or none. Beyond 100 changes this holds for each group of 100, in order.
    ///
    /// A row may have 400 KB with its keys, a group 4 MB; a partition's name has 1 to 2048 bytes
    /// and a row's place 1 to 1024. Nothing is written when one change breaks this. Of several
    /// changes of one row the last wins.
    fn write<'a>(&'a self, changes: &'a [Change]) -> Pending<'a, ()>;
}

/// The two tables of a gateway.
#[derive(Clone, Debug)]
pub struct Stores {
    /// What operators decide: read by every call's process, written by operators only.
    pub config: Arc<dyn Table>,
    /// What calls leave behind; rows expire.
    pub state: Arc<dyn Table>,
}

/// Why a store could not do what it was asked. The text is for the log, never for a client, and
/// holds the whole chain of causes.
pub struct StoreError {
    doing: &'static str,
    cause: Box<dyn std::error::Error + Send + Sync>,
}

impl StoreError {
    /// A failure while `doing` something, such as "reading the configuration".
    pub fn new(
        doing: &'static str,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { doing, cause: cause.into() }
    }
}

/// An error and all that led to it, outermost first.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    for cause in iter::successors(error.source(), |it| it.source()) {
        let cause = cause.to_string();
        if !text.ends_with(&cause) {
            text = text + ": " + &cause;
        }
    }
    text
}

/// The same as what is displayed: a cause's own could print the bytes of an answer, secrets too.
impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed: {}", self.doing, chain(&*self.cause))
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.cause)
    }
}
