//! `LiteLLM`'s `config.yaml`.
//!
//! Sources: docs.litellm.ai/docs/proxy/configs, /`config_settings`, /reliability and /`load_balancing`,
//! seen 2026-11.

use config::yaml_tree::{Entries, Node, Written};

use crate::{
    draft::{Draft, DraftProvider, DraftRoute, bare, entry, seconds, step, text, text_or_variable},
    mapping::{Mapping, line, text as text_in},
    provider_kinds::{key_variable, kind_of, maker_of},
};

const GENERAL: [(&str, &str); 8] = [
    ("database_url", "records, tenants and keys live in the embedded database (or DynamoDB)"),
    ("store_model_in_db", "the configuration is this file, or what /admin made of it"),
    ("alerting", "budget alerts go to `alerts`: a webhook or a topic"),
    ("salt_key", "secrets are sealed under a key of the gateway's own"),
    ("proxy_batch_write_at", "records are written as calls end"),
    ("background_health_checks", "see `probe` of a provider"),
    ("custom_auth", "clients have keys of tenants"),
    ("pass_through_endpoints", "only the documented endpoints are served"),
];
const SETTINGS: [(&str, &str); 12] = [
    (
        "drop_params",
        "what a provider does not take is always dropped, and named in X-Gateway-Dropped",
    ),
    ("modify_params", "requests are adapted to each provider as they are"),
    ("success_callback", "see `/metrics`, traces and the request log"),
    ("failure_callback", "see `/metrics`, traces and the request log"),
    ("callbacks", "see `/metrics`, traces and the request log"),
    ("content_policy_fallbacks", "a filtered response is a response, and given to the client"),
    ("telemetry", "nothing is reported to anybody"),
    ("max_budget", "budgets belong to tenants: `budget_usd`"),
    ("budget_duration", "budgets belong to tenants: `budget_period`"),
    ("turn_off_message_logging", "texts are never logged unless `log.contents` asks for it"),
    ("redact_user_api_key_info", "keys are never logged"),
    ("ssl_verify", "certificates are always verified; `ca_file` adds a root"),
];
const ROUTER: [(&str, &str); 8] = [
    ("redis_host", "instances share what they must through the store"),
    ("redis_port", "instances share what they must through the store"),
    ("redis_password", "instances share what they must through the store"),
    ("redis_url", "instances share what they must through the store"),
    ("enable_pre_call_checks", "targets that cannot hold a prompt are passed over in any case"),
    ("retry_policy", "`retries` of a step are for every transient failure"),
    ("model_group_retry_policy", "`retries` of a step are for every transient failure"),
    ("retry_after", "pauses double from up to half a second and obey Retry-After"),
];
const PARAMS: [(&str, &str); 5] = [
    ("max_parallel_requests", "see `limits.concurrent` of a provider"),
    ("drop_params", "what a provider does not take is always dropped"),
    ("tpm", "see `limits.tokens_per_minute` of a provider"),
    ("aws_access_key_id", "credentials of AWS come from its own variables and profiles"),
    ("aws_secret_access_key", "credentials of AWS come from its own variables and profiles"),
];

/// Settings that each route takes over.
#[derive(Default)]
struct Shared {
    retries: Option<u64>,
    cooldown: Option<f64>,
    strategy: Option<&'static str>,
    fallbacks: Vec<(String, Vec<String>)>,
    default_fallbacks: Vec<String>,
    aliases: Vec<(String, String)>,
}

pub(crate) fn import(mut root: Mapping<'_>, draft: &mut Draft) {
    let mut shared = Shared::default();
    if let Some(variables) = root.mapping("environment_variables") {
        // Set there for its own process; the configuration here names them as `${VAR}`.
        for (name, node) in variables.rest() {
            if let Some(value) = text_in(node).filter(|it| !it.starts_with("os.environ/")) {
                draft.define(name, &value);
            }
        }
    }
    if let Some(general) = root.mapping("general_settings") {
        general_settings(general, draft);
    }
    if let Some(settings) = root.mapping("litellm_settings") {
        litellm_settings(settings, &mut shared, draft);
    }
    if let Some(router) = root.mapping("router_settings") {
        router_settings(router, &mut shared, draft);
    }
    // Last, since each deployment takes over what the settings say.
    for node in root.list("model_list") {
        deployment(node, &shared, draft);
    }
    finish_routes(&shared, draft);
    root.leave("", &[("include", "import each of the files")], draft);
}

