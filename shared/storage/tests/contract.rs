//! What every table does, whatever keeps it.
//!
//! A backend is one line in the list at the end. Times are far ahead, so that no store removes a
//! row by its own clock while a test runs.
#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

#[path = "support/emulated.rs"]
mod emulated;

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use storage::{Change, Query, Row, Stores, Table};

const NOW: u64 = 4_000_000_000;

/// An empty store of its own for each test, opened twice.
struct Store {
    table: Arc<dyn Table>,
    other: Arc<dyn Table>,
    stores: Stores,
    file: Option<PathBuf>,
}

impl Store {
    fn new(one: Stores, two: &Stores, file: Option<PathBuf>) -> Self {
        let (table, other) = (Arc::clone(&one.state), Arc::clone(&two.state));
        Self { table, other, stores: one, file }
    }

    async fn put(&self, rows: &[Row]) {
        let changes: Vec<_> = rows.iter().cloned().map(Change::Put).collect();
        self.table.write(&changes).await.unwrap();
    }

    async fn rows(&self, pk: &str) -> Vec<Row> {
        self.table.query(&Query::partition(pk, NOW)).await.unwrap().rows
    }

    async fn places(&self, pk: &str) -> Vec<String> {
        self.rows(pk).await.into_iter().map(|it| it.sk).collect()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Some(folder) = self.file.as_ref().and_then(|it| it.parent()) {
            fs::remove_dir_all(folder).unwrap();
        }
    }
}

fn sqlite_file() -> Store {
    let folder = format!("{}-{}", std::process::id(), serial());
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(folder).join("gateway.db");
    Store::new(
        storage::sqlite::open(&file).unwrap(),
        &storage::sqlite::open(&file).unwrap(),
        Some(file),
    )
}

fn sqlite_memory() -> Store {
    let stores = storage::sqlite::in_memory().unwrap();
    Store::new(stores.clone(), &stores, None)
}

fn memory() -> Store {
    let stores = storage::memory::open();
    Store::new(stores.clone(), &stores, None)
}

fn dynamodb() -> Store {
    let emulator = testkit::aws::Aws::shared();
    let tables = emulator.tables(&serial().to_string());
    let handle = || {
        let aws = emulated::account(&emulator.endpoint_url);
        storage::dynamodb::open(&aws, &tables.config, &tables.state)
    };
    Store::new(handle(), &handle(), None)
}

fn serial() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn row(pk: &str, sk: &str, value: &str) -> Row {
    Row { pk: pk.to_owned(), sk: sk.to_owned(), value: value.to_owned(), expires: None }
}

fn ending(sk: &str, expires: u64) -> Row {
    Row { expires: Some(expires), ..row("rests", sk, "{}") }
}

fn delete(pk: &str, sk: &str) -> Change {
    Change::Delete { pk: pk.to_owned(), sk: sk.to_owned() }
}

async fn a_partition_without_rows_is_empty(store: &Store) {
    assert_eq!(store.rows("nothing").await, []);
}

