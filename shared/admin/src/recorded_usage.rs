//! What the records of calls show of tenants' usage: a tenant without a budget has spent, too.

use ::tenants::{BudgetPeriod, Period, Tenant, rfc3339};
use canonical::MicroDollars;
use gateway::Clock;
use serde_json::{Value, json};
use telemetry::{
    Day,
    sums::{Amounts, Figures, PeriodFigures},
};

use crate::{admin::Admin, problem::AdminResult};

/// The days of the present month, of one tenant or of all.
pub(crate) struct RecordedUsage {
    days: Vec<PeriodFigures<Day>>,
    now: u64,
}

impl Admin {
    /// Reads what is recorded of the present month: in a few reads, however many tenants there are.
    pub(crate) async fn recorded_usage(
        &self,
        tenant: Option<&str>,
        clock: Clock,
    ) -> AdminResult<RecordedUsage> {
        self.gateway.records_written().await;
        let now = clock.now() / 1000;
        // A day of budget lies within its month.
        let month = Period::containing(now, BudgetPeriod::Month);
        let (first, last) = (Day::of(month.start() * 1000), Day::of(clock.now()));
        let view = self.sums.view(clock.now()).await?;
        let days = view.by_day(first, last, tenant).await?;
        Ok(RecordedUsage { days, now })
    }
}

impl RecordedUsage {
    /// Adds what a tenant used in its present budget period to what the ledger says as JSON.
    pub(crate) fn add_totals(&self, body: &mut Value, tenant: &Tenant) {
        let period = self.period(tenant);
        let mut total = Amounts::default();
        for day in self.days_of(period) {
            if let Some(amounts) = day.figures.tenants.get(&tenant.id) {
                total.merge(amounts);
            }
        }
        add_recorded_cost(body, period, total.cost);
        body["request_count"] = json!(total.calls);
        body["input_tokens"] = json!(total.input);
        body["output_tokens"] = json!(total.output);
        body["unpriced_count"] = json!(total.unpriced);
    }

    /// Adds the same by model and by day.
    pub(crate) fn add_groups(&self, body: &mut Value, tenant: &Tenant) {
        let (mut all, mut by_day) = (Figures::default(), vec![]);
        for day in self.days_of(self.period(tenant)) {
            all.merge(&day.figures);
            let mut row = row(&day.figures.tenants.get(&tenant.id).copied().unwrap_or_default());
            row["date"] = usage_date(day.period);
            by_day.push(row);
        }
        // Calls that were sent to no provider have no model to be listed under.
        let models = all.models.iter().filter(|((provider, _), _)| !provider.is_empty());
        let by_model = models.map(|((provider, model), amounts)| {
            let mut row = row(amounts);
            row["provider"] = json!(provider);
            row["model"] = json!(model);
            row
        });
        body["by_model"] = by_model.collect();
        body["by_day"] = Value::Array(by_day);
    }

    fn period(&self, tenant: &Tenant) -> Period {
        Period::containing(self.now, tenant.settings.budget.period)
    }

    fn days_of(&self, period: Period) -> impl Iterator<Item = &PeriodFigures<Day>> {
        let first = Day::of(period.start() * 1000);
        self.days.iter().filter(move |day| first <= day.period)
    }
}

fn row(amounts: &Amounts) -> Value {
    usage_row(amounts.calls, (amounts.input, amounts.output), amounts.cost)
}

/// Adds what the records of a period cost, in micro-dollars, to what the ledger says as JSON, and the
/// period, where the ledger says nothing: its figures are what limits obey, and without a budget it has
/// none. Whether it had none.
pub fn add_recorded_cost(body: &mut Value, period: Period, cost: u64) -> bool {
    let has_none = body.get("total_cost_usd").is_none();
    if has_none {
        body["period_start"] = json!(rfc3339(period.start()));
        body["period_end"] = json!(rfc3339(period.end()));
        body["total_cost_usd"] = json!(MicroDollars(cost).dollars());
    }
    has_none
}

/// Calls, their input and output tokens and their cost in micro-dollars, as JSON shows them of a model
/// or of a day.
pub fn usage_row(calls: u64, (input, output): (u64, u64), cost: u64) -> Value {
    json!({
        "requests": calls,
        "input_tokens": input,
        "output_tokens": output,
        "cost_usd": MicroDollars(cost).dollars(),
    })
}

/// The date of a day as JSON shows it, such as `2026-11-28`.
pub fn usage_date(day: Day) -> Value {
    json!(rfc3339(day.start() / 1000).get(..10))
}
