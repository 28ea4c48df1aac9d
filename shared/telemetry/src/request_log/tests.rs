use std::sync::Arc;

use canonical::Outcome;
use storage::memory;

use super::*;
use crate::{
    CallContent, CallEnd, CallRecord, Principal, RecordSink, SpanContext, call_id, sums::CallSums,
};

/// 28 November 2026, 10:59:59.
const NOW: u64 = 1_795_863_599_000;
const HOUR: u64 = 3_600_000;

fn record(nth: u64, ended: u64) -> CallRecord {
    CallRecord {
        id: call_id(ended - 10, nth.into()),
        arrived: ended - 10,
        principal: Some(Principal { tenant: "acme".into(), key_id: "k".into() }),
        timings: crate::Timings { total: Duration::from_millis(10), ..crate::Timings::default() },
        end: CallEnd::success(),
        ..CallRecord::default()
    }
}

async fn write(log: &RequestLog, records: impl IntoIterator<Item = CallRecord>) {
    let records: Vec<_> = records.into_iter().map(Arc::new).collect();
    let sums = CallSums::new(log.table.clone(), log.clone(), Duration::ZERO);
    RequestLogSink::new(log.clone(), sums).write(&records).await;
}

fn log() -> RequestLog {
    RequestLog::new(memory::open().state)
}

/// Every call that matches, page after page, and how many pages that took.
async fn all(log: &RequestLog, filter: &CallFilter, limit: usize) -> (Vec<CallRow>, usize) {
    let (mut rows, mut pages, mut cursor) = (vec![], 0, None);
    loop {
        let page = log.list(filter, cursor.as_ref(), limit, NOW).await.unwrap();
        assert!(page.rows.len() <= limit);
        rows.extend(page.rows);
        pages += 1;
        let Some(next) = page.next else { return (rows, pages) };
        cursor = Some(Cursor::parse(&next.to_string()).unwrap());
    }
}

#[tokio::test]
async fn calls_are_listed_newest_first_over_hours_and_pages() {
    let log = log();
    write(&log, (0..25).map(|nth| record(nth, NOW - nth * HOUR / 4))).await;
    let (rows, pages) = all(&log, &CallFilter::default(), 10).await;
    assert_eq!(
        (rows.len(), rows.is_sorted_by_key(|row| std::cmp::Reverse(row.ended()))),
        (25, true)
    );
    // 720 hours are looked into, 48 at once.
    assert!((15..25).contains(&pages), "{pages}");
}

#[tokio::test]
async fn a_list_says_how_far_it_searched() {
    let log = log();
    let since = Some(NOW - 100 * HOUR);
    let page =
        log.list(&CallFilter { since, ..CallFilter::default() }, None, 10, NOW).await.unwrap();
    assert!(page.rows.is_empty());
    assert_eq!(page.searched_back_to, Hour::of(NOW).start() - 47 * HOUR);
    assert!(page.next.is_some());
}

#[tokio::test]
async fn filters_and_times_bound_a_list() {
    let log = log();
    write(&log, (0..10).map(|nth| record(nth, NOW - nth * 60_000))).await;
    let failed = CallRecord {
        end: CallEnd {
            outcome: Outcome::Failed("timeout"),
            status: Some(504),
            ..CallEnd::default()
        },
        ..record(99, NOW - 90_000)
    };
    write(&log, [failed]).await;
    let outcome = Some(OutcomeFilter::Failed);
    let (rows, _) = all(&log, &CallFilter { outcome, ..CallFilter::default() }, 100).await;
    assert_eq!(rows.iter().map(|row| &*row.outcome).collect::<Vec<_>>(), ["timeout"]);
    let times = CallFilter {
        since: Some(NOW - 120_000),
        until: Some(NOW - 60_000),
        ..CallFilter::default()
    };
    assert_eq!(all(&log, &times, 100).await.0.len(), 2);
}

