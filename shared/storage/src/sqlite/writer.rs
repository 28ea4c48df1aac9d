//! The one connection of a process that writes to a file, and its thread.
//!
//! The thread commits up to 256 jobs at once, because a commit costs far more than a change. Each
//! caller gets the outcome of its own job, after the commit. A change of numbers is made on the
//! caller's own thread while nobody else writes: to wake another thread and to be woken by it costs
//! more than the change.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;

use super::{
    queue::{Capacity, CloseAtEnd, Job, Queue},
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

/// How many pages are written before the log is copied into the file, as SQLite has it by itself.
const CHECKPOINT_PAGES: usize = 1_000;
/// About how many pages of the log a commit writes, whatever it changes.
const COMMIT_PAGES: usize = 4;
const PAGE_BYTES: usize = 4_096;

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
    Tally { table: &'static str, change: Tally, caller: Caller<Tallied> },
}

/// The outcome of a job within a transaction that is not committed yet.
enum Outcome {
    Rows,
    Tally(Result<Tallied, String>),
}

impl WriteJob {
    /// A job that only wakes the thread.
    fn nothing(table: &'static str) -> Self {
        Self::Rows { table, changes: vec![], callers: vec![] }
    }

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

    fn apply(&self, connection: &Connection) -> rusqlite::Result<Outcome> {
        match self {
            Self::Rows { table, changes, .. } => {
                statements::write_rows(connection, table, changes)?;
                Ok(Outcome::Rows)
            }
            Self::Tally { table, change, .. } => {
                Ok(Outcome::Tally(statements::tally(connection, table, change)?))
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

/// What writes to a file.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) queue: Arc<Queue<WriteJob>>,
    /// How long to wait for another process's write.
    pub(super) busy_timeout: Duration,
    /// About how many pages the log has since it was copied into the file.
    pub(super) pages: usize,
    /// The latest time that a reader brought along, in seconds since 1970.
    pub(super) latest: Arc<AtomicU64>,
    /// The time up to which everything that had expired is removed, in seconds since 1970.
    pub(super) cleaned: u64,
    pub(super) path: PathBuf,
}

impl Writer {
    /// Commits jobs until the queue is closed.
    pub(super) fn run(writer: &Mutex<Self>, queue: &Queue<WriteJob>) {
        // Also when the thread panics: callers then get an error, and do not wait for ever.
        let _close = CloseAtEnd(queue);
        while let Some(batch) = queue.take(MAX_BATCH) {
            let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
            writer.commit(batch);
            writer.checkpoint_if_due();
        }
    }

    /// Makes a change of numbers on the caller's thread. None where another process writes: whoever
    /// waits for it must not hold a thread of the runtime.
    pub(super) fn tally_now(
        &mut self,
        table: &'static str,
        change: &Tally,
    ) -> Option<Result<Tallied, String>> {
        let begun = self.without_waiting(statements::begin);
        let tallied = begun.and_then(|()| {
            let tallied = statements::tally(&self.connection, table, change)?;
            statements::commit(&self.connection)?;
            Ok(tallied)
        });
        if tallied.is_err() {
            self.roll_back();
        }
        self.pages += COMMIT_PAGES;
        if self.is_checkpoint_due() {
            // The thread does it, since it waits for the disk.
            if let Err(refusal) = self.queue.push(WriteJob::nothing(table)) {
                tracing::debug!(?refusal, "the thread of the data file has enough to do");
            }
        }

        // Whatever is wrong with the file, the thread says it in its own way.
        tallied.ok()
    }

    /// Does something that shall fail rather than wait for another process.
    fn without_waiting(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        self.connection.busy_timeout(Duration::ZERO)?;
        let done = work(&self.connection);
        self.connection.busy_timeout(self.busy_timeout)?;
        done
    }

    fn is_checkpoint_due(&self) -> bool {
        CHECKPOINT_PAGES <= self.pages
    }

    /// Copies the log into the file once it is long. What readers still need stays in it until the
    /// next time.
    fn checkpoint_if_due(&mut self) {
        if self.is_checkpoint_due() {
            self.pages = 0;
            if let Err(error) = statements::checkpoint(&self.connection) {
                tracing::debug!(%error, file = %self.path.display(), "the log was not copied into the file");
            }
        }
    }

    fn roll_back(&self) {
        if !self.connection.is_autocommit()
            && let Err(error) = statements::roll_back(&self.connection)
        {
            tracing::warn!(%error, file = %self.path.display(), "a transaction could not be undone");
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
            self.roll_back();
        }
        let bytes: usize = batch.iter().map(Job::bytes).sum();
        self.pages += COMMIT_PAGES + bytes / PAGE_BYTES;
        outcomes
    }

    fn apply(&mut self, batch: &[WriteJob]) -> rusqlite::Result<Vec<Outcome>> {
        let outcomes = batch.iter().map(|job| job.apply(&self.connection));
        let outcomes = outcomes.collect::<rusqlite::Result<_>>()?;

        // Within a transaction that is made anyway, so that it costs no commit of its own; and once
        // a second at most, since it costs more than a small change.
        let now = self.latest.load(Ordering::Relaxed);
        if self.cleaned < now && statements::remove_expired(&self.connection, now)? {
            self.cleaned = now;
        }
        Ok(outcomes)
    }
}
