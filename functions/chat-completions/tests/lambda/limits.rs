//! How much a client may send.

use bytes::Bytes;
use http::{Request, header};
use serde_json::json;
use testkit::{client, openai, runtime::Function};

use crate::{Gateway, KEY, message, question};

#[tokio::test]
async fn an_empty_body_is_refused() {
    let gateway = Gateway::start().await;
    let request = Request::post(gateway.url())
        .header(header::AUTHORIZATION, format!("Bearer {KEY}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Bytes::new());
    let answer = client::send(request.unwrap()).await.unwrap();
    assert_eq!(answer.status, 400);
    let body = answer.json().await.unwrap();
    assert_eq!(body["error"]["code"], "invalid_request");
    assert_ne!(message(&body), "");
    gateway.is_well();
}

#[tokio::test]
async fn a_body_of_nearly_6_mb_reaches_the_provider_whole() {
    let gateway = Gateway::start().await;
    gateway.fake.answers([openai::completion("That was long.")]);
    let text = "x".repeat(6 * 1024 * 1024 - 4096);
    let mut body = question();
    body["messages"][0]["content"] = text.as_str().into();
    assert_eq!(gateway.send(&body).await.status, 200);
    assert_eq!(gateway.fake.seen()[0].json()["messages"][0]["content"], text);
    gateway.is_well();
}

#[tokio::test]
async fn a_larger_one_is_refused_by_the_url() {
    let gateway = Gateway::start().await;
    let body = json!({"model": "r", "padding": "x".repeat(6 * 1024 * 1024)});
    assert_eq!(gateway.send(&body).await.status, 413);
    assert!(gateway.fake.seen().is_empty());
}

#[tokio::test]
async fn a_body_over_the_stacks_own_limit_is_refused_in_the_shape_of_the_api() {
    let limited = |function: Function| function.env("MAX_BODY_BYTES", "4500000");
    let gateway = Gateway::start_as(limited).await;
    let body = json!({"model": "r", "padding": "x".repeat(4_500_000)});
    let answer = gateway.send(&body).await;
    assert_eq!(answer.status, 413);
    let error = answer.json().await.unwrap();
    assert_eq!(error["error"]["code"], "request_too_large");
    assert_eq!(message(&error), "Lockgate: The body is larger than 4.5 MB.");
    assert!(gateway.fake.seen().is_empty());
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
    let answer = client::send(request.unwrap()).await.unwrap();
    assert_eq!(answer.status, 400);
    assert!(message(&answer.json().await.unwrap()).contains("decompressed"));
    gateway.is_well();
}
