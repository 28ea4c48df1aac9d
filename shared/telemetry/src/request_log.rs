//! The request log: one row per call of any kind, newest first, found by id, with an end.
//!
//! Rows lie in one partition per hour, `calls#2026112810`, under `<end in ms>#<id>`. Filters run
//! over what was read: DynamoDB charges for rows that are read, whatever is returned of them.

mod content;
mod cursor;
mod filter;
mod row;
mod write;

use std::{
    ops::Bound,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use storage::{Consistency, Order, Query, Row, StoreError, Table};

use crate::{Hour, arrival_of};

pub use content::ContentRow;
pub use cursor::{Cursor, NoCursor};
pub use filter::{BadFilter, CallFilter, OutcomeFilter};
pub(crate) use row::millis;
pub use row::{AttemptRow, CallRow, UsageRow};
pub use write::RequestLogSink;

/// The most calls that one list gives.
pub const MAX_HITS: usize = 100;
/// How many bytes one list reads at most before it says how far it came.
const MAX_READ_BYTES: usize = 4 * 1024 * 1024;
/// How many hours one list looks into at most: an hour without calls costs half a read unit.
const MAX_HOURS: usize = 48;
/// What a row takes beside its value, roughly, in bytes.
const ROW_OVERHEAD_BYTES: usize = 100;
/// How long ago a call must have ended for the live tail to show it, in milliseconds: calls are
/// written in batches, and one that is written later may have ended sooner.
const TAIL_LAG_MS: u64 = 1_000;
/// How far back the live tail goes at most, in milliseconds.
const MAX_TAIL_MS: u64 = 48 * 60 * 60 * 1000;
/// How long rows are kept unless the configuration says otherwise.
pub const RETENTION: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How many hours after its arrival a call may end.
const MAX_CALL_HOURS: usize = 2;

/// The request log.
#[derive(Clone, Debug)]
pub struct RequestLog {
    table: Arc<dyn Table>,
    settings: Arc<LogSettings>,
}

/// What the configuration says of the log; it may change while calls are written.
#[derive(Debug)]
struct LogSettings {
    retention_seconds: AtomicU64,
    lost: AtomicU64,
}

/// Some calls, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallPage {
    /// The calls.
    pub rows: Vec<CallRow>,
    /// Where to go on; absent when everything was searched.
    pub next: Option<Cursor>,
    /// The end of the oldest moment that was searched, in milliseconds since 1970.
    pub searched_back_to: u64,
    /// The place to ask [`RequestLog::after`] from for what comes next.
    pub newest: Cursor,
}

/// What came after a place, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallTail {
    /// The calls.
    pub rows: Vec<CallRow>,
    /// The place to ask from next time.
    pub cursor: Cursor,
}

impl CallPage {
    /// The page as the admin API gives it: rows come whole.
    pub fn to_json(&self) -> Value {
        json!({
            "data": self.rows.iter().map(CallRow::to_json).collect::<Vec<_>>(),
            "next": self.next.as_ref().map(ToString::to_string),
            "newest": self.newest.to_string(),
            "searched_back_to_ms": self.searched_back_to,
        })
    }
}

impl CallTail {
    /// The tail as the admin API gives it.
    pub fn to_json(&self) -> Value {
        json!({
            "data": self.rows.iter().map(CallRow::to_json).collect::<Vec<_>>(),
            "newest": self.cursor.to_string(),
        })
    }
}

impl RequestLog {
    /// The log in a table, which is that of the state.
    pub fn new(table: Arc<dyn Table>) -> Self {
        let settings = LogSettings {
            retention_seconds: AtomicU64::new(RETENTION.as_secs()),
            lost: AtomicU64::new(0),
        };
        Self { table, settings: Arc::new(settings) }
    }

    /// Sets how long rows are kept that are written from now on.
    pub fn set_retention(&self, retention: Duration) {
        self.settings.retention_seconds.store(retention.as_secs(), Ordering::Relaxed);
    }

