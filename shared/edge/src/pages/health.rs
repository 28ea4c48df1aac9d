//! Health and cooldowns, and the audit log.

use std::time::Duration;

use admin::{AdminResult, PageRequest};
use pages::{
    Count, Moment, Share, Took,
    audit::{self, Audit},
    health::{Cooldown, Health, Part, Provider},
    shell::{Pill, Section, Tone},
};
use routing::CooldownReason;
use serde_json::Value;
use telemetry::{
    Hour,
    sums::{FIRST_TOKEN_BOUNDS, Sums},
};
use tenants::{Action, AuditEntry};

use super::{
    page_context::{PageContext, page},
    table::PageFuture,
    tenant,
};

/// How long entries of the audit are kept, in days.
const AUDIT_DAYS: u64 = 400;

fn reason(reason: CooldownReason) -> &'static str {
    match reason {
        CooldownReason::RateLimit => "rate limited",
        CooldownReason::DayQuota => "the day's quota is used up",
        CooldownReason::Credit => "the account has no credit left",
        CooldownReason::KeyRefused => "the key was refused",
        CooldownReason::Outage => "it failed again and again",
    }
}

/// What cools down, with why and for how long.
pub(super) async fn cooldowns(context: &PageContext) -> Vec<Cooldown> {
    let states = context.app.gateway.cooldown_states(context.clock()).await;
    let cooldown = |state: &routing::CooldownState| {
        let left = u64::try_from(state.left.as_millis()).unwrap_or(u64::MAX);
        let what = &state.what;
        let key = what.key.to_string();
        let key = key.get(key.len().saturating_sub(4)..).unwrap_or_default();
        // The fingerprint of a target without a key reads `none`.
        let of_key = if key == "none" { String::new() } else { format!(", key …{key}") };
        let model = if what.model.is_empty() { "every model" } else { what.model.as_str() };
        Cooldown {
            subject: format!("{}/{model}{of_key}", what.provider),
            reason: reason(state.reason).to_owned(),
            until: Moment(context.now().saturating_add(left)),
            left: Took(state.left),
            id: String::new(),
        }
    };
    states.iter().map(cooldown).collect()
}

fn attempts(sums: &Sums, provider: &str) -> Share {
    let of_provider = sums.attempts.iter().filter(|(key, _)| key.provider == provider);
    let (mut part, mut whole) = (0, 0);
    for (key, count) in of_provider {
        whole += count;
        part += if key.outcome == "success" { *count } else { 0 };
    }
    Share { part, whole }
}

async fn providers(context: &PageContext, cooling: &[Cooldown]) -> AdminResult<Vec<Provider>> {
    let hour = Hour::of(context.now());
    // Two hours: at the full hour the current one would be empty.
    let found =
        context.app.records.sums.by_hour(hour.previous(), hour, None, context.now()).await?;
    let mut sums = Sums::default();
    found.iter().for_each(|it| sums.merge(&it.sums));
    let by_provider = sums.grouped(|key| key.provider.clone());
    let snapshot = context.app.gateway.snapshot(context.clock()).await?;
    let provider = |name: &str| {
        let success = attempts(&sums, name);
        let is_cooling = cooling.iter().any(|it| it.subject.starts_with(&format!("{name}/")));
        let state = match success {
            _ if is_cooling => Pill::new(Tone::Warn, "cooldown"),
            Share { whole: 0, .. } => Pill::new(Tone::Off, "not called"),
            Share { part: 0, .. } => Pill::new(Tone::Err, "failing"),
            Share { .. } => Pill::new(Tone::Ok, "answering"),
        };
        let failures = sums.attempts.iter().filter(|(key, _)| {
            key.provider == name && key.outcome != "success" && key.outcome != "canceled"
        });
        let failures: Vec<String> = failures
            .map(|(key, count)| {
                format!("{} times {}", Count(*count), key.outcome.replace('_', " "))
            })
            .collect();
        let first_token =
            by_provider.get(name).and_then(|sum| sum.first_token.quantile(0.5, FIRST_TOKEN_BOUNDS));
        Provider {
            name: name.to_owned(),
            state,
            success,
            first_token: first_token.map(|micros| Took(Duration::from_micros(micros))),
            failures: failures.join(", "),
        }
    };
    Ok(snapshot.config.providers.iter().map(|it| provider(&it.name)).collect())
}

