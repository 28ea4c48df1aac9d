//! The contract of `get`, `put`, `delete`, `write` and of `query` over a whole partition.

use std::sync::Arc;

use storage::{Change, Consistency, Query, Row};

use crate::{NOW, Store};

pub(crate) fn row(pk: &str, sk: &str, value: &str) -> Row {
    Row { pk: pk.to_owned(), sk: sk.to_owned(), value: value.to_owned(), expires: None }
}

fn ending(sk: &str, expires: u64) -> Row {
    Row { expires: Some(expires), ..row("cooldowns", sk, "{}") }
}

fn delete(pk: &str, sk: &str) -> Change {
    Change::Delete { pk: pk.to_owned(), sk: sk.to_owned() }
}

pub(crate) async fn a_partition_without_rows_is_empty(store: &Store) {
    assert_eq!(store.rows("nothing").await, []);
}

pub(crate) async fn a_row_comes_back_as_it_was_written(store: &Store) {
    let row = Row { expires: Some(NOW + 1), ..row("routes", "fast", r#"{"steps": []}"#) };
    store.put(std::slice::from_ref(&row)).await;
    assert_eq!(store.rows("routes").await, [row]);
}

pub(crate) async fn a_row_is_read_by_its_keys(store: &Store) {
    store.put(&[row("a", "1", "one"), row("a", "2", "two"), row("b", "1", "other")]).await;
    for consistency in [Consistency::Strong, Consistency::Eventual] {
        let found = store.table.get("a", "2", consistency, NOW).await.unwrap();
        assert_eq!(found, Some(row("a", "2", "two")));
    }
}

pub(crate) async fn a_row_that_is_not_there_is_none(store: &Store) {
    store.table.put(Row { expires: Some(NOW), ..row("a", "1", "") }).await.unwrap();
    store.table.put(row("a", "2", "")).await.unwrap();
    store.table.delete("a", "2").await.unwrap();
    for sk in ["1", "2", "3"] {
        let found = store.table.get("a", sk, Consistency::Strong, NOW).await.unwrap();
        assert_eq!(found, None, "{sk}");
    }
    let before_its_end = store.table.get("a", "1", Consistency::Strong, NOW - 1).await.unwrap();
    assert_eq!(before_its_end.unwrap().expires, Some(NOW));
}

pub(crate) async fn rows_come_back_in_the_order_of_their_bytes(store: &Store) {
    let sks = ["b", "é", "a/10", "B", "a", "a/9", "𝄞", "\u{fffd}"];
    let rows: Vec<_> = sks.iter().map(|sk| row("order", sk, "")).collect();
    store.put(&rows).await;
    let mut sorted = sks;
    sorted.sort_unstable();
    assert_eq!(store.sks("order").await, sorted);
}

pub(crate) async fn a_partition_does_not_see_its_neighbours(store: &Store) {
    store.put(&[row("a", "1", ""), row("ab", "2", ""), row("A", "3", "")]).await;
    assert_eq!(store.sks("a").await, ["1"]);
}

pub(crate) async fn the_two_tables_do_not_see_each_other(store: &Store) {
    store.put(&[row("a", "1", "")]).await;
    assert_eq!(store.stores.config.query(&Query::partition("a", NOW)).await.unwrap().rows, []);
}

pub(crate) async fn a_second_write_replaces_the_whole_row(store: &Store) {
    store.put(&[Row { expires: Some(NOW + 9), ..row("a", "1", "old") }]).await;
    store.put(&[row("a", "1", "new")]).await;
    assert_eq!(store.rows("a").await, [row("a", "1", "new")]);
}

pub(crate) async fn a_deleted_row_is_gone_and_may_be_deleted_again(store: &Store) {
    store.put(&[row("a", "1", ""), row("a", "2", "")]).await;
    store.table.write(&[delete("a", "1")]).await.unwrap();
    store.table.write(&[delete("a", "1"), delete("a", "never")]).await.unwrap();
    assert_eq!(store.sks("a").await, ["2"]);
}

pub(crate) async fn a_row_is_gone_in_the_second_it_expires(store: &Store) {
    store.put(&[ending("now", NOW), ending("soon", NOW + 1)]).await;
    assert_eq!(store.sks("cooldowns").await, ["soon"]);
}

pub(crate) async fn an_expired_row_can_be_written_anew(store: &Store) {
    store.put(&[ending("groq", NOW - 1)]).await;
    assert_eq!(store.sks("cooldowns").await, Vec::<String>::new());
    store.put(&[ending("groq", NOW + 60)]).await;
    assert_eq!(store.sks("cooldowns").await, ["groq"]);
}

pub(crate) async fn nothing_to_change_is_no_failure(store: &Store) {
    store.table.write(&[]).await.unwrap();
}

pub(crate) async fn puts_and_deletes_go_together(store: &Store) {
    store.put(&[row("a", "old", "")]).await;
    let changes = [Change::Put(row("a", "new", "")), delete("a", "old")];
    store.table.write(&changes).await.unwrap();
    assert_eq!(store.sks("a").await, ["new"]);
}

pub(crate) async fn the_last_of_several_changes_of_a_row_wins(store: &Store) {
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

pub(crate) async fn more_than_a_hundred_changes_are_made_in_order(store: &Store) {
    let rows: Vec<_> = (0..250).map(|number| row("many", &format!("{number:03}"), "")).collect();
    let mut changes: Vec<_> = rows.iter().cloned().map(Change::Put).collect();
    changes.push(delete("many", "000"));
    store.table.write(&changes).await.unwrap();
    assert_eq!(store.rows("many").await, rows[1..]);
}

pub(crate) async fn a_row_may_have_400_kb_with_its_keys(store: &Store) {
    let largest = row("a", "1", &"x".repeat(400 * 1024 - 42));
    store.put(std::slice::from_ref(&largest)).await;
    assert_eq!(store.rows("a").await, [largest]);
}

pub(crate) async fn one_change_too_many_bytes_stops_them_all(store: &Store) {
    let too_large = row("a", "2", &"x".repeat(400 * 1024 - 41));
    let changes = [Change::Put(row("a", "1", "")), Change::Put(too_large)];
    let error = store.table.write(&changes).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "writing rows failed: the row a 2 has 409601 bytes, more than 409600"
    );
    assert_eq!(store.rows("a").await, []);
}

pub(crate) async fn a_group_of_changes_may_have_4_mb(store: &Store) {
    let value = "x".repeat(390 * 1024);
    let rows: Vec<_> = (0..11).map(|number| row("a", &number.to_string(), &value)).collect();
    let changes: Vec<_> = rows.into_iter().map(Change::Put).collect();
    let error = store.table.write(&changes).await.unwrap_err();
    assert!(error.to_string().ends_with("in one group of changes, more than 4194304"));
    assert_eq!(store.rows("a").await, []);
}

pub(crate) async fn keys_have_the_same_bounds_everywhere(store: &Store) {
    store.put(&[row(&"p".repeat(2048), &"s".repeat(1024), "")]).await;
    for (pk, sk) in [(2049, 1), (1, 1025), (0, 1), (1, 0)] {
        let row = row(&"p".repeat(pk), &"s".repeat(sk), "");
        let strong = Consistency::Strong;
        store.table.get(&row.pk, &row.sk, strong, NOW).await.unwrap_err();
        store.table.get_tallies(&row.pk, &row.sk, strong, NOW).await.unwrap_err();
        store.table.write(&[Change::Put(row)]).await.unwrap_err();
    }
}

pub(crate) async fn any_text_comes_back_as_it_was(store: &Store) {
    let text = "Zürich, 東京, 🦀\u{200d}, \"quoted\", \\, \u{0}, \r\n, ' OR 1=1; --";
    store.put(&[row(text, text, text)]).await;
    assert_eq!(store.rows(text).await, [row(text, text, text)]);
}

pub(crate) async fn a_partition_may_hold_several_mb(store: &Store) {
    let value = "x".repeat(300 * 1024);
    let rows: Vec<_> = (10..22).map(|number| row("large", &number.to_string(), &value)).collect();
    for some in rows.chunks(6) {
        store.put(some).await;
    }
    assert_eq!(store.rows("large").await, rows);
}

pub(crate) async fn two_handles_see_each_other(store: &Store) {
    store.put(&[row("a", "1", "one")]).await;
    assert_eq!(
        store.other.query(&Query::partition("a", NOW)).await.unwrap().rows,
        [row("a", "1", "one")]
    );
    store.other.write(&[Change::Put(row("a", "1", "two"))]).await.unwrap();
    assert_eq!(store.rows("a").await, [row("a", "1", "two")]);
}

pub(crate) async fn writers_at_once_do_not_lose_or_mix_rows(store: &Store) {
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
    assert_eq!(store.sks("own").await, ["0", "1", "2", "3", "4", "5", "6", "7"]);
    let shared = store.rows("shared").await;
    assert_eq!(shared[0].value, shared[1].value);
}

pub(crate) async fn puts_of_one_row_at_once_leave_one_of_them(store: &Store) {
    let writers = (0..40).map(|writer| {
        let table = store.handle(writer);
        tokio::spawn(async move { table.put(row("a", "1", &writer.to_string())).await })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap().unwrap();
    }
    let [left] = &store.rows("a").await[..] else { panic!("one row") };
    assert!(left.value.parse::<usize>().unwrap() < 40);
    store.table.put(row("a", "1", "last")).await.unwrap();
    assert_eq!(store.rows("a").await, [row("a", "1", "last")]);
}
