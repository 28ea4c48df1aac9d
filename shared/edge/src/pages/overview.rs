//! The overview: figures of a window, what needs attention, and the latest failures.

use std::{collections::BTreeMap, time::Duration};

use admin::AdminResult;
use pages::{
    Count, Moment, Money, Took,
    overview::{self, Attention, Failure, Overview},
    requests::{Filter, Only},
    shell::{Link, Notice, Pill, Section, Tone},
};
use telemetry::{
    Day, Hour,
    request_log::CallRow,
    sums::{
        FIRST_TOKEN_BOUNDS, Figures, LATEST_FAILURES, OVERHEAD_BOUNDS, PeriodFigures, SumsView,
    },
};
use tenants::{BudgetPeriod, BudgetUsage, Tenant};

use super::{
    calls, health,
    page_context::{PageContext, page},
    requests, sums,
    table::PageFuture,
};

const DAY_HOURS: usize = 24;
/// How old a failure may be that is shown, in milliseconds.
const MAX_FAILURE_AGE_MS: u64 = 24 * 60 * 60 * 1000;
const MAX_ATTENTION: usize = 4;
/// From which share of a budget on somebody should look, in percent.
const NEAR_END_PERCENT: u64 = 80;
/// How many tenants' ledgers are read for one page.
const MAX_BUDGETS: usize = 20;

/// The figures of a window in parts, and of the window before.
struct Window {
    parts: Vec<Figures>,
    before: Figures,
}

/// How far back a window of days and its chart go.
#[derive(Clone, Copy)]
struct Span {
    name: &'static str,
    /// Days of the window; none where it has hours.
    window_days: Option<u64>,
    chart_days: u64,
}

impl Span {
    fn named(name: &str) -> Self {
        match name {
            "7d" => Self { name: "7d", window_days: Some(7), chart_days: 14 },
            "30d" => Self { name: "30d", window_days: Some(30), chart_days: 30 },
            _ => Self { name: "24h", window_days: None, chart_days: 14 },
        }
    }

    /// The first day that the page shows anything of.
    fn first_day(self, today: Day) -> Day {
        let days = self.chart_days.max(2 * self.window_days.unwrap_or_default());
        today.before(days - 1).min(super::usage::first_of_month(today))
    }
}

async fn window_of_hours(context: &PageContext, view: &SumsView) -> AdminResult<Window> {
    let last = Hour::of(context.now());
    let mut periods = vec![last];
    while periods.len() < 2 * DAY_HOURS {
        periods.push(periods[periods.len() - 1].previous());
    }
    periods.reverse();
    // One read for both windows, since the figures of hours lie next to each other.
    let found = view.by_hour(periods[0], last).await?;
    let mut found: BTreeMap<Hour, Figures> =
        found.into_iter().map(|it| (it.period, it.figures)).collect();
    let mut parts = periods.into_iter().map(|it| found.remove(&it).unwrap_or_default());
    let mut before = Figures::default();
    parts.by_ref().take(DAY_HOURS).for_each(|it| before.merge(&it));
    Ok(Window { parts: parts.collect(), before })
}

/// The last so many of some days, and those before them.
fn window_of_days(days: &[PeriodFigures<Day>], count: u64, today: Day) -> Window {
    let both = sums::since(days, today.before(2 * count - 1));
    let parts = sums::since(both, today.before(count - 1));
    let before = &both[..both.len() - parts.len()];
    Window {
        parts: parts.iter().map(|it| it.figures.clone()).collect(),
        before: sums::merged(before),
    }
}

fn micros(value: Option<u64>) -> Option<Took> {
    value.map(|it| Took(Duration::from_micros(it)))
}

fn figures(window: &Window, month: u64, budget: Option<u64>) -> overview::Figures {
    let mut all = Figures::default();
    window.parts.iter().for_each(|it| all.merge(it));
    let median = |part: &Figures| part.first_token.quantile(0.5, FIRST_TOKEN_BOUNDS);
    let curve = |part: &dyn Fn(&Figures) -> u64| window.parts.iter().map(part).collect();
    overview::Figures {
        calls: Count(all.calls),
        calls_before: Some(Count(window.before.calls)),
        answered: Count(all.answered),
        failed: Count(all.failed),
        failed_over: Count(all.failed_over),
        spend: Money(all.cost),
        month: Money(month),
        budget: budget.map(Money),
        first_token: micros(median(&all)),
        overhead: micros(all.overhead.quantile(0.5, OVERHEAD_BOUNDS)),
        calls_curve: curve(&|it| it.calls),
        failed_curve: curve(&|it| it.failed),
        spend_curve: curve(&|it| it.cost),
        first_token_curve: curve(&|it| median(it).unwrap_or_default()),
    }
}

