use std::sync::Arc;

use storage::{memory, sqlite};

use super::*;
use crate::{
    CallEnd, CallRecord, Principal, RecordSink, Timings, call_id, request_log::RequestLogSink,
};

pub(super) const HOUR: u64 = 3_600_000;
/// 28 November 2026, midnight.
pub(super) const MIDNIGHT: u64 = 1_795_824_000_000;
const LAG: Duration = Duration::from_secs(300);

pub(super) fn record(nth: u64, ended: u64, tenant: &str) -> CallRecord {
    CallRecord {
        id: call_id(ended - 10, nth.into()),
        arrived: ended - 10,
        principal: Some(Principal { tenant: tenant.into(), key_id: "k".into() }),
        provider: Some("first".to_owned()),
        model: Some("m".to_owned()),
        timings: Timings { total: Duration::from_millis(10), ..Timings::default() },
        end: CallEnd::success(),
        ..CallRecord::default()
    }
}

pub(super) struct Kept {
    pub(super) sums: CallSums,
    sink: RequestLogSink,
}

impl Kept {
    pub(super) fn new(table: Arc<dyn Table>) -> Self {
        let log = RequestLog::new(table.clone());
        let sums = CallSums::new(table, log.clone(), LAG);
        Self { sink: RequestLogSink::new(log, sums.clone()), sums }
    }

    pub(super) async fn write(&self, records: impl IntoIterator<Item = CallRecord>) {
        let records: Vec<_> = records.into_iter().map(Arc::new).collect();
        self.sink.write(&records).await;
    }

    async fn total(&self, now: u64) -> u64 {
        self.sums.totals(now).await.unwrap().sums.count()
    }
}

#[tokio::test]
async fn totals_hold_every_call_at_once_and_never_fall() {
    let kept = Kept::new(memory::open().state);
    let mut written = 0;
    for step in 0..200 {
        let now = MIDNIGHT + step * 20 * 60_000;
        kept.write((0..7).map(|nth| record(step * 10 + nth, now - nth, "acme"))).await;
        written += 7;
        assert_eq!(kept.total(now).await, written, "step {step}");
    }
}

#[tokio::test]
async fn several_processes_sum_each_call_once() {
    let stores = sqlite::in_memory().unwrap();
    let one = Kept::new(stores.state.clone());
    let other = Kept::new(stores.state.clone());
    let now = MIDNIGHT + 3 * HOUR;
    for hour in 0..3 {
        one.write((0..500).map(|nth| record(nth, MIDNIGHT + hour * HOUR + nth * 100 + 10, "a")))
            .await;
    }
    let (first, second) = tokio::join!(one.sums.advance(now), other.sums.advance(now));
    first.unwrap();
    second.unwrap();
    assert_eq!((one.total(now).await, other.total(now).await), (1_500, 1_500));
    one.write([record(9, now, "a")]).await;
    assert_eq!((one.total(now).await, other.total(now).await), (1_501, 1_501));
}

#[tokio::test]
async fn a_record_that_comes_late_is_added_and_counted() {
    let kept = Kept::new(memory::open().state);
    kept.write([record(1, MIDNIGHT + 1_000, "a")]).await;
    kept.sums.advance(MIDNIGHT + HOUR / 2).await.unwrap();
    kept.write([record(2, MIDNIGHT + 500, "a")]).await;
    let soon = MIDNIGHT + HOUR / 2;
    assert_eq!(kept.total(soon).await, 1);
    let later = kept.sums.totals(MIDNIGHT + 2 * HOUR).await.unwrap();
    assert_eq!((later.sums.count(), later.late), (2, 1));
}

#[tokio::test]
async fn days_and_hours_add_up_to_the_totals() {
    let kept = Kept::new(memory::open().state);
    for hour in 0..60 {
        let now = MIDNIGHT + hour * HOUR + 60_000;
        kept.write([record(1, now, "a"), record(2, now + 1, "b"), record(3, now + 2, "b")]).await;
        kept.sums.advance(now).await.unwrap();
    }
    let now = MIDNIGHT + 59 * HOUR + 120_000;
    let (first, last) = (Day::of(MIDNIGHT), Day::of(now));
    let count =
        |days: &[PeriodSums<Day>]| days.iter().map(|it| it.sums.count()).collect::<Vec<_>>();
    let all = kept.sums.by_day(first, last, None, now).await.unwrap();
    assert_eq!(count(&all), [72, 72, 36]);
    let own = kept.sums.by_day(first, last, Some("b"), now).await.unwrap();
    assert_eq!(count(&own), [48, 48, 24]);
    let hours =
        kept.sums.by_hour(first.first_hour(), last.last_hour(), Some("a"), now).await.unwrap();
    assert_eq!((hours.len(), hours.iter().map(|it| it.sums.count()).sum::<u64>()), (60, 60));
    assert_eq!(kept.total(now).await, 180);
    assert!(kept.sums.by_day(first, last, Some("c"), now).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_day_is_summed_after_days_without_a_call() {
    let kept = Kept::new(memory::open().state);
    kept.write([record(1, MIDNIGHT + 1_000, "a")]).await;
    kept.sums.advance(MIDNIGHT + 2_000).await.unwrap();
    let now = MIDNIGHT + 10 * 24 * HOUR;
    let days = kept.sums.by_day(Day::of(MIDNIGHT), Day::of(now), Some("a"), now).await.unwrap();
    assert_eq!(days.len(), 1);
    assert_eq!((days[0].period, days[0].sums.count()), (Day::of(MIDNIGHT), 1));
}

#[tokio::test]
async fn an_hour_counts_once_while_its_day_is_written() {
    let kept = Kept::new(memory::open().state);
    let (hour, now) = (Hour::of(MIDNIGHT), MIDNIGHT + HOUR / 2);
    kept.write([record(1, MIDNIGHT + 1_000, "a"), record(2, MIDNIGHT + 2_000, "a")]).await;
    kept.sums.advance(now).await.unwrap();
    let sums = kept.sums.by_hour(hour, hour, None, now).await.unwrap().remove(0).sums;
    // The rows of the hour and its day are there, and the checkpoint has not moved yet.
    kept.sums.write_hour(hour, &sums, now).await.unwrap();
    for tenant in [None, Some("a")] {
        let days = kept.sums.by_day(hour.day(), hour.day(), tenant, now).await.unwrap();
        assert_eq!(days[0].sums.count(), 2, "{tenant:?}");
    }
}

#[tokio::test]
async fn however_many_kinds_of_calls_there_are_the_checkpoint_fits_its_row() {
    let kept = Kept::new(memory::open().state);
    for hour in 0..4 {
        let start = MIDNIGHT + hour * HOUR;
        let call = |nth: u64| CallRecord {
            model: Some(format!("a-model-with-quite-a-long-name-{hour}-{nth}")),
            ..record(nth, start + nth * 1_000 + 10, &format!("tenant-of-some-name-{nth}"))
        };
        kept.write((0..700).map(call)).await;
        kept.sums.advance(start + HOUR / 2).await.unwrap();
        assert_eq!(kept.total(start + HOUR / 2).await, (hour + 1) * 700);
    }
    let found = kept
        .sums
        .table
        .get_tallies(PARTITION, "checkpoint", Consistency::Strong, MIDNIGHT / 1_000)
        .await;
    let state = found.unwrap().unwrap().note("state").unwrap().len();
    assert!(state <= 380 * 1024, "{state}");
}
