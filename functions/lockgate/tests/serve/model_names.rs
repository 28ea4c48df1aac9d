//! What a client's name for a model leads to.

use serde_json::json;
use testkit::provider::FakeProvider;

use crate::support::{
    BOTH, ask, ask_with, error_of, gateway_for, gateway_for_both, hello, only, provider, text_of,
};

/// The model that the first provider gets when a client requests `model`.
async fn requested_model(rest: &str, model: &str) -> String {
    let first = provider().await;
    let gateway = gateway_for(&first, rest).await;
    assert_eq!(text_of(ask(&gateway, &hello(model)).await).await, "Hi");
    only(&first).json()["model"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_unknown_model_name_is_404() {
    let first = provider().await;
    let gateway = gateway_for(&first, "models: [{ name: known, provider: first }]").await;
    for model in ["unknown", "KNOWN", "nobody/known", "first/", "first"] {
        let (status, error) = error_of(ask(&gateway, &hello(model)).await).await;
        assert_eq!(
            (status, &error["code"], &error["param"]),
            (404, &json!("unknown_model"), &json!("model"))
        );
        assert!(error["message"].as_str().unwrap().contains(model));
    }
    assert!(first.requests().is_empty());
}

#[tokio::test]
async fn a_configured_model_is_sent_under_its_own_name() {
    assert_eq!(
        requested_model("models: [{ name: gpt-4o, provider: first }]", "gpt-4o").await,
        "gpt-4o"
    );
}

#[tokio::test]
async fn a_provider_prefix_selects_the_provider() {
    assert_eq!(requested_model("", "first/meta/llama \"3\"").await, "meta/llama \"3\"");
}

#[tokio::test]
async fn an_unknown_model_goes_unchanged_to_the_default_provider() {
    assert_eq!(requested_model("default_provider: first", "new/model-x").await, "new/model-x");
}

#[tokio::test]
async fn a_request_without_a_model_uses_the_default() {
    let first = provider().await;
    let rest = "default_model: fast\nmodels: [{ name: fast, provider: first }]";
    let gateway = gateway_for(&first, rest).await;
    for missing in [json!(null), json!("")] {
        let mut request = hello("");
        request["model"] = missing;
        assert_eq!(text_of(ask(&gateway, &request).await).await, "Hi");
    }
    let mut request = hello("");
    request.as_object_mut().unwrap().remove("model");
    assert_eq!(text_of(ask(&gateway, &request).await).await, "Hi");
    let names: Vec<_> = first.requests().iter().map(|it| it.json()["model"].clone()).collect();
    assert_eq!(names, ["fast", "fast", "fast"]);
}

#[tokio::test]
async fn a_request_without_a_model_is_rejected_without_a_default() {
    let first = provider().await;
    let gateway = gateway_for(&first, "").await;
    let (status, error) = error_of(ask(&gateway, &hello("")).await).await;
    assert_eq!((status, &error["param"]), (400, &json!("model")));
}

async fn two() -> (FakeProvider, FakeProvider) {
    (provider().await, provider().await)
}

#[tokio::test]
async fn x_provider_keeps_only_its_targets() {
    let (first, second) = two().await;
    let gateway = gateway_for_both(&first, &second, BOTH).await;
    let response = ask_with(&gateway, &hello("both"), &[("x-provider", "second")]).await;
    assert_eq!(response.header("x-gateway-provider"), "second");
    assert_eq!(
        (first.requests().len(), only(&second).json()["model"].clone()),
        (0, json!("large"))
    );
}

#[tokio::test]
async fn x_provider_accepts_an_unconfigured_model() {
    let (first, second) = two().await;
    let gateway = gateway_for_both(&first, &second, BOTH).await;
    for model in ["new", "second/new"] {
        ask_with(&gateway, &hello(model), &[("x-provider", "second")]).await;
    }
    assert!(second.requests().iter().all(|it| it.json()["model"] == "new"));
    assert_eq!((first.requests().len(), second.requests().len()), (0, 2));
}

#[tokio::test]
async fn x_provider_must_be_known_and_have_a_target() {
    let (first, second) = two().await;
    let only_first = "routes: [{ name: one, steps: [{ provider: first, model: m }] }]";
    let gateway = gateway_for_both(&first, &second, only_first).await;
    for provider in ["nobody", "FIRST", "second"] {
        let response = ask_with(&gateway, &hello("one"), &[("x-provider", provider)]).await;
        let (status, error) = error_of(response).await;
        assert_eq!((status, &error["param"]), (400, &json!("X-Provider")), "{provider}");
        assert!(error["message"].as_str().unwrap().contains(provider));
    }
    assert_eq!((first.requests().len(), second.requests().len()), (0, 0));
}

#[tokio::test]
async fn no_client_input_changes_the_providers_address() {
    let (first, second) = two().await;
    let gateway = gateway_for(&first, "").await;
    let elsewhere = second.url();
    let mut request = hello("first/m");
    for name in ["base_url", "api_base", "custom_host"] {
        request[name] = elsewhere.clone().into();
    }
    let headers = [
        ("x-portkey-custom-host", elsewhere.as_str()),
        ("host", "elsewhere"),
        ("x-base-url", &elsewhere),
    ];
    assert_eq!(ask_with(&gateway, &request, &headers).await.status, 200);
    assert_eq!((first.requests().len(), second.requests().len()), (1, 0));
}

#[tokio::test]
async fn a_name_has_at_most_256_characters() {
    let (first, second) = two().await;
    let gateway = gateway_for_both(&first, &second, BOTH).await;
    let long = "m".repeat(9_000_000);
    let (status, error) = error_of(ask(&gateway, &hello(&long)).await).await;
    assert_eq!((status, &error["param"]), (400, &json!("model")));
    assert!(error["message"].as_str().unwrap().len() < 1_000);
    let most = hello(&format!("first/{}", "m".repeat(250)));
    assert_eq!(ask(&gateway, &most).await.status, 200);
    let log = gateway.logged("invalid_request").await;
    assert!(log.len() < 20_000, "{}", log.len());
}
