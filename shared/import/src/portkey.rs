//! A config of Portkey: a strategy over targets.
//!
//! Source: portkey.ai/docs/api-reference/inference-api/config-object, seen 2026-11.

use config::document::{Entries, Written};

use crate::{
    draft::{Draft, DraftProvider, bare, entry, seconds, step, text},
    kinds::{key_variable, kind_of},
    mapping::{Mapping, line, text as text_in},
};

const REASONS: [(&str, &str); 6] = [
    ("input_guardrails", "there are no guardrails"),
    ("output_guardrails", "there are no guardrails"),
    ("before_request_hooks", "there are no hooks"),
    ("after_request_hooks", "there are no hooks"),
    ("forward_headers", "no header of a client leaves the gateway"),
    ("strict_open_ai_compliance", "responses have the format of their path"),
];

pub(crate) fn import(mut root: Mapping<'_>, name: &str, draft: &mut Draft) {
    let mut settings = Entries::default();
    if let Some(mut cache) = root.mapping("cache") {
        let mut entries = vec![entry("enabled", bare("true"))];
        entries.extend(cache.number("max_age").map(|age| entry("ttl", seconds(age))));
        if let Some(node) =
            cache.take("mode").filter(|it| text_in(it).as_deref() == Some("semantic"))
        {
            draft.note(
                line(node),
                "`semantic` is not carried over: only equal requests share a response",
            );
        }
        draft.set("cache", Written::Map(entries));
        cache.leave("cache", &[], draft);
    }

    let mut steps = vec![];
    collect(&mut root, &mut steps, &mut settings, draft);
    draft.set("default_model", text(name));
    let route = draft.route(name);
    (route.steps, route.settings) = (steps, settings);
    draft.note(None, format!("a client names the route: `\"model\": \"{name}\"`"));
    root.leave("", &REASONS, draft);
}

/// Collects the targets of a strategy, and of strategies within it.
fn collect(
    config: &mut Mapping<'_>,
    steps: &mut Vec<Entries>,
    settings: &mut Entries,
    draft: &mut Draft,
) {
    if let Some(mut strategy) = config.mapping("strategy") {
        let mode = strategy.take("mode");
        match mode.and_then(text_in).as_deref() {
            Some("loadbalance") => settings.push(entry("strategy", bare("weighted"))),
            Some("conditional") => draft.note(
                mode.and_then(line),
                "`conditional` is not carried over: say `when` in each step",
            ),
            _ => {}
        }
        let reason = "`fallback_on` says what advances: `default` or `any`";
        strategy.leave("strategy", &[("on_status_codes", reason)], draft);
    }
    let targets = config.list("targets");
    // A config without a strategy is itself the target.
    if targets.is_empty() {
        steps.extend(target(config, draft));
    }
    for node in targets {
        let Some(mut inner) = Mapping::open(node) else { continue };
        if inner.has("targets") {
            draft.note(line(node), "targets within a target become steps of the same route");
            // A route has one strategy, that of the outermost config.
            collect(&mut inner, steps, &mut Entries::default(), draft);
        } else {
            steps.extend(target(&mut inner, draft));
        }
        inner.leave("targets", &REASONS, draft);
    }
}

fn target(config: &mut Mapping<'_>, draft: &mut Draft) -> Option<Entries> {
    config.text("name");

    let node = config.take("provider").or_else(|| config.take("virtual_key"))?;
    let named = text_in(node)?;
    let named = named.trim_start_matches('@');
    let Some(kind) = kind_of(named) else {
        let message = format!("`{named}` names a provider in Portkey's own vault; declare it here");
        draft.note(line(node), message);
        return None;
    };

    let variable = key_variable(kind);
    let key = config.take("api_key");
    let key = key.and_then(|node| draft.secret(node, &variable.clone().unwrap_or_default()));
    let base_url = config.text("custom_host").map(text);
    // A key of the company itself is nothing for a host of somebody else's.
    let variable = variable.filter(|_| base_url.is_none());
    let key = key.or_else(|| variable.map(|variable| bare(format!("${{{variable}}}"))));
    let kind = kind.to_owned();
    let provider = DraftProvider { name: kind.clone(), kind, base_url, key, more: vec![] };
    let provider = draft.provider(provider);
    let model = config.mapping("override_params").and_then(|mut params| {
        let model = params.text("model");
        params.leave("override_params", &[], draft);
        model
    });
    let Some(model) = model else {
        draft.note(
            line(node),
            format!("a target of {provider} names no `override_params.model`; it is left out"),
        );
        return None;
    };

    let mut entries = step(&provider, &model);
    // Theirs are shares of 1 or any numbers; ours are whole.
    let weight = config.number("weight").filter(|weight| 0.0 <= *weight);
    let weight = weight.map(|weight| (weight * 100.0).round().min(1_000_000.0));
    entries.extend(weight.map(|weight| entry("weight", bare(weight))));
    let timeout = config.number("request_timeout");
    entries.extend(timeout.map(|time| entry("timeout", seconds(time / 1000.0))));
    if let Some(mut retry) = config.mapping("retry") {
        let attempts = retry.count("attempts");
        entries.extend(attempts.map(|it| entry("retries", bare(it.min(10)))));
        retry.leave("retry", &[("on_status_codes", "every transient failure is retried")], draft);
    }
    Some(entries)
}
