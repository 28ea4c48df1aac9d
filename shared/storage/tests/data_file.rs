//! SQLite's file when it is locked, shared between processes, read-only or damaged.
#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rusqlite::Connection;
use storage::{
    Condition, Consistency, Query, Row, Stores, Tallied, Tally,
    sqlite::{self, SqliteOptions},
};
use tokio::{net::lookup_host, task::JoinSet};

/// Longer than any test, so that a writer waits for as long as a file is locked.
const PATIENT: SqliteOptions = SqliteOptions {
    synchronous: sqlite::Synchronous::Full,
    busy_timeout: Duration::from_secs(600),
};

/// The variable with the file of a child process of these tests.
const FILE: &str = "STORAGE_TEST_DATA_FILE";

/// A folder of its own for each test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("file-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.join("gateway.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// A file that another connection keeps locked, as another process would.
fn locked(path: &Path, options: SqliteOptions) -> (Stores, Connection) {
    let stores = sqlite::open_with(path, options).unwrap();
    let lock = Connection::open(path).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    (stores, lock)
}

fn row(sk: &str, value: &str) -> Row {
    Row { pk: "a".to_owned(), sk: sk.to_owned(), value: value.to_owned(), expires: None }
}

/// Starts puts and lets each of them reach the queue, in order.
async fn start_puts(stores: &Stores, rows: Vec<Row>) -> JoinSet<Result<(), String>> {
    let mut puts = JoinSet::new();
    for row in rows {
        let table = Arc::clone(&stores.state);
        puts.spawn(async move { table.put(row).await.map_err(|error| error.to_string()) });
        tokio::task::yield_now().await;
    }
    puts
}

/// A runtime that could resolve no name if one write waited on its blocking thread.
fn narrow_runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().max_blocking_threads(1).build().unwrap()
}

#[test]
fn a_locked_file_holds_neither_reads_nor_name_resolution() {
    let folder = Folder::new();
    narrow_runtime().block_on(async {
        let (stores, lock) = locked(&folder.file(), PATIENT);
        let rows = (0..1_000).map(|place| row(&place.to_string(), "")).collect();
        let puts = start_puts(&stores, rows).await;
        assert_eq!(stores.state.query(&Query::partition("a", 0)).await.unwrap().rows, []);
        assert!(lookup_host("localhost:80").await.unwrap().next().is_some());

        lock.execute_batch("COMMIT").unwrap();
        assert!(puts.join_all().await.iter().all(Result::is_ok));
        assert_eq!(stores.state.query(&Query::partition("a", 0)).await.unwrap().rows.len(), 1_000);
    });
}

#[test]
fn waiting_puts_of_one_row_all_succeed_and_the_newest_wins() {
    let folder = Folder::new();
    narrow_runtime().block_on(async {
        let (stores, lock) = locked(&folder.file(), PATIENT);
        // Far more than the queue holds.
        let rows = (0..10_000).map(|value| row("cooldown", &value.to_string())).collect();
        let puts = start_puts(&stores, rows).await;
        lock.execute_batch("COMMIT").unwrap();
        assert!(puts.join_all().await.iter().all(Result::is_ok));
        let found = stores.state.get("a", "cooldown", Consistency::Strong, 0).await.unwrap();
        assert_eq!(found, Some(row("cooldown", "9999")));
    });
}

#[test]
fn a_full_queue_rejects_at_once_and_recovers() {
    let folder = Folder::new();
    narrow_runtime().block_on(async {
        let (stores, lock) = locked(&folder.file(), PATIENT);
        let rows = (0..4_500).map(|place| row(&place.to_string(), "")).collect();
        let mut puts = start_puts(&stores, rows).await;
        let refused = puts.join_next().await.unwrap().unwrap().unwrap_err();
        assert!(refused.contains("gateway.db: the file is locked or too slow"), "{refused}");

        lock.execute_batch("COMMIT").unwrap();
        let done = puts.join_all().await.iter().filter(|put| put.is_ok()).count();
        assert!((4_096..=4_096 + 256).contains(&done), "{done}");
        stores.state.put(row("late", "")).await.unwrap();
    });
}

#[tokio::test]
async fn a_file_that_stays_locked_is_an_error_that_names_it() {
    let folder = Folder::new();
    let options = SqliteOptions { busy_timeout: Duration::from_millis(50), ..PATIENT };
    let (stores, lock) = locked(&folder.file(), options);
    let error = stores.state.put(row("1", "")).await.unwrap_err().to_string();
    assert!(error.ends_with("gateway.db: another process has locked the file"), "{error}");
    lock.execute_batch("COMMIT").unwrap();
    stores.state.put(row("1", "")).await.unwrap();
}

