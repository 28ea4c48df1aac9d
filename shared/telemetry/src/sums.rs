//! Sums of the request log: per hour and day for 13 months, and in total for metrics.
//!
//! Every sum is derived from rows of the request log, behind a checkpoint that any process may move
//! on. A sum written twice is the same sum, so that neither crashes nor several processes make it
//! wrong.

mod checkpoint;
mod failures;
mod figures;
mod histogram;
mod series;
mod view;

use std::{collections::BTreeSet, ops::Bound, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use storage::{Change, Consistency, Query, Row, StoreError, Table, Tally};

use self::view::{OF_DAY, OF_HOUR, StoredFigures};
use crate::{Day, Hour, RequestLog, request_log::millis};

pub use failures::LATEST_FAILURES;
pub use figures::{Amounts, Figures};
pub use histogram::{
    DURATION_BOUNDS, FIRST_TOKEN_BOUNDS, Histogram, OVERHEAD_BOUNDS, PER_TOKEN_BOUNDS, TOKEN_BOUNDS,
};
pub use series::{AttemptKey, CallSum, CooldownKey, FallbackKey, OTHER, SumKey, Sums};
pub use view::{PeriodFigures, SumsView};

/// The partition of the checkpoint, and of counts without rows.
pub(crate) const PARTITION: &str = "sums";
/// The row, and the number in it, that counts calls without a valid key.
pub(crate) const UNAUTHENTICATED: &str = "unauthenticated";
/// The number in the same row that counts holds of calls whose process is gone.
const LOST_HOLDS: &str = "lost_holds";
/// The partition of sums over all tenants; a tenant's own is this, `#` and its id.
const USAGE: &str = "usage";
/// How long sums of hours and days are kept: 13 months.
const RETENTION: Duration = Duration::from_secs(400 * 24 * 60 * 60);
/// How late a row may be written on a server, where it is written at once.
pub const SERVER_LAG: Duration = Duration::from_secs(10);
/// How late a row may be written in Lambda: a process may freeze before its write is through.
pub const LAMBDA_LAG: Duration = Duration::from_secs(300);
/// How often sums are read again that changed while they were read.
const MAX_READS: usize = 5;

/// Sums of the calls in a request log.
#[derive(Clone, Debug)]
pub struct CallSums {
    table: Arc<dyn Table>,
    log: RequestLog,
    lag: Duration,
}

/// The sums of one hour or day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeriodSums<P> {
    /// The hour or the day.
    pub period: P,
    /// The sums of the period.
    pub sums: Sums,
}

/// Sums over everything that was ever recorded: they never fall.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Sums of calls.
    pub sums: Sums,
    /// Calls without a valid key, which leave no row.
    pub unauthenticated: u64,
    /// Holds of budgets that were charged as lost: whoever made them never settled.
    pub lost_holds: u64,
    /// Records that were written too late for the sum of their hour, and were added afterwards.
    pub late: u64,
}

/// Counts holds that were charged as lost, in the table of the sums.
pub async fn count_lost_holds(table: &dyn Table, holds: u64) -> Result<(), StoreError> {
    let tally = Tally {
        pk: PARTITION.to_owned(),
        sk: UNAUTHENTICATED.to_owned(),
        add: vec![(LOST_HOLDS.to_owned(), i64::try_from(holds).unwrap_or(i64::MAX))],
        ..Tally::default()
    };
    table.tally(&tally).await.map(drop)
}

impl CallSums {
    /// The sums of a log. `lag` is how late a row may be written and still be counted at once.
    pub fn new(table: Arc<dyn Table>, log: RequestLog, lag: Duration) -> Self {
        Self { table, log, lag }
    }

    /// Sums over everything up to now.
    pub async fn totals(&self, now_ms: u64) -> Result<Totals, StoreError> {
        let open = self.open(now_ms).await?;
        let mut sums = open.checkpoint.base.clone();
        for period in open.hours() {
            sums.merge(&period.sums);
        }
        let counted = self
            .table
            // A counter of Prometheus that falls looks like a restart, and its rate would be wrong.
            .get_tallies(PARTITION, UNAUTHENTICATED, Consistency::Strong, now_ms / 1000)
            .await?;
        let number = |name: &str| counted.as_ref().map_or(0, |it| it.number(name));
        Ok(Totals {
            sums,
            unauthenticated: u64::try_from(number(UNAUTHENTICATED)).unwrap_or_default(),
            lost_holds: u64::try_from(number(LOST_HOLDS)).unwrap_or_default(),
            late: open.checkpoint.late,
        })
    }

