//! Access: keys, paths, methods, and what is open.

use serde_json::{Value, json};
use testkit::lockgate::Lockgate;

use crate::support::{
    KEY, error_of, gateway_for, hello, provider, send, serve, unused_address, yaml,
};

const CHAT: [&str; 3] =
    ["/v1/chat/completions", "/chat/completions", "/openai/v1/chat/completions"];

async fn call(gateway: &Lockgate, path: &str, headers: &[(&str, &str)]) -> u16 {
    let response = send(gateway, "POST", path, headers, hello("first/m").to_string()).await;
    response.status.as_u16()
}

/// A gateway that will not be able to reach anybody.
async fn alone(rest: &str) -> Lockgate {
    serve(&yaml(&[("first", &unused_address())], rest)).await
}

#[tokio::test]
async fn every_path_accepts_a_key_in_every_header() {
    let first = provider().await;
    let gateway = gateway_for(&first, "").await;
    let bearer = format!("Bearer {KEY}");
    let lower = format!("bearer   {KEY}");
    for path in CHAT {
        for header in [
            ("authorization", bearer.as_str()),
            ("authorization", &lower),
            ("x-api-key", KEY),
            ("x-goog-api-key", KEY),
        ] {
            assert_eq!(call(&gateway, path, &[header]).await, 200, "{path} {header:?}");
        }
    }
}

#[tokio::test]
async fn one_valid_key_among_invalid_ones_authenticates() {
    let first = provider().await;
    let gateway = gateway_for(&first, "").await;
    let headers = [("authorization", "Bearer not-needed"), ("x-api-key", KEY)];
    assert_eq!(call(&gateway, CHAT[0], &headers).await, 200);
}

#[tokio::test]
async fn requests_without_a_valid_key_are_unauthorized() {
    let gateway = alone("").await;
    let longer = format!("{KEY}x");
    let basic = format!("Basic {KEY}");
    for path in CHAT {
        for headers in [
            &[][..],
            &[("authorization", "")],
            &[("authorization", "Bearer")],
            &[("authorization", "Bearer ")],
            &[("authorization", KEY)],
            &[("authorization", &basic)],
            &[("x-api-key", "")],
            &[("x-api-key", "gateway-ke")],
            &[("x-api-key", &longer)],
            &[("x-api-key", "GATEWAY-KEY")],
            &[("x-goog-api-key", "wrong")],
        ] {
            assert_eq!(call(&gateway, path, headers).await, 401, "{path} {headers:?}");
        }
    }
}

#[tokio::test]
async fn a_key_in_the_query_does_not_authenticate_chat() {
    let gateway = alone("").await;
    assert_eq!(call(&gateway, &format!("{}?key={KEY}", CHAT[0]), &[]).await, 401);
}

#[tokio::test]
async fn an_unauthorized_error_has_openais_format() {
    let gateway = alone("").await;
    let response = send(&gateway, "POST", CHAT[0], &[("x-api-key", "wrong")], "{}").await;
    assert_eq!(response.header("www-authenticate"), "Bearer");
    assert_eq!(response.header("content-type"), "application/json");
    let id = response.header("x-request-id").to_owned();
    let (status, error) = error_of(response).await;
    assert_eq!(status, 401);
    assert_eq!(
        error,
        json!({
            "message": "Lockgate: This API key is not known here.",
            "type": "authentication_error", "code": "auth", "param": null, "request_id": id,
        })
    );
}

#[tokio::test]
async fn authentication_precedes_every_other_check() {
    let gateway = alone("").await;
    for body in ["", "nonsense", "{\"model\": \"unknown\"}"] {
        let headers = [("x-provider", "unknown"), ("x-gateway-strict", "perhaps")];
        let response = send(&gateway, "POST", CHAT[0], &headers, body).await;
        assert_eq!(error_of(response).await.0, 401, "{body}");
    }
}

#[tokio::test]
async fn a_gateway_without_a_key_rejects_every_call() {
    let first = provider().await;
    let without = yaml(&[("first", &first.url())], "").replace("api_key: gateway-key\n", "");
    let gateway = serve(&without).await;
    assert!(gateway.logged("no `api_key`").await.contains("only keys of tenants"));
    for key in ["", "Bearer ", "Bearer null"] {
        assert_eq!(call(&gateway, CHAT[0], &[("authorization", key)]).await, 401);
    }
    assert!(first.requests().is_empty());
}

#[tokio::test]
async fn an_unknown_path_is_404() {
    let gateway = alone("").await;
    for path in ["/nothing", "/v1", "/v1/chat", "/v1/chat/completions/x", "/%2e%2e"] {
        let response = send(&gateway, "POST", path, &[("x-api-key", KEY)], "{}").await;
        let (status, error) = error_of(response).await;
        assert_eq!((status, &error["code"]), (404, &json!("invalid_request")), "{path}");
    }
}