    /// How long rows are kept.
    pub fn retention(&self) -> Duration {
        Duration::from_secs(self.settings.retention_seconds.load(Ordering::Relaxed))
    }

    /// How many rows could not be written since the start of the process.
    pub fn lost_rows(&self) -> u64 {
        self.settings.lost.load(Ordering::Relaxed)
    }

    /// Lists calls that match a filter, newest first, from a cursor on; at most [`MAX_HITS`].
    ///
    /// A list that has read 4 MB, or looked into 48 hours, says how far it came and where to go on.
    pub async fn list(
        &self,
        filter: &CallFilter,
        cursor: Option<&Cursor>,
        limit: usize,
        now_ms: u64,
    ) -> Result<CallPage, StoreError> {
        let limit = limit.clamp(1, MAX_HITS);
        let oldest = now_ms.saturating_sub(millis(self.retention()));
        // Rows older than this have expired. Without the bound a filter with `since=0` would read
        // empty hours back to 1970.
        let oldest = Hour::of(filter.since.unwrap_or(oldest).max(oldest));
        let mut end = match (cursor, filter.until) {
            (Some(cursor), _) => cursor.clone(),
            // What ends in this very millisecond is listed, too.
            (None, until) => Cursor::moment(until.unwrap_or(now_ms + 1).min(now_ms + 1)),
        };
        let mut page = CallPage {
            rows: vec![],
            next: None,
            searched_back_to: end.ended(),
            newest: end.clone(),
        };
        let (mut hour, mut hours, mut bytes) = (end.hour(), 0, 0);
        while oldest <= hour {
            // A filter that matches nothing would read the whole log in one request, and be billed
            // for it.
            if hours == MAX_HOURS || MAX_READ_BYTES <= bytes {
                page.next = Some(end);
                return Ok(page);
            }
            let start = Cursor::moment(filter.since.unwrap_or_default());
            if end <= start {
                break;
            }
            let query = Query {
                start: Bound::Included(start.sk().to_owned()),
                end: Bound::Excluded(end.sk().to_owned()),
                order: Order::Descending,
                limit: Some(limit),
                // Costs half, and who lists calls does not notice the second that it may lag.
                consistency: Consistency::Eventual,
                ..Query::partition(partition(hour), now_ms / 1000)
            };
            let found = self.table.query(&query).await?;

            for row in &found.rows {
                bytes += row.value.len() + ROW_OVERHEAD_BYTES;
                // Moved on for rows that do not match, too: the next page must not read them again.
                end = Cursor::row(&row.sk);
                page.searched_back_to = end.ended();
                page.rows.extend(decode(row).filter(|it| filter.matches(it)));
                if page.rows.len() == limit {
                    page.next = Some(end);
                    return Ok(page);
                }
            }
            // The table gave fewer than the hour has: the same hour again, from the new `end`.
            if found.more {
                continue;
            }

            hours += 1;
            // An hour's end is exclusive, so that this is the place after the last row of the hour
            // before.
            end = Cursor::moment(hour.start());
            page.searched_back_to = end.ended();
            hour = hour.previous();
        }
        Ok(page)
    }

    /// The call with this id. One whose id the gateway gave is found by the time in it; for another
    /// the log is searched, as far back as one list goes.
    pub async fn get(&self, id: &str, now_ms: u64) -> Result<Option<CallRow>, StoreError> {
        let Some(arrived) = arrival_of(id) else {
            return self.search(id, now_ms).await;
        };
        // A row lies in the hour in which its call ended, which the id does not know.
        let mut hour = Hour::of(arrived);
        let mut start = Cursor::moment(arrived);
        for _ in 0..=MAX_CALL_HOURS {
            loop {
                let query = Query {
                    start: Bound::Excluded(start.sk().to_owned()),
                    limit: Some(MAX_HITS),
                    consistency: Consistency::Eventual,
                    ..Query::partition(partition(hour), now_ms / 1000)
                };
                let found = self.table.query(&query).await?;
                let named = found.rows.iter().filter_map(decode).find(|row| row.id == id);
                if named.is_some() {
                    return Ok(named);
                }
                match found.rows.last() {
                    Some(last) if found.more => start = Cursor::row(&last.sk),
                    _ => break,
                }
            }
            hour = hour.next();
            start = Cursor::moment(hour.start());
        }
        Ok(None)
    }

