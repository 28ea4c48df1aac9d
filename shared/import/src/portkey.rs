//! A config of Portkey: a strategy over targets.
//!
//! Source: portkey.ai/docs/api-reference/inference-api/config-object, seen 2026-11.

use config::yaml_tree::{Entries, Written};

use crate::{
    draft::{Draft, DraftProvider, bare, entry, seconds, step, text},
    mapping::{Mapping, line, text as text_in},
    provider_kinds::{key_variable, kind_of},
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
    // What holds for all targets stands in each step that has none of its own.
    if root.has("targets") {
        for (key, value) in limits(&mut root, draft) {
            for step in &mut steps {
                if !step.iter().any(|(known, _)| *known == key) {
                    step.push((key.clone(), value.clone()));
                }
            }
        }
    }
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
    let node = config.take("provider").or_else(|| config.take("virtual_key"));
    let model = config.mapping("override_params").and_then(|mut params| {
        let model = params.text("model");
        params.leave("override_params", &[], draft);
        model
    });
    // A provider may stand before the model, as in `@provider/model`.
    let inline = model.as_deref().and_then(|it| it.strip_prefix('@')?.split_once('/'));
    let named = node.and_then(text_in).or_else(|| inline.map(|(slug, _)| slug.to_owned()))?;
    let model = inline.map(|(_, model)| model.to_owned()).or_else(|| model.clone());
    let at = node.and_then(line);
    let provider = provider(named.trim_start_matches('@'), at, config, draft)?;
    let Some(model) = model else {
        let message =
            format!("a target of {provider} names no `override_params.model`; it is left out");
        draft.note(at, message);
        return None;
    };

    let mut entries = step(&provider, &model);
    // Theirs are shares of 1 or any numbers; ours are whole.
    let weight = config.number("weight").filter(|weight| 0.0 <= *weight);
    let weight = weight.map(|weight| (weight * 100.0).round().min(1_000_000.0));
    entries.extend(weight.map(|weight| entry("weight", bare(weight))));
    entries.extend(limits(config, draft));
    Some(entries)
}

/// The provider of a target; none where only Portkey's own vault knows who that is.
fn provider(
    named: &str,
    at: Option<usize>,
    config: &mut Mapping<'_>,
    draft: &mut Draft,
) -> Option<String> {
    let first_word = named.split(['-', '_']).next().unwrap_or_default();
    let Some(kind) = kind_of(named).or_else(|| kind_of(first_word)) else {
        let message = format!("`{named}` names a provider in Portkey's own vault; declare it here");
        draft.note(at, message);
        return None;
    };
    if kind_of(named).is_none() {
        let message = format!("`{named}` of Portkey's own vault is taken for one of type {kind}");
        draft.note(at, message);
    }
    let variable = key_variable(kind);
    let key = config.take("api_key");
    let key = key.and_then(|node| draft.secret(node, &variable.clone().unwrap_or_default()));
    let base_url = config.text("custom_host").map(text);
    // A key of the company itself is nothing for a host of somebody else's.
    let variable = variable.filter(|_| base_url.is_none());
    let key = key.or_else(|| variable.map(|variable| bare(format!("${{{variable}}}"))));
    let kind = kind.to_owned();
    let provider = DraftProvider { name: kind.clone(), kind, base_url, key, more: vec![] };
    Some(draft.provider(provider))
}

/// How long an attempt may take, and how often it is repeated.
fn limits(config: &mut Mapping<'_>, draft: &mut Draft) -> Entries {
    let timeout = config.number("request_timeout");
    let mut entries = Entries::default();
    entries.extend(timeout.map(|time| entry("timeout", seconds(time / 1000.0))));
    if let Some(mut retry) = config.mapping("retry") {
        let attempts = retry.count("attempts");
        entries.extend(attempts.map(|it| entry("retries", bare(it.min(10)))));
        retry.leave("retry", &[("on_status_codes", "every transient failure is retried")], draft);
    }
    entries
}
