//! Writing to the request log: finished records, in batches.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use canonical::Outcome;
use storage::{Change, Row, Tally};

use super::{CallRow, RequestLog, content, cursor, millis, partition};
use crate::{CallRecord, Hour, RecordSink, SinkFuture, arrival_of, sums, sums::CallSums};

/// How many changes are written together.
const GROUP: usize = 100;
/// How many bytes are written together: a quarter of what DynamoDB takes in one transaction.
const GROUP_BYTES: usize = 1024 * 1024;
/// How many calls may be written before the sums are moved on, within an hour.
const MAX_CALLS_OF_MOVE: u64 = 5_000;

/// Writes a row for each record, and counts what has none. Moves the sums on with the first call of
/// an hour, so that no schedule is needed.
#[derive(Debug)]
pub struct RequestLogSink {
    log: RequestLog,
    sums: CallSums,
    /// When the sums are to be moved on, in milliseconds since 1970.
    due: AtomicU64,
    /// How many calls were written since they were.
    calls: AtomicU64,
}

impl RequestLogSink {
    /// A sink that writes to this log, and moves these sums on.
    pub fn new(log: RequestLog, sums: CallSums) -> Self {
        Self { log, sums, due: AtomicU64::new(0), calls: AtomicU64::new(0) }
    }

    async fn write_records(&self, records: &[Arc<CallRecord>]) {
        // Rows come first: sums are made of rows, and would miss these until the next move.
        self.write_rows(records).await;
        let ended = |record: &Arc<CallRecord>| record.arrived + millis(record.timings.total);
        let now = records.iter().map(ended).max().unwrap_or_default();
        let written = u64::try_from(records.len()).unwrap_or_default();
        let calls = self.calls.fetch_add(written, Ordering::Relaxed) + written;

        // Hours are finished by whoever writes next, since a function has no timer. Many calls move
        // the sums sooner, so that readers need not sum thousands of rows themselves.
        if now < self.due.load(Ordering::Relaxed) && calls < MAX_CALLS_OF_MOVE {
            return;
        }

        // Set before the move, so that other batches do not make it at the same time.
        self.due.store(Hour::of(now).end(), Ordering::Relaxed);
        self.calls.store(0, Ordering::Relaxed);
        // A failure loses nothing: the rows are there, and the next move sums them.
        if let Err(error) = self.sums.advance(now).await {
            tracing::warn!(%error, "failed to move the sums of calls on");
        }
    }

    async fn write_rows(&self, records: &[Arc<CallRecord>]) {
        let retention = self.log.retention();

        let (refused, kept): (Vec<_>, Vec<_>) = records.iter().partition(|it| is_only_counted(it));
        let rows: Vec<(Change, Option<Change>)> =
            kept.iter().map(|it| changes(it, retention)).collect();
        let (calls, contents): (Vec<Change>, Vec<Option<Change>>) = rows.into_iter().unzip();
        // Apart, since DynamoDB charges twice for what is written together.
        let contents: Vec<Change> = contents.into_iter().flatten().collect();
        for group in groups(&calls).chain(groups(&contents)) {
            self.write_group(group).await;
        }
        if !refused.is_empty() {
            let refused = u64::try_from(refused.len()).unwrap_or(u64::MAX);
            self.count_unauthenticated(refused).await;
        }
    }

    /// Writes one group. The keys stay the same, so that a second attempt cannot count a call twice.
    async fn write_group(&self, group: &[Change]) {
        let Err(first) = self.log.table.write(group).await else { return };
        tracing::warn!(error = %first, "failed to write to the request log; trying again");
        if let Err(error) = self.log.table.write(group).await {
            let lost = u64::try_from(group.len()).unwrap_or(u64::MAX);
            self.log.settings.lost.fetch_add(lost, Ordering::Relaxed);
            tracing::error!(%error, rows = lost, "failed to write to the request log");
        }
    }

    async fn count_unauthenticated(&self, calls: u64) {
        let calls = i64::try_from(calls).unwrap_or(i64::MAX);
        let tally = Tally {
            pk: sums::PARTITION.to_owned(),
            sk: sums::UNAUTHENTICATED.to_owned(),
            add: vec![(sums::UNAUTHENTICATED.to_owned(), calls)],
            ..Tally::default()
        };
        if let Err(error) = self.log.table.tally(&tally).await {
            tracing::warn!(%error, "failed to count calls without a valid key");
        }
    }
}

impl RecordSink for RequestLogSink {
    fn write<'a>(&'a self, records: &'a [Arc<CallRecord>]) -> SinkFuture<'a> {
        Box::pin(self.write_records(records))
    }

    fn count_strangers(&self, requests: u64) -> SinkFuture<'_> {
        Box::pin(self.count_unauthenticated(requests))
    }
}

/// Whether a call leaves a count and no row: strangers must not fill the log.
fn is_only_counted(record: &CallRecord) -> bool {
    record.end.outcome == Outcome::Failed("auth") && record.principal.is_none()
}

/// The row of a call, and that of its content where it is kept.
fn changes(record: &CallRecord, retention: Duration) -> (Change, Option<Change>) {
    let call = CallRow::new(record);
    let ended = call.ended();
    // Counted from the call's end, so that a repeated write has the same expiry.
    let expires = |kept: Duration| (ended / 1000).saturating_add(kept.as_secs());
    let row = Row {
        pk: partition(call.hour()),
        sk: key(record, &call),
        value: call.to_stored(),
        expires: Some(expires(retention)),
    };
    let content = record.content.as_ref();
    let content = content.map(|it| Change::Put(content::row(&call, it, expires(it.retention))));
    (Change::Put(row), content)
}

/// The changes in groups that are written together, none of them too large.
fn groups(changes: &[Change]) -> impl Iterator<Item = &[Change]> {
    let (mut count, mut bytes) = (0, 0);
    changes.chunk_by(move |_, next| {
        let size = match next {
            Change::Put(row) => row.value.len(),
            Change::Delete { .. } => 0,
        };
        (count, bytes) = (count + 1, bytes + size);
        let fits = count < GROUP && bytes < GROUP_BYTES;
        if !fits {
            (count, bytes) = (0, size);
        }
        fits
    })
}

/// The key of a call's row. An id that a client chose may name several calls, which their spans tell
/// apart.
fn key(record: &CallRecord, call: &CallRow) -> String {
    let moment = cursor::moment(call.ended());
    match arrival_of(&call.id) {
        // The client may send an id that has our shape, too, such as that of an earlier call.
        Some(arrived) if arrived == call.arrived => format!("{moment}#{}", call.id),
        _ => format!("{moment}#{}#{:016x}", call.id, record.span.span_id),
    }
}
