//! Both tables in one SQLite file, or in memory.
//!
//! One thread writes and two read, each with a connection of its own, so that neither a locked
//! file nor a slow disk holds a thread of the runtime. Expired rows are not read, and later writes
//! remove them.

mod foreign;
mod kept_tallies;
mod queue;
mod reader;
mod statements;
mod writer;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use tokio::sync::oneshot;

pub use self::foreign::{FILE_HEADER, read_foreign_table};
use self::{
    kept_tallies::KeptTallies,
    queue::{Job, Queue, Refusal, Urgency},
    reader::ReadJob,
    writer::{WriteJob, Writer},
};
use crate::{
    error::StoreError,
    limits,
    query::{Consistency, Page, Query},
    table::{Change, Pending, Row, Stores, Table},
    tally::{Tallied, Tallies, Tally},
};

const OPENING: &str = "opening the data file";
const MUST_BE_WRITABLE: &str = "the file and its folder must be writable";
const READING: &str = "reading rows";
const WRITING: &str = "writing rows";
const TALLYING: &str = "changing tallies";

/// How long the end of a process waits for the threads to write what is queued and to close the file.
const CLOSING_TIMEOUT: Duration = Duration::from_secs(2);

/// How many of its statements a connection keeps compiled: more than there are.
const STATEMENTS: usize = 64;

/// How to keep a file.
#[derive(Clone, Copy, Debug)]
pub struct SqliteOptions {
    /// The durability of writes when power is lost.
    pub synchronous: Synchronous,
    /// How long to wait for another process's write.
    pub busy_timeout: Duration,
}

/// The durability of writes when power is lost. Every write survives the end of the process.
///
/// Source: <https://www.sqlite.org/pragma.html#pragma_synchronous>.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// The last commits may be lost; the file stays whole.
    #[default]
    Normal,
    /// Every commit survives, and waits for the disk.
    Full,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { synchronous: Synchronous::Normal, busy_timeout: Duration::from_secs(5) }
    }
}

/// Opens the tables in a file; the file and its folder are made if they are not there.
pub fn open(path: &Path) -> Result<Stores, StoreError> {
    open_with(path, SqliteOptions::default())
}

/// The same as [`open`], with options.
pub fn open_with(path: &Path, options: SqliteOptions) -> Result<Stores, StoreError> {
    let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
    folder.map_err(|error| failed_to_open(path, &error, MUST_BE_WRITABLE))?;
    #[cfg(unix)]
    make_private(path).map_err(|error| failed_to_open(path, &error, MUST_BE_WRITABLE))?;
    open_file(path, OpenFlags::empty(), options)
}

/// Makes a file that is not there yet, for its owner alone to read: it holds prompts and the hashes of
/// keys. SQLite gives what it keeps beside the file the same mode.
#[cfg(unix)]
fn make_private(path: &Path) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.write(true).create_new(true).open(path) {
        // The operator may have made an old file readable to a group.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

/// Opens tables that last as long as the returned value and its clones.
pub fn in_memory() -> Result<Stores, StoreError> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // The VFS shares what is in memory between the connections that name it alike.
    let name = format!("file:/lockgate-{}?vfs=memdb", NEXT.fetch_add(1, Ordering::Relaxed));
    open_file(Path::new(&name), OpenFlags::SQLITE_OPEN_URI, SqliteOptions::default())
}

fn open_file(path: &Path, flags: OpenFlags, options: SqliteOptions) -> Result<Stores, StoreError> {
    let connections = Connections::open(path, flags, options)
        .map_err(|error| failed_to_open(path, &error, remedy(&error)))?;
    let file = File::start(path, connections)
        .map_err(|error| failed_to_open(path, &error, "its threads cannot be started"))?;
    let file = Arc::new(file);
    Ok(Stores {
        config: Arc::new(FileTable { file: Arc::clone(&file), name: "config" }),
        state: Arc::new(FileTable { file, name: "state" }),
    })
}

/// Advice to an operator about a file that cannot be opened.
fn remedy(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            "it is damaged or not a SQLite database: move it away, or restore a copy of it"
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process has locked it"
        }
        _ => MUST_BE_WRITABLE,
    }
}

