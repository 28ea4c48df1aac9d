//! Sums as pages draw them: read once for everything that one page shows, for few read units.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use storage::{Change, Consistency, Row, StoreError};

use super::{
    CallSums, PARTITION, PeriodSums, StoredSums, Sums,
    checkpoint::{Checkpoint, Tail},
    day_of,
    failures::LatestFailures,
    figures::Figures,
    hour_of, of_tenant, stored_sums, sums_range,
};
use crate::{
    Day, Hour,
    request_log::{CallRow, Cursor},
};

/// The row beside the checkpoint that holds what pages draw of it.
const VIEW: &str = "view";
/// How large that row may be, in bytes: a row of DynamoDB has 400 KB at most.
const MAX_VIEW_BYTES: usize = 380 * 1024;

/// How the keys of rows begin that hold figures of an hour.
pub(super) const OF_HOUR: &str = "hf";
/// How the keys of rows begin that hold figures of a day.
pub(super) const OF_DAY: &str = "df";

/// The figures of one hour or day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeriodFigures<P> {
    /// The hour or the day.
    pub period: P,
    /// The figures of the period.
    pub figures: Figures,
}

/// Sums as they stood at one moment; the calls of the last second or so may be missing.
#[derive(Debug)]
pub struct SumsView {
    sums: CallSums,
    state: ViewState,
    tail: Tail,
    now_ms: u64,
}

/// What pages draw of a checkpoint, which itself takes many kilobytes: metrics need every kind of call.
///
/// A row of this that is older than the checkpoint is as right, since it says up to where it counts.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct ViewState {
    /// The place up to which rows are counted.
    through: String,
    /// The hours that were not summed for good, oldest first.
    hours: Vec<OpenHour>,
    /// As in the checkpoint.
    figures_since: Option<String>,
    /// As in the checkpoint.
    failures: Option<LatestFailures>,
}

/// An hour that was not summed for good.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct OpenHour {
    hour: String,
    /// How many fallbacks succeeded, which are of routes and have no tenant.
    failed_over: u64,
    /// The figures of each tenant.
    tenants: BTreeMap<String, Figures>,
}

impl ViewState {
    fn of(checkpoint: &Checkpoint) -> Self {
        let hours = checkpoint.hours.iter().map(|(hour, sums)| OpenHour::of(hour, sums));
        Self {
            through: checkpoint.through.clone(),
            hours: hours.collect(),
            figures_since: checkpoint.figures_since.clone(),
            failures: checkpoint.failures.clone(),
        }
    }

    fn through(&self) -> Cursor {
        Cursor::parse(&self.through).unwrap_or_else(|_| Cursor::moment(0))
    }
}

impl OpenHour {
    fn of(hour: &str, sums: &Sums) -> Self {
        let mut tenants = BTreeMap::new();
        for key in sums.calls.keys() {
            let figures = || Figures::of(&sums.of_tenant(&key.tenant));
            tenants.entry(key.tenant.clone()).or_insert_with(figures);
        }
        let failed_over = Figures::of(sums).failed_over;
        Self { hour: hour.to_owned(), failed_over, tenants }
    }

    /// The figures of one tenant; none where it made no calls. Of all tenants without one.
    fn figures(&self, tenant: Option<&str>) -> Option<Figures> {
        if let Some(tenant) = tenant {
            return self.tenants.get(tenant).cloned();
        }
        let mut all = Figures { failed_over: self.failed_over, ..Figures::default() };
        self.tenants.values().for_each(|it| all.merge(it));
        Some(all)
    }
}

/// The value of a row of figures.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct StoredFigures {
    #[serde(flatten)]
    pub(super) figures: Figures,
    /// The hours that a day's row holds: one bit each, the lowest for the first.
    #[serde(rename = "hs", default)]
    pub(super) hours: u32,
}

/// A day as it is put together: its figures, and the hours that they hold.
type DayParts = BTreeMap<Day, (Figures, u32)>;

