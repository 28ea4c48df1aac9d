//! Claude Code Router's `config.json`.
//!
//! Sources: the README and `config.example.json` of musistudio/claude-code-router 1.0, seen 2026-11.

use config::yaml_tree::{Entries, Written};

use crate::{
    draft::{Draft, DraftProvider, bare, entry, seconds, step, text},
    mapping::{Mapping, line, text as text_in},
    provider_kinds::{is_default_host, key_variable, kind_at},
};

/// From how many tokens on a prompt is long when the file does not say.
const LONG_CONTEXT: u64 = 60_000;
const REASONS: [(&str, &str); 6] = [
    ("LOG", "see `log`"),
    ("CUSTOM_ROUTER_PATH", "routes choose by `when`, not by programs"),
    ("transformers", "requests are translated for each provider in any case"),
    ("NON_INTERACTIVE_MODE", "nothing ever asks"),
    ("StatusLine", "belongs to the terminal"),
    ("CLAUDE_PATH", "belongs to the terminal"),
];

pub(crate) fn import(mut root: Mapping<'_>, draft: &mut Draft) {
    if let Some(node) = root.take("APIKEY").filter(|node| text_in(node).is_some())
        && let Some(key) = draft.secret(node, "GATEWAY_API_KEY")
    {
        draft.set("api_key", key);
    }
    if let Some(port) = root.count("PORT") {
        draft.set("port", bare(port));
    }
    root.text("HOST");
    if let Some(time) = root.number("API_TIMEOUT_MS") {
        draft.set("default_timeout", seconds(time / 1000.0));
    }
    if let Some(proxy) = root.text("PROXY_URL") {
        draft.set("proxy", text(proxy));
    }
    if let Some(level) = root.text("LOG_LEVEL") {
        let level = if level == "fatal" { "error".to_owned() } else { level };
        draft.set("log", Written::Map(vec![entry("level", bare(level))]));
    }

    let key = if root.has("Providers") { "Providers" } else { "providers" };
    let mut names = vec![];

    for node in root.list(key) {
        let Some(provider) = Mapping::open(node) else { continue };
        names.extend(import_provider(provider, line(node), draft));
    }
    if let Some(router) = root.mapping("Router") {
        import_router(router, &names, draft);
    }
    root.leave("", &REASONS, draft);
}

/// Imports a provider. Gives its name there and its name here.
fn import_provider(
    mut provider: Mapping<'_>,
    at: Option<usize>,
    draft: &mut Draft,
) -> Option<(String, String)> {
    let name = provider.text("name")?;
    let address = provider.text("api_base_url").or_else(|| provider.text("baseUrl"));
    let address = address.unwrap_or_default();
    // An address of somebody's own shows its format in its path alone.
    let is_anthropic = address.contains("/v1/messages");
    let kind = kind_at(&address).unwrap_or(if is_anthropic { "anthropic" } else { "openai" });
    let default = key_variable(&name).unwrap_or_else(|| "PROVIDER_API_KEY".to_owned());
    let key = provider.take("api_key").or_else(|| provider.take("apiKey"));
    // Servers of one's own take any key, and people write their name.
    let key = key.filter(|node| text_in(node).as_deref() != Some(&*name));
    let key = key.and_then(|node| draft.secret(node, &default));
    let is_home = kind_at(&address).is_some();
    let has_default_host = is_default_host(&address);
    // A provider's usual variable only for its own address: another host must not get that key.
    let key = key.or_else(|| if is_home { draft.default_key(kind, at) } else { None });
    let base_url = Some(base_of(&address)).filter(|_| !has_default_host);
    let base_url = base_url.filter(|url| !url.is_empty()).map(text);
    let ours = draft.provider(DraftProvider {
        name: name.clone(),
        kind: kind.to_owned(),
        base_url,
        key,
        more: vec![],
    });

    for model in provider.texts("models") {
        // A name under `models` has one provider here; there, clients name the provider as well.
        let is_taken = draft.models.iter().any(|known| known[0].1 == text(model.clone()));
        if is_taken {
            draft.note(
                at,
                format!("{model} is served by another provider already; use {ours}/{model}"),
            );
        } else {
            let model = [entry("name", text(model)), entry("provider", text(ours.clone()))];
            draft.models.push(model.into());
        }
    }
    let reason = "requests are translated for each provider in any case";
    provider.leave(&format!("Providers.{name}"), &[("transformer", reason)], draft);
    Some((name, ours))
}

/// The address without the endpoint at its end.
fn base_of(address: &str) -> String {
    let ends = ["/chat/completions", "/messages", "/responses"];
    let cut = ends.iter().find_map(|end| address.strip_suffix(end));
    cut.unwrap_or(address).trim_end_matches('/').to_owned()
}

fn import_router(mut router: Mapping<'_>, names: &[(String, String)], draft: &mut Draft) {
    let threshold = router.count("longContextThreshold").unwrap_or(LONG_CONTEXT);

    let mut target = |key: &str| {
        let (provider, model) = target_of(&router.text(key)?, names)?;
        Some(step(&provider, &model))
    };
    let default = target("default");
    let long = target("longContext").map(|mut long| {
        long.push(when("min_input_tokens", threshold.to_string()));
        long
    });
    let image = target("image").map(|mut image| {
        image.push(when("images", "true".to_owned()));
        image
    });

    let others = ["background", "think", "webSearch"].map(|name| (name, target(name)));

    if let Some(default) = default {
        // A route takes the first step whose `when` fits: special targets come before the one that
        // takes everything.
        let steps: Vec<Entries> = image.into_iter().chain(long).chain([default.clone()]).collect();
        draft.route("default").steps = steps;
        draft.set("default_model", text("default"));
        for (name, target) in others {
            let Some(target) = target else { continue };
            draft.route(name).steps = vec![target, default.clone()];
        }
        draft.note(
            None,
            "Claude Code names its models, so that it chooses the route: set ANTHROPIC_MODEL=default \
             and ANTHROPIC_SMALL_FAST_MODEL=background",
        );
    }
    router.leave("Router", &[("custom", "routes choose by `when`")], draft);
}

fn when(key: &str, value: String) -> (String, Written) {
    entry("when", Written::Map(vec![entry(key, bare(value))]))
}

/// `provider,model` as our provider and the model.
fn target_of(target: &str, names: &[(String, String)]) -> Option<(String, String)> {
    let (provider, model) = target.split_once(',')?;
    let (_, ours) = names.iter().find(|(theirs, _)| theirs == provider.trim())?;
    Some((ours.clone(), model.trim().to_owned()))
}
