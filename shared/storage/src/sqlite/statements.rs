//! The SQL behind each verb.
//!
//! Every function takes a connection and works within the transaction that its caller has open.

use std::ops::Bound;

use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    query::{Order, Query},
    table::{Change, Row},
    tally::Tallies,
};

/// The tables of a file. `tallies` is JSON, see [`Tallies`]; absent: there are none.
const TABLES: [&str; 2] = ["config", "state"];

/// How many expired rows one write removes from a table.
const MAX_REMOVED: usize = 1_000;

/// Makes or completes the tables.
pub(super) fn create_tables(connection: &Connection) -> rusqlite::Result<()> {
    for table in TABLES {
        connection.execute_batch(&format!(
            "CREATE TABLE IF NOT EXISTS {table} (
                 pk TEXT NOT NULL, sk TEXT NOT NULL, value TEXT NOT NULL, expires INTEGER,
                 tallies TEXT, PRIMARY KEY (pk, sk)
             ) STRICT;
             CREATE INDEX IF NOT EXISTS {table}_expires ON {table} (expires)
                 WHERE expires IS NOT NULL;"
        ))?;
        // Files from before the conditional counter lack its column.
        let columns = format!("SELECT 1 FROM pragma_table_info('{table}') WHERE name = 'tallies'");
        if connection.query_row(&columns, [], |_| Ok(())).optional()?.is_none() {
            connection.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN tallies TEXT"))?;
        }
    }
    Ok(())
}

/// Reads one row that has not expired at `now`.
pub(super) fn read_row(
    connection: &Connection,
    table: &str,
    (pk, sk): (&str, &str),
    now: u64,
) -> rusqlite::Result<Option<Row>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT pk, sk, value, expires FROM {table}
         WHERE pk = ?1 AND sk = ?2 AND (expires IS NULL OR expires > ?3)"
    ))?;
    statement.query_row(params![pk, sk, to_sql(now)], to_row).optional()
}

/// Reads the rows that decide a page.
pub(super) fn read_rows(
    connection: &Connection,
    table: &str,
    query: &Query,
) -> rusqlite::Result<Vec<Row>> {
    let (after_start, start) = lower_bound(&query.start);
    let (before_end, end) = upper_bound(&query.end);

    let order = match query.order {
        Order::Ascending => "ASC",
        Order::Descending => "DESC",
    };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT pk, sk, value, expires FROM {table}
         WHERE pk = ?1 AND {after_start} AND {before_end} AND (expires IS NULL OR expires > ?4)
         ORDER BY sk {order} LIMIT ?5"
    ))?;

    // SQLite takes a negative limit for none.
    let limit = i64::try_from(query.rows_to_read()).unwrap_or(-1);
    let parameters = params![query.pk, start, end, to_sql(query.now), limit];
    statement.query_map(parameters, to_row)?.collect()
}

/// Reads the numbers and notes of one row that has not expired at `now`.
pub(super) fn read_tallies(
    connection: &Connection,
    table: &str,
    (pk, sk): (&str, &str),
    now: u64,
) -> rusqlite::Result<Option<Tallies>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT tallies FROM {table}
         WHERE pk = ?1 AND sk = ?2 AND (expires IS NULL OR expires > ?3)"
    ))?;
    statement.query_row(params![pk, sk, to_sql(now)], to_tallies).optional()
}

/// Makes changes.
pub(super) fn write_rows(
    connection: &Connection,
    table: &str,
    changes: &[Change],
) -> rusqlite::Result<()> {
    // Replaces the whole row with its tallies, as DynamoDB's `PutItem` does.
    let put =
        format!("INSERT OR REPLACE INTO {table} (pk, sk, value, expires) VALUES (?1, ?2, ?3, ?4)");
    let delete = format!("DELETE FROM {table} WHERE pk = ?1 AND sk = ?2");
    for change in changes {
        match change {
            Change::Put(row) => {
                let expires = row.expires.map(to_sql);
                let mut put = connection.prepare_cached(&put)?;
                put.execute(params![row.pk, row.sk, row.value, expires])?
            }
            Change::Delete { pk, sk } => {
                connection.prepare_cached(&delete)?.execute(params![pk, sk])?
            }
        };
    }
    Ok(())
}

/// The numbers and notes of a row, as a table holds them.
#[derive(Debug, Default)]
pub(super) struct StoredTallies {
    /// SQLite's number of the row; absent where the table has no such row.
    pub(super) rowid: Option<i64>,
    pub(super) tallies: Tallies,
    /// When the row ends, in seconds since 1970.
    pub(super) expires: Option<u64>,
}