impl CallSums {
    /// Reads what pages draw of sums, and what came since; not strongly consistent, since that costs
    /// half.
    pub async fn view(&self, now_ms: u64) -> Result<SumsView, StoreError> {
        let eventual = Consistency::Eventual;
        let found = self.table.get(PARTITION, VIEW, eventual, now_ms / 1000).await?;
        let state = found.and_then(|row| serde_json::from_str::<ViewState>(&row.value).ok());
        // Far back, it may be of a version that is gone by now.
        let state = state.filter(|it| !self.is_far_back(&it.through(), now_ms));
        if let Some(state) = state {
            let tail = self.tail(state.through(), eventual, now_ms).await?;
            if !tail.is_long() {
                return Ok(SumsView { sums: self.clone(), state, tail, now_ms });
            }
        }

        self.advance(now_ms).await?;
        let state = ViewState::of(&self.load(now_ms).await?);
        let tail = self.tail(state.through(), eventual, now_ms).await?;
        Ok(SumsView { sums: self.clone(), state, tail, now_ms })
    }

    /// Writes what pages draw of a checkpoint that was saved. Without it the row before goes on to be
    /// read, and where that lies too far back, the checkpoint itself.
    pub(super) async fn write_view(&self, checkpoint: &Checkpoint) {
        let value = serde_json::to_string(&ViewState::of(checkpoint)).unwrap_or_default();
        if MAX_VIEW_BYTES < value.len() {
            tracing::debug!(bytes = value.len(), "there are too many tenants for a row of figures");
            return;
        }
        let (pk, sk) = (PARTITION.to_owned(), VIEW.to_owned());
        let row = Row { pk, sk, value, expires: None };
        if let Err(error) = self.table.write(&[Change::Put(row)]).await {
            tracing::warn!(%error, "failed to write what pages draw of the sums");
        }
    }
}

impl SumsView {
    /// The figures of each day from `first` to `last`, oldest first, of one tenant or of all. Days
    /// without calls are left out.
    pub async fn by_day(
        &self,
        first: Day,
        last: Day,
        tenant: Option<&str>,
    ) -> Result<Vec<PeriodFigures<Day>>, StoreError> {
        let mut days = DayParts::new();
        for row in self.rows(tenant, OF_DAY, (&first.to_string(), &last.to_string())).await? {
            let Some(day) = day_of(&row, OF_DAY) else { continue };
            let stored = figures_of(&row);
            days.insert(day, (stored.figures, stored.hours));
        }
        self.add_earlier_days(&mut days, (first, last), tenant).await?;

        for (hour, open) in self.open_hours(tenant) {
            let (day, bit) = (hour.day(), bit(hour));
            if !(first..=last).contains(&day) {
                continue;
            }
            let (figures, hours) = days.entry(day).or_default();
            // The day's row is written before the checkpoint moves. In between, the hour is in both.
            if *hours & bit == 0 {
                figures.merge(&open);
            }
        }
        let figures = |(period, (figures, _))| PeriodFigures { period, figures };
        Ok(days.into_iter().map(figures).collect())
    }

    /// The figures of each hour from `first` to `last`, oldest first, of all tenants together, without
    /// what each tenant and each model came to. Hours without calls are left out.
    pub async fn by_hour(
        &self,
        first: Hour,
        last: Hour,
    ) -> Result<Vec<PeriodFigures<Hour>>, StoreError> {
        let mut hours: BTreeMap<Hour, Figures> = BTreeMap::new();
        for row in self.rows(None, OF_HOUR, (&first.to_string(), &last.to_string())).await? {
            hours.extend(hour_of(&row, OF_HOUR).map(|hour| (hour, figures_of(&row).figures)));
        }
        let whole = self.without_figures(last);
        if first <= whole {
            let names = (first.to_string(), whole.to_string());
            for row in self.rows(None, "h", (&names.0, &names.1)).await? {
                let Some(hour) = hour_of(&row, "h") else { continue };
                hours.entry(hour).or_insert_with(|| Figures::of(&stored_sums(&row).sums));
            }
        }

        for (hour, open) in self.open_hours(None) {
            // An hour's row is written before the checkpoint moves. In between, the hour is in both.
            if (first..=last).contains(&hour) {
                hours.entry(hour).or_insert(open);
            }
        }
        let figures = |(period, figures): (Hour, Figures)| PeriodFigures {
            period,
            figures: figures.without_groups(),
        };
        Ok(hours.into_iter().map(figures).collect())
    }

