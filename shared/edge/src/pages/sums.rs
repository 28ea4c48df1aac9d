//! Sums of calls as charts and tables have them.

use std::collections::BTreeMap;

use admin::AdminResult;
use pages::{
    Moment,
    chart::{Columns, Series, Unit},
};
use telemetry::{
    Day,
    sums::{PeriodSums, Sums},
};

use super::desk::Desk;

/// How many providers or models have a colour of their own in a chart.
const MAX_SERIES: usize = 4;

/// The sums of days, oldest first; days without calls are there, empty.
pub(super) async fn days(
    desk: &Desk,
    first: Day,
    last: Day,
    tenant: Option<&str>,
) -> AdminResult<Vec<PeriodSums<Day>>> {
    let found = desk.app.records.sums.by_day(first, last, tenant, desk.now()).await?;
    let mut found: BTreeMap<Day, Sums> = found.into_iter().map(|it| (it.period, it.sums)).collect();
    let mut days = vec![];
    let mut day = first;
    while day <= last {
        days.push(PeriodSums { period: day, sums: found.remove(&day).unwrap_or_default() });
        day = day.next();
    }
    Ok(days)
}

/// All of some sums together.
pub(super) fn merged<P>(periods: &[PeriodSums<P>]) -> Sums {
    let mut all = Sums::default();
    periods.iter().for_each(|it| all.merge(&it.sums));
    all
}

/// The name of a day in a chart.
pub(super) fn day_name(day: Day) -> String {
    Moment(day.start()).day_text()
}

/// Cost by day and provider; the largest four by name, the rest together.
pub(super) fn cost_by_provider(days: &[PeriodSums<Day>]) -> Columns {
    let all = merged(days).grouped(|key| key.provider.clone());
    let mut providers: Vec<(String, u64)> =
        all.into_iter().map(|(name, sum)| (name, sum.cost)).collect();
    providers.retain(|(name, cost)| !name.is_empty() && 0 < *cost);
    providers.sort_by_key(|(_, cost)| std::cmp::Reverse(*cost));
    let named: Vec<String> =
        providers.iter().take(MAX_SERIES).map(|(name, _)| name.clone()).collect();

    let cost = |period: &PeriodSums<Day>, wanted: &dyn Fn(&str) -> bool| {
        let groups = period.sums.grouped(|key| key.provider.clone());
        groups.iter().filter(|(name, _)| wanted(name)).map(|(_, sum)| sum.cost).sum::<u64>()
    };
    let mut series: Vec<Series> = vec![];
    for name in &named {
        let values = days.iter().map(|it| cost(it, &|provider| provider == name)).collect();
        series.push(Series { name: name.clone(), values });
    }
    if MAX_SERIES < providers.len() {
        let is_other = |provider: &str| !named.iter().any(|name| name == provider);
        let values = days.iter().map(|it| cost(it, &is_other)).collect();
        series.push(Series { name: "others".to_owned(), values });
    }
    let labels: Vec<String> = days.iter().map(|it| day_name(it.period)).collect();
    let bounds = labels.first().zip(labels.last());
    let bounds = bounds.map_or_else(String::new, |(first, last)| format!(", {first} to {last}"));
    let label =
        format!("Cost by day and provider{bounds}; the same numbers are in the table below");
    Columns { label, labels, series, unit: Unit::Money }
}

/// Models in use whose price is not known, with how many calls had none.
pub(super) fn unpriced(sums: &Sums) -> Vec<((String, String), u64)> {
    let groups = sums.grouped(|key| (key.provider.clone(), key.model.clone()));
    let unpriced = groups.into_iter().map(|(key, sum)| (key, sum.unpriced));
    unpriced.filter(|((provider, _), calls)| 0 < *calls && !provider.is_empty()).collect()
}