fn failed_to_open(path: &Path, cause: &dyn std::error::Error, remedy: &str) -> StoreError {
    StoreError::new(OPENING, format!("{}; {remedy}", about(path, cause)))
}

/// A failure with the file that it is about, which SQLite itself names now and then.
fn about(path: &Path, cause: &dyn std::error::Error) -> String {
    let (path, cause) = (path.display().to_string(), cause.to_string());
    if cause.contains(&path) { cause } else { format!("{path}: {cause}") }
}

/// A file and the queues of its threads. Dropping it ends the threads and waits for them: the last
/// connection that is closed copies the log into the file, which is whole by itself then.
#[derive(Debug)]
struct File {
    path: PathBuf,
    reads: Arc<Queue<ReadJob>>,
    writes: Arc<Queue<WriteJob>>,
    /// The latest time that a reader brought along; the writer removes what had expired by then.
    latest: Arc<AtomicU64>,
    /// Disconnected once every thread has closed its connection.
    closed: Mutex<mpsc::Receiver<()>>,
}

/// The connections to a file: each thread has one of its own.
struct Connections {
    writer: Connection,
    readers: Vec<Connection>,
}

impl Connections {
    fn open(path: &Path, flags: OpenFlags, options: SqliteOptions) -> rusqlite::Result<Self> {
        // The writer first: it makes the tables that readers expect, and switches the log.
        let mut writer = connect(path, flags, options)?;
        prepare(&mut writer, options)?;
        let readers = (0..reader::THREADS).map(|_| connect(path, flags, options));
        Ok(Self { writer, readers: readers.collect::<rusqlite::Result<_>>()? })
    }
}

impl File {
    fn start(path: &Path, connections: Connections) -> io::Result<Self> {
        let (open, closed) = mpsc::channel();
        let file = Self {
            path: path.to_owned(),
            reads: Arc::new(Queue::new(reader::CAPACITY)),
            writes: Arc::new(Queue::new(writer::CAPACITY)),
            latest: Arc::default(),
            closed: Mutex::new(closed),
        };

        let writer = Writer {
            connection: connections.writer,
            tallies: KeptTallies::default(),
            queue: Arc::clone(&file.writes),
            latest: Arc::clone(&file.latest),
            cleaned: 0,
            path: path.to_owned(),
        };
        // Threads of their own: SQLite blocks, and the runtime's blocking threads also resolve
        // names.
        spawn("sqlite-writer", open.clone(), || writer.run())?;
        for connection in connections.readers {
            let queue = Arc::clone(&file.reads);
            spawn("sqlite-reader", open.clone(), move || reader::run(connection, &queue))?;
        }
        Ok(file)
    }

    /// Queues a job and waits for its outcome.
    async fn submit<J: Job, T>(
        &self,
        doing: &'static str,
        queue: &Queue<J>,
        job: impl FnOnce(oneshot::Sender<Result<T, String>>) -> J,
    ) -> Result<T, StoreError> {
        // A caller that leaves drops its end of the channel, and the job is done all the same.
        let (caller, outcome) = oneshot::channel();
        let full = "the file is locked or too slow, and too much waits for it already";
        let refusal = match queue.push(job(caller)) {
            Ok(()) => match outcome.await {
                Ok(done) => return done.map_err(|cause| StoreError::new(doing, cause)),
                Err(_) => "the thread of the data file has ended",
            },
            Err(Refusal::FirstFull) => {
                // Once until the queue was empty again: a locked file fails thousands of writes.
                tracing::warn!(file = %self.path.display(), "{doing} is refused: {full}");
                full
            }
            Err(Refusal::Full) => full,
            Err(Refusal::Closed) => "the thread of the data file has ended",
        };
        Err(StoreError::new(doing, format!("{}: {refusal}", self.path.display())))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.reads.close();
        self.writes.close();
        let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        if closed.recv_timeout(CLOSING_TIMEOUT) == Err(mpsc::RecvTimeoutError::Timeout) {
            tracing::warn!(file = %self.path.display(), "the data file was not closed in time");
        }
    }
}

/// Starts a thread that holds `open` until its work is done.
fn spawn(
    name: &str,
    open: mpsc::Sender<()>,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let thread = thread::Builder::new().name(name.to_owned());
    let spawned = thread.spawn(move || {
        work();
        drop(open);
    });
    spawned.map(drop)
}

