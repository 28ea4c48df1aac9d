//! Both tables in one SQLite file, or in memory.
//!
//! A verb costs one hop to a thread that may block. Rows that expired are not read, and the next
//! write removes them.

use std::{
    fs,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rusqlite::{Connection, TransactionBehavior, params};

use crate::{
    limits,
    table::{Change, Pending, Row, StoreError, Stores, Table},
};

/// How long a writer waits for another process's write.
const BUSY: Duration = Duration::from_secs(5);

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS config (
        pk TEXT NOT NULL, sk TEXT NOT NULL, value TEXT NOT NULL, expires INTEGER,
        PRIMARY KEY (pk, sk)
    ) STRICT;
    CREATE TABLE IF NOT EXISTS state (
        pk TEXT NOT NULL, sk TEXT NOT NULL, value TEXT NOT NULL, expires INTEGER,
        PRIMARY KEY (pk, sk)
    ) STRICT;
    CREATE INDEX IF NOT EXISTS config_expires ON config (expires) WHERE expires IS NOT NULL;
    CREATE INDEX IF NOT EXISTS state_expires ON state (expires) WHERE expires IS NOT NULL;
";

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
    connection.execute_batch(SCHEMA)?;
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
    fn query<'a>(&'a self, pk: &'a str, now: u64) -> Pending<'a, Vec<Row>> {
        let (file, table, pk) = (Arc::clone(&self.file), self.name, pk.to_owned());
        Box::pin(off_thread("reading rows", move || file.rows(table, &pk, now)))
    }

    fn write<'a>(&'a self, changes: &'a [Change]) -> Pending<'a, ()> {
        Box::pin(async move {
            for group in limits::groups(changes)? {
                let (file, table) = (Arc::clone(&self.file), self.name);
                let group: Vec<Change> = group.into_iter().cloned().collect();
                off_thread("writing rows", move || file.change(table, &group)).await?;
            }
            Ok(())
        })
    }
}

impl File {
    fn rows(&self, table: &str, pk: &str, now: u64) -> rusqlite::Result<Vec<Row>> {
        self.latest.fetch_max(now, Ordering::Relaxed);
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let mut statement = connection.prepare_cached(&format!(
            "SELECT pk, sk, value, expires FROM {table}
             WHERE pk = ?1 AND (expires IS NULL OR expires > ?2) ORDER BY sk"
        ))?;
        statement.query_map(params![pk, storable(now)], row)?.collect()
    }

    fn change(&self, table: &str, group: &[Change]) -> rusqlite::Result<()> {
        let latest = self.latest.load(Ordering::Relaxed);
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let put = format!("INSERT OR REPLACE INTO {table} VALUES (?1, ?2, ?3, ?4)");
        let delete = format!("DELETE FROM {table} WHERE pk = ?1 AND sk = ?2");
        let sweep = format!("DELETE FROM {table} WHERE expires <= ?1");
        for change in group {
            match change {
                Change::Put(row) => {
                    let expires = row.expires.map(storable);
                    let mut put = transaction.prepare_cached(&put)?;
                    put.execute(params![row.pk, row.sk, row.value, expires])?
                }
                Change::Delete { pk, sk } => {
                    transaction.prepare_cached(&delete)?.execute(params![pk, sk])?
                }
            };
        }
        transaction.prepare_cached(&sweep)?.execute([storable(latest)])?;
        transaction.commit()
    }
}

fn row(columns: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let expires: Option<i64> = columns.get("expires")?;
    Ok(Row {
        pk: columns.get("pk")?,
        sk: columns.get("sk")?,
        value: columns.get("value")?,
        expires: expires.map(i64::unsigned_abs),
    })
}

/// SQLite's numbers have a sign; times beyond them are the end of time.
fn storable(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
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
        assert_eq!(table.query("a", 10).await.unwrap().len(), 1);
        table.write(&[row("new", None)]).await.unwrap();
        let left = table.query("a", 0).await.unwrap();
        assert_eq!(left.into_iter().map(|it| it.sk).collect::<Vec<_>>(), ["ahead", "new"]);
    }
}
