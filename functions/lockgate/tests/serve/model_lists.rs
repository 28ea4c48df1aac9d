//! `GET /v1/models` where the configuration leaves names open to what providers list.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{
    lockgate::{Folder, Lockgate},
    provider::{FakeProvider, ScriptedResponse},
};

use crate::support::{KEY, program, send, serve, yaml};

/// A list as `OpenRouter` writes it.
fn list() -> ScriptedResponse {
    let pricing = json!({"prompt": "0.0000015", "completion": "0.000006", "request": "0"});
    ScriptedResponse::json(
        200,
        &json!({"data": [
            {"id": "maker/large", "created": 1_760_000_000, "context_length": 200_000,
             "pricing": pricing, "top_provider": {"max_completion_tokens": 64_000}},
            {"id": "maker/small", "object": "model"},
        ]}),
    )
}

async fn listing_provider() -> FakeProvider {
    let fake = FakeProvider::start().await;
    fake.respond_with([list()]);
    fake
}

async fn models(gateway: &Lockgate, path: &str, key: &str) -> Value {
    let response = send(gateway, "GET", path, &[("x-api-key", key)], "").await;
    assert_eq!(response.status, 200, "{path}");
    response.json().await.unwrap()
}

async fn names(gateway: &Lockgate, key: &str) -> Vec<String> {
    let list = models(gateway, "/v1/models", key).await;
    let items = list["data"].as_array().unwrap().iter();
    items.map(|it| it["id"].as_str().unwrap().to_owned()).collect()
}

