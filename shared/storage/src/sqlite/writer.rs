//! The one thread of a process that writes to a file.
//!
//! The thread commits up to 256 jobs at once, because a commit costs far more than a change. Each
//! caller gets the outcome of its own job, after the commit.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;

use super::{
    kept_tallies::KeptTallies,
    queue::{Capacity, CloseAtEnd, Job, Queue, Urgency},
    statements,
};
use crate::{
    table::Change,
    tally::{Tallied, Tally},
};

/// How many jobs are committed together.
const MAX_BATCH: usize = 256;

/// The most jobs that wait for the writer: about a second of a busy gateway's writes.
pub(super) const CAPACITY: Capacity = Capacity { jobs: 4_096, bytes: 64 * 1024 * 1024 };

/// The memory of a job beside its texts, roughly, in bytes.
const JOB_OVERHEAD_BYTES: usize = 256;

/// Where the outcome of a job goes. The text says why it failed.
type Caller<T> = oneshot::Sender<Result<T, String>>;

/// A change that waits for the writer.
#[derive(Debug)]
pub(super) enum WriteJob {
    /// Changes that are made together, for one caller or for several that wrote the same row.
    Rows { table: &'static str, changes: Vec<Change>, callers: Vec<Caller<()>> },
    /// A change of numbers and notes.
    Tally { table: &'static str, change: Tally, urgency: Urgency, caller: Caller<Tallied> },
}

/// The outcome of a job within a transaction that is not committed yet.
enum Outcome {
    Rows,
    Tally(Result<Tallied, String>),
}

impl WriteJob {
    /// The row of a job that puts or deletes one row and does nothing else.
    fn only_row(&self) -> Option<(&'static str, &str, &str)> {
        match self {
            Self::Rows { table, changes, .. } => match changes.as_slice() {
                [change] => {
                    let (pk, sk) = change.keys();
                    Some((table, pk, sk))
                }
                _ => None,
            },
            Self::Tally { .. } => None,
        }
    }

    fn touches(&self, row: (&'static str, &str, &str)) -> bool {
        match self {
            Self::Rows { table, changes, .. } => changes.iter().any(|change| {
                let (pk, sk) = change.keys();
                row == (*table, pk, sk)
            }),
            Self::Tally { table, change, .. } => row == (*table, &change.pk, &change.sk),
        }
    }

    fn apply(
        &self,
        connection: &Connection,
        tallies: &mut KeptTallies,
    ) -> rusqlite::Result<Outcome> {
        match self {
            Self::Rows { table, changes, .. } => {
                tallies.forget(table, changes);
                statements::write_rows(connection, table, changes)?;
                Ok(Outcome::Rows)
            }
            Self::Tally { table, change, .. } => {
                Ok(Outcome::Tally(tallies.tally(connection, table, change)?))
            }
        }
    }

    /// Sends the outcome to the caller, if it still waits.
    fn finish(self, outcome: Result<Outcome, String>) {
        match (self, outcome) {
            (Self::Rows { callers, .. }, outcome) => {
                let outcome = outcome.map(|_| ());
                callers.into_iter().for_each(|caller| drop(caller.send(outcome.clone())));
            }
            (Self::Tally { caller, .. }, Ok(Outcome::Tally(tallied))) => {
                drop(caller.send(tallied));
            }
            // A tally has no other outcome; the caller learns that its job is gone.
            (Self::Tally { .. }, Ok(Outcome::Rows)) => {}
            (Self::Tally { caller, .. }, Err(cause)) => drop(caller.send(Err(cause))),
        }
    }
}

impl Job for WriteJob {
    fn bytes(&self) -> usize {
        let texts: usize = match self {
            Self::Rows { changes, .. } => changes
                .iter()
                .map(|change| match change {
                    Change::Put(row) => row.pk.len() + row.sk.len() + row.value.len(),
                    Change::Delete { pk, sk } => pk.len() + sk.len(),
                })
                .sum(),
            Self::Tally { change, .. } => {
                let notes = change.set.iter().map(|(name, note)| name.len() + note.len());
                change.pk.len() + change.sk.len() + notes.sum::<usize>()
            }
        };
        texts + JOB_OVERHEAD_BYTES
    }

    fn urgency(&self) -> Urgency {
        match self {
            Self::Rows { .. } => Urgency::Now,
            Self::Tally { urgency, .. } => *urgency,
        }
    }

    /// A put or delete makes the last queued job of the same row superfluous if that is a put or
    /// delete, too. Behind anything else it has to wait its turn.
    fn superseded(&self, queued: &VecDeque<Self>) -> Option<usize> {
        let row = self.only_row()?;
        let last = queued.iter().rposition(|job| job.touches(row))?;
        (queued.get(last)?.only_row() == Some(row)).then_some(last)
    }

    fn take_callers(&mut self, older: Self) {
        if let (Self::Rows { callers, .. }, Self::Rows { callers: earlier, .. }) = (self, older) {
            callers.extend(earlier);
        }
    }
}

/// The state of the writer thread.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) tallies: KeptTallies,
    pub(super) queue: Arc<Queue<WriteJob>>,
    /// The latest time that a reader brought along, in seconds since 1970.
    pub(super) latest: Arc<AtomicU64>,
    /// The time up to which everything that had expired is removed, in seconds since 1970.
    pub(super) cleaned: u64,
    pub(super) path: PathBuf,
}

impl Writer {
    /// Commits jobs until the queue is closed.
    pub(super) fn run(mut self) {
        let queue = Arc::clone(&self.queue);
        // Also when the thread panics: callers then get an error, and do not wait for ever.
        let _close = CloseAtEnd(&queue);
        while let Some(batch) = queue.take(MAX_BATCH) {
            self.commit(batch);
        }
    }

    fn commit(&mut self, batch: Vec<WriteJob>) {
        match self.transact(&batch) {
            Ok(outcomes) => {
                batch.into_iter().zip(outcomes).for_each(|(job, done)| job.finish(Ok(done)));
            }
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                // Those that came meanwhile have the same lock before them. They would wait as
                // long again, one batch after the other.
                let cause = format!("{}: another process has locked the file", self.path.display());
                let waiting = batch.into_iter().chain(self.queue.take_all());
                waiting.for_each(|job| job.finish(Err(cause.clone())));
            }
            Err(error) if batch.len() == 1 => {
                let cause = format!("{}: {error}", self.path.display());
                batch.into_iter().for_each(|job| job.finish(Err(cause.clone())));
            }
            // One by one, so that a job that cannot be done fails alone.
            Err(_) => batch.into_iter().for_each(|job| self.commit(vec![job])),
        }
    }

    /// Makes all changes in one transaction, or none.
    fn transact(&mut self, batch: &[WriteJob]) -> rusqlite::Result<Vec<Outcome>> {
        statements::begin(&self.connection)?;
        let outcomes = self.apply(batch).and_then(|outcomes| {
            statements::commit(&self.connection)?;
            Ok(outcomes)
        });
        if outcomes.is_err() {
            self.tallies.clear();
            if !self.connection.is_autocommit() {
                // The first failure is the one to tell.
                drop(statements::roll_back(&self.connection));
            }
        }
        outcomes
    }

    fn apply(&mut self, batch: &[WriteJob]) -> rusqlite::Result<Vec<Outcome>> {
        let Self { connection, tallies, .. } = self;
        tallies.begin(connection)?;
        let outcomes = batch.iter().map(|job| job.apply(connection, tallies));
        let outcomes = outcomes.collect::<rusqlite::Result<_>>()?;
        tallies.write(connection)?;

        // Within a transaction that is made anyway, so that it costs no commit of its own; and once
        // a second at most, since it costs more than a small change.
        let now = self.latest.load(Ordering::Relaxed);
        if self.cleaned < now {
            tallies.forget_expired(now);
            if statements::remove_expired(connection, now)? {
                self.cleaned = now;
            }
        }
        Ok(outcomes)
    }
}
