//! `LiteLLM`'s virtual keys, as `/key/list?return_full_object=true` gives them.
//!
//! `LiteLLM` stores the SHA-256 of a key, and so do we: clients keep their keys.

use config::yaml_tree::{Entries, Node, Value, Written};

use crate::{
    draft::{Draft, bare, entry, text},
    mapping::{Mapping, line, text as text_in},
};

const REASONS: [(&str, &str); 12] = [
    ("spend", "spending starts at 0; `POST /admin/tenants/{id}/adjust` corrects it"),
    ("tpm_limit", "see `daily_input_tokens` and `daily_output_tokens`"),
    ("key_name", "a shortened key names nothing"),
    ("created_at", "times start now"),
    ("updated_at", "times start now"),
    ("last_active", "times start now"),
    ("budget_reset_at", "periods are months and days in UTC"),
    ("user_id", "a tenant has no users"),
    ("team_id", "a tenant has no team; use `tags`"),
    ("organization_id", "a tenant has no organization; use `tags`"),
    ("model_max_budget", "a budget counts every model"),
    ("soft_budget", "see `alert_levels`"),
];

pub(crate) fn import(mut root: Mapping<'_>, draft: &mut Draft) -> Result<(), String> {
    let keys = root.list("keys");
    // Of the page, not of the keys.
    for key in ["total_count", "current_page", "total_pages"] {
        root.take(key);
    }
    keys.into_iter().try_for_each(|node| import_key(node, draft))?;
    root.leave("", &[], draft);
    Ok(())
}

pub(crate) fn import_list(root: &Node<'_>, draft: &mut Draft) -> Result<(), String> {
    crate::mapping::items(root).into_iter().try_for_each(|node| import_key(node, draft))
}

fn import_key(node: &Node<'_>, draft: &mut Draft) -> Result<(), String> {
    let Some(mut key) = Mapping::open(node) else {
        return Err("lists keys without what belongs to them; export them with \
                    `/key/list?return_full_object=true`"
            .to_owned());
    };

    let is_hash = |hash: &String| hash.len() == 64 && hash.bytes().all(|it| it.is_ascii_hexdigit());
    let Some(hash) = key.text("token").filter(is_hash) else {
        draft.note(line(node), "a key without its hash in `token` is left out");
        return Ok(());
    };

    let alias = key.text("key_alias").unwrap_or_else(|| hash.chars().take(12).collect());
    let mut tenant = vec![entry("name", text(tenant_name(&alias, draft)))];
    let mut client_key = vec![entry("key", text(format!("sha256:{hash}")))];
    client_key.push(entry("name", text(alias)));
    client_key.extend(key.text("expires").map(|at| entry("expires", text(moment(&at)))));
    tenant.push(entry("api_keys", Written::List(vec![Written::Map(client_key)])));

    if key.flag("blocked") == Some(true) {
        tenant.push(entry("enabled", bare("false")));
    }
    limits(&mut key, &mut tenant, line(node), draft);
    // Theirs are words; ours have values.
    let tags = key.texts("tags").into_iter().map(|tag| entry(&tag, text("true")));
    let tags: Entries = tags.collect();
    if !tags.is_empty() {
        tenant.push(entry("tags", Written::Map(tags)));
    }
    draft.tenants.push(tenant);

    leave_given(key, draft);
    Ok(())
}

fn limits(key: &mut Mapping<'_>, tenant: &mut Entries, at: Option<usize>, draft: &mut Draft) {
    for (theirs, ours) in
        [("rpm_limit", "rate_limit_rpm"), ("max_parallel_requests", "max_concurrent")]
    {
        tenant.extend(key.count(theirs).map(|limit| entry(ours, bare(limit))));
    }
    // As a text, since a number would lose digits as a float.
    tenant.extend(key.text("max_budget").map(|amount| entry("budget_usd", bare(amount))));
    match key.text("budget_duration").as_deref() {
        None | Some("30d" | "1mo" | "31d") => {}
        Some("1d" | "24h") => tenant.push(entry("budget_period", bare("day"))),
        Some(other) => draft.note(at, format!("a budget for {other} becomes one for a month")),
    }
    let models = key.texts("models");
    let is_all =
        models.iter().any(|model| model == "all-proxy-models" || model == "all-team-models");
    if !models.is_empty() && !is_all {
        let models = models.into_iter().map(text).collect();
        tenant.push(entry("allowed_models", Written::List(models)));
    }
}

/// Notes what was given and is not carried over; exports are full of empty members.
fn leave_given(key: Mapping<'_>, draft: &mut Draft) {
    for (name, node) in key.rest() {
        let is_empty = match &node.value {
            Value::Scalar { .. } => {
                text_in(node).is_none_or(|it| it == "0" || it == "0.0" || it == "false")
            }
            Value::List(items) => items.is_empty(),
            Value::Map(entries) => entries.is_empty(),
        };
        if !is_empty {
            let reason = REASONS.iter().find(|(known, _)| *known == name);
            let reason = reason.map_or("has no counterpart here", |(_, reason)| reason);
            draft.note(line(node), format!("`{name}` is not carried over: {reason}"));
        }
    }
}

/// A name that a tenant may have, and that no other has.
pub(crate) fn tenant_name(alias: &str, draft: &Draft) -> String {
    let fits = |it: char| if it.is_ascii_alphanumeric() || "-_.".contains(it) { it } else { '-' };
    // Room for the number that makes it unique.
    let name: String = alias.chars().map(fits).take(60).collect();
    // That name is the tenant of the gateway's own `api_key`.
    let name = if name.starts_with(|it: char| it.is_ascii_alphanumeric()) && name != "default" {
        name
    } else {
        format!("key{name}")
    };
    let taken =
        |name: &String| draft.tenants.iter().any(|tenant| tenant[0].1 == text(name.clone()));
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    std::iter::once(name.clone()).chain(numbered).find(|name| !taken(name)).unwrap_or(name)
}

/// A moment as Python writes it, in UTC.
fn moment(text: &str) -> String {
    let text = text.replacen(' ', "T", 1);

    let has_zone = text.ends_with('Z') || text.get(10..).is_some_and(|it| it.contains(['+', '-']));
    if has_zone || text.len() <= 10 { text } else { format!("{text}Z") }
}
