//! Headers by which browsers treat what the gateway sends with care, on every response.

use crate::support::{KEY, ask, gateway_for, hello, hello_streamed, send, streaming_provider};

const MODEL: &str = "models: [{ name: m, provider: first }]";

fn assert_careful(response: &testkit::client::ClientResponse, what: &str) {
    assert_eq!(response.header("x-content-type-options"), "nosniff", "{what}");
    assert_eq!(response.header("x-frame-options"), "DENY", "{what}");
    assert_eq!(response.header("referrer-policy"), "no-referrer", "{what}");
    let policy = response.header("content-security-policy");
    assert!(policy.contains("frame-ancestors 'none'"), "{what}: {policy}");
    assert!(policy.contains("default-src 'none'"), "{what}: {policy}");
}

#[tokio::test]
async fn every_response_has_security_headers() {
    let gateway = gateway_for(&streaming_provider().await, MODEL).await;
    for path in [
        "/",
        "/health",
        "/nothing",
        "/v1/models",
        "/metrics",
        "/admin",
        "/admin/tenants",
        "/openapi.json",
    ] {
        for key in [KEY, "wrong"] {
            let response = send(&gateway, "GET", path, &[("x-api-key", key)], "").await;
            assert_careful(&response, path);
        }
    }
    let preflight =
        [("origin", "http://localhost:3000"), ("access-control-request-method", "POST")];
    let response = send(&gateway, "OPTIONS", "/v1/chat/completions", &preflight, "").await;
    assert_careful(&response, "a preflight");
    assert_careful(&ask(&gateway, &hello_streamed("m")).await, "a stream");
    assert_careful(&ask(&gateway, &hello("nothing")).await, "an error");
}
