//! Sums of calls as charts and tables have them.

use std::collections::BTreeMap;

use admin::AdminResult;
use pages::{
    Moment,
    chart::{Columns, Series, Unit},
};
use telemetry::{
    Day,
    sums::{Figures, PeriodFigures, SumsView},
};

use super::page_context::PageContext;

/// How many providers or models have a colour of their own in a chart.
const MAX_SERIES: usize = 4;

/// The sums as they stand, for everything that one page shows of them.
pub(super) async fn view(context: &PageContext) -> AdminResult<SumsView> {
    Ok(context.app.records.sums.view(context.now()).await?)
}

/// The figures of days, oldest first; days without calls are there, empty.
pub(super) async fn days(
    view: &SumsView,
    first: Day,
    last: Day,
    tenant: Option<&str>,
) -> AdminResult<Vec<PeriodFigures<Day>>> {
    let found = view.by_day(first, last, tenant).await?;
    let mut found: BTreeMap<Day, Figures> =
        found.into_iter().map(|it| (it.period, it.figures)).collect();
    let mut days = vec![];
    let mut day = first;
    while day <= last {
        days.push(PeriodFigures { period: day, figures: found.remove(&day).unwrap_or_default() });
        day = day.next();
    }
    Ok(days)
}

/// The days that are not before another.
pub(super) fn since(days: &[PeriodFigures<Day>], first: Day) -> &[PeriodFigures<Day>] {
    &days[days.partition_point(|it| it.period < first)..]
}

/// All of some figures together.
pub(super) fn merged<P>(periods: &[PeriodFigures<P>]) -> Figures {
    let mut all = Figures::default();
    periods.iter().for_each(|it| all.merge(&it.figures));
    all
}

/// The name of a day in a chart.
pub(super) fn day_name(day: Day) -> String {
    Moment(day.start()).day_text()
}

/// Cost by day and provider; the largest four by name, the rest together.
pub(super) fn cost_by_provider(days: &[PeriodFigures<Day>]) -> Columns {
    let all = merged(days);
    let mut providers: Vec<(&str, u64)> = all.cost_by_provider().into_iter().collect();
    providers.retain(|(name, cost)| !name.is_empty() && 0 < *cost);
    providers.sort_by_key(|(_, cost)| std::cmp::Reverse(*cost));
    let named: Vec<&str> = providers.iter().take(MAX_SERIES).map(|(name, _)| *name).collect();

    let cost = |period: &PeriodFigures<Day>, wanted: &dyn Fn(&str) -> bool| {
        let costs = period.figures.cost_by_provider().into_iter();
        costs.filter(|(name, _)| wanted(name)).map(|(_, cost)| cost).sum::<u64>()
    };
    let mut series: Vec<Series> = vec![];
    for name in &named {
        let values = days.iter().map(|it| cost(it, &|provider| provider == *name)).collect();
        series.push(Series { name: (*name).to_owned(), values });
    }
    if MAX_SERIES < providers.len() {
        let is_other = |provider: &str| !named.contains(&provider);
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
pub(super) fn unpriced(figures: &Figures) -> Vec<((String, String), u64)> {
    let unpriced = figures.models.iter().map(|(key, amounts)| (key.clone(), amounts.unpriced));
    unpriced.filter(|((provider, _), calls)| 0 < *calls && !provider.is_empty()).collect()
}
