//! The threads of a process that read from a file.
//!
//! In SQLite's write-ahead log a reader never waits for a writer, of this process or another.

use std::fmt;

use rusqlite::Connection;

use super::queue::{Capacity, CloseAtEnd, Job, Queue};

/// How many reads can be under way at once.
pub(super) const THREADS: usize = 2;

/// The most jobs that wait for a reader.
pub(super) const CAPACITY: Capacity = Capacity { jobs: 4_096, bytes: usize::MAX };

/// A read that waits for a thread, and passes its outcome on by itself.
pub(super) struct ReadJob(pub(super) Box<dyn FnOnce(&Connection) + Send>);

impl fmt::Debug for ReadJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadJob")
    }
}

impl Job for ReadJob {
    fn bytes(&self) -> usize {
        0
    }
}

/// Does reads until the queue is closed.
pub(super) fn run(connection: Connection, queue: &Queue<ReadJob>) {
    // A thread that panics must not leave callers waiting for ever.
    let _close = CloseAtEnd(queue);
    // One at a time, so that the other thread gets the next one.
    while let Some(jobs) = queue.take(1) {
        jobs.into_iter().for_each(|ReadJob(read)| read(&connection));
    }
    drop(connection);
}
