use storage::{Change, Query, Table, Tally, memory};

use super::*;
use crate::{
    CallEnd, CallRecord,
    sums::{
        PARTITION,
        tests::{HOUR, Kept, MIDNIGHT, record},
    },
};

/// Three calls, one of which fails.
fn calls(at: u64) -> [CallRecord; 3] {
    let end = CallEnd {
        outcome: canonical::Outcome::Failed("timeout"),
        status: Some(504),
        ..CallEnd::default()
    };
    [
        record(1, at, "a"),
        CallRecord { end, ..record(2, at + 1, "b") },
        CallRecord { model: Some("n".to_owned()), ..record(3, at + 2, "b") },
    ]
}

async fn write_hours(kept: &Kept, hours: std::ops::Range<u64>) {
    for hour in hours {
        let now = MIDNIGHT + hour * HOUR + 60_000;
        kept.write(calls(now)).await;
        kept.sums.advance(now).await.unwrap();
    }
}

/// The view shows what the whole sums say, of every period and tenant.
async fn agrees(kept: &Kept, now: u64) {
    let (first, last) = (Day::of(MIDNIGHT), Day::of(now));
    let view = kept.sums.view(now).await.unwrap();
    for tenant in [None, Some("a"), Some("b"), Some("nobody")] {
        let whole = kept.sums.by_day(first, last, tenant, now).await.unwrap();
        let wanted: Vec<_> = whole.iter().map(|it| (it.period, Figures::of(&it.sums))).collect();
        let drawn = view.by_day(first, last, tenant).await.unwrap();
        let drawn: Vec<_> = drawn.into_iter().map(|it| (it.period, it.figures)).collect();
        assert_eq!(drawn, wanted, "{tenant:?}");
    }
    let (first, last) = (first.first_hour(), last.last_hour());
    let whole = kept.sums.by_hour(first, last, None, now).await.unwrap();
    let wanted: Vec<_> =
        whole.iter().map(|it| (it.period, Figures::of(&it.sums).without_groups())).collect();
    let drawn = view.by_hour(first, last).await.unwrap();
    let drawn: Vec<_> = drawn.into_iter().map(|it| (it.period, it.figures)).collect();
    assert_eq!(drawn, wanted);
}

/// The row beside the checkpoint.
async fn view_row(table: &dyn Table) -> Row {
    let row = table.get(PARTITION, VIEW, Consistency::Strong, MIDNIGHT / 1000).await;
    row.unwrap().unwrap()
}

/// Leaves the table as a version leaves it that knew no figures, but for the row beside the checkpoint.
async fn make_earlier(table: &dyn Table) {
    for partition in ["usage", "usage#a", "usage#b"] {
        let rows = table.query(&Query::partition(partition, MIDNIGHT / 1000)).await.unwrap().rows;
        let figures = rows.into_iter().filter(|row| row.sk.contains("f#"));
        let gone: Vec<Change> =
            figures.map(|row| Change::Delete { pk: row.pk, sk: row.sk }).collect();
        assert!(!gone.is_empty());
        table.write(&gone).await.unwrap();
    }
    let found = table.get_tallies(PARTITION, "checkpoint", Consistency::Strong, MIDNIGHT / 1000);
    let found = found.await.unwrap().unwrap();
    let mut state: serde_json::Value = serde_json::from_str(found.note("state").unwrap()).unwrap();
    for new in ["figures_since", "failures"] {
        state.as_object_mut().unwrap().remove(new).unwrap();
    }
    let change = Tally {
        pk: PARTITION.to_owned(),
        sk: "checkpoint".to_owned(),
        set: vec![("state".to_owned(), state.to_string())],
        ..Tally::default()
    };
    table.tally(&change).await.unwrap();
}

#[tokio::test]
async fn pages_draw_what_the_sums_say() {
    let kept = Kept::new(memory::open().state);
    write_hours(&kept, 0..30).await;
    agrees(&kept, MIDNIGHT + 29 * HOUR + 120_000).await;
    // Without a further call, hours are summed for good by whoever looks.
    agrees(&kept, MIDNIGHT + 50 * HOUR).await;
}

#[tokio::test]
async fn a_log_that_an_earlier_version_summed_is_drawn_too() {
    let kept = Kept::new(memory::open().state);
    write_hours(&kept, 0..30).await;
    make_earlier(&*kept.sums.table).await;
    let gone = Change::Delete { pk: PARTITION.to_owned(), sk: VIEW.to_owned() };
    kept.sums.table.write(&[gone]).await.unwrap();
    let now = MIDNIGHT + 29 * HOUR + 120_000;
    agrees(&kept, now).await;
    assert_eq!(kept.sums.view(now).await.unwrap().latest_failures(), None);

    // The second day has hours of both versions.
    write_hours(&kept, 30..75).await;
    let now = MIDNIGHT + 74 * HOUR + 120_000;
    agrees(&kept, now).await;
    assert_eq!(kept.sums.view(now).await.unwrap().latest_failures().unwrap().len(), 8);
}

