//! Usage and cost: a month by day, by tenant and by model, with the budget and a forecast.

use std::collections::BTreeMap;

use admin::AdminResult;
use pages::{
    Count, Moment, Money,
    chart::Curve,
    form::Choice,
    shell::Section,
    usage::{Query, Row, Usage},
};
use telemetry::{
    Day,
    sums::{Amounts, Figures, PeriodFigures, PeriodSums},
};

use tenants::LedgerUsage;

use super::{
    page_context::{PageContext, number, page, tenant_choices},
    sums,
    table::PageFuture,
};

/// How many months sums are kept.
const KEPT_MONTHS: usize = 13;
/// Over how many days the pace of a forecast is taken.
const PACE_DAYS: u64 = 7;

/// The first day of a day's month.
pub(super) fn first_of_month(day: Day) -> Day {
    let name = day.to_string();
    let month = name.get(..name.len().saturating_sub(2)).unwrap_or_default();
    Day::parse(&format!("{month}01")).unwrap_or(day)
}

/// The last day of a day's month.
fn last_of_month(day: Day) -> Day {
    let first = first_of_month(day);
    let mut last = first;
    while first_of_month(last.next()) == first {
        last = last.next();
    }
    last
}

/// The month of a day as a form names it, such as `2026-11`.
fn month_name(day: Day) -> String {
    Moment(day.start()).rfc3339().get(..7).unwrap_or_default().to_owned()
}

/// The first days of the months that can be chosen, latest first.
fn months(today: Day) -> Vec<Day> {
    let mut months = vec![first_of_month(today)];
    while months.len() < KEPT_MONTHS {
        months.push(first_of_month(months[months.len() - 1].before(1)));
    }
    months
}

/// The month that a query names; this one for any other.
fn chosen_month(context: &PageContext) -> Day {
    let today = Day::of(context.now());
    let wanted = context.query.get("month");
    months(today).into_iter().find(|it| month_name(*it) == wanted).unwrap_or(first_of_month(today))
}

/// What a month will have cost at its end, at the pace of the last days.
pub(super) fn forecast(days: &[PeriodFigures<Day>], today: Day) -> Option<u64> {
    let first = days.first()?.period;
    let last = last_of_month(first);
    // A month that is over has its sum, and one that has not begun has no pace.
    if today < first || last <= today {
        return None;
    }

    let spent: u64 = days.iter().map(|it| it.figures.cost).sum();
    let recent: Vec<&PeriodFigures<Day>> = days
        .iter()
        .filter(|it| today.before(PACE_DAYS) < it.period && it.period <= today)
        .collect();
    let pace: u64 = recent.iter().map(|it| it.figures.cost).sum();
    let left = days_between(today, last);
    // Early in a month there are fewer days than the pace is taken over.
    (0 < pace).then(|| spent + pace * left / number(recent.len()).max(1))
}

fn days_between(first: Day, last: Day) -> u64 {
    last.start().saturating_sub(first.start()) / 86_400_000
}

/// The sum of a month day by day, up to today.
pub(super) fn curve(days: &[PeriodFigures<Day>], today: Day, budget: Option<u64>) -> Curve {
    let mut sum = 0;
    let past = days.iter().take_while(|it| it.period <= today);
    let sums: Vec<u64> = past
        .map(|it| {
            sum += it.figures.cost;
            sum
        })
        .collect();

    let forecast = forecast(days, today);
    let (spent, limit) = (Money(sum), budget.map(Money));
    let of = limit.map_or_else(String::new, |it| format!(" of {it}"));
    let expected =
        forecast.map_or_else(String::new, |it| format!(", {} expected at its end", Money(it)));
    Curve {
        label: format!("Cost of the month so far: {spent}{of}{expected}"),
        labels: (1..=days.len()).map(|it| it.to_string()).collect(),
        sums,
        forecast,
        limit: budget,
    }
}

fn row((name, href): (String, String), amounts: &Amounts) -> Row {
    Row {
        name,
        href,
        calls: Count(amounts.calls),
        input: Count(amounts.input),
        output: Count(amounts.output),
        cost: Money(amounts.cost),
        unpriced: Count(amounts.unpriced),
    }
}

/// Groups of calls with their names and where these lead to, most expensive first.
fn rows<K: Ord>(groups: &BTreeMap<K, Amounts>, named: impl Fn(&K) -> (String, String)) -> Vec<Row> {
    let mut rows: Vec<Row> = groups.iter().map(|(key, it)| row(named(key), it)).collect();
    // Calls under a wrong key have no tenant.
    rows.retain(|row| !row.name.is_empty());

    rows.sort_by_key(|row| std::cmp::Reverse((row.cost, row.calls)));
    rows
}