/// Reads the numbers and notes of a row, also of one that has expired and is not removed yet.
pub(super) fn stored_tallies(
    connection: &Connection,
    table: &str,
    (pk, sk): (&str, &str),
) -> rusqlite::Result<StoredTallies> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT rowid, tallies, expires FROM {table} WHERE pk = ?1 AND sk = ?2"
    ))?;
    let stored = statement.query_row(params![pk, sk], |columns| {
        let expires: Option<i64> = columns.get("expires")?;
        Ok(StoredTallies {
            rowid: columns.get("rowid")?,
            tallies: to_tallies(columns)?,
            expires: expires.map(i64::unsigned_abs),
        })
    });
    Ok(stored.optional()?.unwrap_or_default())
}

/// Adds a row of numbers and notes. Gives its number.
pub(super) fn add_tallies(
    connection: &Connection,
    table: &str,
    (pk, sk): (&str, &str),
    stored: &StoredTallies,
) -> rusqlite::Result<i64> {
    let mut statement = connection.prepare_cached(&format!(
        "INSERT INTO {table} (pk, sk, value, tallies, expires) VALUES (?1, ?2, '', ?3, ?4)"
    ))?;
    let (json, expires) = (to_json(&stored.tallies)?, stored.expires.map(to_sql));
    statement.insert(params![pk, sk, json, expires])
}

/// Writes the numbers and notes of a row over those that it had. Its expiry stays.
pub(super) fn set_tallies(
    connection: &Connection,
    table: &str,
    rowid: i64,
    tallies: &Tallies,
) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare_cached(&format!("UPDATE {table} SET tallies = ?2 WHERE rowid = ?1"))?;
    statement.execute(params![rowid, to_json(tallies)?]).map(drop)
}

/// Sets when a row ends.
pub(super) fn set_expiry(
    connection: &Connection,
    table: &str,
    rowid: i64,
    expires: Option<u64>,
) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare_cached(&format!("UPDATE {table} SET expires = ?2 WHERE rowid = ?1"))?;
    statement.execute(params![rowid, expires.map(to_sql)]).map(drop)
}

/// A number that changes when another connection, of this process or another, has committed.
///
/// Source: <https://www.sqlite.org/pragma.html#pragma_data_version>.
pub(super) fn version_of_others(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("PRAGMA data_version")?.query_row([], |columns| columns.get(0))
}

/// Begins a transaction that writes. It takes the lock now: one that begins by reading cannot wait
/// for it later without a deadlock.
pub(super) fn begin(connection: &Connection) -> rusqlite::Result<()> {
    execute(connection, "BEGIN IMMEDIATE")
}

/// Ends a transaction and keeps what it did.
pub(super) fn commit(connection: &Connection) -> rusqlite::Result<()> {
    execute(connection, "COMMIT")
}

/// Ends a transaction and undoes what it did.
pub(super) fn roll_back(connection: &Connection) -> rusqlite::Result<()> {
    execute(connection, "ROLLBACK")
}

/// Runs a statement that is kept compiled.
fn execute(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}

/// Removes some of what had expired at `now`, and tells whether that was all. Later writes remove
/// the rest, so that none of them takes long.
pub(super) fn remove_expired(connection: &Connection, now: u64) -> rusqlite::Result<bool> {
    let mut is_all = true;
    for table in TABLES {
        let mut statement = connection.prepare_cached(&format!(
            "DELETE FROM {table} WHERE rowid IN
                 (SELECT rowid FROM {table} WHERE expires <= ?1 LIMIT {MAX_REMOVED})"
        ))?;
        is_all &= statement.execute([to_sql(now)])? < MAX_REMOVED;
    }
    Ok(is_all)
}

fn lower_bound(bound: &Bound<String>) -> (&'static str, Option<&str>) {
    match bound {
        Bound::Included(start) => ("?2 <= sk", Some(start)),
        Bound::Excluded(start) => ("?2 < sk", Some(start)),
        // Names the parameter, since SQLite refuses a value for one that the text does not have.
        Bound::Unbounded => ("?2 IS NULL", None),
    }
}

fn upper_bound(bound: &Bound<String>) -> (&'static str, Option<&str>) {
    match bound {
        Bound::Included(end) => ("sk <= ?3", Some(end)),
        Bound::Excluded(end) => ("sk < ?3", Some(end)),
        Bound::Unbounded => ("?3 IS NULL", None),
    }
}

fn to_row(columns: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let expires: Option<i64> = columns.get("expires")?;
    Ok(Row {
        pk: columns.get("pk")?,
        sk: columns.get("sk")?,
        value: columns.get("value")?,
        expires: expires.map(i64::unsigned_abs),
    })
}

fn to_tallies(columns: &rusqlite::Row<'_>) -> rusqlite::Result<Tallies> {
    let json: Option<String> = columns.get("tallies")?;
    match json {
        Some(json) => serde_json::from_str(&json).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into())
        }),
        None => Ok(Tallies::default()),
    }
}

fn to_json(tallies: &Tallies) -> rusqlite::Result<String> {
    serde_json::to_string(tallies)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// A time as SQLite keeps it. Its numbers have a sign; times beyond them are the end of time.
fn to_sql(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}
