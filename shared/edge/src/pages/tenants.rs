//! The list of tenants, and the form for a new one.

use std::collections::BTreeMap;

use admin::{AdminResult, Operation, PageRequest, Problem, TenantSource, TenantView};
use pages::{
    Count, Money,
    form::Group,
    shell::{Notice, Pill, Section, Tone},
    tenants::{Budget, NewTenant, Row, Tenants, fields},
};
use serde_json::{Map, Value, json};
use tenants::{BudgetPeriod, TenantSettings};

use super::{
    desk::{Desk, fresh_key, number, page, page_with},
    form::{Form, listed},
    table::{PageFuture, PageResult},
    tenant,
};

/// How many tenants a page of the list has.
const PAGE_TENANTS: usize = 50;

/// Fields that hold a whole number.
const COUNTS: [&str; 8] = [
    "rate_limit_rpm",
    "requests_per_hour",
    "requests_per_day",
    "max_concurrent",
    "daily_input_tokens",
    "daily_output_tokens",
    "max_input_tokens",
    "max_output_tokens",
];
const LISTS: [&str; 2] = ["allowed_models", "fallback_models"];

/// A tenant's settings as the JSON API takes them, from a form: what is empty is null.
pub(super) fn settings(form: &Form) -> Map<String, Value> {
    let mut settings = Map::new();
    for field in fields().iter().flat_map(|group| &group.fields).map(|field| field.name) {
        let is_secret = field == "provider_api_key";
        // An empty field for the secret means that it stays as it is, for a form never shows it.
        if form.has(field) && !(is_secret && form.get(field).is_empty()) {
            settings.insert(field.to_owned(), value(field, form));
        }
    }
    settings
}

fn value(field: &str, form: &Form) -> Value {
    let text = form.get(field);
    if text.is_empty() {
        return Value::Null;
    }
    // What is no number goes to the API as it was typed, which names the field in its error.
    let number = || serde_json::from_str(text).unwrap_or_else(|_wrong| json!(text));
    match field {
        "budget_usd" => number(),
        "cache" => json!({ "enabled": text == "true" }),
        "alert_levels" => {
            let levels = listed(text).into_iter();
            levels
                .map(|it| it.parse::<u64>().map_or_else(|_wrong| json!(it), |it| json!(it)))
                .collect()
        }
        "tags" => {
            let pairs = listed(text);
            let pairs = pairs.iter().map(|it| it.split_once('=').unwrap_or((it, "")));
            pairs.map(|(name, label)| (name.trim().to_owned(), json!(label.trim()))).collect()
        }
        "system_prompt" => json!(form.text(field)),
        _ if COUNTS.contains(&field) => number(),
        _ if LISTS.contains(&field) => json!(listed(text)),
        _ => json!(text),
    }
}

/// A setting as a form shows it.
fn shown(settings: &Map<String, Value>, field: &str) -> String {
    match settings.get(field) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(values)) => {
            let values =
                values.iter().map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned));
            values.collect::<Vec<_>>().join(", ")
        }
        Some(cache @ Value::Object(_)) if field == "cache" => cache["enabled"].to_string(),
        Some(Value::Object(labels)) => {
            let labels = labels
                .iter()
                .map(|(name, label)| format!("{name}={}", label.as_str().unwrap_or("")));
            labels.collect::<Vec<_>>().join(", ")
        }
        Some(other) => other.to_string(),
    }
}

/// The form's fields with values, and with what a problem says of them.
pub(super) fn filled(settings: &Map<String, Value>, problem: Option<&Problem>) -> Vec<Group> {
    let mut groups = fields();
    let error = |name: &str| {
        let fields = problem.map(|problem| problem.fields.iter()).into_iter().flatten();
        let mut fields =
            fields.filter(|it| it.field == name || it.field.starts_with(&format!("{name}.")));
        fields.next().map(|it| it.message.clone())
    };
    Group::fill(&mut groups, |name| Some(shown(settings, name)), error);
    groups
}

/// The form's fields as they were typed, and what is wrong with them.
pub(super) fn typed(form: &Form, problem: &Problem) -> Vec<Group> {
    let mut groups = filled(&Map::new(), Some(problem));
    for field in groups.iter_mut().flat_map(|it| it.fields.iter_mut()) {
        field.value = form.text(field.name);
    }
    groups
}

/// Limits in a few words.
fn limits(settings: &TenantSettings) -> String {
    let limits = &settings.limits;
    let known = [
        (limits.requests_per_minute, "a minute"),
        (limits.requests_per_hour, "an hour"),
        (limits.requests_per_day, "a day"),
        (limits.max_concurrent, "at once"),
    ];
    let known = known.iter().filter_map(|(limit, per)| Some(format!("{} {per}", Count((*limit)?))));
    known.take(2).collect::<Vec<_>>().join(", ")
}

fn period(period: BudgetPeriod) -> &'static str {
    match period {
        BudgetPeriod::Month => "month",
        BudgetPeriod::Day => "day",
    }
}

