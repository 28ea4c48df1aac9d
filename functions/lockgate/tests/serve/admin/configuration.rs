//! The configuration of a running gateway: read without secrets, changed whole, taken back.

use std::fs;

use serde_json::json;
use testkit::lockgate::Lockgate;

use super::{USERS, ask, ask_with};
use crate::support::{KEY, hello, program, provider, send};

async fn chat(gateway: &Lockgate, model: &str) -> u16 {
    let headers = [("x-api-key", KEY)];
    let body = hello(model).to_string();
    send(gateway, "POST", "/v1/chat/completions", &headers, body).await.status.as_u16()
}

/// The configuration that operators read, and its `ETag`.
async fn read(gateway: &Lockgate) -> (String, String) {
    let response = ask_with(gateway, "vera", ("GET", "/admin/config"), &[], "").await;
    assert_eq!(response.headers["content-type"], "application/yaml");
    let tag = response.headers["etag"].to_str().unwrap().to_owned();
    (response.text().await.unwrap(), tag)
}

async fn write(gateway: &Lockgate, text: &str, tag: &str) -> (u16, serde_json::Value) {
    let matching = [("if-match", tag), ("content-type", "application/yaml")];
    let response = ask_with(gateway, "root", ("PUT", "/admin/config"), &matching, text).await;
    (response.status.as_u16(), response.json().await.unwrap())
}

/// A gateway whose configuration holds a comment, a literal key, and a variable.
async fn gateway(provider_url: &str) -> Lockgate {
    let yaml = format!(
        "# Ours.\napi_key: {KEY}\nproviders:\n  - name: first\n    base_url: {provider_url}\n    \
         api_key: ${{FIRST_KEY}}\nmodels:\n  - {{ name: small, provider: first }}{USERS}"
    );
    program().config(&yaml).variable("FIRST_KEY", "sk-of-the-first").start().await
}

#[tokio::test]
async fn a_change_takes_effect_and_can_be_taken_back() {
    let first = provider().await;
    let gateway = gateway(&first.url()).await;
    let (text, tag) = read(&gateway).await;
    assert!(text.starts_with("# Ours.\n") && text.contains("${FIRST_KEY}"), "{text}");
    for secret in [KEY, "sk-of-the-first", "root-password"] {
        assert!(!text.contains(secret), "{text}");
    }
    assert_eq!(chat(&gateway, "large").await, 404);

    let wanted = text.replace("models:\n", "models:\n  - { name: large, provider: first }\n");
    let (status, change) = write(&gateway, &wanted, &tag).await;
    assert_eq!(status, 200, "{change}");
    assert!(change["diff"].as_str().unwrap().contains("+  - { name: large, provider: first }"));
    assert_eq!((chat(&gateway, "large").await, chat(&gateway, "small").await), (200, 200));
    let file = fs::read_to_string(gateway.folder().join("config.yaml")).unwrap();
    assert!(file.starts_with("# Ours.\n") && file.contains("${FIRST_KEY}"), "{file}");
    assert!(file.contains(KEY), "what stood in the file by its value stands there still");

    let (_, versions) = ask(&gateway, "GET", "/admin/config/versions", "").await;
    assert_eq!(versions["count"], 2);
    let old = versions["versions"][1]["version"].as_str().unwrap().to_owned();
    assert!(!fs::read(gateway.folder().join("lockgate.db-wal")).unwrap().is_empty());
    let (_, tag) = read(&gateway).await;
    let path = format!("/admin/config/versions/{old}/restore");
    let restored = ask_with(&gateway, "root", ("POST", &path), &[("if-match", &tag)], "").await;
    assert_eq!(restored.status, 200);
    assert_eq!((chat(&gateway, "large").await, chat(&gateway, "small").await), (404, 200));
    assert_eq!(read(&gateway).await.0, text);
}

