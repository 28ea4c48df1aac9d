//! `GET /v1/usage`: what the caller's tenant used and spent, and what its limits leave.

use admin::{add_recorded_cost, usage_date, usage_json, usage_row};
use canonical::{Error, ErrorKind};
use http::StatusCode;
use serde_json::{Value, json};
use storage::StoreError;
use telemetry::{
    Day,
    sums::{CallSum, PeriodSums, Sums},
};
use tenants::Period;

use crate::{endpoint::HandlerFuture, front::Exchange, response};

/// Responds with the usage of the caller's tenant in the present budget period.
pub(crate) fn respond(exchange: &mut Exchange) -> HandlerFuture<'_> {
    Box::pin(async move {
        let (tenant, clock) = (exchange.tenant()?.clone(), exchange.arrival.clock);
        exchange.app.gateway.records_written().await;

        let period = Period::containing(clock.now() / 1000, tenant.settings.budget.period);
        let ledger = exchange.app.gateway.ledger_usage(&tenant, clock).await;
        let ledger = ledger.map_err(unreadable)?;
        let (first, last) = (Day::of(period.start() * 1000), Day::of(clock.now()));
        let sums = &exchange.app.records.sums;
        let days = sums.by_day(first, last, Some(&tenant.id), clock.now()).await;
        let days = days.map_err(unreadable)?;

        let mut body = usage_json(&tenant, &ledger);
        add_period(&mut body, period, &days);
        Ok(response::json(StatusCode::OK, body.to_string()))
    })
}

/// Adds what the records of the period show: a tenant without a budget has spent too.
fn add_period(body: &mut Value, period: Period, days: &[PeriodSums<Day>]) {
    let mut all = Sums::default();
    days.iter().for_each(|day| all.merge(&day.sums));
    let total = all.total();
    if add_recorded_cost(body, period, total.cost) {
        body["budget_usd"] = Value::Null;
        body["budget_used_pct"] = Value::Null;
    }
    body["request_count"] = json!(all.model_calls());
    body["unpriced_count"] = json!(total.unpriced);
    let by_model = all.grouped(|key| (key.provider.clone(), key.model.clone()));
    let by_model = by_model.iter().filter(|((provider, _), _)| !provider.is_empty());
    body["by_model"] = by_model
        .map(|((provider, model), sum)| {
            let mut row = sum_json(sum);
            row["provider"] = json!(provider);
            row["model"] = json!(model);
            row
        })
        .collect();
    body["by_day"] = days
        .iter()
        .map(|day| {
            let mut row = sum_json(&day.sums.total());
            row["requests"] = json!(day.sums.model_calls());
            row["date"] = usage_date(day.period);
            row
        })
        .collect();
}

fn sum_json(sum: &CallSum) -> Value {
    let tokens = sum.tokens();
    usage_row(sum.calls, (tokens.all_input(), tokens.all_output()), sum.cost)
}

fn unreadable(error: StoreError) -> Error {
    let message = "Usage cannot be read at the moment; try again soon.";
    let mut unavailable = Error::new(ErrorKind::Unavailable, message);
    unavailable.retry_after = Some(std::time::Duration::from_secs(1));
    unavailable.caused_by(error)
}
