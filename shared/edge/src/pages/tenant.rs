//! One tenant: its spend and limits, its keys, its settings, and what was changed.

use std::time::Duration;

use admin::{AdminResult, KeyView, Operation, PageRequest, Problem, TenantSource, TenantView};
use pages::{
    Count, Moment, Money, Took,
    shell::{Notice, Pill, Section, Tone},
    tenants::{Key, Limit, ModelSpend, NewKey, Spend, Tab, Tenant},
};
use serde_json::{Value, json};
use telemetry::Day;
use tenants::{LimitSource, Quota};

use super::{
    health,
    page_context::{PageContext, fresh_key, page, page_with, see_other},
    sums,
    table::{PageFuture, PageResult},
    tenants::{changes, filled, retyped, texts},
    usage,
};

/// How many entries of the audit are looked through for one tenant.
const AUDIT_ENTRIES: usize = 100;

fn tab(name: &str) -> Tab {
    match name {
        "keys" => Tab::Keys,
        "settings" => Tab::Settings,
        "audit" => Tab::Audit,
        _ => Tab::Spend,
    }
}

fn limit_name(source: LimitSource) -> &'static str {
    match source {
        LimitSource::RequestsPerMinute => "Requests this minute",
        LimitSource::RequestsPerHour => "Requests this hour",
        LimitSource::RequestsPerDay => "Requests today",
        LimitSource::DailyInputTokens => "Input tokens today",
        LimitSource::DailyOutputTokens => "Output tokens today",
        LimitSource::Concurrency => "Calls at once",
        LimitSource::Budget => "Budget",
    }
}

fn limit(quota: &Quota) -> Limit {
    let (used, limit) = (quota.used, quota.limit);
    let text = match quota.source {
        LimitSource::Budget => format!("{} of {}", Money(used), Money(limit)),
        _ => format!("{} of {}", Count(used), Count(limit)),
    };
    Limit { name: limit_name(quota.source), used, limit, text }
}

/// When the budget is spent at today's pace, in a sentence.
fn prospect(forecast: Option<u64>, budget: Option<u64>) -> String {
    match (forecast, budget) {
        (Some(forecast), Some(budget)) if budget < forecast => {
            let expected = Money(forecast);
            format!(
                "At the pace of the last 7 days the month would cost {expected}: more than the budget."
            )
        }
        (Some(forecast), _) => {
            format!("At the pace of the last 7 days the month will have cost {}.", Money(forecast))
        }
        (None, _) => String::new(),
    }
}

async fn spend(context: &PageContext, view: &TenantView) -> AdminResult<Spend> {
    let tenant = &view.tenant;
    let ledger = context.app.gateway.ledger_usage(tenant, context.clock()).await?;
    let today = Day::of(context.now());
    let days = usage::month_of(context, today, Some(&tenant.id)).await?;
    let budget = ledger.budget.map(|budget| budget.limit);
    let is_monthly = tenant.settings.budget.period == tenants::BudgetPeriod::Month;
    let monthly = budget.filter(|_| is_monthly);

    let all = sums::merged(&days);
    let models = usage::by_model(&all).into_iter().map(|row| ModelSpend {
        model: row.name,
        calls: row.calls,
        // Nothing of it has a price: a zero would look like a model that is free.
        cost: Some(row.cost).filter(|_| row.unpriced.0 < row.calls.0 || row.unpriced.0 == 0),
    });
    let held = ledger.budget.map_or(0, |budget| budget.held);
    Ok(Spend {
        period: Moment(today.start()).month_text(),
        // The ledger is what limits obey; where it keeps no month, the records say what was spent.
        settled: Money(ledger.budget.filter(|_| is_monthly).map_or(all.cost, |it| it.used)),
        held: Money(held),
        holds: Count(ledger.in_flight),
        lost: Money(ledger.budget.map_or(0, |budget| budget.lost)),
        curve: usage::curve(&days, today, monthly),
        forecast: prospect(usage::forecast(&days, today), monthly),
        limits: ledger.quotas.iter().map(limit).collect(),
        models: models.collect(),
    })
}

fn key(view: &KeyView, now: u64) -> Key {
    let seconds = |at: u64| Moment(at * 1000);
    let expires_in = view.expires.map(|at| match at.checked_sub(now) {
        Some(left) if 0 < left => {
            let left = Took(Duration::from_secs(left));
            Pill::new(Tone::Warn, format!("in {left}"))
        }
        _ => Pill::new(Tone::Off, "ended"),
    });
    Key {
        id: view.id.clone(),
        name: if view.name.is_empty() { "key".to_owned() } else { view.name.clone() },
        hint: match view.created {
            Some(_) => format!("{}…{}", view.prefix, view.last_four),
            None => "of the configuration".to_owned(),
        },
        created: view.created.map(seconds),
        last_used: view.last_used.map(seconds),
        expires: view.expires.map(seconds),
        expires_in,
    }
}

