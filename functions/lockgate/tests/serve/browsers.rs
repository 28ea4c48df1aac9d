//! Calls from pages in browsers: preflights, and which responses a page may read.

use testkit::client::Answer;
use testkit::lockgate::Lockgate;

use crate::support::{KEY, before, hello, provider, refused, send};

const CHAT: &str = "/v1/chat/completions";

async fn preflight(gateway: &Lockgate, origin: &str, path: &str) -> Answer {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type,x-stainless-os"),
    ];
    send(gateway, "OPTIONS", path, &headers, "").await
}

#[tokio::test]
async fn a_preflight_is_answered_without_a_key() {
    let first = provider().await;
    let gateway = before(&first, "").await;
    for path in
        [CHAT, "/v1/messages", "/v1beta/models/m:generateContent", "/v1/models", "/responses"]
    {
        let answer = preflight(&gateway, "http://localhost:3000", path).await;
        assert_eq!(answer.status, 204, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "http://localhost:3000");
        assert_eq!(answer.header("vary"), "Origin");
        let headers = answer.header("access-control-allow-headers");
        assert_eq!(headers, "authorization,content-type,x-stainless-os");
        assert_eq!(answer.header("access-control-allow-credentials"), "");
        let methods = answer.header("access-control-allow-methods");
        assert!(methods.contains(if path == "/v1/models" { "GET" } else { "POST" }), "{methods}");
    }
}

#[tokio::test]
async fn a_page_of_another_origin_may_not_call_unless_it_is_named() {
    let first = provider().await;
    let gateway = before(&first, "cors: { origins: [\"https://app.example.com\"] }").await;
    for (origin, allowed) in [
        ("https://app.example.com", "https://app.example.com"),
        ("https://evil.example", ""),
        ("http://localhost:3000", ""),
    ] {
        let answer = preflight(&gateway, origin, CHAT).await;
        assert_eq!(answer.status, if allowed.is_empty() { 403 } else { 204 }, "{origin}");
        assert_eq!(answer.header("access-control-allow-origin"), allowed);
    }
}

#[tokio::test]
async fn every_page_may_call_where_a_star_says_so() {
    let first = provider().await;
    let gateway = before(&first, "cors: { origins: [\"*\"] }").await;
    let answer = preflight(&gateway, "https://any.example", CHAT).await;
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert_eq!(answer.header("vary"), "");
}

#[tokio::test]
async fn a_page_may_read_responses_and_refusals() {
    let first = provider().await;
    let gateway = before(&first, "").await;
    for (key, status) in [(KEY, 200), ("wrong", 401)] {
        let headers = [("origin", "http://127.0.0.1:8000"), ("x-api-key", key)];
        let question = hello("first/m").to_string();
        let answer = send(&gateway, "POST", CHAT, &headers, question).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), "http://127.0.0.1:8000");
        let exposed = answer.header("access-control-expose-headers");
        assert!(exposed.contains("X-Gateway-Provider") && exposed.contains("X-Request-ID"));
    }
}

#[tokio::test]
async fn an_unknown_path_has_no_preflight() {
    let first = provider().await;
    let gateway = before(&first, "").await;
    let answer = preflight(&gateway, "http://localhost:3000", "/nothing").await;
    assert_eq!(refused(answer).await.0, 404);
}