#[tokio::test]
async fn a_file_that_nobody_uses_any_more_is_whole_by_itself() {
    let folder = Folder::new();
    let stores = sqlite::open(&folder.file()).unwrap();
    stores.state.put(row("1", "")).await.unwrap();
    let copied = stores.config.clone();
    drop(stores);
    copied.put(row("2", "")).await.unwrap();
    drop(copied);
    // At once: whoever has seen a server end may copy its file.
    let names = fs::read_dir(&folder.0).unwrap().map(|it| it.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["gateway.db"]);
    let again = sqlite::open(&folder.file()).unwrap();
    assert!(again.state.get("a", "1", Consistency::Strong, 0).await.unwrap().is_some());
    assert!(again.config.get("a", "2", Consistency::Strong, 0).await.unwrap().is_some());
}

#[tokio::test]
async fn an_invalid_change_fails_alone() {
    let folder = Folder::new();
    let (stores, lock) = locked(&folder.file(), PATIENT);
    let broken = "INSERT INTO state (pk, sk, value, tallies) VALUES ('a', 'broken', '', 'no JSON')";
    lock.execute_batch(broken).unwrap();
    let add = |sk: &str| Tally {
        pk: "a".to_owned(),
        sk: sk.to_owned(),
        add: vec![("n".to_owned(), 1)],
        ..Tally::default()
    };
    let mut tallies = JoinSet::new();
    for sk in ["1", "broken", "2"] {
        let (table, change) = (Arc::clone(&stores.state), add(sk));
        tallies.spawn(async move { (change.sk.clone(), table.tally(&change).await) });
    }
    tokio::task::yield_now().await;
    lock.execute_batch("COMMIT").unwrap();
    for (sk, outcome) in tallies.join_all().await {
        assert_eq!(outcome.is_err(), sk == "broken", "{sk}");
    }
}

#[tokio::test]
async fn changes_of_one_row_in_one_transaction_are_made_in_their_order() {
    let folder = Folder::new();
    let (stores, lock) = locked(&folder.file(), PATIENT);
    let add = |amount: i64| Tally {
        pk: "a".to_owned(),
        sk: "1".to_owned(),
        add: vec![("n".to_owned(), amount)],
        expires: Some(9),
        ..Tally::default()
    };
    let limited = Tally { conditions: vec![Condition::AtMost("n".to_owned(), 4)], ..add(8) };
    // The put takes the place of the row with what was added before.
    let changes =
        [Some(add(1)), Some(add(2)), None, Some(add(4)), Some(limited.clone()), Some(limited)];

    let mut made = vec![];
    for change in changes {
        let table = Arc::clone(&stores.state);
        made.push(tokio::spawn(async move {
            match change {
                Some(change) => Some(table.tally(&change).await.unwrap()),
                None => table.put(row("1", "new")).await.map(|()| None).unwrap(),
            }
        }));
        tokio::task::yield_now().await;
    }
    lock.execute_batch("COMMIT").unwrap();
    let mut numbers = vec![];
    for change in made {
        numbers.push(match change.await.unwrap() {
            Some(Tallied::Done(row)) => ("done", row.number("n")),
            Some(Tallied::Refused(row)) => ("refused", row.number("n")),
            None => ("put", 0),
        });
    }
    let expected =
        [("done", 1), ("done", 3), ("put", 0), ("done", 4), ("done", 12), ("refused", 12)];
    assert_eq!(numbers, expected);
    let found = stores.state.get("a", "1", Consistency::Strong, 0).await.unwrap();
    assert_eq!(found, Some(Row { expires: Some(9), ..row("1", "new") }));
}

/// What each of several processes does: 200 attempts to stay below a limit of 300.
#[tokio::test]
#[ignore = "only a process of another test"]
async fn child_process() {
    #[expect(clippy::disallowed_methods, reason = "the parent names the file here")]
    let path = env::var(FILE).unwrap();
    let stores = sqlite::open(Path::new(&path)).unwrap();
    let admit = Tally {
        pk: "tenant#a".to_owned(),
        sk: "ledger".to_owned(),
        conditions: vec![Condition::AtMost("n".to_owned(), 299)],
        add: vec![("n".to_owned(), 1)],
        ..Tally::default()
    };
    let mut done = 0;
    for _ in 0..200 {
        if let Tallied::Done(_) = stores.state.tally(&admit).await.unwrap() {
            done += 1;
        }
    }
    println!("admitted {done}.");
}