async fn view(context: &PageContext, tab: Tab) -> AdminResult<Tenant> {
    let admin = context.admin()?;
    let found = admin.tenant(context.parameter(), context.clock()).await?;
    let (tenant, now) = (&found.tenant, context.now() / 1000);
    let is_stored = found.source == TenantSource::Store;
    let fixed = "The configuration declares this tenant; change it under Routes and providers.";
    // Each tab reads only what it shows: keys, audit and sums are reads of the store.
    let keys = match tab {
        Tab::Keys => admin.keys(&tenant.id, context.clock()).await?,
        Tab::Spend | Tab::Settings | Tab::Audit => vec![],
    };
    let settings = tenant.settings.to_json();
    let changes = match tab {
        Tab::Audit => health::changes_of(context, &tenant.id).await?,
        Tab::Spend | Tab::Keys | Tab::Settings => vec![],
    };
    let spend = match tab {
        Tab::Spend => spend(context, &found).await?,
        Tab::Keys | Tab::Settings | Tab::Audit => Spend::default(),
    };
    Ok(Tenant {
        shell: context.shell(Section::Tenants, &tenant.settings.name).await?,
        tab,
        id: tenant.id.clone(),
        name: tenant.settings.name.clone(),
        version: tenant.version.to_string(),
        is_enabled: tenant.settings.enabled,
        fixed: (!is_stored).then(|| fixed.to_owned()),
        new_key: None,
        spend,
        keys: keys.iter().map(|it| key(it, now)).collect(),
        idempotency_key: fresh_key(context),
        shown: serde_json::to_string(&texts(&settings)).unwrap_or_default(),
        groups: filled(&settings, None),
        changes,
    })
}

/// The tenant's page with a key that is shown this once.
pub(super) async fn with_new_key(
    context: &PageContext,
    key: String,
    old_ends: Option<Moment>,
) -> PageResult {
    // Not a redirect, whose URL would have to hold the key.
    let mut shown = view(context, Tab::Keys).await?;
    let setup = format!("/admin/tenants/{}?tab=keys", shown.id);
    shown.shell.path.clone_from(&setup);
    shown.new_key = Some(NewKey { key, old_ends, setup });
    page(&shown)
}

pub(super) fn show(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        let tab = tab(context.query.get("tab"));
        page(&view(context, tab).await?)
    })
}

/// Says what became of a change that was refused, with what was typed.
async fn refused(context: &PageContext, problem: &Problem) -> PageResult {
    let mut shown = view(context, Tab::Settings).await?;
    let stored = context.admin()?.tenant(context.parameter(), context.clock()).await?.tenant;
    shown.groups = retyped(&context.form, &stored.settings.to_json(), problem);
    if problem.fields.is_empty() {
        let text = "Somebody else has changed it meanwhile. The fields that you left alone are as they are \
                    now: save again to put the others in their place.";
        let conflict = problem.kind == admin::ProblemKind::PreconditionFailed;
        let text = if conflict { text } else { problem.detail.as_str() };
        shown.shell.notices.push(Notice::new(Tone::Err, "Nothing was saved.", text));
    }
    let status = http::StatusCode::from_u16(problem.kind.status()).unwrap_or_default();
    page_with(status, &shown)
}

pub(super) fn update(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        let id = context.parameters.clone();
        let stored = context.admin()?.tenant(context.parameter(), context.clock()).await?.tenant;
        let changes = Value::Object(changes(&context.form, &stored.settings.to_json()));
        match context.api(Operation::UpdateTenant, &id, &changes).await {
            Ok(_) => see_other(&format!(
                "/admin/tenants/{}?tab=settings&done=saved",
                context.parameter()
            )),
            // What was typed is shown again; a failure of ours has a page of its own.
            Err(problem) if problem.kind.status() < 500 => refused(context, &problem).await,
            Err(problem) => Err(problem),
        }
    })
}

async fn done(context: &PageContext, operation: Operation, what: &str) -> PageResult {
    context.api(operation, &context.parameters, &Value::Null).await?;
    see_other(&format!("/admin/tenants/{}?done={what}", context.parameter()))
}

pub(super) fn enable(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(done(context, Operation::EnableTenant, "enabled"))
}

pub(super) fn disable(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(done(context, Operation::DisableTenant, "disabled"))
}

pub(super) fn delete(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        context.api(Operation::DeleteTenant, &context.parameters, &Value::Null).await?;
        see_other("/admin/tenants?done=deleted")
    })
}

pub(super) fn create_key(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        let made = context.api(Operation::CreateKey, &context.parameters, &json!({})).await?;
        let key = made["api_key"].as_str().unwrap_or_default().to_owned();
        with_new_key(context, key, None).await
    })
}

/// A grace period in seconds, as the form's choices have it.
fn grace(text: &str) -> u64 {
    match text {
        "0s" => 0,
        "1h" => 3_600,
        "168h" => 7 * 86_400,
        _ => 86_400,
    }
}

pub(super) fn rotate_key(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        let grace = grace(context.form.get("grace"));
        let body = json!({ "key_id": context.form.get("key"), "grace_seconds": grace });
        let made = context.api(Operation::RotateKey, &context.parameters, &body).await?;
        let key = made["api_key"].as_str().unwrap_or_default().to_owned();
        with_new_key(context, key, Some(Moment(context.now() + grace * 1000))).await
    })
}

pub(super) fn revoke_key(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        let parameters = [context.parameter().to_owned(), context.form.get("key").to_owned()];
        context.api(Operation::RevokeKey, &parameters, &Value::Null).await?;
        see_other(&format!("/admin/tenants/{}?tab=keys&done=revoked", context.parameter()))
    })
}

/// The page of the audit that is looked through.
pub(super) fn audit_page() -> PageRequest {
    PageRequest { limit: AUDIT_ENTRIES, ..PageRequest::default() }
}
