//! The overview: figures of a window, what needs attention, and the latest failures.

use std::{collections::BTreeMap, time::Duration};

use admin::{AdminResult, PageRequest};
use pages::{
    Count, Moment, Money, Took,
    overview::{Attention, Failure, Figures, Overview},
    requests::{Filter, Only},
    shell::{Link, Notice, Pill, Section, Tone},
};
use telemetry::{
    Day, Hour,
    sums::{FIRST_TOKEN_BOUNDS, OVERHEAD_BOUNDS, Sums},
};
use tenants::BudgetPeriod;

use super::{
    calls,
    desk::{Desk, page},
    health, requests, sums,
    table::PageFuture,
};

const DAY_HOURS: usize = 24;
const MAX_FAILURES: usize = 8;
const MAX_ATTENTION: usize = 4;
/// From which share of a budget on somebody should look, in percent.
const NEAR_END_PERCENT: u64 = 80;
/// How many tenants' ledgers are read for one page.
const MAX_BUDGETS: usize = 20;

/// The sums of a window in parts, and of the window before.
struct Window {
    parts: Vec<Sums>,
    before: Sums,
}

async fn hours(desk: &Desk) -> AdminResult<Window> {
    let last = Hour::of(desk.now());
    let mut periods = vec![last];
    while periods.len() < 2 * DAY_HOURS {
        periods.push(periods[periods.len() - 1].previous());
    }
    periods.reverse();
    // One read for both windows, since the sums of hours lie next to each other.
    let found = desk.app.records.sums.by_hour(periods[0], last, None, desk.now()).await?;
    let mut found: BTreeMap<Hour, Sums> =
        found.into_iter().map(|it| (it.period, it.sums)).collect();
    let mut parts = periods.into_iter().map(|it| found.remove(&it).unwrap_or_default());
    let mut before = Sums::default();
    parts.by_ref().take(DAY_HOURS).for_each(|it| before.merge(&it));
    Ok(Window { parts: parts.collect(), before })
}

async fn window_of_days(desk: &Desk, count: u64) -> AdminResult<Window> {
    let last = Day::of(desk.now());
    let found = sums::days(desk, last.before(2 * count - 1), last, None).await?;
    let split = found.len().saturating_sub(usize::try_from(count).unwrap_or(0));
    let before = sums::merged(&found[..split]);
    Ok(Window { parts: found.into_iter().skip(split).map(|it| it.sums).collect(), before })
}

/// Calls that failed although they were let in.
fn failed(sums: &Sums) -> u64 {
    let groups = sums.grouped(|key| key.outcome.clone());
    let failed =
        groups.iter().filter(|(outcome, _)| !["success", "canceled"].contains(&outcome.as_str()));
    failed.map(|(_, sum)| sum.calls.saturating_sub(sum.refused)).sum()
}

fn answered(sums: &Sums) -> u64 {
    let groups = sums.grouped(|key| key.outcome.clone());
    groups.get("success").map_or(0, |sum| sum.calls)
}

fn micros(value: Option<u64>) -> Option<Took> {
    value.map(|it| Took(Duration::from_micros(it)))
}

fn figures(window: &Window, month: u64, budget: Option<u64>) -> Figures {
    let mut all = Sums::default();
    window.parts.iter().for_each(|it| all.merge(it));
    let total = all.total();
    let rescued = all.fallbacks.iter().filter(|(key, _)| key.outcome == "success");
    let median = |sums: &Sums| sums.total().first_token.quantile(0.5, FIRST_TOKEN_BOUNDS);
    let curve = |part: &dyn Fn(&Sums) -> u64| window.parts.iter().map(part).collect();
    Figures {
        calls: Count(total.calls),
        calls_before: Some(Count(window.before.count())),
        answered: Count(answered(&all)),
        failed: Count(failed(&all)),
        failed_over: Count(rescued.map(|(_, count)| count).sum()),
        spend: Money(total.cost),
        month: Money(month),
        budget: budget.map(Money),
        first_token: micros(median(&all)),
        overhead: micros(total.overhead.quantile(0.5, OVERHEAD_BOUNDS)),
        calls_curve: curve(&Sums::count),
        failed_curve: curve(&failed),
        spend_curve: curve(&|it| it.total().cost),
        first_token_curve: curve(&|it| median(it).unwrap_or_default()),
    }
}

/// The sum of all monthly budgets, where every tenant has one.
async fn monthly_budget(desk: &Desk) -> AdminResult<Option<u64>> {
    let tenants = desk.tenants().await?;
    let budget = |settings: &tenants::BudgetSettings| {
        settings.amount.filter(|_| settings.period == BudgetPeriod::Month).map(|it| it.0)
    };
    let budgets: Option<Vec<u64>> =
        tenants.iter().map(|view| budget(&view.tenant.settings.budget)).collect();
    Ok(budgets.filter(|it| !it.is_empty()).map(|it| it.iter().sum()))
}