    /// The sums of each day from `first` to `last`, oldest first, of one tenant or of all. Days
    /// without calls are left out.
    pub async fn by_day(
        &self,
        first: Day,
        last: Day,
        tenant: Option<&str>,
        now_ms: u64,
    ) -> Result<Vec<PeriodSums<Day>>, StoreError> {
        // There are no transactions across reads: the checkpoint is compared before and after.
        for _ in 0..MAX_READS {
            let open = self.open(now_ms).await?;
            let names = (first.to_string(), last.to_string());
            let rows = self.rows(tenant, "d", (&names.0, &names.1), now_ms).await?;
            // An hour that was added to its day in between must not count twice.
            if self.load(now_ms).await?.version == open.checkpoint.version {
                let mut hours = of_tenant(open.hours(), tenant);
                // The day's row is written before the checkpoint moves. In between, the hour is in
                // both.
                let summed: BTreeSet<Hour> = rows.iter().flat_map(summed_hours).collect();
                hours.retain(|hour| !summed.contains(&hour.period));
                let days = rows.iter().filter_map(|row| {
                    Some(PeriodSums { period: day_of(row, "d")?, sums: sums_of(row) })
                });
                return Ok(with_open_hours(days.collect(), hours, first, last));
            }
        }
        // Five moves within five reads do not happen by chance.
        Err(StoreError::new("reading the sums", "they changed while they were read"))
    }

    /// The sums of each hour from `first` to `last`, oldest first, of one tenant or of all. Hours
    /// without calls are left out.
    pub async fn by_hour(
        &self,
        first: Hour,
        last: Hour,
        tenant: Option<&str>,
        now_ms: u64,
    ) -> Result<Vec<PeriodSums<Hour>>, StoreError> {
        let open = self.open(now_ms).await?;
        let mut hours = vec![];
        let names = (first.to_string(), last.to_string());

        for row in self.rows(tenant, "h", (&names.0, &names.1), now_ms).await? {
            let period = hour_of(&row, "h");
            hours.extend(period.map(|period| PeriodSums { period, sums: sums_of(&row) }));
        }
        for open in of_tenant(open.hours(), tenant) {
            let is_wanted = first <= open.period && open.period <= last;
            // An hour's row is written before the checkpoint moves. In between, the hour is in
            // both.
            if is_wanted && !hours.iter().any(|it| it.period == open.period) {
                hours.push(open);
            }
        }
        hours.sort_by_key(|hour| hour.period);
        Ok(hours)
    }

    async fn rows(
        &self,
        tenant: Option<&str>,
        kind: &str,
        names: (&str, &str),
        now_ms: u64,
    ) -> Result<Vec<Row>, StoreError> {
        let query = sums_range(tenant, kind, names, now_ms);
        Ok(self.table.query(&query).await?.rows)
    }

    /// Writes the sums of an hour, and anew those of its day: for all tenants and for each of them.
    async fn write_hour(&self, hour: Hour, sums: &Sums, now_ms: u64) -> Result<(), StoreError> {
        let tenants: BTreeSet<&str> = sums.calls.keys().map(|key| &*key.tenant).collect();
        let own = tenants.into_iter().filter(|it| !it.is_empty());
        let mut changes = vec![];
        for tenant in own.map(Some).chain([None]) {
            let sums = tenant.map_or_else(|| sums.bounded(), |it| sums.of_tenant(it).bounded());
            changes.extend(self.rows_of(tenant, hour, &sums, now_ms).await?);
        }
        self.table.write(&changes).await
    }

    /// The rows of an hour and of its day, of one tenant or of all.
    async fn rows_of(
        &self,
        tenant: Option<&str>,
        hour: Hour,
        sums: &Sums,
        now_ms: u64,
    ) -> Result<[Change; 4], StoreError> {
        let day = hour.day();
        let names = (day.first_hour().to_string(), day.last_hour().to_string());
        // The hour before may have been written a moment ago, by the same move.
        let strong = Consistency::Strong;
        let query =
            Query { consistency: strong, ..sums_range(tenant, "h", (&names.0, &names.1), now_ms) };
        let (mut of_day, mut summed) = (Sums::default(), vec![hour]);
        for row in self.table.query(&query).await?.rows {
            // A crash may have left a row of this hour, which is replaced, not added to.
            let Some(other) = hour_of(&row, "h").filter(|it| *it != hour) else { continue };
            of_day.merge(&sums_of(&row));
            summed.push(other);
        }

        of_day.merge(sums);
        let of_day = of_day.bounded();
        let change = |sk: String, value: String| {
            Change::Put(Row {
                pk: partition(tenant),
                // Written whole, never added to: whoever repeats the move writes the same row.
                sk,
                value,
                expires: Some(hour.end().saturating_add(millis(RETENTION)) / 1000),
            })
        };
        let drawn = (Figures::of(sums).without_groups(), Figures::of(&of_day));
        Ok([
            change(format!("h#{hour}"), stored(sums.clone(), &[])),
            change(format!("{OF_HOUR}#{hour}"), stored_figures(drawn.0, &[])),
            change(format!("d#{day}"), stored(of_day, &summed)),
            change(format!("{OF_DAY}#{day}"), stored_figures(drawn.1, &summed)),
        ])
    }
}

