//! The list of tenants, and the form for a new one.

use std::collections::BTreeMap;

use admin::{
    AdminResult, MAX_PAGE_ITEMS, MAX_TENANT_PAGES, Operation, PageRequest, Problem, TenantList,
    TenantSource, TenantView,
};
use pages::{
    Count, Money,
    form::Group,
    shell::{Notice, Pill, Section, Tone},
    tenants::{Budget, NewTenant, Row, Tenants, fields},
};
use serde_json::{Map, Value, json};
use tenants::{BudgetPeriod, TenantSettings};

use super::{
    form::{Form, listed},
    page_context::{PageContext, fresh_key, number, page, page_with},
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
/// Lists that mean something else without an element than when they are absent.
const RESTRICTIONS: [&str; 2] = ["allowed_models", "alert_levels"];
/// What a form shows of such a list.
const NONE: &str = "none";

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

/// The settings of a form whose texts are not those that its page showed: what is sent back as it was
/// is no change, though not every value can be told from its text.
pub(super) fn changes(form: &Form, stored: &Map<String, Value>) -> Map<String, Value> {
    let shown = shown_by(form).unwrap_or_else(|| texts(stored));
    let mut changes = settings(form);
    changes.retain(|field, _| shown.get(field) != Some(&lines(&form.text(field))));
    // In a merge patch a name that is absent stays.
    if let (Some(Value::Object(tags)), Some(Value::Object(stored))) =
        (changes.get_mut("tags"), stored.get("tags"))
    {
        for name in stored.keys() {
            tags.entry(name.clone()).or_insert(Value::Null);
        }
    }
    changes
}

/// The text that a form shows of each setting.
pub(super) fn texts(settings: &Map<String, Value>) -> BTreeMap<String, String> {
    let groups = filled(settings, None);
    let fields = groups.into_iter().flat_map(|group| group.fields);
    fields.map(|field| (field.name.to_owned(), lines(&field.value))).collect()
}

/// What the page of a form showed, as the form tells it.
fn shown_by(form: &Form) -> Option<BTreeMap<String, String>> {
    serde_json::from_str(form.get("shown")).ok()
}

/// A text with the ends of its lines as programs write them.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

fn value(field: &str, form: &Form) -> Value {
    let text = form.get(field);
    if text.is_empty() {
        return Value::Null;
    }
    if text == NONE && RESTRICTIONS.contains(&field) {
        return json!([]);
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
        Some(Value::String(text)) if field == "system_prompt" => text.clone(),
        // A browser takes no ends of lines into a field of one line.
        Some(Value::String(text)) => text.replace(['\r', '\n'], ""),
        Some(Value::Array(values)) if values.is_empty() && RESTRICTIONS.contains(&field) => {
            NONE.to_owned()
        }
        Some(Value::Array(values)) => {
            let values =
                values.iter().map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned));
            values.collect::<Vec<_>>().join(", ").replace(['\r', '\n'], "")
        }
        Some(cache @ Value::Object(_)) if field == "cache" => cache["enabled"].to_string(),
        Some(Value::Object(labels)) => {
            let labels = labels
                .iter()
                .map(|(name, label)| format!("{name}={}", label.as_str().unwrap_or("")));
            labels.collect::<Vec<_>>().join(", ").replace(['\r', '\n'], "")
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

/// The form's fields as they are stored by now, but for those that were typed in.
pub(super) fn retyped(form: &Form, stored: &Map<String, Value>, problem: &Problem) -> Vec<Group> {
    let mut groups = filled(stored, Some(problem));
    let changes = changes(form, stored);
    let fields = groups.iter_mut().flat_map(|it| it.fields.iter_mut());
    for field in fields.filter(|field| changes.contains_key(field.name)) {
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

async fn row(
    context: &PageContext,
    view: &TenantView,
    costs: &BTreeMap<String, u64>,
) -> AdminResult<Row> {
    let (admin, tenant) = (context.admin()?, &view.tenant);
    let ledger = context.app.gateway.ledger_usage(tenant, context.clock()).await?;
    let budget = ledger.budget.map(|budget| Budget {
        limit: Money(budget.limit),
        used: Money(budget.used.saturating_add(budget.held)),
        period: period(tenant.settings.budget.period),
    });
    let keys = admin.keys(&tenant.id, context.clock()).await?;
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
        is_declared: view.source == TenantSource::Configuration,
    })
}

/// The tenants of a page: of a search, those that it finds, from as many as a list of names may have.
async fn found(context: &PageContext) -> AdminResult<TenantList> {
    let (admin, search) = (context.admin()?, context.query.get("q").to_lowercase());
    let cursor = context.query.filled("cursor").map(str::to_owned);
    let mut wanted = PageRequest { cursor, limit: PAGE_TENANTS };
    if search.is_empty() {
        return admin.list_tenants(&wanted, context.clock()).await;
    }
    wanted.limit = MAX_PAGE_ITEMS;
    let is_found = |view: &TenantView| view.tenant.settings.name.to_lowercase().contains(&search);
    let mut tenants = vec![];
    for _ in 0..MAX_TENANT_PAGES {
        let list = admin.list_tenants(&wanted, context.clock()).await?;
        tenants.extend(list.tenants.into_iter().filter(is_found));
        wanted.cursor = list.cursor;
        if wanted.cursor.is_none() || PAGE_TENANTS <= tenants.len() {
            break;
        }
    }
    Ok(TenantList { tenants, cursor: wanted.cursor })
}

pub(super) fn list(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        let mut found = found(context).await?;
        found.tenants.sort_by_key(|view| view.tenant.settings.name.to_lowercase());

        let today = telemetry::Day::of(context.now());
        let month = super::usage::month_of(context, today, None).await?;
        let tenants = super::sums::merged(&month).tenants;
        let costs = tenants.into_iter().map(|(tenant, amounts)| (tenant, amounts.cost)).collect();
        let mut rows = vec![];
        for view in &found.tenants {
            rows.push(row(context, view, &costs).await?);
        }
        page(&Tenants {
            shell: context.shell(Section::Tenants, "Tenants").await?,
            search: context.query.get("q").to_owned(),
            rows,
            cursor: found.cursor,
        })
    })
}