async fn a_row_comes_back_as_it_was_written(store: &Store) {
    let row = Row { expires: Some(NOW + 1), ..row("routes", "fast", r#"{"steps": []}"#) };
    store.put(std::slice::from_ref(&row)).await;
    assert_eq!(store.rows("routes").await, [row]);
}

async fn rows_come_back_in_the_order_of_their_bytes(store: &Store) {
    let places = ["b", "é", "a/10", "B", "a", "a/9", "𝄞", "\u{fffd}"];
    let rows: Vec<_> = places.iter().map(|it| row("order", it, "")).collect();
    store.put(&rows).await;
    let mut sorted = places;
    sorted.sort_unstable();
    assert_eq!(store.places("order").await, sorted);
}

async fn a_partition_does_not_see_its_neighbours(store: &Store) {
    store.put(&[row("a", "1", ""), row("ab", "2", ""), row("A", "3", "")]).await;
    assert_eq!(store.places("a").await, ["1"]);
}

async fn the_two_tables_do_not_see_each_other(store: &Store) {
    store.put(&[row("a", "1", "")]).await;
    assert_eq!(store.stores.config.query(&Query::partition("a", NOW)).await.unwrap().rows, []);
}

async fn a_second_write_replaces_the_whole_row(store: &Store) {
    store.put(&[Row { expires: Some(NOW + 9), ..row("a", "1", "old") }]).await;
    store.put(&[row("a", "1", "new")]).await;
    assert_eq!(store.rows("a").await, [row("a", "1", "new")]);
}

async fn a_deleted_row_is_gone_and_may_be_deleted_again(store: &Store) {
    store.put(&[row("a", "1", ""), row("a", "2", "")]).await;
    store.table.write(&[delete("a", "1")]).await.unwrap();
    store.table.write(&[delete("a", "1"), delete("a", "never")]).await.unwrap();
    assert_eq!(store.places("a").await, ["2"]);
}

async fn a_row_is_gone_in_the_second_it_expires(store: &Store) {
    store.put(&[ending("now", NOW), ending("soon", NOW + 1)]).await;
    assert_eq!(store.places("rests").await, ["soon"]);
}

async fn an_expired_row_can_be_written_anew(store: &Store) {
    store.put(&[ending("groq", NOW - 1)]).await;
    assert_eq!(store.places("rests").await, Vec::<String>::new());
    store.put(&[ending("groq", NOW + 60)]).await;
    assert_eq!(store.places("rests").await, ["groq"]);
}

async fn nothing_to_change_is_no_failure(store: &Store) {
    store.table.write(&[]).await.unwrap();
}

async fn puts_and_deletes_go_together(store: &Store) {
    store.put(&[row("a", "old", "")]).await;
    let changes = [Change::Put(row("a", "new", "")), delete("a", "old")];
    store.table.write(&changes).await.unwrap();
    assert_eq!(store.places("a").await, ["new"]);
}

async fn the_last_of_several_changes_of_a_row_wins(store: &Store) {
    let changes = [
        Change::Put(row("a", "1", "first")),
        delete("a", "2"),
        Change::Put(row("a", "2", "put after delete")),
        delete("a", "1"),
        Change::Put(row("a", "1", "last")),
    ];
    store.table.write(&changes).await.unwrap();
    let rows = [row("a", "1", "last"), row("a", "2", "put after delete")];
    assert_eq!(store.rows("a").await, rows);
}

async fn more_than_a_hundred_changes_are_made_in_order(store: &Store) {
    let rows: Vec<_> = (0..250).map(|it| row("many", &format!("{it:03}"), "")).collect();
    let mut changes: Vec<_> = rows.iter().cloned().map(Change::Put).collect();
    changes.push(delete("many", "000"));
    store.table.write(&changes).await.unwrap();
    assert_eq!(store.rows("many").await, rows[1..]);
}

async fn a_row_may_have_400_kb_with_its_keys(store: &Store) {
    let largest = row("a", "1", &"x".repeat(400 * 1024 - 42));
    store.put(std::slice::from_ref(&largest)).await;
    assert_eq!(store.rows("a").await, [largest]);
}

async fn one_change_too_many_bytes_stops_them_all(store: &Store) {
    let too_large = row("a", "2", &"x".repeat(400 * 1024 - 41));
    let changes = [Change::Put(row("a", "1", "")), Change::Put(too_large)];
    let refusal = store.table.write(&changes).await.unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "writing rows failed: the row a 2 has 409601 bytes, more than 409600"
    );
    assert_eq!(store.rows("a").await, []);
}

async fn a_group_of_changes_may_have_4_mb(store: &Store) {
    let value = "x".repeat(390 * 1024);
    let rows: Vec<_> = (0..11).map(|it| row("a", &it.to_string(), &value)).collect();
    let changes: Vec<_> = rows.into_iter().map(Change::Put).collect();
    let refusal = store.table.write(&changes).await.unwrap_err();
    assert!(refusal.to_string().ends_with("in one group of changes, more than 4194304"));
    assert_eq!(store.rows("a").await, []);
}

async fn keys_have_the_same_bounds_everywhere(store: &Store) {
    store.put(&[row(&"p".repeat(2048), &"s".repeat(1024), "")]).await;
    for (pk, sk) in [(2049, 1), (1, 1025), (0, 1), (1, 0)] {
        let row = row(&"p".repeat(pk), &"s".repeat(sk), "");
        store.table.write(&[Change::Put(row)]).await.unwrap_err();
    }
}

async fn any_text_comes_back_as_it_was(store: &Store) {
    let text = "Zürich, 東京, 🦀\u{200d}, \"quoted\", \\, \u{0}, \r\n, ' OR 1=1; --";
    store.put(&[row(text, text, text)]).await;
    assert_eq!(store.rows(text).await, [row(text, text, text)]);
}

async fn a_partition_may_hold_several_mb(store: &Store) {
    let value = "x".repeat(300 * 1024);
    let rows: Vec<_> = (10..22).map(|it| row("large", &it.to_string(), &value)).collect();
    for some in rows.chunks(6) {
        store.put(some).await;
    }
    assert_eq!(store.rows("large").await, rows);
}

async fn two_handles_see_each_other(store: &Store) {
    store.put(&[row("a", "1", "one")]).await;
    assert_eq!(
        store.other.query(&Query::partition("a", NOW)).await.unwrap().rows,
        [row("a", "1", "one")]
    );
    store.other.write(&[Change::Put(row("a", "1", "two"))]).await.unwrap();
    assert_eq!(store.rows("a").await, [row("a", "1", "two")]);
}

async fn writers_at_once_do_not_lose_or_mix_rows(store: &Store) {
    let writers = (0..8).map(|writer| {
        let table = Arc::clone(if writer % 2 == 0 { &store.table } else { &store.other });
        let value = writer.to_string();
        let own = row("own", &value, &value);
        let changes =
            [own, row("shared", "1", &value), row("shared", "2", &value)].map(Change::Put);
        tokio::spawn(async move { table.write(&changes).await })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap().unwrap();
    }
    assert_eq!(store.places("own").await, ["0", "1", "2", "3", "4", "5", "6", "7"]);
    let shared = store.rows("shared").await;
    assert_eq!(shared[0].value, shared[1].value);
}

/// Makes each rule a test of each backend.
macro_rules! every_backend {
    ($backends:tt $rules:tt) => {
        every_backend! { @each $backends $rules }
    };
    (@each [$($backend:ident),* $(,)?] $rules:tt) => {
        $(mod $backend { every_backend! { @rules $backend $rules } })*
    };
    (@rules $backend:ident [$($rule:ident),* $(,)?]) => {
        $(#[tokio::test] async fn $rule() { super::$rule(&super::$backend()).await; })*
    };
}

every_backend! {
    [memory, sqlite_file, sqlite_memory, dynamodb]
    [
        a_partition_without_rows_is_empty,
        a_row_comes_back_as_it_was_written,
        rows_come_back_in_the_order_of_their_bytes,
        a_partition_does_not_see_its_neighbours,
        the_two_tables_do_not_see_each_other,
        a_second_write_replaces_the_whole_row,
        a_deleted_row_is_gone_and_may_be_deleted_again,
        a_row_is_gone_in_the_second_it_expires,
        an_expired_row_can_be_written_anew,
        nothing_to_change_is_no_failure,
        puts_and_deletes_go_together,
        the_last_of_several_changes_of_a_row_wins,
        more_than_a_hundred_changes_are_made_in_order,
        a_row_may_have_400_kb_with_its_keys,
        one_change_too_many_bytes_stops_them_all,
        a_group_of_changes_may_have_4_mb,
        keys_have_the_same_bounds_everywhere,
        any_text_comes_back_as_it_was,
        a_partition_may_hold_several_mb,
        two_handles_see_each_other,
        writers_at_once_do_not_lose_or_mix_rows,
    ]
}