fn general_settings(mut general: Mapping<'_>, draft: &mut Draft) {
    if let Some(node) = general.take("master_key")
        && let Some(key) = draft.secret(node, "GATEWAY_API_KEY")
    {
        draft.set("api_key", key);
    }
    general.leave("general_settings", &GENERAL, draft);
}

fn litellm_settings(mut settings: Mapping<'_>, shared: &mut Shared, draft: &mut Draft) {
    shared.retries = settings.count("num_retries");

    if let Some(time) = settings.number("request_timeout") {
        draft.set("default_timeout", seconds(time));
    }
    if settings.flag("json_logs") == Some(true) {
        draft.set("log", Written::Map(vec![entry("format", bare("json"))]));
    }
    settings.flag("set_verbose");
    let is_cached = settings.flag("cache") == Some(true);
    let ttl = settings.mapping("cache_params").and_then(|mut params| {
        let ttl = params.number("ttl");
        let reason = "responses are kept in the store";
        params.leave("litellm_settings.cache_params", &[("type", reason)], draft);
        ttl
    });

    if is_cached {
        let mut cache = vec![entry("enabled", bare("true"))];
        cache.extend(ttl.map(|ttl| entry("ttl", seconds(ttl))));
        draft.set("cache", Written::Map(cache));
    }
    fallbacks(&mut settings, shared);
    settings.leave("litellm_settings", &SETTINGS, draft);
}

fn fallbacks(settings: &mut Mapping<'_>, shared: &mut Shared) {
    for key in ["fallbacks", "context_window_fallbacks"] {
        for group in settings.list(key).into_iter().filter_map(Mapping::open) {
            for (name, node) in group.rest() {
                let others = crate::mapping::items(node).into_iter().filter_map(text_in);
                shared.fallbacks.push((name.to_owned(), others.collect()));
            }
        }
    }
    shared.default_fallbacks.extend(settings.texts("default_fallbacks"));
}

fn router_settings(mut router: Mapping<'_>, shared: &mut Shared, draft: &mut Draft) {
    if let Some(node) = router.take("routing_strategy") {
        let name = text_in(node).unwrap_or_default();
        shared.strategy = match &*name {
            // Its default picks by weight, rpm or tpm; weights are what we have of that.
            "simple-shuffle" => Some("weighted"),
            "least-busy" | "usage-based-routing" | "usage-based-routing-v2" => Some("least_busy"),
            "latency-based-routing" => Some("fastest"),
            "cost-based-routing" => Some("cheapest"),
            _ => None,
        };
        if name.starts_with("usage-based") {
            draft.note(
                line(node),
                "`usage-based-routing` becomes `least_busy`: by calls, not tokens",
            );
        } else if shared.strategy.is_none() {
            draft.note(
                line(node),
                format!("the strategy {name} is unknown here; steps are tried in order"),
            );
        }
    }
    shared.retries = router.count("num_retries").or(shared.retries);
    shared.cooldown = router.number("cooldown_time");
    if let Some(time) = router.number("timeout") {
        draft.set("default_timeout", seconds(time));
    }
    if let Some(node) = router.take("allowed_fails") {
        draft.note(line(node), "`allowed_fails` becomes nothing: see `breaker` of a route");
    }
    for (alias, node) in router.mapping("model_group_alias").into_iter().flat_map(Mapping::rest) {
        let model = Mapping::open(node).and_then(|mut it| it.text("model"));
        match model.or_else(|| text_in(node)) {
            Some(model) => shared.aliases.push((alias.to_owned(), model)),
            None => draft.note(line(node), format!("the alias {alias} names no single model")),
        }
    }
    fallbacks(&mut router, shared);
    router.leave("router_settings", &ROUTER, draft);
}