#[tokio::test]
async fn every_spelling_of_a_path_is_served() {
    let first = provider().await;
    let gateway = gateway_for(&first, "").await;
    for path in [
        "/v1//chat/completions",
        "//v1/chat/completions",
        "/v1/chat/completions/",
        "/v1/v1/chat/completions",
        "/openai/chat/completions",
    ] {
        assert_eq!(call(&gateway, path, &[("x-api-key", KEY)]).await, 200, "{path}");
    }
    for path in ["/models", "/v1/models/", "//v1//models"] {
        let response = send(&gateway, "GET", path, &[("x-api-key", KEY)], "").await;
        assert_eq!(response.status, 200, "{path}");
    }
}

#[tokio::test]
async fn an_address_with_many_wrong_keys_is_rate_limited() {
    let first = provider().await;
    let gateway = gateway_for(&first, "").await;
    assert_eq!(call(&gateway, CHAT[0], &[("x-api-key", KEY)]).await, 200);
    let mut throttled = None;
    for nth in 0..200 {
        let key = format!("guess-{nth}");
        let response = send(&gateway, "POST", CHAT[0], &[("x-api-key", &key)], "{}").await;
        if response.status != 401 {
            throttled = Some((response.status.as_u16(), response.header("retry-after").to_owned()));
            break;
        }
    }
    assert_eq!(throttled, Some((429, "1".to_owned())));
    // A key that was right from there before still is.
    assert_eq!(call(&gateway, CHAT[0], &[("x-api-key", KEY)]).await, 200);
    let log = gateway.logged("a wrong API key was sent").await;
    assert!(log.contains("address=127.0.0.1"), "{log}");
    assert!(log.matches("a wrong API key").count() < 30, "{log}");
    assert!(!log.contains("guess-"), "{log}");
}

#[tokio::test]
async fn a_wrong_method_comes_with_the_right_one() {
    let gateway = alone("").await;
    for (method, path, allowed) in [
        ("GET", CHAT[0], "POST"),
        ("PUT", CHAT[1], "POST"),
        ("DELETE", "/v1/models", "GET,HEAD"),
        ("POST", "/health", "GET,HEAD"),
    ] {
        let response = send(&gateway, method, path, &[("x-api-key", KEY)], "").await;
        assert_eq!(response.header("allow"), allowed, "{method} {path}");
        assert_eq!(error_of(response).await.0, 405, "{method} {path}");
    }
}

#[tokio::test]
async fn an_unknown_query_parameter_is_accepted() {
    let first = provider().await;
    let gateway = gateway_for(&first, "").await;
    let path = "/v1/chat/completions?beta=true&api-version=7&x";
    assert_eq!(call(&gateway, path, &[("x-api-key", KEY)]).await, 200);
    assert_eq!(first.requests()[0].target, "/v1/chat/completions");
}

#[tokio::test]
async fn unknown_headers_are_accepted() {
    let first = provider().await;
    let gateway = gateway_for(&first, "").await;
    let headers = [("x-api-key", KEY), ("anthropic-beta", "a,b"), ("openai-organization", "o")];
    assert_eq!(call(&gateway, CHAT[0], &headers).await, 200);
}

#[tokio::test]
async fn health_needs_no_key_and_calls_no_provider() {
    let first = provider().await;
    let gateway = gateway_for(&first, "").await;
    for path in ["/health", "/health/live", "/health/ready", "/health?verbose=1"] {
        let response = send(&gateway, "GET", path, &[], "").await;
        assert_eq!(response.status, 200, "{path}");
        assert_ne!(response.header("x-request-id"), "", "{path}");
        assert!(response.json().await.unwrap()["status"].is_string(), "{path}");
    }
    assert!(first.requests().is_empty());
}

#[tokio::test]
async fn a_head_request_to_the_root_is_ok() {
    let gateway = alone("").await;
    let response = send(&gateway, "HEAD", "/", &[], "").await;
    assert_eq!(response.status, 200);
    assert_eq!(response.text().await.unwrap(), "");
}

#[tokio::test]
async fn every_error_has_the_same_format() {
    let gateway = alone("").await;
    for (method, path) in [("POST", "/nothing"), ("GET", CHAT[0]), ("GET", "/v1/models")] {
        let (_, error) = error_of(send(&gateway, method, path, &[], "").await).await;
        for member in ["message", "type", "code", "request_id"] {
            assert!(error[member].is_string(), "{path}: {member} of {error}");
        }
        assert_eq!(error["param"], Value::Null);
    }
}
