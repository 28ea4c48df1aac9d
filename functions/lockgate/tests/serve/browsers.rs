//! Calls from pages in browsers: preflights, and which responses a page may read.

use testkit::client::ClientResponse;
use testkit::lockgate::Lockgate;

use crate::support::{KEY, error_of, gateway_for, hello, provider, send};

const CHAT: &str = "/v1/chat/completions";

async fn preflight(gateway: &Lockgate, origin: &str, path: &str) -> ClientResponse {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type,x-stainless-os"),
    ];
    send(gateway, "OPTIONS", path, &headers, "").await
}

#[tokio::test]
async fn a_preflight_needs_no_key() {
    let first = provider().await;
    let gateway = gateway_for(&first, "").await;
    for path in
        [CHAT, "/v1/messages", "/v1beta/models/m:generateContent", "/v1/models", "/responses"]
    {
        let response = preflight(&gateway, "http://localhost:3000", path).await;
        assert_eq!(response.status, 204, "{path}");
        assert_eq!(response.header("access-control-allow-origin"), "http://localhost:3000");
        assert_eq!(response.header("vary"), "Origin");
        let headers = response.header("access-control-allow-headers");
        assert_eq!(headers, "authorization,content-type,x-stainless-os");
        assert_eq!(response.header("access-control-allow-credentials"), "");
        let methods = response.header("access-control-allow-methods");
        assert!(methods.contains(if path == "/v1/models" { "GET" } else { "POST" }), "{methods}");
    }
}

#[tokio::test]
async fn a_page_of_an_unlisted_origin_may_not_call() {
    let first = provider().await;
    let gateway = gateway_for(&first, "cors: { origins: [\"https://app.example.com\"] }").await;
    for (origin, allowed) in [
        ("https://app.example.com", "https://app.example.com"),
        ("https://evil.example", ""),
        ("http://localhost:3000", ""),
    ] {
        let response = preflight(&gateway, origin, CHAT).await;
        assert_eq!(response.status, if allowed.is_empty() { 403 } else { 204 }, "{origin}");
        assert_eq!(response.header("access-control-allow-origin"), allowed);
    }
}

#[tokio::test]
async fn every_page_may_call_with_a_wildcard_origin() {
    let first = provider().await;
    let gateway = gateway_for(&first, "cors: { origins: [\"*\"] }").await;
    let response = preflight(&gateway, "https://any.example", CHAT).await;
    assert_eq!(response.header("access-control-allow-origin"), "*");
    assert_eq!(response.header("vary"), "");
}

#[tokio::test]
async fn a_page_may_read_responses_and_errors() {
    let first = provider().await;
    let gateway = gateway_for(&first, "").await;
    for (key, status) in [(KEY, 200), ("wrong", 401)] {
        let headers = [("origin", "http://127.0.0.1:8000"), ("x-api-key", key)];
        let request = hello("first/m").to_string();
        let response = send(&gateway, "POST", CHAT, &headers, request).await;
        assert_eq!(response.status, status);
        assert_eq!(response.header("access-control-allow-origin"), "http://127.0.0.1:8000");
        // Whatever the response has: a list of names would lack the next one.
        assert_eq!(response.header("access-control-expose-headers"), "*");
    }
}

#[tokio::test]
async fn an_unknown_path_has_no_preflight() {
    let first = provider().await;
    let gateway = gateway_for(&first, "").await;
    let response = preflight(&gateway, "http://localhost:3000", "/nothing").await;
    assert_eq!(error_of(response).await.0, 404);
}