    /// The latest failures and refusals, newest first, at most [`super::LATEST_FAILURES`]. None where
    /// an earlier version has summed, which kept none.
    pub fn latest_failures(&self) -> Option<Vec<CallRow>> {
        let mut latest: LatestFailures = self.state.failures.clone()?;
        self.tail.failures.rows().iter().for_each(|row| latest.note(row));
        Some(latest.rows().to_vec())
    }

    /// The hours that were not summed for good, of one tenant or of all.
    fn open_hours(&self, tenant: Option<&str>) -> BTreeMap<Hour, Figures> {
        let mut hours: BTreeMap<Hour, Figures> = BTreeMap::new();
        for open in &self.state.hours {
            hours.extend(Hour::parse(&open.hour).zip(open.figures(tenant)));
        }
        for PeriodSums { period, sums } in of_tenant(self.tail.hours.clone(), tenant) {
            hours.entry(period).or_default().merge(&Figures::of(&sums));
        }
        hours
    }

    /// The last hour, up to `last`, that may have been summed for good without a row of figures.
    fn without_figures(&self, last: Hour) -> Hour {
        let since = self.state.figures_since.as_deref().and_then(Hour::parse);
        since.map_or(last, |since| last.min(since.previous()))
    }

    /// Adds days that an earlier version has summed, which wrote no rows of figures.
    async fn add_earlier_days(
        &self,
        days: &mut DayParts,
        (first, last): (Day, Day),
        tenant: Option<&str>,
    ) -> Result<(), StoreError> {
        let whole = self.without_figures(last.last_hour()).day();
        // Once an hour of it has figures, so has the whole day.
        let whole = if days.contains_key(&whole) { whole.before(1) } else { whole };
        if whole < first {
            return Ok(());
        }
        let names = (first.to_string(), whole.to_string());
        for row in self.rows(tenant, "d", (&names.0, &names.1)).await? {
            let Some(day) = day_of(&row, "d") else { continue };
            let StoredSums { sums, hours } = stored_sums(&row);
            let hours = bits(hours.iter().filter_map(|name| Hour::parse(name)));
            days.entry(day).or_insert_with(|| (Figures::of(&sums), hours));
        }
        Ok(())
    }

    async fn rows(
        &self,
        tenant: Option<&str>,
        kind: &str,
        names: (&str, &str),
    ) -> Result<Vec<Row>, StoreError> {
        let query = sums_range(tenant, kind, names, self.now_ms);
        Ok(self.sums.table.query(&query).await?.rows)
    }
}

/// The bit of an hour within its day.
fn bit(hour: Hour) -> u32 {
    1 << hour.of_day()
}

/// The bits of hours within one day.
pub(super) fn bits(hours: impl IntoIterator<Item = Hour>) -> u32 {
    hours.into_iter().fold(0, |all, hour| all | bit(hour))
}

/// The figures of a row; none, with a word in the log, where they cannot be read.
fn figures_of(row: &Row) -> StoredFigures {
    let figures = serde_json::from_str(&row.value);
    if let Err(error) = &figures {
        tracing::error!(%error, key = row.sk, "figures of calls cannot be read");
    }
    figures.unwrap_or_default()
}

#[cfg(test)]
mod tests;