async fn row(desk: &Desk, view: &TenantView, costs: &BTreeMap<String, u64>) -> AdminResult<Row> {
    let (admin, tenant) = (desk.admin()?, &view.tenant);
    let ledger = desk.app.gateway.ledger_usage(tenant, desk.clock()).await?;
    let budget = ledger.budget.map(|budget| Budget {
        limit: Money(budget.limit),
        used: Money(budget.used.saturating_add(budget.held)),
        period: period(tenant.settings.budget.period),
    });
    let keys = match view.source {
        TenantSource::Store => admin.keys(&tenant.id, desk.clock()).await?,
        TenantSource::Configuration => vec![],
    };
    let last_used = keys.iter().filter_map(|it| it.last_used).max();
    let state = match tenant.settings.enabled {
        true => Pill::new(Tone::Ok, "enabled"),
        false => Pill::new(Tone::Off, "disabled"),
    };
    Ok(Row {
        id: tenant.id.clone(),
        name: tenant.settings.name.clone(),
        state,
        spent: costs.get(&tenant.id).map(|cost| Money(*cost)),
        budget,
        limits: limits(&tenant.settings),
        keys: Count(number(keys.len())),
        last_used: last_used.map(|at| pages::Moment(at * 1000)),
    })
}

pub(super) fn list(desk: &mut Desk) -> PageFuture<'_> {
    Box::pin(async {
        let cursor = desk.query.filled("cursor").map(str::to_owned);
        let wanted = PageRequest { cursor, limit: PAGE_TENANTS };
        let found = desk.admin()?.list_tenants(&wanted, desk.clock()).await?;
        let search = desk.query.get("q").to_lowercase();
        let is_wanted =
            |view: &&TenantView| view.tenant.settings.name.to_lowercase().contains(&search);

        let today = telemetry::Day::of(desk.now());
        let month = super::usage::month_of(desk, today, None).await?;
        let tenants = super::sums::merged(&month).tenants;
        let costs = tenants.into_iter().map(|(tenant, amounts)| (tenant, amounts.cost)).collect();
        let mut rows = vec![];
        for view in found.tenants.iter().filter(is_wanted) {
            rows.push(row(desk, view, &costs).await?);
        }
        page(&Tenants {
            shell: desk.shell(Section::Tenants, "Tenants").await?,
            search: desk.query.get("q").to_owned(),
            rows,
            more: found.cursor.map(|cursor| format!("/admin/tenants?cursor={cursor}")),
        })
    })
}

async fn form(desk: &Desk, groups: Vec<Group>, problem: Option<&Problem>) -> PageResult {
    let mut shell = desk.shell(Section::Tenants, "New tenant").await?;
    if let Some(problem) = problem.filter(|it| it.fields.is_empty()) {
        shell.notices.push(Notice::new(Tone::Err, "No tenant was made.", problem.detail.as_str()));
    }
    let status = problem.map_or(200, |problem| problem.kind.status());
    let status = http::StatusCode::from_u16(status).unwrap_or_default();
    page_with(status, &NewTenant { shell, groups, idempotency_key: fresh_key(desk) })
}

pub(super) fn new(desk: &mut Desk) -> PageFuture<'_> {
    Box::pin(async { form(desk, filled(&Map::new(), None), None).await })
}

pub(super) fn create(desk: &mut Desk) -> PageFuture<'_> {
    Box::pin(async {
        let mut fields = settings(&desk.form);
        // In an update null clears a field; in a new tenant there is nothing to clear.
        fields.retain(|_, value| !value.is_null());
        match desk.api(Operation::CreateTenant, &[], &Value::Object(fields)).await {
            Ok(made) => {
                desk.parameters = vec![made["id"].as_str().unwrap_or_default().to_owned()];
                let key = made["api_key"].as_str().unwrap_or_default().to_owned();
                tenant::with_new_key(desk, key, None).await
            }
            Err(problem) if problem.kind.status() < 500 => {
                form(desk, typed(&desk.form, &problem), Some(&problem)).await
            }
            Err(problem) => Err(problem),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_becomes_what_the_api_takes() {
        let form = Form::parse(
            "name=research&budget_usd=50.5&rate_limit_rpm=&alert_levels=50%2C+90&tags=team%3Dblue\
             &cache=true&allowed_models=gpt-*%2Cfast&provider_api_key=",
        );
        let settings = Value::Object(settings(&form));
        let wanted = json!({
            "name": "research", "budget_usd": 50.5, "rate_limit_rpm": null, "alert_levels": [50, 90],
            "tags": { "team": "blue" }, "cache": { "enabled": true },
            "allowed_models": ["gpt-*", "fast"],
        });
        assert_eq!(settings, wanted);
    }

    #[test]
    fn settings_are_shown_as_they_are_typed() {
        let settings = json!({ "tags": { "team": "blue" }, "alert_levels": [50], "cache": { "enabled": false } });
        let settings = settings.as_object().unwrap();
        let shown = ["tags", "alert_levels", "cache", "name"].map(|field| shown(settings, field));
        assert_eq!(shown, ["team=blue", "50", "false", ""]);
    }
}
