//! The environment of felipepmaragno/ai-gateway, which has no other configuration.

use config::yaml_tree::Written;

use crate::{
    draft::{Draft, DraftProvider, bare, entry, text},
    provider_kinds::kind_at,
};

const REASONS: [(&str, &str); 9] = [
    ("DATABASE_URL", "tenants and usage live in the embedded database (or DynamoDB)"),
    ("REDIS_URL", "limits and responses are kept in the store"),
    ("ENCRYPTION_KEY", "secrets are sealed under a key of the gateway's own"),
    ("ADMIN_AUTH_ENABLED", "/admin is never open"),
    ("USE_DISTRIBUTED_CB", "cooldowns are shared by all instances"),
    ("OTLP_ENDPOINT", "leave it in the environment: traces are sent there"),
    ("AWS_REGION", "leave it in the environment"),
    ("POD_NAME", "is not used"),
    ("POD_NAMESPACE", "is not used"),
];

pub(crate) fn import(text_of_file: &str, draft: &mut Draft) {
    let variables: Vec<(usize, &str, String)> =
        text_of_file.lines().enumerate().filter_map(|(at, line)| variable(at + 1, line)).collect();
    let get = |name: &str| {
        let found = variables.iter().find(|(_, known, _)| *known == name);
        found.map(|(_, _, value)| value.clone()).filter(|value| !value.is_empty())
    };

    for (name, variable) in [("openai", "OPENAI_API_KEY"), ("anthropic", "ANTHROPIC_API_KEY")] {
        let Some(key) = get(variable) else { continue };
        let base_url = get(&format!("{}_BASE_URL", name.to_ascii_uppercase()));

        // At another company's host never the usual name: the environment may have it already, its
        // value would win, and one company's key would go to another's server.
        let is_home = base_url.as_deref().is_none_or(|url| kind_at(url) == Some(name));
        let wanted = if is_home { variable.to_owned() } else { format!("IMPORTED_{variable}") };
        let key = Some(bare(format!("${{{}}}", draft.keep_secret(&wanted, &key))));
        add(draft, name, base_url, key);
    }
    // Ollama was always there, and Bedrock wherever a region was known.
    add(draft, "ollama", get("OLLAMA_BASE_URL"), None);
    if get("AWS_REGION").is_some() {
        add(draft, "bedrock", None, None);
    }
    let default = get("DEFAULT_PROVIDER").unwrap_or_else(|| "ollama".to_owned());
    draft.set("default_provider", text(default));
    settings(&get, draft);

    let known = [
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "ANTHROPIC_API_KEY",
        "OLLAMA_BASE_URL",
        "DEFAULT_PROVIDER",
        "ADDR",
        "LOG_LEVEL",
        "DRAIN_TIMEOUT",
        "SHUTDOWN_TIMEOUT",
    ];

    for (line, name, _) in variables.iter().filter(|(_, name, _)| !known.contains(name)) {
        let reason = REASONS.iter().find(|(known, _)| known == name);
        let reason = reason.map_or("has no counterpart here", |(_, reason)| reason);
        draft.note(Some(*line), format!("`{name}` is not carried over: {reason}"));
    }
    draft.note(None, "tenants stand in its database: create them with `lockgate tenants create`");
}

/// One line of the file: its number, the name and the value.
fn variable(number: usize, line: &str) -> Option<(usize, &str, String)> {
    let line = line.trim();
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
    let value = value.trim().trim_matches(['"', '\'']);
    Some((number, name.trim(), value.to_owned()))
}

fn add(draft: &mut Draft, name: &str, base_url: Option<String>, key: Option<Written>) {
    let (name, kind) = (name.to_owned(), name.to_owned());
    let base_url = base_url.map(text);
    draft.provider(DraftProvider { name, kind, base_url, key, more: vec![] });
}

fn settings(get: &dyn Fn(&str) -> Option<String>, draft: &mut Draft) {
    let address = get("ADDR");
    // Go's form of an address: `:8080` or `host:8080`.
    let port = address.as_deref().and_then(|it| it.rsplit(':').next()?.parse::<u16>().ok());
    if let Some(port) = port {
        draft.set("port", bare(port));
    }
    if let Some(level) = get("LOG_LEVEL") {
        let level = level.to_ascii_lowercase();
        draft.set("log", Written::Map(vec![entry("level", bare(level))]));
    }
    let timeouts = [("DRAIN_TIMEOUT", "drain_timeout"), ("SHUTDOWN_TIMEOUT", "shutdown_timeout")];
    let timeouts = timeouts.into_iter().filter_map(|(theirs, ours)| {
        let seconds: u32 = get(theirs)?.parse().ok()?;
        Some(entry(ours, bare(format!("{seconds}s"))))
    });
    let timeouts: Vec<_> = timeouts.collect();
    if !timeouts.is_empty() {
        draft.set("server", Written::Map(timeouts));
    }
    // It cached for five minutes, whatever was asked.
    let cache = vec![entry("enabled", bare("true")), entry("ttl", bare("5m"))];
    draft.set("cache", Written::Map(cache));
}