fn connect(path: &Path, flags: OpenFlags, options: SqliteOptions) -> rusqlite::Result<Connection> {
    let flags = flags
        | OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        // Each connection belongs to one thread, so that SQLite need not lock it.
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;

    connection.busy_timeout(options.busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Makes the file ready: its log, how safely it is kept, its tables.
fn prepare(connection: &mut Connection, options: SqliteOptions) -> rusqlite::Result<()> {
    start_log(connection, options.busy_timeout)?;
    let synchronous = match options.synchronous {
        Synchronous::Normal => "NORMAL",
        Synchronous::Full => "FULL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Several processes may open a new file at once; the lock makes one of them create the tables.
    statements::create_tables(&transaction)?;
    transaction.commit()
}

/// Switches to the write-ahead log, in which readers and the writer do not wait for each other.
///
/// Where several processes open a new file at once, SQLite refuses the switch without waiting.
fn start_log(connection: &Connection, timeout: Duration) -> rusqlite::Result<()> {
    const PAUSE: Duration = Duration::from_millis(20);
    let mut waited = Duration::ZERO;
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && waited < timeout =>
            {
                thread::sleep(PAUSE);
                waited += PAUSE;
            }
            done => return done,
        }
    }
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
        Box::pin(async move {
            limits::check_row(pk, sk)?;
            // Copies, since a job may outlive the future that asked for it.
            let (table, keys) = (self.name, (pk.to_owned(), sk.to_owned()));
            let read = move |connection: &Connection| {
                statements::read_row(connection, table, (&keys.0, &keys.1), now)
            };
            self.read(now, read).await
        })
    }

    fn query<'a>(&'a self, query: &'a Query) -> Pending<'a, Page> {
        Box::pin(async move {
            limits::check_query(query)?;
            let (table, own) = (self.name, query.clone());
            let rows = self
                .read(query.now, move |connection| statements::read_rows(connection, table, &own));
            rows.await.map(|rows| query.page(rows))
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
            let (table, keys) = (self.name, (pk.to_owned(), sk.to_owned()));
            let read = move |connection: &Connection| {
                statements::read_tallies(connection, table, (&keys.0, &keys.1), now)
            };
            self.read(now, read).await
        })
    }

    fn tally<'a>(&'a self, change: &'a Tally) -> Pending<'a, Tallied> {
        self.tally_with(change, Urgency::Now)
    }

    fn tally_soon<'a>(&'a self, change: &'a Tally) -> Pending<'a, Tallied> {
        self.tally_with(change, Urgency::Soon)
    }

    fn write<'a>(&'a self, changes: &'a [Change]) -> Pending<'a, ()> {
        Box::pin(async move {
            for group in limits::groups(changes)? {
                let changes = group.into_iter().cloned().collect();
                let table = self.name;
                let job = |caller| WriteJob::Rows { table, changes, callers: vec![caller] };
                self.file.submit(WRITING, &self.file.writes, job).await?;
            }
            Ok(())
        })
    }
}

impl FileTable {
    fn tally_with<'a>(&'a self, change: &'a Tally, urgency: Urgency) -> Pending<'a, Tallied> {
        Box::pin(async move {
            limits::check_tally(change)?;
            let (table, change) = (self.name, change.clone());
            let job = |caller| WriteJob::Tally { table, change, urgency, caller };
            self.file.submit(TALLYING, &self.file.writes, job).await
        })
    }

    fn read<T: Send + 'static>(
        &self,
        now: u64,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Pending<'_, T> {
        // The clock is not read here: what callers bring along says what has expired.
        self.file.latest.fetch_max(now, Ordering::Relaxed);
        let path = self.file.path.clone();

        let job = |caller: oneshot::Sender<Result<T, String>>| {
            ReadJob(Box::new(move |connection| {
                let outcome = read(connection);
                let outcome = outcome.map_err(|error| about(&path, &error));
                // The caller may have been canceled meanwhile.
                drop(caller.send(outcome));
            }))
        };
        Box::pin(self.file.submit(READING, &self.file.reads, job))
    }
}

#[cfg(test)]
mod tests;