/// One entry of `model_list`: a step of the route that its `model_name` becomes.
fn deployment(node: &Node<'_>, shared: &Shared, draft: &mut Draft) {
    let Some(mut mapping) = Mapping::open(node) else { return };
    let name = mapping.text("model_name");
    let params = mapping.mapping("litellm_params");
    let info = mapping.mapping("model_info");
    let (Some(name), Some(mut params)) = (name, params) else {
        draft.note(line(node), "a model without `model_name` or `litellm_params` is left out");
        return;
    };

    let Some(target) = target(node, &mut params, draft) else { return };

    if target.model.contains('*') || name.contains('*') {
        wildcard(node, &name, &target, draft);
    } else {
        let mut entries = step(&target.provider, &target.model);
        step_settings(&mut entries, &mut params, shared);
        prices(&target, &mut params, draft);
        if let Some(mut info) = info {
            let window = info.count("max_input_tokens");
            entries.extend(window.map(|it| entry("context_window", bare(it))));
            prices(&target, &mut info, draft);
        }
        draft.route(&name).steps.push(entries);
    }
    params.leave("litellm_params", &PARAMS, draft);
    mapping.leave("model_list", &[], draft);
}

/// Where a deployment's requests go.
struct Target {
    provider: String,
    model: String,
}

fn target(node: &Node<'_>, params: &mut Mapping<'_>, draft: &mut Draft) -> Option<Target> {
    let Some(full) = params.text("model") else {
        draft.note(line(node), "a model without `litellm_params.model` is left out");
        return None;
    };

    let own = params.text("custom_llm_provider");
    let (prefix, model) = match (&own, full.split_once('/')) {
        (Some(own), _) => (own.as_str(), full.as_str()),
        // Names such as `meta-llama/Llama-3` have a slash too, so that only known prefixes are cut.
        (None, Some((prefix, model))) if kind_of(prefix).is_some() => (prefix, model),
        (None, Some((prefix, _))) => {
            let message = format!("`{full}` is left out: {prefix} is no type of provider here");
            draft.note(line(node), message);
            return None;
        }
        (None, None) => (maker_of(&full).unwrap_or("openai"), full.as_str()),
    };
    if model.is_empty() {
        draft.note(line(node), format!("`{full}` names no model and is left out"));
        return None;
    }
    let kind = kind_of(prefix)?;

    let mut more = Entries::default();
    for (theirs, ours) in [("api_version", "api_version"), ("aws_region_name", "region")] {
        more.extend(params.text(theirs).map(|value| entry(ours, text_or_variable(&value))));
    }
    let limit = params.count("rpm").map(|rpm| vec![entry("requests_per_minute", bare(rpm))]);
    more.extend(limit.map(|limit| entry("limits", Written::Map(limit))));
    let base_url = params.text("api_base").or_else(|| params.text("base_url"));
    let base_url = base_url.as_deref().map(text_or_variable);
    let default = key_variable(kind).unwrap_or_default();

    let given = params.take("api_key").and_then(|node| draft.secret(node, &default));
    let default_key = || Some(bare(format!("${{{}}}", key_variable(kind)?)));
    // A key of the company itself is nothing for a host of somebody else's.
    let key = given.or_else(|| if base_url.is_some() { None } else { default_key() });

    let provider =
        DraftProvider { name: kind.to_owned(), kind: kind.to_owned(), base_url, key, more };
    Some(Target { provider: draft.provider(provider), model: model.to_owned() })
}

/// Names with `*` are no routes here: `provider/model` reaches every model, and one provider may
/// take every unknown name.
fn wildcard(node: &Node<'_>, name: &str, target: &Target, draft: &mut Draft) {
    let provider = &target.provider;
    if name == "*" || !name.contains('/') {
        draft.set("default_provider", text(provider.clone()));
        draft.note(line(node), format!("`{name}`: every unknown model goes to {provider} now"));
    } else {
        draft
            .note(line(node), format!("`{name}` becomes `{provider}/MODEL`, which needs no route"));
    }
}