async fn parts(context: &PageContext) -> Vec<Part> {
    let part = |name: &str, state: Pill, text: String| Part { name: name.to_owned(), state, text };
    let lost = context.app.gateway.lost_records() + context.app.records.log.lost_rows();
    let records = match lost {
        0 => part(
            "Records",
            Pill::new(Tone::Ok, "kept"),
            "None was lost since the start.".to_owned(),
        ),
        lost => {
            let text = format!("{} were lost since the start: the store is too slow.", Count(lost));
            part("Records", Pill::new(Tone::Err, "lost"), text)
        }
    };
    let store = match context.admin().map(|admin| admin.config_text(context.clock())) {
        Ok(config) => config.await.map(|config| config.version),
        Err(problem) => Err(problem),
    };
    let configuration = match store {
        Ok(version) => {
            part("Configuration", Pill::new(Tone::Ok, "current"), format!("Version {version}."))
        }
        Err(problem) => part("Configuration", Pill::new(Tone::Err, "unreadable"), problem.detail),
    };
    let calls = match context.app.gateway.is_ready(context.clock()).await {
        true => part("Calls", Pill::new(Tone::Ok, "taken"), "The gateway takes calls.".to_owned()),
        false => {
            let text = "There is no configuration yet, so that no call can be made.".to_owned();
            part("Calls", Pill::new(Tone::Err, "not ready"), text)
        }
    };
    vec![calls, configuration, records]
}

pub(super) fn show(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        let cooldowns = cooldowns(context).await;
        page(&Health {
            shell: context.shell(Section::Health, "Health").await?,
            now: Moment(context.now()),
            parts: parts(context).await,
            providers: providers(context, &cooldowns).await?,
            cooldowns,
        })
    })
}

/// What changed, in words: a field with its value before and after.
fn detail(entry: &AuditEntry) -> String {
    let text = |value: &Value| match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let change =
        |(field, change): (&String, &Value)| match (change.get("before"), change.get("after")) {
            (Some(before), Some(after)) => format!("{field}: {} → {}", text(before), text(after)),
            _ => format!("{field}: {}", text(change)),
        };
    entry.changes.iter().map(change).collect::<Vec<_>>().join(" · ")
}

fn row(entry: &AuditEntry, names: &std::collections::BTreeMap<String, String>) -> audit::Row {
    let action = serde_json::to_value(entry.action).unwrap_or_default();
    let tenant = names.get(&entry.tenant).map_or(entry.tenant.as_str(), String::as_str);
    let subject = match (tenant, entry.subject.as_deref()) {
        ("", subject) => subject.unwrap_or_default().to_owned(),
        (tenant, None) => tenant.to_owned(),
        (tenant, Some(subject)) => format!("{tenant}, {subject}"),
    };
    let fact = |name: &str| entry.changes.get(name).and_then(Value::as_str);
    let is_log_in = entry.action == Action::LogIn;
    // Only of a log-in: another change may have a field of this name.
    let refused = fact("refused").filter(|_| is_log_in);
    audit::Row {
        at: Moment(entry.at * 1000),
        who: entry.actor.clone(),
        from: fact("address").filter(|_| is_log_in).unwrap_or_default().to_owned(),
        action: action.as_str().unwrap_or_default().replace('_', " "),
        subject,
        outcome: match refused {
            Some(_) => Pill::new(Tone::Err, "refused"),
            None => Pill::new(Tone::Ok, "done"),
        },
        detail: if is_log_in { refused.unwrap_or_default().to_owned() } else { detail(entry) },
    }
}

/// What was changed of a tenant lately.
pub(super) async fn changes_of(
    context: &PageContext,
    tenant: &str,
) -> AdminResult<Vec<audit::Row>> {
    let found = context.admin()?.audit(&tenant::audit_page(), context.clock()).await?;
    let names = context.names().await?;
    let entries = found.items.iter().filter(|entry| entry.tenant == tenant);
    Ok(entries.map(|entry| row(entry, &names)).collect())
}

pub(super) fn audit(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        let cursor = context.query.filled("cursor").map(str::to_owned);
        let wanted = PageRequest { cursor, ..PageRequest::default() };
        let found = context.admin()?.audit(&wanted, context.clock()).await?;
        let names = context.names().await?;
        page(&Audit {
            shell: context.shell(Section::Audit, "Audit").await?,
            rows: found.items.iter().map(|entry| row(entry, &names)).collect(),
            older: found.cursor,
            kept_days: AUDIT_DAYS,
        })
    })
}