/// The value of a row of sums.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct StoredSums {
    #[serde(flatten)]
    sums: Sums,
    /// The hours that a day's row holds.
    #[serde(rename = "hs", default, skip_serializing_if = "Vec::is_empty")]
    hours: Vec<String>,
}

/// A row of sums as text, with the hours that it holds.
fn stored(sums: Sums, hours: &[Hour]) -> String {
    let hours = hours.iter().map(Hour::to_string).collect();
    // A value of plain fields with text keys always serializes.
    serde_json::to_string(&StoredSums { sums, hours }).unwrap_or_default()
}

/// A row of figures as text, with the hours that it holds.
fn stored_figures(figures: Figures, hours: &[Hour]) -> String {
    let hours = view::bits(hours.iter().copied());
    serde_json::to_string(&StoredFigures { figures, hours }).unwrap_or_default()
}

/// Rows of sums of one kind, from one hour or day to another.
fn sums_range(tenant: Option<&str>, kind: &str, (first, last): (&str, &str), now_ms: u64) -> Query {
    Query {
        start: Bound::Included(format!("{kind}#{first}")),
        end: Bound::Included(format!("{kind}#{last}")),
        // These rows change once an hour.
        consistency: Consistency::Eventual,
        ..Query::partition(partition(tenant), now_ms / 1000)
    }
}

/// The hours in which a tenant made calls, with its own sums; all hours for all tenants.
fn of_tenant(hours: Vec<PeriodSums<Hour>>, tenant: Option<&str>) -> Vec<PeriodSums<Hour>> {
    let Some(tenant) = tenant else { return hours };
    let own =
        hours.into_iter().map(|hour| PeriodSums { sums: hour.sums.of_tenant(tenant), ..hour });
    own.filter(|hour| 0 < hour.sums.count()).collect()
}

/// Days, with the hours that are not part of them yet.
fn with_open_hours(
    mut days: Vec<PeriodSums<Day>>,
    hours: Vec<PeriodSums<Hour>>,
    first: Day,
    last: Day,
) -> Vec<PeriodSums<Day>> {
    let is_wanted = |hour: &PeriodSums<Hour>| (first..=last).contains(&hour.period.day());
    for hour in hours.into_iter().filter(is_wanted) {
        let day = hour.period.day();
        match days.iter_mut().find(|it| it.period == day) {
            Some(found) => found.sums.merge(&hour.sums),
            None => days.push(PeriodSums { period: day, sums: hour.sums }),
        }
    }
    days.sort_by_key(|day| day.period);
    days
}

/// The partition of a tenant's sums, or of those over all tenants.
fn partition(tenant: Option<&str>) -> String {
    tenant.map_or_else(|| USAGE.to_owned(), |tenant| format!("{USAGE}#{tenant}"))
}

fn stored_sums(row: &Row) -> StoredSums {
    let sums = serde_json::from_str(&row.value);
    if let Err(error) = &sums {
        // Unlike a row of one call, this one holds an hour of everybody's.
        tracing::error!(%error, key = row.sk, "sums of calls cannot be read");
    }
    sums.unwrap_or_default()
}

fn sums_of(row: &Row) -> Sums {
    stored_sums(row).sums
}

/// The hours that the row of a day holds.
fn summed_hours(row: &Row) -> Vec<Hour> {
    stored_sums(row).hours.iter().filter_map(|hour| Hour::parse(hour)).collect()
}

/// The hour of a row of this kind.
fn hour_of(row: &Row, kind: &str) -> Option<Hour> {
    Hour::parse(row.sk.strip_prefix(kind)?.strip_prefix('#')?)
}

/// The day of a row of this kind.
fn day_of(row: &Row, kind: &str) -> Option<Day> {
    Day::parse(row.sk.strip_prefix(kind)?.strip_prefix('#')?)
}

#[cfg(test)]
mod tests;