/// A gateway whose file holds variables inside of texts, a folded key, and comments.
async fn handwritten(provider_url: &str) -> (Lockgate, String) {
    let yaml = format!(
        "# Ours.\napi_key: >-\n  {KEY}\n# The proxy of the other.\nproviders:\n  - name: first\n    \
         base_url: ${{BASE}}\n    headers: {{ X-Org: \"Bearer ${{ORG}}\" }}  # theirs\n  - name: other\n    \
         base_url: {provider_url}\n    proxy: 'http://user:${{PROXY_PASSWORD}}@127.0.0.1:9'\nmodels:\n  - \
         {{ name: small, provider: first }}\nprices: # of ours\n  - provider: first\n    model: ${{MODEL}} # \
         ours\n    input: 1.50\n    output: 2 # dear\n{USERS}"
    );
    let variables = [("ORG", "sk-of-us"), ("PROXY_PASSWORD", "hunter2"), ("MODEL", "small")];
    let program = program().config(&yaml).variable("BASE", provider_url);
    let program = variables.into_iter().fold(program, |it, (name, value)| it.variable(name, value));
    (program.start().await, yaml)
}

#[tokio::test]
async fn an_edit_changes_its_own_lines_of_the_file_alone() {
    let first = provider().await;
    let (gateway, yaml) = handwritten(&first.url()).await;
    let (text, tag) = read(&gateway).await;
    assert!(text.contains("proxy: 'http://user:${PROXY_PASSWORD}@127.0.0.1:9'\n"), "{text}");
    for secret in [KEY, "sk-of-us", "hunter2", "root-password"] {
        assert!(!text.contains(secret), "{text}");
    }
    let (status, change) = write(&gateway, &format!("{text}port: 9000\n"), &tag).await;
    assert_eq!(status, 200, "{change}");
    let file = fs::read_to_string(gateway.folder().join("config.yaml")).unwrap();
    assert_eq!(file, format!("{yaml}port: 9000\n"));
    assert_eq!(chat(&gateway, "small").await, 200);
}

#[cfg(unix)]
#[tokio::test]
async fn a_linked_configuration_stays_a_link() {
    let first = provider().await;
    let gateway = gateway(&first.url()).await;
    let [path, elsewhere] = ["config.yaml", "elsewhere.yaml"].map(|it| gateway.folder().join(it));
    fs::rename(&path, &elsewhere).unwrap();
    std::os::unix::fs::symlink("elsewhere.yaml", &path).unwrap();
    let (text, tag) = read(&gateway).await;
    assert_eq!(write(&gateway, &format!("{text}# One.\n"), &tag).await.0, 200);
    assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
    assert!(fs::read_to_string(&elsewhere).unwrap().ends_with("# One.\n"));
}