#[tokio::test]
async fn an_hour_is_drawn_once_while_its_rows_are_written() {
    let kept = Kept::new(memory::open().state);
    let (hour, now) = (Hour::of(MIDNIGHT), MIDNIGHT + HOUR / 2);
    kept.write(calls(MIDNIGHT + 1_000)).await;
    kept.sums.advance(now).await.unwrap();
    let sums = kept.sums.by_hour(hour, hour, None, now).await.unwrap().remove(0).sums;
    // The rows of the hour and its day are there, and the checkpoint has not moved yet.
    kept.sums.write_hour(hour, &sums, now).await.unwrap();
    kept.sums.write_hour(hour, &sums, now).await.unwrap();
    let view = kept.sums.view(now).await.unwrap();
    let days = view.by_day(hour.day(), hour.day(), None).await.unwrap();
    assert_eq!(days[0].figures.calls, 3);
    assert_eq!(view.by_hour(hour, hour).await.unwrap()[0].figures.calls, 3);
    agrees(&kept, now).await;
}

#[tokio::test]
async fn failures_are_shown_at_once_and_as_long_as_they_are_the_latest() {
    let kept = Kept::new(memory::open().state);
    let failures = async |now: u64| {
        let latest = kept.sums.view(now).await.unwrap().latest_failures().unwrap();
        latest.iter().map(|it| (it.ended() - MIDNIGHT) / HOUR).collect::<Vec<_>>()
    };
    write_hours(&kept, 0..5).await;
    // The last one lies after the checkpoint.
    assert_eq!(failures(MIDNIGHT + 4 * HOUR + 60_010).await, [4, 3, 2, 1, 0]);
    write_hours(&kept, 5..20).await;
    assert_eq!(failures(MIDNIGHT + 40 * HOUR).await, [19, 18, 17, 16, 15, 14, 13, 12]);
}

#[tokio::test]
async fn an_older_row_beside_the_checkpoint_is_as_right() {
    let kept = Kept::new(memory::open().state);
    write_hours(&kept, 0..29).await;
    let start = MIDNIGHT + 29 * HOUR;
    let mut older = vec![];
    for minute in 1..55 {
        let now = start + minute * 60_000;
        kept.write(calls(now)).await;
        kept.sums.advance(now).await.unwrap();
        older.push(view_row(&*kept.sums.table).await);
    }
    for row in older {
        kept.sums.table.write(&[Change::Put(row)]).await.unwrap();
        agrees(&kept, start + 55 * 60_000).await;
    }
}

#[tokio::test]
async fn a_row_that_an_earlier_version_left_behind_is_not_drawn_from() {
    let kept = Kept::new(memory::open().state);
    write_hours(&kept, 0..20).await;
    let row = view_row(&*kept.sums.table).await;
    write_hours(&kept, 20..30).await;
    make_earlier(&*kept.sums.table).await;
    kept.sums.table.write(&[Change::Put(row)]).await.unwrap();
    agrees(&kept, MIDNIGHT + 29 * HOUR + 120_000).await;
}

#[tokio::test]
async fn what_pages_read_is_small_however_many_kinds_of_calls_there_are() {
    let kept = Kept::new(memory::open().state);
    let call = |nth: u64, start: u64| CallRecord {
        model: Some(format!("a-model-with-a-long-name-{}", nth % 8)),
        end: if nth.is_multiple_of(3) { calls(start)[1].end.clone() } else { CallEnd::success() },
        ..record(nth, start + nth * 1_000 + 10, &format!("tenant-of-some-name-{}", nth % 5))
    };
    for hour in 0..48 {
        let start = MIDNIGHT + hour * HOUR;
        kept.write((0..240).map(|nth| call(nth, start))).await;
        kept.sums.advance(start + HOUR / 2).await.unwrap();
    }
    let now = MIDNIGHT + 47 * HOUR + HOUR / 2;
    agrees(&kept, now).await;
    let checkpoint = serde_json::to_string(&kept.sums.load(now).await.unwrap()).unwrap().len();
    let beside = view_row(&*kept.sums.table).await.value.len();
    assert!(beside < 24 * 1024 && 3 * beside < checkpoint, "{beside} of {checkpoint}");
    let day = Query::prefix("usage", "df#", now / 1000);
    let days = kept.sums.table.query(&day).await.unwrap().rows;
    assert!(days.iter().all(|row| row.value.len() < 4 * 1024), "{days:?}");
}