fn step_settings(entries: &mut Entries, params: &mut Mapping<'_>, shared: &Shared) {
    let weight = params.count("weight");
    entries.extend(weight.map(|weight| entry("weight", bare(weight))));
    let timeout = params.number("timeout").map(|time| entry("timeout", seconds(time)));
    entries.extend(timeout);
    let first = params.number("stream_timeout");
    entries.extend(first.map(|time| entry("first_token_timeout", seconds(time))));
    let retries = params.count("max_retries").or(shared.retries).filter(|it| 0 < *it);
    // The most that a step may have here.
    entries.extend(retries.map(|retries| entry("retries", bare(retries.min(10)))));
}

/// Prices, which `LiteLLM` has for one token.
fn prices(target: &Target, params: &mut Mapping<'_>, draft: &mut Draft) {
    let mut million = |key| params.number(key).map(|price| dollars(price * 1_000_000.0));
    let (input, output) = (million("input_cost_per_token"), million("output_cost_per_token"));
    // Half a price would bill half of each call.
    let Some((input, output)) = input.zip(output) else { return };
    let mut price = step(&target.provider, &target.model);
    price.extend([entry("input", bare(input)), entry("output", bare(output))]);
    // Several deployments of one model repeat its price.
    let is_new = |known: &Entries| known[..2] != price[..2];
    if draft.prices.iter().all(is_new) {
        draft.prices.push(price);
    }
}

fn dollars(amount: f64) -> String {
    let text = format!("{amount:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Gives each route the steps of its fallbacks, its strategy and its cooldown.
fn finish_routes(shared: &Shared, draft: &mut Draft) {
    // Taken before fallbacks are added: fallbacks of a fallback are no fallbacks there either.
    let own: Vec<(String, Vec<Entries>)> =
        draft.routes.iter().map(|route| (route.name.clone(), route.steps.clone())).collect();
    let steps_of = |name: &str| own.iter().find(|(known, _)| known == name).map(|(_, it)| it);
    for route in &mut draft.routes {
        // Deployments of one name share the load there, even without a strategy.
        let strategy = shared.strategy.or_else(|| (1 < route.steps.len()).then_some("weighted"));
        if 1 < route.steps.len() {
            route.settings.extend(strategy.map(|it| entry("strategy", bare(it))));
        }

        let named = shared.fallbacks.iter().filter(|(name, _)| *name == route.name);
        let others = named.flat_map(|(_, others)| others).chain(&shared.default_fallbacks);
        for other in others.filter(|other| **other != route.name) {
            for fallback in steps_of(other).into_iter().flatten() {
                if !route.steps.iter().any(|known| known[..2] == fallback[..2]) {
                    // It never comes first, and is there when the others fail.
                    let mut fallback = fallback.clone();
                    fallback.retain(|(key, _)| key != "weight");
                    let is_weighted = route.settings.iter().any(|(key, _)| key == "strategy");
                    fallback.extend(is_weighted.then(|| entry("weight", bare(0))));
                    route.steps.push(fallback);
                }
            }
        }

        let cooldown = shared.cooldown.map(|time| entry("cooldown", seconds(time)));
        route.settings.extend(cooldown);
    }
    for (name, others) in &shared.fallbacks {
        if let Some(missing) = others.iter().find(|other| steps_of(other).is_none()) {
            draft.note(None, format!("the fallback {missing} of {name} is no model of the file"));
        }
    }
    // Last, so that an alias gets the fallbacks of its model.
    for (alias, model) in &shared.aliases {
        let target = draft.routes.iter().find(|route| route.name == *model).cloned();
        match target {
            Some(target) => draft.routes.push(DraftRoute { name: alias.clone(), ..target }),
            None => draft.note(None, format!("the alias {alias} names no model of the file")),
        }
    }
}