#[tokio::test]
async fn a_wrong_configuration_changes_nothing_and_names_its_lines() {
    let first = provider().await;
    let gateway = gateway(&first.url()).await;
    let before = fs::read_to_string(gateway.folder().join("config.yaml")).unwrap();
    let (text, tag) = read(&gateway).await;
    let wrong = text.replace("provider: first", "provider: nobody") + "colour: red\n";
    let (status, problem) = write(&gateway, &wrong, &tag).await;
    assert_eq!(status, 400);
    let errors = problem["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 2, "{problem}");
    assert_eq!(errors[0]["line"], 8, "{problem}");
    assert_eq!(write(&gateway, &text.replace("FIRST_KEY", "NOBODY_KNOWS"), &tag).await.0, 400);
    assert_eq!(write(&gateway, &text, "\"0123456789abcdef\"").await.0, 412);
    assert_eq!(ask(&gateway, "PUT", "/admin/config", &text).await.0, 428);
    assert_eq!(fs::read_to_string(gateway.folder().join("config.yaml")).unwrap(), before);
    assert_eq!(chat(&gateway, "small").await, 200);
}

#[tokio::test]
async fn a_dry_run_shows_and_changes_nothing() {
    let first = provider().await;
    let gateway = gateway(&first.url()).await;
    let (text, _) = read(&gateway).await;
    let wanted = text.replace("# Ours.", "# Theirs.\nport: 9999");
    let (status, change) = ask(&gateway, "PUT", "/admin/config?dry_run=true", &wanted).await;
    assert_eq!(status, 200);
    assert!(change["diff"].as_str().unwrap().contains("+# Theirs."), "{change}");
    assert_eq!(change["restart_required"], json!(["port"]));
    assert_eq!(read(&gateway).await.0, text);
}

#[tokio::test]
async fn a_price_is_named_and_models_without_one_are_shown() {
    let first = provider().await;
    let gateway = gateway(&first.url()).await;
    let (_, prices) = ask(&gateway, "GET", "/admin/prices", "").await;
    assert_eq!(prices["unpriced"], 1, "{prices}");
    for input in [0.25, 0.5] {
        let body = json!({"provider": "first", "model": "small", "input": input, "output": 1});
        let (status, change) = ask(&gateway, "PUT", "/admin/prices", &body.to_string()).await;
        assert_eq!(status, 200, "{change}");
        let (_, prices) = ask(&gateway, "GET", "/admin/prices", "").await;
        assert_eq!(prices["prices"][0]["input"], input);
        assert_eq!(prices["prices"][0]["source"], "configuration");
        assert_eq!(prices["unpriced"], 0);
    }
    let wrong = r#"{"provider": "nobody", "model": "m", "input": 1, "output": 1}"#;
    assert_eq!(ask(&gateway, "PUT", "/admin/prices", wrong).await.0, 400);
}

#[tokio::test]
async fn a_price_that_is_there_is_changed_on_its_own_line() {
    let first = provider().await;
    let (gateway, yaml) = handwritten(&first.url()).await;
    let body = json!({"provider": "first", "model": "small", "input": 3, "output": 2});
    let (status, change) = ask(&gateway, "PUT", "/admin/prices", &body.to_string()).await;
    assert_eq!(status, 200, "{change}");
    let diff = change["diff"].as_str().unwrap();
    assert!(diff.contains("-    input: 1.50\n+    input: 3\n"), "{diff}");
    let file = fs::read_to_string(gateway.folder().join("config.yaml")).unwrap();
    assert_eq!(file, yaml.replace("1.50", "3"));
}

#[tokio::test]
async fn a_configuration_that_was_written_by_hand_can_be_brought_back() {
    let first = provider().await;
    let gateway = gateway(&first.url()).await;
    let path = gateway.folder().join("config.yaml");
    let (text, tag) = read(&gateway).await;
    assert_eq!(write(&gateway, &format!("{text}# One.\n"), &tag).await.0, 200);
    let by_hand = fs::read_to_string(&path).unwrap() + "# By hand.\n";
    fs::write(&path, &by_hand).unwrap();
    let (text, tag) = read(&gateway).await;
    assert_eq!(write(&gateway, &text.replace("# By hand.\n", ""), &tag).await.0, 200);

    let (_, versions) = ask(&gateway, "GET", "/admin/config/versions", "").await;
    assert_eq!(
        (&versions["count"], &versions["versions"][1]["actor"]),
        (&json!(4), &json!("file"))
    );
    let version = versions["versions"][1]["version"].as_str().unwrap();
    let (_, tag) = read(&gateway).await;
    let restore = format!("/admin/config/versions/{version}/restore");
    let restored = ask_with(&gateway, "root", ("POST", &restore), &[("if-match", &tag)], "").await;
    assert_eq!(restored.status, 200);
    assert_eq!(fs::read_to_string(&path).unwrap(), by_hand);
}

#[tokio::test]
async fn a_version_whose_secret_is_gone_says_how_to_bring_it_back() {
    let first = provider().await;
    let gateway = gateway(&first.url()).await;
    let (text, tag) = read(&gateway).await;
    let second = "providers:\n  - { name: second, base_url: 'http://h', api_key: sk-second }\n";
    assert_eq!(write(&gateway, &text.replace("providers:\n", second), &tag).await.0, 200);
    let (with_second, tag) = read(&gateway).await;
    assert!(!with_second.contains("sk-second"), "{with_second}");
    assert_eq!(write(&gateway, &text, &tag).await.0, 200);

    let (_, tag) = read(&gateway).await;
    let restore = format!("/admin/config/versions/{}/restore", version_of(&gateway, 1).await);
    let refused = ask_with(&gateway, "root", ("POST", &restore), &[("if-match", &tag)], "").await;
    assert_eq!(refused.status, 400);
    let problem: serde_json::Value = refused.json().await.unwrap();
    let detail = problem["detail"].as_str().unwrap();
    for words in ["the variable SECOND_API_KEY is not set", "Versions keep no secrets", "Set it"] {
        assert!(detail.contains(words), "{detail}");
    }
}

/// One of the versions, counted from the newest.
async fn version_of(gateway: &Lockgate, index: usize) -> String {
    let (_, versions) = ask(gateway, "GET", "/admin/config/versions", "").await;
    versions["versions"][index]["version"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn routing_is_shown_and_explained_without_a_call() {
    let first = provider().await;
    let gateway = gateway(&first.url()).await;
    let (_, providers) = ask(&gateway, "GET", "/admin/providers", "").await;
    assert_eq!((&providers["count"], &providers["providers"][0]["keys"]), (&json!(1), &json!(1)));
    assert!(!providers.to_string().contains("sk-of-the-first"));
    let (_, routes) = ask(&gateway, "GET", "/admin/routes", "").await;
    assert_eq!(routes["models"][0]["name"], "small");
    let (_, explained) = ask(&gateway, "GET", "/admin/explain?model=small", "").await;
    assert_eq!(explained["steps"][0]["decision"], "attempted", "{explained}");
    assert_eq!(ask(&gateway, "GET", "/admin/explain?model=nothing", "").await.0, 404);
    assert_eq!(ask(&gateway, "GET", "/admin/explain", "").await.0, 400);
    assert!(first.requests().is_empty());
}

#[tokio::test]
async fn providers_list_their_models_and_a_failure_names_no_key() {
    let listing = testkit::provider::FakeProvider::start().await;
    listing.respond_with([testkit::provider::ScriptedResponse::json(
        200,
        &json!({"data": [{"id": "b"}, {"id": "a"}]}),
    )]);
    let gateway = gateway(&listing.url()).await;
    let (status, models) = ask(&gateway, "GET", "/admin/upstream-models", "").await;
    assert_eq!(status, 200);
    assert_eq!(models["providers"][0]["models"], json!(["a", "b"]), "{models}");
    let request = &listing.requests()[0];
    assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/v1/models"));
}

#[tokio::test]
async fn every_page_of_a_providers_models_is_listed() {
    let listing = testkit::provider::FakeProvider::start().await;
    listing.respond_with(
        [
            json!({ "data": [{"id": "b"}], "has_more": true, "last_id": "b" }),
            json!({ "models": [{"name": "models/c"}], "nextPageToken": "t&1" }),
            json!({ "data": [{"id": "a"}], "has_more": false, "last_id": "a" }),
        ]
        .map(|page| testkit::provider::ScriptedResponse::json(200, &page)),
    );
    let gateway = gateway(&listing.url()).await;
    let (_, models) = ask(&gateway, "GET", "/admin/upstream-models", "").await;
    assert_eq!(models["providers"][0]["models"], json!(["a", "b", "c"]), "{models}");
    let targets: Vec<String> = listing.requests().iter().map(|it| it.target.clone()).collect();
    let wanted = ["/v1/models", "/v1/models?after_id=b", "/v1/models?pageToken=t%261"];
    assert_eq!(targets, wanted);
}