/// Tenants whose budget is nearly used up.
async fn budgets_near_their_end(desk: &Desk) -> AdminResult<Vec<Notice>> {
    let page = PageRequest { limit: MAX_BUDGETS, ..PageRequest::default() };
    // Each tenant's ledger is a read of the store, so that a page looks at a few.
    let usage = desk.admin()?.usage(&page, desk.clock()).await?;
    let near = usage.items.iter().filter_map(|it| {
        let budget = it.ledger.budget?;
        let used = budget.used.saturating_add(budget.held);
        let percent = used.saturating_mul(100).checked_div(budget.limit).unwrap_or(100);
        let tenant = &it.tenant.tenant;
        let strong = format!("{} is at {percent} % of its budget.", tenant.settings.name);
        let text = format!("{} of {} are spent or held.", Money(used), Money(budget.limit));
        let link = Link::new("Look at it", format!("/admin/tenants/{}", tenant.id));
        let tone = if 100 <= percent { Tone::Err } else { Tone::Warn };
        (NEAR_END_PERCENT <= percent).then(|| Notice::new(tone, strong, text).with_link(link))
    });
    Ok(near.collect())
}

/// What is missing before a program can call.
async fn first_steps(desk: &Desk) -> AdminResult<Option<Notice>> {
    let link = Link::new("Three steps to a first answer", "/admin/welcome");
    let snapshot = desk.app.gateway.snapshot(desk.clock()).await?;
    let is_demonstration = snapshot.config.providers.iter().all(|it| it.kind == "mock");
    let missing = match (is_demonstration, desk.tenants().await?.is_empty()) {
        (true, _) => "No provider is set up yet.",
        (false, true) => "No program has a key yet.",
        (false, false) => return Ok(None),
    };
    Ok(Some(Notice::new(Tone::Info, missing, "").with_link(link)))
}

async fn attention(desk: &Desk, recent: &Sums) -> AdminResult<Vec<Attention>> {
    let mut attention: Vec<Attention> = vec![];
    for item in health::cooldowns(desk).await.into_iter().take(MAX_ATTENTION) {
        attention.push(Attention {
            subject: item.subject,
            text: format!("{}, {} more", item.reason, item.left),
            pill: Some(Pill::new(Tone::Warn, "cooldown")),
            link: None,
        });
    }
    for ((provider, model), calls) in sums::unpriced(recent).into_iter().take(MAX_ATTENTION) {
        attention.push(Attention {
            subject: format!("{provider}/{model}"),
            text: format!("no price is known: {} calls are not counted in money", Count(calls)),
            pill: None,
            link: Some(Link::new("Set price", pages::prices::set_href(&provider, &model))),
        });
    }
    Ok(attention)
}

async fn failures(desk: &Desk) -> AdminResult<Vec<Failure>> {
    let filter = Filter { only: vec![Only::Failed], ..requests::filter_of(desk) };
    let (found, names) = (requests::read(desk, &filter, MAX_FAILURES).await?, desk.names().await?);
    let failure = |call: &telemetry::request_log::CallRow| Failure {
        at: Moment(call.ended()),
        id: call.id.clone(),
        tenant: calls::tenant_name(call, &names),
        requested: call.requested_model.clone().unwrap_or_default(),
        text: calls::what_happened(call),
        took: Took::ms(call.total_ms),
    };
    Ok(found.calls.iter().map(failure).collect())
}

pub(super) fn show(desk: &mut Desk) -> PageFuture<'_> {
    Box::pin(async {
        let wanted = desk.query.get("window");
        let (window, name, chart_days) = match wanted {
            "7d" => (window_of_days(desk, 7).await?, "7d", 14),
            "30d" => (window_of_days(desk, 30).await?, "30d", 30),
            _ => (hours(desk).await?, "24h", 14),
        };
        let today = Day::of(desk.now());
        let days = sums::days(desk, today.before(chart_days - 1), today, None).await?;
        let recent = sums::merged(&days);
        let month = sums::days(desk, super::usage::first_of_month(today), today, None).await?;
        let month = sums::merged(&month).total().cost;

        let mut shell = desk.shell(Section::Overview, "Overview").await?;
        shell.notices.extend(first_steps(desk).await?);
        shell.notices.extend(budgets_near_their_end(desk).await?);
        page(&Overview {
            shell,
            window: name.to_owned(),
            until: Moment(desk.now()),
            figures: figures(&window, month, monthly_budget(desk).await?),
            spend: sums::cost_by_provider(&days),
            attention: attention(desk, &recent).await?,
            failures: failures(desk).await?,
        })
    })
}