    /// Looks for a call whose id says nothing of its time.
    async fn search(&self, id: &str, now_ms: u64) -> Result<Option<CallRow>, StoreError> {
        let filter = CallFilter::default();
        let (mut cursor, mut read) = (None, 0);
        while read < MAX_READ_BYTES {
            let page = self.list(&filter, cursor.as_ref(), MAX_HITS, now_ms).await?;
            // About the size of a row with its keys. A page without rows counts too, so that the
            // loop ends.
            read += page.rows.len().max(1) * 1024;
            if let Some(row) = page.rows.into_iter().find(|row| row.id == id) {
                return Ok(Some(row));
            }
            let Some(next) = page.next else { return Ok(None) };
            cursor = Some(next);
        }
        Ok(None)
    }

    /// What ended after a place, oldest first, as far as it is a second old: the live tail.
    pub async fn after(
        &self,
        cursor: &Cursor,
        filter: &CallFilter,
        now_ms: u64,
    ) -> Result<CallTail, StoreError> {
        let end = Cursor::moment(now_ms.saturating_sub(TAIL_LAG_MS));
        // A cursor that somebody made up may sort before every key.
        let mut tail = CallTail { rows: vec![], cursor: cursor.clone().max(Cursor::moment(0)) };
        // A page that slept for a week asks for what it missed. It gets the last two days of it.
        let mut hour = cursor.hour().max(Hour::of(end.ended().saturating_sub(MAX_TAIL_MS)));
        while hour <= end.hour() && tail.rows.len() < MAX_HITS {
            let query = Query {
                start: Bound::Excluded(tail.cursor.sk().to_owned()),
                end: Bound::Excluded(end.sk().to_owned()),
                limit: Some(MAX_HITS),
                // Strong, unlike the list: a row that is skipped once is never shown, for the
                // cursor has passed it.
                ..Query::partition(partition(hour), now_ms / 1000)
            };
            let found = self.table.query(&query).await?;
            if let Some(last) = found.rows.last() {
                tail.cursor = Cursor::row(&last.sk);
            }
            tail.rows.extend(found.rows.iter().filter_map(decode).filter(|it| filter.matches(it)));
            if !found.more {
                hour = hour.next();
            }
        }
        Ok(tail)
    }

    /// Reads some rows of an hour between two places, oldest first, for sums.
    pub(crate) async fn rows_between(
        &self,
        hour: Hour,
        (after, before): (&Cursor, &Cursor),
        consistency: Consistency,
        now_ms: u64,
    ) -> Result<(Vec<(Cursor, CallRow)>, bool), StoreError> {
        let query = Query {
            start: Bound::Excluded(after.sk().to_owned()),
            end: Bound::Excluded(before.sk().to_owned()),
            limit: Some(SUM_PAGE),
            consistency,
            ..Query::partition(partition(hour), now_ms / 1000)
        };
        let found = self.table.query(&query).await?;
        let rows = found.rows.iter();
        // A row that nobody can read still moves the watermark.
        let rows = rows.map(|row| (Cursor::row(&row.sk), decode(row).unwrap_or_default()));
        Ok((rows.collect(), found.more))
    }
}

/// How many rows sums read at once.
const SUM_PAGE: usize = 1_000;

/// The partition of an hour.
fn partition(hour: Hour) -> String {
    format!("calls#{hour}")
}

/// The call of a row; none, with a word in the log, for one that a newer version wrote.
fn decode(row: &Row) -> Option<CallRow> {
    let decoded = serde_json::from_str(&row.value);
    // During a deployment, instances of two versions write to one table.
    if let Err(error) = &decoded {
        tracing::debug!(%error, key = row.sk, "a row of the request log cannot be read");
    }
    decoded.ok()
}

#[cfg(test)]
mod tests;
