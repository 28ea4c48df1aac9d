//! Both tables in one SQLite file, or in memory.
//!
//! A verb costs one hop to a thread that may block. Rows that expired are not read, and the next
//! write removes them.

mod statements;

use std::{
    fs,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rusqlite::{Connection, TransactionBehavior};

use crate::{
    error::StoreError,
    limits,
    query::{Consistency, Page, Query},
    table::{Change, Pending, Row, Stores, Table},
    tally::{Tallied, Tallies, Tally},
};

/// How long a writer waits for another process's write.
const BUSY: Duration = Duration::from_secs(5);

/// Opens the tables in a file; the file and its folder are made if they are not there.
pub fn open(path: &Path) -> Result<Stores, StoreError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(opening)?;
    }
    Connection::open(path).and_then(stores).map_err(opening)
}

/// Opens tables that last as long as the returned value and its clones.
pub fn in_memory() -> Result<Stores, StoreError> {
    Connection::open_in_memory().and_then(stores).map_err(opening)
}

fn opening(cause: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::new("opening the database", cause)
}

fn stores(connection: Connection) -> rusqlite::Result<Stores> {
    connection.busy_timeout(BUSY)?;
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")?;
    statements::create_tables(&connection)?;
    let file = Arc::new(File { connection: Mutex::new(connection), latest: AtomicU64::new(0) });
    Ok(Stores {
        config: Arc::new(FileTable { file: Arc::clone(&file), name: "config" }),
        state: Arc::new(FileTable { file, name: "state" }),
    })
}

#[derive(Debug)]
struct File {
    connection: Mutex<Connection>,
    /// The latest time a reader brought along; what expired by then is swept.
    latest: AtomicU64,
}

#[derive(Debug)]
struct FileTable {
    file: Arc<File>,
    name: &'static str,
}

impl Table for FileTable {
    fn get<'a>(
        &'a self,
        pk: &'a str,
        sk: &'a str,
        _: Consistency,
        now: u64,
    ) -> Pending<'a, Option<Row>> {
        let (table, pk, sk) = (self.name, pk.to_owned(), sk.to_owned());
        self.read(now, move |connection| statements::read_row(connection, table, (&pk, &sk), now))
    }

    fn query<'a>(&'a self, query: &'a Query) -> Pending<'a, Page> {
        let (table, query) = (self.name, query.clone());
        self.read(query.now, move |connection| {
            statements::read_rows(connection, table, &query).map(|rows| query.page(rows))
        })
    }

    fn get_tallies<'a>(
        &'a self,
        pk: &'a str,
        sk: &'a str,
        _: Consistency,
        now: u64,
    ) -> Pending<'a, Option<Tallies>> {
        let (table, pk, sk) = (self.name, pk.to_owned(), sk.to_owned());
        self.read(now, move |connection| {
            statements::read_tallies(connection, table, (&pk, &sk), now)
        })
    }

    fn tally<'a>(&'a self, change: &'a Tally) -> Pending<'a, Tallied> {
        Box::pin(async move {
            limits::check_tally(change)?;
            let (file, table, change) = (Arc::clone(&self.file), self.name, change.clone());
            let tallied = off_thread("changing tallies", move || {
                file.transact(table, |connection| statements::tally(connection, table, &change))
            });
            tallied.await?.map_err(|cause| StoreError::new("changing tallies", cause))
        })
    }

    fn write<'a>(&'a self, changes: &'a [Change]) -> Pending<'a, ()> {
        Box::pin(async move {
            for group in limits::groups(changes)? {
                let (file, table) = (Arc::clone(&self.file), self.name);
                let group: Vec<Change> = group.into_iter().cloned().collect();
                off_thread("writing rows", move || {
                    file.transact(table, |connection| {
                        statements::write_rows(connection, table, &group)
                    })
                })
                .await?;
            }
            Ok(())
        })
    }
}

impl FileTable {
    fn read<T: Send + 'static>(
        &self,
        now: u64,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Pending<'_, T> {
        let file = Arc::clone(&self.file);
        Box::pin(off_thread("reading rows", move || {
            file.latest.fetch_max(now, Ordering::Relaxed);
            read(&file.connection.lock().unwrap_or_else(PoisonError::into_inner))
        }))
    }
}

impl File {
    fn transact<T>(
        &self,
        table: &str,
        change: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let latest = self.latest.load(Ordering::Relaxed);
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = change(&transaction)?;
        statements::remove_expired(&transaction, table, latest)?;
        transaction.commit()?;
        Ok(done)
    }
}

async fn off_thread<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> rusqlite::Result<T> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| StoreError::new(doing, error)),
        Err(broken) => Err(StoreError::new(doing, broken)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_next_write_removes_what_a_reader_found_expired() {
        let table = in_memory().unwrap().state;
        let row = |sk: &str, expires| {
            let text = |it: &str| it.to_owned();
            Change::Put(Row { pk: text("a"), sk: text(sk), value: text(""), expires })
        };
        table.write(&[row("past", Some(10)), row("ahead", Some(11))]).await.unwrap();
        assert_eq!(table.query(&Query::partition("a", 10)).await.unwrap().rows.len(), 1);
        table.write(&[row("new", None)]).await.unwrap();
        let left = table.query(&Query::partition("a", 0)).await.unwrap().rows;
        assert_eq!(left.into_iter().map(|row| row.sk).collect::<Vec<_>>(), ["ahead", "new"]);
    }
}
