//! The clients of `DatanoiseTV/aigateway`, as rows of the table `clients` of its database.
//!
//! Source: `internal/models/models.go`, seen 2026-11. A key is stored there as its SHA-256, as it is here:
//! clients keep their keys.

use config::yaml_tree::{Entries, Node, Written};

use crate::{
    draft::{Draft, DraftProvider, bare, entry, text},
    litellm_keys::tenant_name,
    mapping::Mapping,
    provider_kinds::kind_of,
};

/// Columns with a limit, and the field of a tenant.
const LIMITS: [(&str, &str); 6] = [
    ("rate_limit_minute", "rate_limit_rpm"),
    ("rate_limit_hour", "requests_per_hour"),
    ("quota_input_tokens_day", "daily_input_tokens"),
    ("quota_output_tokens_day", "daily_output_tokens"),
    ("max_input_tokens", "max_input_tokens"),
    ("max_output_tokens", "max_output_tokens"),
];

pub(crate) fn import(mut root: Mapping<'_>, draft: &mut Draft) {
    let clients = root.list("clients");
    if clients.is_empty() {
        draft.note(None, "the database has no clients");
        return;
    }
    let mut backends = vec![];
    for node in &clients {
        backends.extend(import_client(node, draft));
    }
    // A model was the backend's there, whatever its name.
    backends.sort();
    backends.dedup();
    if let [only] = &backends[..] {
        draft.set("default_provider", text(only.clone()));
    }
    draft.note(
        None,
        "quotas of a day and limits of a request were only shown there; here they are kept",
    );
}

/// Imports one client. Gives the provider that served it, where that is one of all clients.
fn import_client(node: &Node<'_>, draft: &mut Draft) -> Option<String> {
    let mut client = Mapping::open(node)?;
    let theirs = client.text("name").unwrap_or_else(|| "client".to_owned());
    let hash = client.text("api_key_hash").filter(|hash| hash.len() == 64);
    let Some(hash) = hash else {
        draft.note(None, format!("the client `{theirs}` has no key and is left out"));
        return None;
    };
    let name = tenant_name(&theirs, draft);
    let mut tenant = vec![entry("name", text(name.clone()))];
    let key = [entry("key", text(format!("sha256:{hash}"))), entry("name", text(theirs))];
    tenant.push(entry("api_keys", Written::List(vec![Written::Map(key.into())])));
    if client.flag("is_active") == Some(false) {
        tenant.push(entry("enabled", bare("false")));
    }
    let prefix = client.text("key_prefix");
    tenant.extend(prefix.map(|prefix| entry("key_prefix", text(prefix))));
    limits(&mut client, &mut tenant);
    let backend = backend(&mut client, &name, &mut tenant, draft);
    models(&mut client, backend.as_deref(), &mut tenant, draft);
    note_tools(&mut client, &name, draft);
    draft.tenants.push(tenant);
    backend
}

fn limits(client: &mut Mapping<'_>, tenant: &mut Entries) {
    for (theirs, ours) in LIMITS {
        tenant.extend(client.count(theirs).map(|limit| entry(ours, bare(limit))));
    }
    let of_day = [client.count("rate_limit_day"), client.count("quota_requests_day")];
    let least = of_day.into_iter().flatten().min();
    tenant.extend(least.map(|limit| entry("requests_per_day", bare(limit))));
}

/// The models that a client's settings name. One of a provider of all clients becomes a model here; one
/// of a client's own is not known to the configuration.
fn models(
    client: &mut Mapping<'_>,
    backend: Option<&str>,
    tenant: &mut Entries,
    draft: &mut Draft,
) {
    let default = client.text("backend_default_model").filter(|it| is_known(it, backend, draft));
    tenant.extend(default.map(|model| entry("default_model", text(model))));
    let fallbacks = client.text("fallback_models").unwrap_or_default();
    let fallbacks = fallbacks.split(',').map(str::trim).filter(|model| !model.is_empty());
    let fallbacks = fallbacks.filter(|model| is_known(model, backend, draft));
    let fallbacks: Vec<Written> = fallbacks.map(text).collect();
    if !fallbacks.is_empty() {
        tenant.push(entry("fallback_models", Written::List(fallbacks)));
    }
    let prompt = client.text("system_prompt");
    tenant.extend(prompt.map(|prompt| entry("system_prompt", text(prompt))));
}

/// Whether a model can be named, which adds it where its provider is known.
fn is_known(model: &str, backend: Option<&str>, draft: &mut Draft) -> bool {
    if draft.models.iter().any(|known| known[0].1 == text(model)) {
        return true;
    }
    let Some(backend) = backend else {
        let message = format!("`{model}` is of a client's own provider: name it in each request");
        draft.note(None, message);
        return false;
    };
    draft.models.push(vec![entry("name", text(model)), entry("provider", text(backend))]);
    true
}

/// The provider of a client: its own where it has a key or an address, else the one of all clients.
fn backend(
    client: &mut Mapping<'_>,
    name: &str,
    tenant: &mut Entries,
    draft: &mut Draft,
) -> Option<String> {
    let theirs = client.text("backend").unwrap_or_else(|| "gemini".to_owned());
    let kind = kind_of(&theirs).unwrap_or("openai");
    let key = client.text("backend_api_key").map(|key| own_key(&key, name, draft));
    let base_url = client.text("backend_base_url");
    if key.is_some() || base_url.is_some() {
        tenant.push(entry("provider", text(kind)));
        tenant.extend(key.map(|key| entry("provider_api_key", key)));
        tenant.extend(base_url.map(|url| entry("base_url", text(url))));
        return None;
    }
    if !draft.providers.iter().any(|known| known.name == theirs) {
        let key = draft.default_key(kind, None);
        let (name, kind) = (theirs.clone(), kind.to_owned());
        draft.provider(DraftProvider { name, kind, key, ..DraftProvider::default() });
    }
    tenant.push(entry("provider", text(theirs.clone())));
    Some(theirs)
}

/// The variable in place of the key of a client's own provider.
fn own_key(key: &str, name: &str, draft: &mut Draft) -> Written {
    let variable = draft.keep_secret(&format!("IMPORTED_{name}_PROVIDER_KEY"), key);
    draft.note(None, format!("the key of `{name}`'s own provider is the variable {variable} now"));
    bare(format!("${{{variable}}}"))
}

fn note_tools(client: &mut Mapping<'_>, name: &str, draft: &mut Draft) {
    let is_of_gateway = client.text("tool_mode").as_deref() == Some("gateway");
    if is_of_gateway || client.flag("server_tools") == Some(true) {
        let message =
            format!("`{name}`: tools of the gateway are not carried over; they run at the client");
        draft.note(None, message);
    }
    if client.text("backend_models").is_some_and(|models| models != "[]") {
        let message = format!(
            "`{name}`: `backend_models` is not carried over: it changed what was listed, not what was allowed; see `allowed_models`"
        );
        draft.note(None, message);
    }
}
