//! Tenants and their keys: whom a key lets in, to which models, and how often.

use std::sync::Arc;

use serde_json::{Value, json};
use testkit::{client::ClientResponse, lockgate::Lockgate, provider::FakeProvider};

use crate::support::{
    KEY, gateway_for, program, provider, send, serve, streaming_provider, unused_address, yaml,
};

const TENANTS: &str = "
models:
  - { name: small, provider: first }
  - { name: large, provider: first }
tenants:
  - { name: search, api_key: key-of-search, allowed_models: [sm*], default_model: small }
  - { name: mail, api_keys: [key-of-mail, 'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'] }
  - { name: gone, api_key: key-of-gone, enabled: false }
";

async fn ask(gateway: &Lockgate, path: &str, key: &str, body: &Value) -> ClientResponse {
    send(gateway, "POST", path, &[("x-api-key", key)], body.to_string()).await
}

async fn chat(gateway: &Lockgate, key: &str, model: &str) -> ClientResponse {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "Hi"}]});
    ask(gateway, "/v1/chat/completions", key, &body).await
}

async fn status(gateway: &Lockgate, key: &str, model: &str) -> u16 {
    chat(gateway, key, model).await.status.as_u16()
}

#[tokio::test]
async fn every_key_of_a_declared_tenant_opens() {
    let first = provider().await;
    let gateway = gateway_for(&first, TENANTS).await;
    for key in [KEY, "key-of-search", "key-of-mail", "abc"] {
        assert_eq!(status(&gateway, key, "small").await, 200, "{key}");
    }
    for key in ["key-of-gone", "key-of-nobody", "abcd"] {
        assert_eq!(status(&gateway, key, "small").await, 401, "{key}");
    }
    gateway.logged("tenant=\"search\"").await;
}

#[tokio::test]
async fn a_model_that_is_not_allowed_is_refused_in_the_shape_of_the_path() {
    let gateway = serve(&yaml(&[("first", &unused_address())], TENANTS)).await;
    let body =
        json!({"model": "large", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]});
    let refused = ask(&gateway, "/v1/chat/completions", "key-of-search", &body).await;
    assert_eq!(refused.status, 403);
    let error: Value = refused.json().await.unwrap();
    assert_eq!(
        (&error["error"]["code"], &error["error"]["param"]),
        (&json!("forbidden"), &json!("model"))
    );
    let refused = ask(&gateway, "/v1/messages", "key-of-search", &body).await;
    assert_eq!(refused.status, 403);
    let error: Value = refused.json().await.unwrap();
    assert_eq!(error["error"]["type"], "permission_error", "{error}");
}

#[tokio::test]
async fn a_model_that_is_not_allowed_is_refused_before_the_rest_of_the_body_is_looked_at() {
    let gateway = serve(&yaml(&[("first", &unused_address())], TENANTS)).await;
    for (path, model, status) in [
        ("/v1/chat/completions", "large", 403),
        ("/v1/messages", "large", 403),
        ("/v1beta/models/large:generateContent", "", 403),
        ("/v1/chat/completions", "small", 400),
        ("/v1beta/models/small:generateContent", "", 400),
    ] {
        let body = json!({"model": model, "messages": 7, "contents": 7});
        let refused = ask(&gateway, path, "key-of-search", &body).await;
        assert_eq!(refused.status, status, "{path} {model}");
    }
}

#[tokio::test]
async fn a_request_without_a_model_gets_the_tenants_default() {
    let first = provider().await;
    let gateway = gateway_for(&first, TENANTS).await;
    let body = json!({"messages": [{"role": "user", "content": "Hi"}]});
    let answer = ask(&gateway, "/v1/chat/completions", "key-of-search", &body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["x-gateway-model"], "small");
    let refused = ask(&gateway, "/v1/chat/completions", "key-of-mail", &body).await;
    assert_eq!(refused.status, 400);
}

