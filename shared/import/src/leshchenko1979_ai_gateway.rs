//! `config.yaml` of leshchenko1979/ai-gateway, in its first form and the later one with route
//! budgets. The form is close to ours; names and defaults differ.

use config::yaml_tree::{Entries, Node};

use crate::{
    draft::{Draft, DraftProvider, bare, entry, step, text},
    mapping::{Mapping, line},
    provider_kinds::kind_at,
};

/// Keys at the top, and ours.
const SETTINGS: [(&str, &str); 5] = [
    ("port", "port"),
    ("default_timeout", "default_timeout"),
    ("default_step_timeout", "default_timeout"),
    ("default_route_timeout", "route_timeout"),
    ("route_timeout", "route_timeout"),
];

pub(crate) fn import(mut root: Mapping<'_>, draft: &mut Draft) {
    if let Some(node) = root.take("api_key")
        && let Some(key) = draft.secret(node, "GATEWAY_API_KEY")
    {
        draft.set("api_key", key);
    }
    for (theirs, ours) in SETTINGS {
        if let Some(value) = root.text(theirs) {
            draft.set(ours, bare(value));
        }
    }
    let cooldown = root.text("default_step_cooldown");

    for node in root.list("providers") {
        provider(node, draft);
    }
    for node in root.list("routes") {
        route(node, cooldown.as_deref(), draft);
    }
    root.leave("", &[], draft);
}

fn provider(node: &Node<'_>, draft: &mut Draft) {
    let Some(mut provider) = Mapping::open(node) else { return };
    let name = provider.text("name").unwrap_or_else(|| "provider".to_owned());
    let base_url = provider.text("base_url");
    // Anthropic's own format is not what its providers were called in.
    let kind = base_url.as_deref().and_then(kind_at).filter(|kind| *kind != "anthropic");
    let variable = format!("{name}_API_KEY");
    let key = provider.take("api_key").and_then(|node| draft.secret(node, &variable));
    // Their address has OpenAI's chat behind it, whoever lives there.
    let kind = kind.filter(|kind| *kind != "gemini").unwrap_or("openai").to_owned();
    let base_url = base_url.map(text);
    draft.provider(DraftProvider { name, kind, base_url, key, more: vec![] });
    let reason = "schemas are made strict where a provider wants that";
    provider.leave("providers", &[("strict_json_schema", reason)], draft);
}

fn route(node: &Node<'_>, cooldown: Option<&str>, draft: &mut Draft) {
    let Some(mut route) = Mapping::open(node) else { return };
    let Some(name) = route.text("name") else { return };
    if draft.routes.iter().any(|known| known.name == name) {
        draft.note(
            line(node),
            format!("a second route {name} is left out; there, too, the first wins"),
        );
        return;
    }

    let steps: Vec<Entries> =
        route.list("steps").into_iter().filter_map(|node| import_step(node, draft)).collect();
    // Everything but a 200 advanced there.
    let mut settings = vec![entry("fallback_on", bare("any"))];
    let cooldown = route.text("step_cooldown").or_else(|| cooldown.map(str::to_owned));
    settings.extend(cooldown.map(|time| entry("cooldown", bare(time))));

    let ours = draft.route(&name);
    (ours.steps, ours.settings) = (steps, settings);
    let reason = "`route_timeout` at the top is for every route";
    route.leave("routes", &[("route_timeout", reason)], draft);
}

fn import_step(node: &Node<'_>, draft: &mut Draft) -> Option<Entries> {
    let mut mapping = Mapping::open(node)?;
    let mut entries = step(&mapping.text("provider")?, &mapping.text("model")?);
    let conflict = mapping.text("conflict_resolution").filter(|it| it == "tools" || it == "format");
    entries.extend(conflict.map(|it| entry("conflict_resolution", text(it))));
    let timeout = mapping.text("timeout").or_else(|| mapping.text("step_timeout"));
    entries.extend(timeout.map(|time| entry("timeout", bare(time))));
    let reason = "`tool_choice` is relaxed where a model cannot think and be forced";
    mapping.leave("steps", &[("thinking", reason)], draft);
    Some(entries)
}
