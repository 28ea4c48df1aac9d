//! Rows of tallies that the writer keeps in memory.
//!
//! A row that calls change all the time is read once, and written once in a transaction however many
//! changes that holds. What other connections write is noticed by SQLite's own count.

use std::collections::{HashMap, hash_map::Entry};

use rusqlite::Connection;

use super::statements::{self, StoredTallies};
use crate::{
    table::Change,
    tally::{Tallied, Tally},
};

/// How many rows are kept. Each transaction looks at all of them.
const MAX_ROWS: usize = 256;

/// The rows of tallies that a connection has changed.
#[derive(Debug, Default)]
pub(super) struct KeptTallies {
    rows: HashMap<RowKey, KeptRow>,
    /// What SQLite said of other connections' commits when the rows were read.
    version: i64,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct RowKey {
    table: &'static str,
    pk: String,
    sk: String,
}

#[derive(Debug)]
struct KeptRow {
    stored: StoredTallies,
    /// Whether the transaction has changed the row, and the file does not know it yet.
    is_changed: bool,
    /// Whether it has changed the row's expiry. Apart, since an index holds it, and nearly every
    /// change repeats the one that the row has.
    is_expiry_changed: bool,
}

impl KeptTallies {
    /// Prepares for changes in a transaction, which has the lock of the file: forgets what another
    /// connection may have changed since.
    pub(super) fn begin(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let version = statements::version_of_others(connection)?;
        if version != self.version || MAX_ROWS <= self.rows.len() {
            self.rows.clear();
        }
        self.version = version;
        Ok(())
    }

    /// Makes a change of numbers and notes, if its conditions hold. [`Self::write`] writes it.
    pub(super) fn tally(
        &mut self,
        connection: &Connection,
        table: &'static str,
        change: &Tally,
    ) -> rusqlite::Result<Result<Tallied, String>> {
        let key = RowKey { table, pk: change.pk.clone(), sk: change.sk.clone() };
        let row = match self.rows.entry(key) {
            Entry::Occupied(kept) => kept.into_mut(),
            Entry::Vacant(place) => {
                let keys = (&*change.pk, &*change.sk);
                let stored = statements::stored_tallies(connection, table, keys)?;
                place.insert(KeptRow { stored, is_changed: false, is_expiry_changed: false })
            }
        };
        Ok(row.tally(change))
    }

    /// Forgets the rows that changes put or remove, with what was tallied and not written: they
    /// replace all of it.
    pub(super) fn forget(&mut self, table: &'static str, changes: &[Change]) {
        if self.rows.is_empty() {
            return;
        }
        for (pk, sk) in changes.iter().map(Change::keys) {
            self.rows.remove(&RowKey { table, pk: pk.to_owned(), sk: sk.to_owned() });
        }
    }

    /// Forgets rows that are removed because they had expired at `now`.
    pub(super) fn forget_expired(&mut self, now: u64) {
        self.rows.retain(|_, row| row.stored.expires.is_none_or(|expires| now < expires));
    }

    /// Forgets everything, after a transaction that was not committed.
    pub(super) fn clear(&mut self) {
        self.rows.clear();
    }

    /// Writes what the transaction has changed.
    pub(super) fn write(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        for (key, row) in self.rows.iter_mut().filter(|(_, row)| row.is_changed) {
            row.write(connection, key)?;
        }
        Ok(())
    }
}

impl KeptRow {
    fn tally(&mut self, change: &Tally) -> Result<Tallied, String> {
        let StoredTallies { tallies, expires, .. } = &mut self.stored;
        if !tallies.apply(change)? {
            return Ok(Tallied::Refused(tallies.clone()));
        }
        self.is_changed = true;
        if change.expires.is_some() && change.expires != *expires {
            *expires = change.expires;
            self.is_expiry_changed = true;
        }
        Ok(Tallied::Done(tallies.after(change)))
    }

    fn write(&mut self, connection: &Connection, key: &RowKey) -> rusqlite::Result<()> {
        let RowKey { table, pk, sk } = key;
        match self.stored.rowid {
            None => {
                let rowid = statements::add_tallies(connection, table, (pk, sk), &self.stored)?;
                self.stored.rowid = Some(rowid);
            }
            Some(rowid) => {
                statements::set_tallies(connection, table, rowid, &self.stored.tallies)?;
                if self.is_expiry_changed {
                    statements::set_expiry(connection, table, rowid, self.stored.expires)?;
                }
            }
        }
        (self.is_changed, self.is_expiry_changed) = (false, false);
        Ok(())
    }
}
