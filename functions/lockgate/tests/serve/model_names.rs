//! What a client's name for a model leads to.

use serde_json::json;
use testkit::provider::Fake;

use crate::support::{
    BOTH, ask, ask_with, before, before_both, hello, only, provider, refused, text_of,
};

/// The name that the first provider is asked for when a client says `model`.
async fn asked_for(rest: &str, model: &str) -> String {
    let first = provider().await;
    let gateway = before(&first, rest).await;
    assert_eq!(text_of(ask(&gateway, &hello(model)).await).await, "Hi");
    only(&first).json()["model"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_unknown_name_is_404() {
    let first = provider().await;
    let gateway = before(&first, "models: [{ name: known, provider: first }]").await;
    for model in ["unknown", "KNOWN", "nobody/known", "first/", "first"] {
        let (status, error) = refused(ask(&gateway, &hello(model)).await).await;
        assert_eq!(
            (status, &error["code"], &error["param"]),
            (404, &json!("unknown_model"), &json!("model"))
        );
        assert!(error["message"].as_str().unwrap().contains(model));
    }
    assert!(first.seen().is_empty());
}

#[tokio::test]
async fn a_model_goes_to_its_provider_under_its_own_name() {
    assert_eq!(asked_for("models: [{ name: gpt-4o, provider: first }]", "gpt-4o").await, "gpt-4o");
}

#[tokio::test]
async fn a_provider_can_be_named_before_the_model() {
    assert_eq!(asked_for("", "first/meta/llama \"3\"").await, "meta/llama \"3\"");
}

#[tokio::test]
async fn an_unknown_name_goes_unchanged_to_the_default_provider() {
    assert_eq!(asked_for("default_provider: first", "new/model-x").await, "new/model-x");
}

#[tokio::test]
async fn who_names_no_model_gets_the_default() {
    let first = provider().await;
    let rest = "default_model: fast\nmodels: [{ name: fast, provider: first }]";
    let gateway = before(&first, rest).await;
    for missing in [json!(null), json!("")] {
        let mut question = hello("");
        question["model"] = missing;
        assert_eq!(text_of(ask(&gateway, &question).await).await, "Hi");
    }
    let mut question = hello("");
    question.as_object_mut().unwrap().remove("model");
    assert_eq!(text_of(ask(&gateway, &question).await).await, "Hi");
    let names: Vec<_> = first.seen().iter().map(|it| it.json()["model"].clone()).collect();
    assert_eq!(names, ["fast", "fast", "fast"]);
}

#[tokio::test]
async fn who_names_no_model_is_refused_where_there_is_no_default() {
    let first = provider().await;
    let gateway = before(&first, "").await;
    let (status, error) = refused(ask(&gateway, &hello("")).await).await;
    assert_eq!((status, &error["param"]), (400, &json!("model")));
}

async fn two() -> (Fake, Fake) {
    (provider().await, provider().await)
}

#[tokio::test]
async fn x_provider_leaves_only_its_steps() {
    let (first, second) = two().await;
    let gateway = before_both(&first, &second, BOTH).await;
    let answer = ask_with(&gateway, &hello("both"), &[("x-provider", "second")]).await;
    assert_eq!(answer.header("x-gateway-provider"), "second");
    assert_eq!((first.seen().len(), only(&second).json()["model"].clone()), (0, json!("large")));
}

#[tokio::test]
async fn x_provider_takes_a_name_that_is_configured_nowhere() {
    let (first, second) = two().await;
    let gateway = before_both(&first, &second, BOTH).await;
    for model in ["new", "second/new"] {
        ask_with(&gateway, &hello(model), &[("x-provider", "second")]).await;
    }
    assert!(second.seen().iter().all(|it| it.json()["model"] == "new"));
    assert_eq!((first.seen().len(), second.seen().len()), (0, 2));
}

#[tokio::test]
async fn x_provider_must_be_known_and_have_a_step() {
    let (first, second) = two().await;
    let only_first = "routes: [{ name: one, steps: [{ provider: first, model: m }] }]";
    let gateway = before_both(&first, &second, only_first).await;
    for provider in ["nobody", "FIRST", "second"] {
        let answer = ask_with(&gateway, &hello("one"), &[("x-provider", provider)]).await;
        let (status, error) = refused(answer).await;
        assert_eq!((status, &error["param"]), (400, &json!("X-Provider")), "{provider}");
        assert!(error["message"].as_str().unwrap().contains(provider));
    }
    assert_eq!((first.seen().len(), second.seen().len()), (0, 0));
}

#[tokio::test]
async fn nothing_that_a_client_sends_changes_the_providers_address() {
    let (first, second) = two().await;
    let gateway = before(&first, "").await;
    let elsewhere = second.url();
    let mut question = hello("first/m");
    for name in ["base_url", "api_base", "custom_host"] {
        question[name] = elsewhere.clone().into();
    }
    let headers = [
        ("x-portkey-custom-host", elsewhere.as_str()),
        ("host", "elsewhere"),
        ("x-base-url", &elsewhere),
    ];
    assert_eq!(ask_with(&gateway, &question, &headers).await.status, 200);
    assert_eq!((first.seen().len(), second.seen().len()), (1, 0));
}

#[tokio::test]
async fn a_name_has_at_most_256_characters() {
    let (first, second) = two().await;
    let gateway = before_both(&first, &second, BOTH).await;
    let long = "m".repeat(9_000_000);
    let (status, error) = refused(ask(&gateway, &hello(&long)).await).await;
    assert_eq!((status, &error["param"]), (400, &json!("model")));
    assert!(error["message"].as_str().unwrap().len() < 1_000);
    let most = hello(&format!("first/{}", "m".repeat(250)));
    assert_eq!(ask(&gateway, &most).await.status, 200);
    let log = gateway.logged("invalid_request").await;
    assert!(log.len() < 20_000, "{}", log.len());
}
