//! The YAML file of Helicone's AI gateway: routers over providers.
//!
//! Source: docs.helicone.ai/ai-gateway/config, seen 2026-11. Its routers choose a provider for any
//! model; a route here serves one model, so that routers become providers and a note.

use config::yaml_tree::{Node, Written};

use crate::{
    draft::{Draft, DraftProvider, bare, entry, text},
    mapping::{Mapping, items, line, text as text_in},
    provider_kinds::{key_variable, kind_of},
};

const REASONS: [(&str, &str); 6] = [
    ("helicone", "records stay with the gateway"),
    ("telemetry", "see the OTEL_… variables"),
    ("server", "see `serve --listen` and `server`"),
    ("cache-store", "responses are kept in the store"),
    ("rate-limit-store", "limits are kept in the store"),
    ("discover", "see `default_provider`"),
];

pub(crate) fn import(mut root: Mapping<'_>, draft: &mut Draft) {
    for (name, node) in root.mapping("providers").into_iter().flat_map(Mapping::rest) {
        declared(name, node, draft);
    }
    if let Some(mut global) = root.mapping("global") {
        if let Some(cache) = global.take("cache") {
            import_cache(cache, draft);
        }
        let reason = "limits belong to tenants: `rate_limit_rpm`";
        global.leave("global", &[("rate-limit", reason)], draft);
    }
    for (name, node) in root.mapping("routers").into_iter().flat_map(Mapping::rest) {
        router(name, node, draft);
    }
    root.leave("", &REASONS, draft);
}

fn declared(name: &str, node: &Node<'_>, draft: &mut Draft) {
    let Some(mut mapping) = Mapping::open(node) else { return };
    let base_url = mapping.text("base-url");
    let models = mapping.texts("models");
    let Some(provider) = provider(name, base_url, draft) else {
        draft.note(line(node), format!("{name} is left out: it is no type of provider here"));
        return;
    };

    for model in models {
        let is_taken = draft.models.iter().any(|known| known[0].1 == text(model.clone()));
        if !is_taken {
            let model = [entry("name", text(model)), entry("provider", text(provider.clone()))];
            draft.models.push(model.into());
        }
    }
    mapping.leave(&format!("providers.{name}"), &[("version", "each type has its own")], draft);
}

fn provider(name: &str, base_url: Option<String>, draft: &mut Draft) -> Option<String> {
    if let Some(known) = draft.providers.iter().find(|known| known.name == name) {
        return Some(known.name.clone());
    }
    let kind = kind_of(name).or(base_url.as_ref().map(|_| "openai"))?.to_owned();
    // A key of the company itself is nothing for a host of somebody else's.
    let variable = key_variable(&kind).filter(|_| base_url.is_none());
    let key = variable.map(|variable| bare(format!("${{{variable}}}")));
    let name = name.to_owned();
    Some(draft.provider(DraftProvider {
        name,
        kind,
        base_url: base_url.map(text),
        key,
        more: vec![],
    }))
}

fn router(name: &str, node: &Node<'_>, draft: &mut Draft) {
    let Some(mut router) = Mapping::open(node) else { return };

    let mut names = vec![];
    for (_, node) in router.mapping("load-balance").into_iter().flat_map(Mapping::rest) {
        let Some(mut balance) = Mapping::open(node) else { continue };
        balance.text("strategy");
        for key in ["providers", "models"] {
            names.extend(balance.list(key).into_iter().filter_map(provider_in));
        }
        balance.leave(&format!("routers.{name}.load-balance"), &[], draft);
    }
    for named in &names {
        provider(named, None, draft);
    }
    if let Some(cache) = router.take("cache") {
        import_cache(cache, draft);
    }
    let chosen = names.join(", ");

    let message = format!(
        "the router {name} ({chosen}) becomes no route: a route here serves one model over several \
         providers; `PROVIDER/MODEL` reaches each, and `compatibility.base_paths` keeps its path"
    );
    draft.note(line(node), message);
    // Clients of that gateway have the router's path in their base URL.
    let path = text(format!("/router/{name}"));
    match draft.settings.iter_mut().find(|(key, _)| key == "compatibility") {
        Some((_, Written::Map(entries))) => {
            if let Some((_, Written::List(paths))) = entries.first_mut() {
                paths.push(path);
            }
        }
        _ => {
            let paths = entry("base_paths", Written::List(vec![path]));
            draft.set("compatibility", Written::Map(vec![paths]));
        }
    }
    let reasons = [
        ("rate-limit", "limits belong to tenants: `rate_limit_rpm`"),
        ("retries", "see `retries` of a step"),
    ];
    router.leave(&format!("routers.{name}"), &reasons, draft);
}

/// The provider in an entry: `openai`, `openai/gpt-4o`, or `{provider: openai, weight: 0.5}`.
fn provider_in(node: &Node<'_>) -> Option<String> {
    let named = match Mapping::open(node) {
        Some(mut weighted) => weighted.text("provider").or_else(|| weighted.text("model"))?,
        None => items(node).first().and_then(|node| text_in(node))?,
    };
    named.split('/').next().map(str::to_owned)
}

fn import_cache(node: &Node<'_>, draft: &mut Draft) {
    let Some(mut cache) = Mapping::open(node) else { return };
    let directive = cache.text("directive").unwrap_or_default();
    // The value is an HTTP directive, as in `Cache-Control`.
    let age = directive.split("max-age=").nth(1);
    let age = age.and_then(|it| it.split([',', ' ']).next()?.parse::<u64>().ok());
    let mut entries = vec![entry("enabled", bare("true"))];
    entries.extend(age.map(|age| entry("ttl", bare(format!("{age}s")))));
    draft.set("cache", Written::Map(entries));
    cache.leave("cache", &[("buckets", "one response is kept for each request")], draft);
}