/// Sums by the provider and its model.
pub(super) fn by_model(figures: &Figures) -> Vec<Row> {
    rows(&figures.models, |(provider, model)| match provider.as_str() {
        "" => {
            ("not sent to a provider".to_owned(), "/admin/requests?range=30d&failed=1".to_owned())
        }
        _ => (format!("{provider}/{model}"), String::new()),
    })
}

/// Sums by tenant.
fn by_tenant(figures: &Figures, names: &BTreeMap<String, String>) -> Vec<Row> {
    rows(&figures.tenants, |id| {
        let name = names.get(id).map_or_else(|| id.clone(), Clone::clone);
        (name, format!("/admin/tenants/{id}"))
    })
}

/// What tenants hold and lost in their present periods, and their budgets.
struct Ledgers {
    held: u64,
    lost: u64,
    budget: Option<u64>,
}

async fn ledgers(context: &PageContext, tenant: &str) -> AdminResult<Ledgers> {
    let mut ledgers: Vec<LedgerUsage> = vec![];
    let mut is_whole = true;
    if tenant.is_empty() {
        for view in context.tenants().await? {
            ledgers.push(context.app.gateway.ledger_usage(&view.tenant, context.clock()).await?);
        }
        is_whole = context.has_all_tenants().await?;
    } else {
        ledgers.push(context.admin()?.tenant_usage(tenant, context.clock()).await?.ledger);
    }

    let budgets: Vec<_> = ledgers.iter().map(|it| it.budget).collect();
    let known: Vec<_> = budgets.iter().flatten().collect();
    // A sum of budgets bounds nothing as soon as one tenant has none.
    let is_bounded = is_whole && !known.is_empty() && known.len() == budgets.len();
    Ok(Ledgers {
        held: known.iter().map(|it| it.held).sum(),
        lost: known.iter().map(|it| it.lost).sum(),
        budget: is_bounded.then(|| known.iter().map(|it| it.limit).sum()),
    })
}

/// The days of a day's month, of one tenant or of all; days without calls are there, empty.
pub(super) async fn month_of(
    context: &PageContext,
    day: Day,
    tenant: Option<&str>,
) -> AdminResult<Vec<PeriodFigures<Day>>> {
    let view = sums::view(context).await?;
    sums::days(&view, first_of_month(day), last_of_month(day), tenant).await
}

/// The whole sums of each day of the chosen month, of the chosen tenant or of all.
pub(super) async fn whole_month(context: &PageContext) -> AdminResult<Vec<PeriodSums<Day>>> {
    let (first, now) = (chosen_month(context), context.now());
    let (last, tenant) = (last_of_month(first), context.query.filled("tenant"));
    Ok(context.app.records.sums.by_day(first, last, tenant, now).await?)
}

pub(super) fn show(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        let today = Day::of(context.now());
        let (tenant, names) = (context.query.get("tenant"), context.names().await?);
        let days = month_of(context, chosen_month(context), context.query.filled("tenant")).await?;
        let ledgers = ledgers(context, tenant).await?;
        let past = &days[..days.partition_point(|it| it.period <= today)];

        let all = sums::merged(past);
        let month = |first: Day| Choice::new(month_name(first), Moment(first.start()).month_text());
        page(&Usage {
            shell: context.shell(Section::Usage, "Usage and cost").await?,
            query: Query { tenant: tenant.to_owned(), month: month_name(chosen_month(context)) },
            tenants: tenant_choices(&names),
            months: months(today).into_iter().map(month).collect(),
            until: Moment(context.now()),
            days: sums::cost_by_provider(past),
            curve: Some(curve(&days, today, ledgers.budget)),
            settled: Money(all.cost),
            held: Money(ledgers.held),
            lost: Money(ledgers.lost),
            forecast: forecast(&days, today).map(Money),
            budget: ledgers.budget.map(Money),
            by_tenant: by_tenant(&all, &names),
            by_model: by_model(&all),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_874_692_118; // 28 November 2026

    #[test]
    fn months_end_where_the_calendar_says() {
        let today = Day::of(NOW);
        assert_eq!(first_of_month(today).to_string(), "20261101");
        assert_eq!(last_of_month(today).to_string(), "20261130");
        let names: Vec<String> = months(today).into_iter().map(month_name).collect();
        assert_eq!(names[0], "2026-11");
        assert_eq!(names[12], "2025-11");
    }

    #[test]
    fn nothing_is_forecast_from_nothing() {
        let day = |day| PeriodFigures { period: day, figures: Figures::default() };
        let today = Day::of(NOW);
        let days: Vec<_> = [first_of_month(today), today].into_iter().map(day).collect();
        assert_eq!(forecast(&days, today), None);
        assert_eq!(curve(&days, today, Some(5)).sums, [0, 0]);
    }
}
