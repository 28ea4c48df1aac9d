//! `config.yaml` of DatanoiseTV/aigateway.

use config::yaml_tree::{Node, Written};

use crate::{
    draft::{Draft, DraftProvider, bare, entry, text},
    mapping::{Mapping, line},
    provider_kinds::{key_variable, kind_of},
};

const REASONS: [(&str, &str); 4] = [
    ("server_tools", "tools run at the client"),
    ("defaults", "limits belong to tenants: give each its own"),
    ("database", "usage starts at 0, in a database of the gateway's own (`--data`)"),
    ("logging", "see `log`"),
];

pub(crate) fn import(mut root: Mapping<'_>, draft: &mut Draft) {
    if let Some(server) = root.mapping("server") {
        import_server(server, draft);
    }
    if let Some(node) = root.take("admin") {
        let message = "`admin` is not carried over: its password is a bcrypt hash; declare a user, \
                       or take the password that the first start prints";
        draft.note(line(node), message);
    }
    if let Some(metrics) = root.mapping("prometheus") {
        import_metrics(metrics, draft);
    }
    let providers = root.mapping("providers");

    // Older files have this one section in place of `providers`.
    if let Some(node) = root.take("gemini").filter(|_| providers.is_none()) {
        import_provider("gemini", node, draft);
    }
    for (name, node) in providers.into_iter().flat_map(Mapping::rest) {
        import_provider(name, node, draft);
    }
    root.leave("", &REASONS, draft);
    draft.note(None, "clients stand in its database: import that file, too (`./data/gateway.db`)");
}

fn import_server(mut server: Mapping<'_>, draft: &mut Draft) {
    if let Some(port) = server.count("port").filter(|port| 0 < *port) {
        draft.set("port", bare(port));
    }
    if let Some(node) = server.take("host") {
        draft.note(line(node), "`server.host` is not carried over: see `serve --listen`");
    }
    if let Some(mut https) = server.mapping("https") {
        let is_on = https.flag("enabled") == Some(true);
        let files = https.text("cert_file").zip(https.text("key_file")).filter(|_| is_on);
        if let Some((cert, key)) = files {
            let tls = vec![entry("cert", text(cert)), entry("key", text(key))];
            draft.set("tls", Written::Map(tls));
        }
        https.leave("server.https", &[], draft);
    }
    server.leave("server", &[], draft);
}

fn import_metrics(mut metrics: Mapping<'_>, draft: &mut Draft) {
    let is_on = metrics.flag("enabled") == Some(true);
    let username = metrics.text("username");

    let password = metrics.take("password").and_then(|node| draft.secret(node, "METRICS_PASSWORD"));
    if let Some((username, password)) = username.zip(password).filter(|_| is_on) {
        // Dashboards made for it know its metrics by these names.
        let seeds = Written::List(vec![bare("c")]);
        let metrics = vec![entry("username", text(username)), entry("password", password)];
        draft.set("metrics", Written::Map([metrics, vec![entry("seeds", seeds)]].concat()));
    }
    metrics.leave("prometheus", &[], draft);
}

fn import_provider(name: &str, node: &Node<'_>, draft: &mut Draft) {
    let Some(mut provider) = Mapping::open(node) else { return };
    let theirs = provider.text("type").unwrap_or_else(|| name.to_owned());
    let kind = kind_of(&theirs).unwrap_or("openai");
    // Its own addresses of Ollama ended in /v1 or not; both lead to the same here.
    let base_url = provider.text("base_url").map(text);
    let variable = key_variable(name).unwrap_or_else(|| format!("{name}_API_KEY"));
    let key = provider.take("api_key").and_then(|node| draft.secret(node, &variable));
    // The usual key only where requests go to the provider itself.
    let is_home = base_url.is_none();
    let key = key.or_else(|| if is_home { draft.default_key(kind, line(node)) } else { None });
    let timeout = provider.count("timeout_seconds").filter(|it| 0 < *it);
    let more = timeout.map(|it| entry("timeout", bare(format!("{it}s")))).into_iter().collect();
    let (name, kind) = (name.to_owned(), kind.to_owned());
    let ours = draft.provider(DraftProvider { name, kind, base_url, key, more });

    let default = provider.text("default_model");
    for model in provider.texts("allowed_models").into_iter().chain(default.clone()) {
        let is_taken = draft.models.iter().any(|known| known[0].1 == text(model.clone()));
        if !is_taken {
            let model = [entry("name", text(model)), entry("provider", text(ours.clone()))];
            draft.models.push(model.into());
        }
    }
    if let Some(model) = default {
        draft.set("default_model", text(model));
    }
    provider.leave("providers", &[], draft);
}