/// The sum of all monthly budgets, where every tenant has one.
async fn monthly_budget(context: &PageContext) -> AdminResult<Option<u64>> {
    let tenants = context.tenants().await?;
    let budget = |settings: &tenants::BudgetSettings| {
        settings.amount.filter(|_| settings.period == BudgetPeriod::Month).map(|it| it.0)
    };
    let budgets: Option<Vec<u64>> =
        tenants.iter().map(|view| budget(&view.tenant.settings.budget)).collect();
    Ok(budgets.filter(|it| !it.is_empty()).map(|it| it.iter().sum()))
}

/// Tenants whose budget is nearly used up.
async fn budgets_near_their_end(context: &PageContext) -> AdminResult<Vec<Notice>> {
    let tenants = context.tenants().await?.iter().map(|view| &view.tenant);
    let bounded = tenants.filter(|tenant| tenant.settings.budget.amount.is_some());
    let mut near = vec![];
    // Each tenant's ledger is a read of the store, so that a page looks at a few.
    for tenant in bounded.take(MAX_BUDGETS) {
        let ledger = context.app.gateway.ledger_usage(tenant, context.clock()).await?;
        near.extend(ledger.budget.and_then(|budget| budget_notice(tenant, &budget)));
    }
    Ok(near)
}

/// What to say of a budget of which little is left.
fn budget_notice(tenant: &Tenant, budget: &BudgetUsage) -> Option<Notice> {
    let used = budget.used.saturating_add(budget.held);
    let percent = used.saturating_mul(100).checked_div(budget.limit).unwrap_or(100);
    let strong = format!("{} is at {percent} % of its budget.", tenant.settings.name);
    let text = format!("{} of {} are spent or held.", Money(used), Money(budget.limit));
    let link = Link::new("Look at it", format!("/admin/tenants/{}", tenant.id));
    let tone = if 100 <= percent { Tone::Err } else { Tone::Warn };
    (NEAR_END_PERCENT <= percent).then(|| Notice::new(tone, strong, text).with_link(link))
}

/// What is missing before a program can call.
async fn first_steps(context: &PageContext) -> AdminResult<Option<Notice>> {
    let link = Link::new("Three steps to a first answer", "/admin/welcome");
    let snapshot = context.app.gateway.snapshot(context.clock()).await?;
    let is_demonstration = snapshot.config.providers.iter().all(|it| it.kind == "mock");
    let missing = match (is_demonstration, context.tenants().await?.is_empty()) {
        (true, _) => "No provider is set up yet.",
        (false, true) => "No program has a key yet.",
        (false, false) => return Ok(None),
    };
    Ok(Some(Notice::new(Tone::Info, missing, "").with_link(link)))
}

async fn attention(context: &PageContext, recent: &Figures) -> AdminResult<Vec<Attention>> {
    let mut attention: Vec<Attention> = vec![];
    for item in health::cooldowns(context).await.into_iter().take(MAX_ATTENTION) {
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
            text: format!("no price is known: {} not counted in money", Count(calls).of("call")),
            pill: None,
            link: Some(Link::new("Set price", pages::prices::set_href(&provider, &model))),
        });
    }
    Ok(attention)
}

/// The latest failures of the last day.
async fn failures(context: &PageContext, view: &SumsView) -> AdminResult<Vec<Failure>> {
    let names = context.names().await?;
    let calls = match view.latest_failures() {
        Some(calls) => calls,
        // An earlier version has summed the log, and kept none.
        None => {
            let filter =
                Filter { only: vec![Only::Failed], ..requests::filter_of(context, &names) };
            requests::read(context, &filter, LATEST_FAILURES).await?.calls
        }
    };
    let oldest = context.now().saturating_sub(MAX_FAILURE_AGE_MS);
    let failure = |call: &CallRow| Failure {
        at: Moment(call.ended()),
        id: call.id.clone(),
        tenant: calls::tenant_name(call, &names),
        requested: call.requested_model.clone().unwrap_or_default(),
        text: calls::what_happened(call),
        took: Took::ms(call.total_ms),
    };
    Ok(calls.iter().filter(|call| oldest <= call.ended()).map(failure).collect())
}

pub(super) fn show(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        let (span, today) = (Span::named(context.query.get("window")), Day::of(context.now()));
        let view = sums::view(context).await?;
        let days = sums::days(&view, span.first_day(today), today, None).await?;
        let window = match span.window_days {
            Some(count) => window_of_days(&days, count, today),
            None => window_of_hours(context, &view).await?,
        };
        let month = sums::merged(sums::since(&days, super::usage::first_of_month(today))).cost;
        let chart = sums::since(&days, today.before(span.chart_days - 1));

        let mut shell = context.shell(Section::Overview, "Overview").await?;
        shell.notices.extend(first_steps(context).await?);
        shell.notices.extend(budgets_near_their_end(context).await?);
        page(&Overview {
            shell,
            window: span.name.to_owned(),
            until: Moment(context.now()),
            figures: figures(&window, month, monthly_budget(context).await?),
            spend: sums::cost_by_provider(chart),
            attention: attention(context, &sums::merged(chart)).await?,
            failures: failures(context, &view).await?,
        })
    })
}