#[tokio::test]
async fn several_processes_on_one_file_do_not_exceed_a_limit() {
    let folder = Folder::new();
    let children: Vec<_> = (0..4)
        .map(|_| {
            Command::new(env::current_exe().unwrap())
                .args(["--exact", "child_process", "--ignored", "--nocapture"])
                .env(FILE, folder.file())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut admitted = 0;
    for child in children {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}");
        let (_, count) = text.split_once("admitted ").unwrap();
        admitted += count.split_once('.').unwrap().0.parse::<i64>().unwrap();
    }
    assert_eq!(admitted, 300);
    let stores = sqlite::open(&folder.file()).unwrap();
    let tallies = stores.state.get_tallies("tenant#a", "ledger", Consistency::Strong, 0);
    assert_eq!(tallies.await.unwrap().unwrap().number("n"), 300);
}

#[tokio::test]
async fn an_older_file_is_migrated() {
    let folder = Folder::new();
    let old = Connection::open(folder.file()).unwrap();
    for table in ["config", "state"] {
        old.execute_batch(&format!(
            "CREATE TABLE {table} (
                 pk TEXT NOT NULL, sk TEXT NOT NULL, value TEXT NOT NULL, expires INTEGER,
                 PRIMARY KEY (pk, sk)
             ) STRICT;
             INSERT INTO {table} VALUES ('a', '1', 'kept', NULL);"
        ))
        .unwrap();
    }
    drop(old);
    let stores = sqlite::open(&folder.file()).unwrap();
    assert_eq!(
        stores.config.get("a", "1", Consistency::Strong, 0).await.unwrap(),
        Some(row("1", "kept"))
    );
    let add = Tally { pk: "a".to_owned(), sk: "1".to_owned(), ..Tally::default() };
    let add = Tally { add: vec![("n".to_owned(), 1)], ..add };
    assert!(matches!(stores.state.tally(&add).await.unwrap(), Tallied::Done(_)));
}

#[test]
fn a_folder_in_place_of_a_file_is_an_error_with_advice() {
    let folder = Folder::new();
    let error = sqlite::open(&folder.0).unwrap_err().to_string();
    let name = folder.0.display().to_string();
    assert!(error.starts_with("opening the data file failed: "), "{error}");
    assert!(error.contains(&name), "{error}");
    assert!(error.ends_with("; the file and its folder must be writable"), "{error}");
}

#[test]
fn a_folder_that_cannot_be_created_is_an_error_with_advice() {
    let folder = Folder::new();
    let file = folder.file();
    fs::write(&file, "").unwrap();
    let error = sqlite::open(&file.join("below").join("gateway.db")).unwrap_err().to_string();
    assert!(error.contains("below"), "{error}");
    assert!(error.ends_with("; the file and its folder must be writable"), "{error}");
}

#[test]
fn a_damaged_file_is_an_error_with_advice() {
    let folder = Folder::new();
    fs::write(folder.file(), "This is no database. ".repeat(500)).unwrap();
    let error = sqlite::open(&folder.file()).unwrap_err().to_string();
    assert!(error.contains("gateway.db: file is not a database; it is damaged"), "{error}");
    assert!(error.contains("move it away"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_file_is_its_owners_alone_and_an_old_one_keeps_its_mode() {
    use std::os::unix::fs::PermissionsExt;

    let folder = env::temp_dir().join(format!("lockgate-modes-{}", std::process::id()));
    let path = folder.join("lockgate.db");
    let mode = |name: &str| {
        fs::metadata(folder.join(name)).map(|it| it.permissions().mode() & 0o777).unwrap()
    };
    let stores = sqlite::open(&path).unwrap();
    let row = Row { pk: "a".to_owned(), sk: "b".to_owned(), value: String::new(), expires: None };
    stores.state.put(row).await.unwrap();
    for name in ["lockgate.db", "lockgate.db-wal", "lockgate.db-shm"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }

    drop(stores);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    drop(sqlite::open(&path).unwrap());
    assert_eq!(mode("lockgate.db"), 0o640);
    fs::remove_dir_all(&folder).unwrap();
}
