//! How much a client may send.

use bytes::Bytes;
use http::{Request, header};
use serde_json::json;
use testkit::{client, lambda::Function, openai};

use crate::{Gateway, KEY, message, question};

#[tokio::test]
async fn an_empty_body_is_rejected() {
    let gateway = Gateway::start().await;
    let request = Request::post(gateway.url())
        .header(header::AUTHORIZATION, format!("Bearer {KEY}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Bytes::new());
    let response = client::send(request.unwrap()).await.unwrap();
    assert_eq!(response.status, 400);
    let body = response.json().await.unwrap();
    assert_eq!(body["error"]["code"], "invalid_request");
    assert_ne!(message(&body), "");
    gateway.is_well();
}

#[tokio::test]
async fn a_body_of_nearly_6_mb_reaches_the_provider_unchanged() {
    let gateway = Gateway::start().await;
    gateway.fake.respond_with([openai::completion("That was long.")]);
    let text = "x".repeat(6 * 1024 * 1024 - 4096);
    let mut body = question();
    body["messages"][0]["content"] = text.as_str().into();
    assert_eq!(gateway.send(&body).await.status, 200);
    assert_eq!(gateway.fake.requests()[0].json()["messages"][0]["content"], text);
    gateway.is_well();
}

#[tokio::test]
async fn a_body_over_6_mb_is_rejected_by_the_function_url() {
    let gateway = Gateway::start().await;
    let body = json!({"model": "r", "padding": "x".repeat(6 * 1024 * 1024)});
    assert_eq!(gateway.send(&body).await.status, 413);
    assert!(gateway.fake.requests().is_empty());
}

#[tokio::test]
async fn a_body_over_the_configured_limit_is_rejected_in_the_apis_error_format() {
    let limited = |function: Function| function.env("MAX_BODY_BYTES", "4500000");
    let gateway = Gateway::start_as(limited).await;
    let body = json!({"model": "r", "padding": "x".repeat(4_500_000)});
    let response = gateway.send(&body).await;
    assert_eq!(response.status, 413);
    let error = response.json().await.unwrap();
    assert_eq!(error["error"]["code"], "request_too_large");
    assert_eq!(message(&error), "Lockgate: The body is larger than 4.5 MB.");
    assert!(gateway.fake.requests().is_empty());
    gateway.is_well();
}

#[tokio::test]
async fn a_body_that_is_not_compressed_as_it_says_is_refused() {
    let gateway = Gateway::start().await;
    let request = Request::post(gateway.url())
        .header(header::AUTHORIZATION, format!("Bearer {KEY}"))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONTENT_ENCODING, "gzip")
        .body(Bytes::from_static(b"\x1f\x8b"));
    let response = client::send(request.unwrap()).await.unwrap();
    assert_eq!(response.status, 400);
    assert!(message(&response.json().await.unwrap()).contains("decompressed"));
    gateway.is_well();
}
