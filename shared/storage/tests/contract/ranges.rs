//! The contract of `query`: ranges, order, limits and pages.

use std::ops::Bound;

use storage::{Consistency, Order, Query, Row};

use crate::{NOW, Store, rows::row};

fn included(sk: &str) -> Bound<String> {
    Bound::Included(sk.to_owned())
}

fn excluded(sk: &str) -> Bound<String> {
    Bound::Excluded(sk.to_owned())
}

fn query() -> Query {
    Query::partition("log", NOW)
}

async fn put(store: &Store, sks: &[&str]) {
    let rows: Vec<_> = sks.iter().map(|sk| row("log", sk, "")).collect();
    store.put(&rows).await;
}

/// The keys of the rows that a query returns, and whether there are more.
async fn page(store: &Store, query: Query) -> (Vec<String>, bool) {
    let page = store.table.query(&query).await.unwrap();
    (page.rows.into_iter().map(|row| row.sk).collect(), page.more)
}

async fn sks(store: &Store, query: Query) -> Vec<String> {
    page(store, query).await.0
}

pub(crate) async fn a_range_includes_or_excludes_its_ends(store: &Store) {
    put(store, &["a", "b", "c", "d"]).await;
    for (start, end, expected) in [
        (included("b"), included("c"), vec!["b", "c"]),
        (excluded("b"), included("c"), vec!["c"]),
        (included("b"), excluded("c"), vec!["b"]),
        (excluded("a"), excluded("d"), vec!["b", "c"]),
        (excluded("b"), excluded("b"), vec![]),
        (included("aa"), included("bb"), vec!["b"]),
    ] {
        let range = Query { start, end, ..query() };
        assert_eq!(sks(store, range.clone()).await, expected, "{range:?}");
    }
}

pub(crate) async fn a_range_may_be_open_at_either_end(store: &Store) {
    put(store, &["a", "b", "c"]).await;
    assert_eq!(sks(store, Query { start: excluded("a"), ..query() }).await, ["b", "c"]);
    assert_eq!(sks(store, Query { start: included("b"), ..query() }).await, ["b", "c"]);
    assert_eq!(sks(store, Query { end: excluded("c"), ..query() }).await, ["a", "b"]);
    assert_eq!(sks(store, Query { end: included("a"), ..query() }).await, ["a"]);
    let everything = Query { start: included(""), ..query() };
    assert_eq!(sks(store, everything).await, ["a", "b", "c"]);
    assert_eq!(sks(store, Query { end: included(""), ..query() }).await, Vec::<String>::new());
}

pub(crate) async fn a_range_that_ends_before_it_begins_is_empty(store: &Store) {
    put(store, &["a", "b", "c"]).await;
    let backwards = Query { start: included("c"), end: included("a"), ..query() };
    assert_eq!(page(store, backwards).await, (vec![], false));
}

pub(crate) async fn a_prefix_is_a_range(store: &Store) {
    put(store, &["r", "r_", "r_1", "r_é", "r_\u{10ffff}", "ra", "s", "\u{10ffff}x"]).await;
    let prefixed = Query::prefix("log", "r_", NOW);
    assert_eq!(sks(store, prefixed.clone()).await, ["r_", "r_1", "r_é", "r_\u{10ffff}"]);
    let next = Query { start: excluded("r_1"), limit: Some(1), ..prefixed };
    assert_eq!(page(store, next).await, (vec!["r_é".to_owned()], true));
    assert_eq!(sks(store, Query::prefix("log", "\u{10ffff}", NOW)).await, ["\u{10ffff}x"]);
    assert_eq!(sks(store, Query::prefix("log", "", NOW)).await.len(), 8);
}

pub(crate) async fn the_largest_rows_come_first_in_descending_order(store: &Store) {
    put(store, &["a", "b", "c", "d"]).await;
    let descending = Query { order: Order::Descending, ..query() };
    assert_eq!(sks(store, descending.clone()).await, ["d", "c", "b", "a"]);
    let older = Query { end: excluded("c"), limit: Some(1), ..descending };
    assert_eq!(page(store, older).await, (vec!["b".to_owned()], true));
}

pub(crate) async fn a_limit_says_whether_there_are_more(store: &Store) {
    put(store, &["a", "b", "c"]).await;
    for (limit, count, more) in
        [(0, 0, true), (1, 1, true), (2, 2, true), (3, 3, false), (4, 3, false)]
    {
        let (sks, has_more) = page(store, Query { limit: Some(limit), ..query() }).await;
        assert_eq!((sks.len(), has_more), (count, more), "limit {limit}");
    }
}

pub(crate) async fn expired_rows_count_for_nothing(store: &Store) {
    let rows: Vec<_> = (0..9)
        .map(|place| Row {
            expires: (place % 3 != 0).then_some(NOW),
            ..row("log", &place.to_string(), "")
        })
        .collect();
    store.put(&rows).await;
    let two = Query { limit: Some(2), ..query() };
    assert_eq!(page(store, two.clone()).await, (vec!["0".to_owned(), "3".to_owned()], true));
    let last = Query { start: excluded("3"), ..two };
    assert_eq!(page(store, last).await, (vec!["6".to_owned()], false));
}

pub(crate) async fn pages_join_without_gap_or_overlap(store: &Store) {
    let all: Vec<_> = (0..25).map(|place| format!("{place:02}")).collect();
    put(store, &all.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for order in [Order::Ascending, Order::Descending] {
        let (mut joined, mut next) = (vec![], Query { order, limit: Some(7), ..query() });
        loop {
            let (sks, more) = page(store, next.clone()).await;
            joined.extend(sks);
            let last = joined.last().unwrap();
            match order {
                Order::Ascending => next.start = excluded(last),
                Order::Descending => next.end = excluded(last),
            }
            if !more {
                break;
            }
        }
        if order == Order::Descending {
            joined.reverse();
        }
        assert_eq!(joined, all);
    }
}

pub(crate) async fn a_page_may_be_larger_than_a_response(store: &Store) {
    let value = "x".repeat(300 * 1024);
    for sks in [["1", "2", "3", "4"], ["5", "6", "7", "8"]] {
        store.put(&sks.map(|sk| row("log", sk, &value))).await;
    }
    let page = Query { start: excluded("1"), limit: Some(6), order: Order::Descending, ..query() };
    let page = store.table.query(&page).await.unwrap();
    assert!(page.more);
    let sks: Vec<_> = page.rows.iter().map(|row| row.sk.as_str()).collect();
    assert_eq!(sks, ["8", "7", "6", "5", "4", "3"]);
    assert!(page.rows.iter().all(|row| row.value == value));
}

pub(crate) async fn an_eventual_read_returns_rows(store: &Store) {
    put(store, &["a"]).await;
    let eventual = Query { consistency: Consistency::Eventual, ..query() };
    assert_eq!(sks(store, eventual).await, ["a"]);
}

pub(crate) async fn a_bound_that_no_key_can_have_is_an_error(store: &Store) {
    for bad in [
        Query { start: included(&"x".repeat(1025)), ..query() },
        Query { end: excluded(&"x".repeat(1025)), ..query() },
        Query::partition("", NOW),
        Query::partition("x".repeat(2049), NOW),
    ] {
        store.table.query(&bad).await.unwrap_err();
    }
}