/// Asks until the list has these names: the first request waits for providers only shortly.
async fn until_names(gateway: &Lockgate, key: &str, expected: &[&str]) {
    for _ in 0..200 {
        if names(gateway, key).await == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the list never was {expected:?}:\n{}", gateway.log());
}

#[tokio::test]
async fn the_models_of_a_default_provider_are_listed_under_their_own_names() {
    let first = listing_provider().await;
    let rest = "default_provider: first\nmodels: [{ name: own, provider: first }]";
    let gateway = serve(&yaml(&[("first", &first.url())], rest)).await;
    until_names(&gateway, KEY, &["own", "maker/large", "maker/small"]).await;

    let large = models(&gateway, "/v1/models/maker/large", KEY).await;
    let expected = json!({
        "id": "maker/large", "object": "model", "created": 1_760_000_000, "owned_by": "first",
        "context_length": 200_000,
        "pricing": {"prompt": "0.0000015", "completion": "0.000006"},
        "top_provider": {"context_length": 200_000, "max_completion_tokens": 64_000},
    });
    assert_eq!(large, expected);
    let of_gemini = models(&gateway, "/v1beta/models/maker/large", KEY).await;
    assert_eq!(of_gemini["inputTokenLimit"], 200_000, "{of_gemini}");
    let of_anthropic = models(&gateway, "/anthropic/v1/models/maker/large", KEY).await;
    assert_eq!(of_anthropic["created_at"], "2025-10-09T08:53:20Z", "{of_anthropic}");

    let requests = first.requests();
    assert_eq!(requests.len(), 1, "the list is kept for an hour");
    assert_eq!(requests[0].target, "/v1/models");
}

#[tokio::test]
async fn where_nothing_is_named_every_provider_is_listed() {
    let (first, second) = (listing_provider().await, listing_provider().await);
    let gateway = serve(&yaml(&[("first", &first.url()), ("second", &second.url())], "")).await;
    let expected =
        ["first/maker/large", "first/maker/small", "second/maker/large", "second/maker/small"];
    until_names(&gateway, KEY, &expected).await;
}

#[tokio::test]
async fn routes_without_open_names_ask_nobody() {
    let first = listing_provider().await;
    let rest = "routes: [{ name: r, steps: [{ provider: first, model: m }] }]";
    let gateway = serve(&yaml(&[("first", &first.url())], rest)).await;
    assert_eq!(names(&gateway, KEY).await, ["r"]);
    assert!(first.requests().is_empty());
}

#[tokio::test]
async fn a_key_sees_what_it_may_use_alone() {
    let (first, second) = (listing_provider().await, listing_provider().await);
    let rest = "
routes: [{ name: r, steps: [{ provider: first, model: m }] }]
tenants:
  - { name: wild, api_key: key-of-wild-tenant, allowed_models: [r, second/maker/s*] }
  - { name: tame, api_key: key-of-tame-tenant, allowed_models: [r] }
";
    let gateway = serve(&yaml(&[("first", &first.url()), ("second", &second.url())], rest)).await;
    until_names(&gateway, "key-of-wild-tenant", &["r", "second/maker/small"]).await;
    assert_eq!(names(&gateway, "key-of-tame-tenant").await, ["r"]);
    assert!(first.requests().is_empty());
    let hidden = "/v1/models/second/maker/small";
    let response = send(&gateway, "GET", hidden, &[("x-api-key", "key-of-tame-tenant")], "").await;
    assert_eq!(response.status, 404);
}

#[tokio::test]
async fn a_provider_that_does_not_answer_fails_no_list() {
    let (silent, failing) = (FakeProvider::start().await, FakeProvider::start().await);
    silent.respond_with([ScriptedResponse::hang()]);
    failing.respond_with([ScriptedResponse::json(500, &json!({"error": {"message": "no"}}))]);
    let providers = [("silent", &*silent.url()), ("failing", &*failing.url())];
    let rest = "default_provider: silent
models: [{ name: own, provider: failing }]
tenants: [{ name: t, api_key: key-of-a-tenant, allowed_models: [own, failing/*] }]";
    let gateway = serve(&yaml(&providers, rest)).await;
    for _ in 0..3 {
        assert_eq!(names(&gateway, KEY).await, ["own"]);
        assert_eq!(names(&gateway, "key-of-a-tenant").await, ["own"]);
    }
    failing.wait_for_requests(1).await;
    gateway.logged("failed to list a provider's models").await;
    for _ in 0..3 {
        assert_eq!(names(&gateway, "key-of-a-tenant").await, ["own"]);
    }
    assert_eq!((silent.requests().len(), failing.requests().len()), (1, 1));
}

#[tokio::test]
async fn another_process_takes_the_list_from_the_store() {
    let (first, folder) = (listing_provider().await, Folder::new());
    let data = folder.path().join("shared.db");
    let yaml = yaml(&[("first", &first.url())], "default_provider: first");
    let start = || {
        let arguments = ["--data", data.to_str().unwrap()];
        program().config(&yaml).arguments(arguments).start()
    };
    let one = start().await;
    until_names(&one, KEY, &["maker/large", "maker/small"]).await;
    let other = start().await;
    until_names(&other, KEY, &["maker/large", "maker/small"]).await;
    assert_eq!(first.requests().len(), 1);
}

#[tokio::test]
async fn known_models_show_their_prices_and_capabilities() {
    let rest = "
api_key: gateway-key
providers: [{ name: claude, type: anthropic, api_key: secret }]
prices: [{ provider: claude, model: claude-sonnet-4-5, input: 3, output: 15 }]
models: [{ name: claude-sonnet-4-5, provider: claude }, { name: nobody-knows, provider: claude }]
";
    let gateway = serve(rest).await;
    let listed = models(&gateway, "/v1/models/claude-sonnet-4-5", KEY).await;
    assert_eq!(listed["pricing"]["prompt"], "0.000003", "{listed}");
    assert_eq!(listed["pricing"]["completion"], "0.000015", "{listed}");
    assert!(listed["context_length"].is_u64(), "{listed}");

    let listed = models(&gateway, "/anthropic/v1/models/claude-sonnet-4-5", KEY).await;
    let capabilities = &listed["capabilities"];
    for pointer in [
        "/image_input/supported",
        "/pdf_input/supported",
        "/citations/supported",
        "/thinking/supported",
        "/thinking/types/enabled/supported",
        "/thinking/types/disabled/supported",
    ] {
        assert_eq!(capabilities.pointer(pointer), Some(&json!(true)), "{pointer}: {listed}");
    }
    for pointer in [
        "/batch/supported",
        "/code_execution/supported",
        "/context_management/supported",
        "/effort/low/supported",
        "/server_tools/web_search/supported",
        "/thinking/types/adaptive/supported",
        "/thinking/types/between_tools/supported",
    ] {
        let value = capabilities.pointer(pointer);
        assert!(value.is_some_and(Value::is_boolean), "{pointer}: {listed}");
    }
    assert!(capabilities["structured_outputs"]["supported"].is_boolean(), "{listed}");
}

#[tokio::test]
async fn whatever_can_be_called_is_found_by_its_name() {
    let first = listing_provider().await;
    let rest = "
default_provider: first
models: [{ name: own, provider: first }]
tenants: [{ name: tame, api_key: key-of-tame-tenant, allowed_models: [own] }]";
    let gateway = serve(&yaml(&[("first", &first.url())], rest)).await;
    for id in ["first/maker/large", "first/unlisted", "unlisted", "own"] {
        let path = format!("/v1/models/{id}");
        let model = models(&gateway, &path, KEY).await;
        assert_eq!((&model["id"], &model["owned_by"]), (&json!(id), &json!("first")), "{model}");
    }
    let path = "/v1/models/first/unlisted";
    let response = send(&gateway, "GET", path, &[("x-api-key", "key-of-tame-tenant")], "").await;
    assert_eq!(response.status, 404);

    let gateway = serve(&yaml(&[("first", &first.url())], "")).await;
    let response = send(&gateway, "GET", "/v1/models/unlisted", &[("x-api-key", KEY)], "").await;
    assert_eq!(response.status, 404);
}