#[tokio::test]
async fn a_key_sees_the_models_that_it_may_use() {
    let gateway = serve(&yaml(&[("first", &unused_address())], TENANTS)).await;
    for (key, expected) in
        [("key-of-search", vec!["small"]), ("key-of-mail", vec!["small", "large"])]
    {
        let answer = send(&gateway, "GET", "/v1/models", &[("x-api-key", key)], "").await;
        let list: Value = answer.json().await.unwrap();
        let names: Vec<&str> =
            list["data"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
        assert_eq!(names, expected, "{key}");
    }
    let hidden = send(&gateway, "GET", "/v1/models/large", &[("x-api-key", "key-of-search")], "");
    assert_eq!(hidden.await.status, 404);
}

#[tokio::test]
async fn an_open_gateway_takes_calls_without_a_key() {
    let first = provider().await;
    let gateway =
        gateway_for(&first, "auth: none\nmodels: [{ name: small, provider: first }]").await;
    let body = json!({"model": "small", "messages": [{"role": "user", "content": "Hi"}]});
    let answer = send(&gateway, "POST", "/v1/chat/completions", &[], body.to_string()).await;
    assert_eq!(answer.status, 200);
    gateway.logged("every program on this machine may call").await;
    // What a browser sends from any page without asking first.
    let page = [("origin", "https://evil.example"), ("content-type", "text/plain")];
    let answer = send(&gateway, "POST", "/v1/chat/completions", &page, body.to_string()).await;
    assert_eq!(answer.status, 403);
    assert_eq!(first.requests().len(), 1);
}

#[tokio::test]
async fn an_open_gateway_does_not_listen_to_other_machines() {
    let config = "auth: none\nproviders: [{ name: first, base_url: 'http://127.0.0.1:1' }]";
    let output = program().config(config).arguments(["--listen", "0.0.0.0:0"]).run().await;
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("loopback addresses only"), "{text}");
}

/// A gateway before one provider, with a tenant that has this limit.
async fn limited(first: &FakeProvider, limit: &str) -> Lockgate {
    let rest = format!(
        "models: [{{ name: small, provider: first }}]\n\
         tenants: [{{ name: search, api_key: key-of-search, {limit} }}]"
    );
    gateway_for(first, &rest).await
}

#[tokio::test]
async fn fifty_callers_at_once_get_exactly_what_the_limit_lets_through() {
    let first = provider().await;
    for limit in ["rate_limit_rpm: 20", "requests_per_hour: 20", "requests_per_day: 20"] {
        let gateway = Arc::new(limited(&first, limit).await);
        let mut running = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let gateway = gateway.clone();
            running.spawn(async move { status(&gateway, "key-of-search", "small").await });
        }
        let statuses = running.join_all().await;
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 20, "{limit}");
        assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 30, "{limit}");
        assert_eq!(status(&gateway, KEY, "small").await, 200, "the other tenant has no limit");
    }
}

#[tokio::test]
async fn a_client_can_pace_itself_by_the_headers_of_its_api() {
    let first = provider().await;
    let gateway = limited(&first, "requests_per_day: 2").await;
    let answer = chat(&gateway, "key-of-search", "small").await;
    assert_eq!(answer.headers["x-ratelimit-limit"], "2");
    assert_eq!(answer.headers["x-ratelimit-remaining"], "1");
    assert_eq!(answer.headers["x-ratelimit-remaining-requests"], "1");
    let body =
        json!({"model": "small", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]});
    let answer = ask(&gateway, "/v1/messages", "key-of-search", &body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["anthropic-ratelimit-requests-remaining"], "0");

    let refused = chat(&gateway, "key-of-search", "small").await;
    assert_eq!(refused.status, 429);
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=86_400).contains(&wait));
    let should_retry = if wait <= 120 { "true" } else { "false" };
    assert_eq!(refused.headers["x-should-retry"], should_retry);
    let error: Value = refused.json().await.unwrap();
    assert_eq!(error["error"]["code"], "rate_limit");
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.contains("requests_per_day"), "{message}");
}

#[tokio::test]
async fn a_stream_counts_once_and_a_tenant_without_limits_has_no_headers() {
    let first = streaming_provider().await;
    let gateway = limited(&first, "rate_limit_rpm: 9, requests_per_day: 1").await;
    let body =
        json!({"model": "small", "stream": true, "messages": [{"role": "user", "content": "Hi"}]});
    let answer = ask(&gateway, "/v1/chat/completions", KEY, &body).await;
    assert!(!answer.headers.contains_key("x-ratelimit-limit"));
    let answer = ask(&gateway, "/v1/chat/completions", "key-of-search", &body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(status(&gateway, "key-of-search", "small").await, 429);
}

#[tokio::test]
async fn a_declared_key_goes_by_its_name_until_it_expires() {
    let first = provider().await;
    let keys = "
models: [{ name: small, provider: first }]
tenants:
  - name: mail
    api_keys:
      - { key: key-of-the-laptop, name: laptop, expires: 2999-01-01 }
      - { key: key-of-yesterday, name: old, expires: 2020-01-01 }";
    let gateway = gateway_for(&first, keys).await;
    assert_eq!(status(&gateway, "key-of-the-laptop", "small").await, 200);
    assert_eq!(status(&gateway, "key-of-yesterday", "small").await, 401);
    gateway.logged("key_id=\"laptop\"").await;
}
