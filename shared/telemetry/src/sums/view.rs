//! Sums as pages draw them: read once for everything that one page shows, for few read units.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use storage::{Consistency, Row, StoreError};

use super::{
    CallSums, PeriodSums, StoredSums, checkpoint::Open, day_of, failures::LatestFailures,
    figures::Figures, hour_of, of_tenant, stored_sums, sums_range,
};
use crate::{Day, Hour, request_log::CallRow};

/// How the keys of rows begin that hold figures of an hour.
pub(super) const OF_HOUR: &str = "hf";
/// How the keys of rows begin that hold figures of a day.
pub(super) const OF_DAY: &str = "df";

/// The figures of one hour or day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeriodFigures<P> {
    /// The hour or the day.
    pub period: P,
    /// Its figures.
    pub figures: Figures,
}

/// Sums as they stood at one moment; the calls of the last second or so may be missing.
#[derive(Debug)]
pub struct SumsView {
    sums: CallSums,
    open: Open,
    now_ms: u64,
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
    /// Reads what pages draw of sums: the checkpoint and what lies after it, not strongly consistent,
    /// since that costs half.
    pub async fn view(&self, now_ms: u64) -> Result<SumsView, StoreError> {
        let open = self.open(Consistency::Eventual, now_ms).await?;
        Ok(SumsView { sums: self.clone(), open, now_ms })
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
            let stored = stored_figures(&row);
            days.insert(day, (stored.figures, stored.hours));
        }
        self.add_earlier_days(&mut days, (first, last), tenant).await?;

        for hour in of_tenant(self.open.hours(), tenant) {
            let (day, bit) = (hour.period.day(), bit(hour.period));
            if !(first..=last).contains(&day) {
                continue;
            }
            let (figures, hours) = days.entry(day).or_default();
            // The day's row is written before the checkpoint moves. In between, the hour is in both.
            if *hours & bit == 0 {
                figures.merge(&Figures::of(&hour.sums));
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
            hours.extend(hour_of(&row, OF_HOUR).map(|hour| (hour, stored_figures(&row).figures)));
        }
        let whole = self.without_figures(last);
        if first <= whole {
            let names = (first.to_string(), whole.to_string());
            for row in self.rows(None, "h", (&names.0, &names.1)).await? {
                let Some(hour) = hour_of(&row, "h") else { continue };
                hours.entry(hour).or_insert_with(|| Figures::of(&stored_sums(&row).sums));
            }
        }

        for PeriodSums { period, sums } in self.open.hours() {
            // An hour's row is written before the checkpoint moves. In between, the hour is in both.
            if (first..=last).contains(&period) {
                hours.entry(period).or_insert_with(|| Figures::of(&sums));
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
        let mut latest: LatestFailures = self.open.checkpoint.failures.clone()?;
        self.open.failures.rows().iter().for_each(|row| latest.note(row));
        Some(latest.rows().to_vec())
    }

    /// The last hour, up to `last`, that may have been summed for good without a row of figures.
    fn without_figures(&self, last: Hour) -> Hour {
        let since = self.open.checkpoint.figures_since.as_deref().and_then(Hour::parse);
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
            let hours = hours.iter().filter_map(|name| Hour::parse(name)).map(bit);
            let hours = hours.fold(0, |all, bit| all | bit);
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
pub(super) fn bit(hour: Hour) -> u32 {
    1 << hour.of_day()
}

/// The figures of a row; none, with a word in the log, where they cannot be read.
fn stored_figures(row: &Row) -> StoredFigures {
    let figures = serde_json::from_str(&row.value);
    if let Err(error) = &figures {
        tracing::error!(%error, key = row.sk, "figures of calls cannot be read");
    }
    figures.unwrap_or_default()
}

#[cfg(test)]
mod tests;