#[tokio::test]
async fn a_call_is_found_by_its_id() {
    let log = log();
    write(&log, (0..300).map(|nth| record(nth, NOW - nth))).await;
    // Arrived in one hour, ended in the next.
    let long = CallRecord {
        timings: crate::Timings { total: Duration::from_secs(600), ..crate::Timings::default() },
        ..record(7, NOW - HOUR / 2)
    };
    write(&log, [long.clone()]).await;
    for id in [record(0, NOW).id, record(299, NOW - 299).id, long.id] {
        assert_eq!(log.get(&id, NOW).await.unwrap().unwrap().id, id);
    }
    assert_eq!(log.get(&call_id(NOW, 1), NOW).await.unwrap(), None);
}

#[tokio::test]
async fn calls_under_one_id_of_a_client_are_all_kept() {
    let log = log();
    let named = |span_id| CallRecord {
        id: "job 7/a".to_owned(),
        span: SpanContext { span_id, ..SpanContext::default() },
        ..record(1, NOW)
    };
    write(&log, [named(1), named(2), named(2)]).await;
    assert_eq!(all(&log, &CallFilter::default(), 10).await.0.len(), 2);
    assert_eq!(log.get("job 7/a", NOW).await.unwrap().unwrap().id, "job 7/a");
    assert_eq!(log.get("job 8", NOW).await.unwrap(), None);
}

#[tokio::test]
async fn rows_expire() {
    let log = log();
    log.set_retention(Duration::from_secs(3_600));
    write(&log, [record(1, NOW)]).await;
    assert!(log.get(&record(1, NOW).id, NOW).await.unwrap().is_some());
    assert!(log.get(&record(1, NOW).id, NOW + 2 * HOUR).await.unwrap().is_none());
}

#[tokio::test]
async fn a_stranger_leaves_a_count_and_no_row() {
    let stores = memory::open();
    let log = RequestLog::new(stores.state.clone());
    let stranger = CallRecord {
        principal: None,
        end: CallEnd { outcome: Outcome::Failed("auth"), status: Some(401), ..CallEnd::default() },
        ..record(1, NOW)
    };
    write(&log, [stranger.clone(), stranger]).await;
    assert!(all(&log, &CallFilter::default(), 10).await.0.is_empty());
    let sums = CallSums::new(stores.state, log, Duration::ZERO);
    assert_eq!(sums.totals(NOW).await.unwrap().unauthenticated, 2);
}

#[tokio::test]
async fn the_live_tail_gives_each_call_once() {
    let log = log();
    write(&log, (0..5).map(|nth| record(nth, NOW - 60_000 + nth))).await;
    let page = log.list(&CallFilter::default(), None, 10, NOW).await.unwrap();
    let tail = log.after(&page.newest, &CallFilter::default(), NOW).await.unwrap();
    assert!(tail.rows.is_empty());
    // A page later in the same hour, and one in the next.
    write(&log, (10..260).map(|nth| record(nth, NOW + nth))).await;
    write(&log, [record(999, NOW + HOUR)]).await;
    let (mut cursor, mut seen) = (tail.cursor, vec![]);
    for _ in 0..4 {
        let tail = log.after(&cursor, &CallFilter::default(), NOW + HOUR + 5_000).await.unwrap();
        seen.extend(tail.rows.iter().map(|row| row.id.clone()));
        cursor = tail.cursor;
    }
    assert_eq!(seen.len(), 251);
    seen.dedup();
    assert_eq!(seen.len(), 251);
}

#[tokio::test]
async fn content_has_an_end_of_its_own() {
    let log = log();
    let content = CallContent {
        request: "{\"messages\":[]}".to_owned(),
        response: "Hi".to_owned(),
        retention: Duration::from_secs(60),
    };
    write(&log, [CallRecord { content: Some(content), ..record(1, NOW) }]).await;
    let row = log.get(&record(1, NOW).id, NOW).await.unwrap().unwrap();
    assert!(row.has_content);
    let kept = log.content(&row, NOW).await.unwrap().unwrap();
    assert_eq!((&*kept.request, &*kept.response), ("{\"messages\":[]}", "Hi"));
    assert_eq!(log.content(&row, NOW + 61_000).await.unwrap(), None);
}