async fn form(context: &PageContext, groups: Vec<Group>, problem: Option<&Problem>) -> PageResult {
    let mut shell = context.shell(Section::Tenants, "New tenant").await?;
    if let Some(problem) = problem.filter(|it| it.fields.is_empty()) {
        shell.notices.push(Notice::new(Tone::Err, "No tenant was made.", problem.detail.as_str()));
    }
    let status = problem.map_or(200, |problem| problem.kind.status());
    let status = http::StatusCode::from_u16(status).unwrap_or_default();
    page_with(status, &NewTenant { shell, groups, idempotency_key: fresh_key(context) })
}

pub(super) fn new(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async { form(context, filled(&Map::new(), None), None).await })
}

pub(super) fn create(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        let mut fields = settings(&context.form);
        // In an update null clears a field; in a new tenant there is nothing to clear.
        fields.retain(|_, value| !value.is_null());
        match context.api(Operation::CreateTenant, &[], &Value::Object(fields)).await {
            Ok(made) => {
                context.parameters = vec![made["id"].as_str().unwrap_or_default().to_owned()];
                let key = made["api_key"].as_str().unwrap_or_default().to_owned();
                tenant::with_new_key(context, key, None).await
            }
            Err(problem) if problem.kind.status() < 500 => {
                form(context, typed(&context.form, &problem), Some(&problem)).await
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

    /// Every setting that a form cannot tell from its text.
    fn stored() -> Map<String, Value> {
        let settings = json!({
            "name": "x", "allowed_models": [], "alert_levels": [], "fallback_models": ["a,b"],
            "tags": { "a": "x, y", "b": "z\nz" }, "system_prompt": "\nBe\r\nkind.\n",
            "cache": { "enabled": true, "ttl": "60s" }, "budget_usd": 1.5,
        });
        settings.as_object().unwrap().clone()
    }

    /// The form that a browser sends of these texts.
    fn sent(texts: &BTreeMap<String, String>) -> Form {
        let encode = |text: &str| {
            let text = text.replace('\n', "\r\n");
            percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC)
                .to_string()
        };
        let pairs = texts.iter().map(|(name, text)| format!("{name}={}", encode(text)));
        Form::parse(&pairs.collect::<Vec<_>>().join("&"))
    }

    #[test]
    fn a_form_that_is_sent_back_as_it_was_changes_nothing() {
        let stored = stored();
        assert_eq!(changes(&sent(&texts(&stored)), &stored), Map::new());
    }

    #[test]
    fn a_form_changes_what_was_typed_in_whatever_others_changed_meanwhile() {
        let before = texts(&stored());
        let mut typed = before.clone();
        typed.insert("shown".to_owned(), serde_json::to_string(&before).unwrap());
        typed.insert("tags".to_owned(), "c=d".to_owned());
        typed.insert("rate_limit_rpm".to_owned(), "60".to_owned());
        let form = sent(&typed);
        let mut stored = stored();
        stored.insert("budget_usd".to_owned(), json!(7));
        let wanted = json!({ "rate_limit_rpm": 60, "tags": { "a": null, "b": null, "c": "d" } });
        assert_eq!(Value::Object(changes(&form, &stored)), wanted);

        let problem = Problem::new(admin::ProblemKind::PreconditionFailed, "It was changed.");
        let groups = retyped(&form, &stored, &problem);
        let field = |name: &str| {
            let mut fields = groups.iter().flat_map(|it| &it.fields);
            fields.find(|it| it.name == name).unwrap().value.clone()
        };
        assert_eq!(
            (field("budget_usd"), field("rate_limit_rpm")),
            ("7".to_owned(), "60".to_owned())
        );
    }

    #[test]
    fn a_restriction_to_nothing_is_shown_and_typed_as_none() {
        let stored = stored();
        assert_eq!(shown(&stored, "allowed_models"), "none");
        let form = Form::parse("allowed_models=none&alert_levels=&fallback_models=none");
        let wanted = json!({
            "allowed_models": [], "alert_levels": null, "fallback_models": ["none"]
        });
        assert_eq!(Value::Object(settings(&form)), wanted);
    }
}
