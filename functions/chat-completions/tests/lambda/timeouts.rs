//! Slow responses: keep-alives, and the error when the platform's time runs out.

use std::time::Duration;

use serde_json::Value;
use testkit::{
    lambda::Function,
    openai,
    provider::{Latch, ScriptedResponse, Step},
};

use crate::{Gateway, events, message, streamed_text};

/// A function that has four seconds, of which the last two are kept for saying so.
fn short(function: Function) -> Function {
    Function { timeout: Duration::from_secs(4), ..function }
}

#[tokio::test]
async fn a_whole_response_after_the_deadline_is_an_error() {
    let gateway = Gateway::start_as(short).await;
    gateway.fake.respond_with([ScriptedResponse::hang()]);
    let response = gateway.ask().await;
    assert_eq!(response.status, 504);
    let body = response.json().await.unwrap();
    assert_eq!(body["error"]["code"], "timeout");
    assert_eq!(body["error"]["attempts"].as_array().unwrap().len(), 1);
    gateway.is_well();
}

#[tokio::test]
async fn a_stream_that_does_not_start_in_time_is_an_error() {
    let gateway = Gateway::start_as(short).await;
    gateway.fake.respond_with([ScriptedResponse::stream([openai::role(), Step::Hang])]);
    let response = gateway.stream().await;
    assert_eq!(response.status, 504);
    assert_eq!(response.json().await.unwrap()["error"]["code"], "timeout");
    gateway.is_well();
}

#[tokio::test]
async fn a_stream_past_the_deadline_ends_with_an_error() {
    let gateway = Gateway::start_as(short).await;
    let mut steps = vec![openai::role()];
    for _ in 0..100 {
        steps.extend([openai::chunk("x"), Step::Wait(Duration::from_millis(100))]);
    }
    gateway.fake.respond_with([ScriptedResponse::stream(steps)]);
    let text = gateway.stream().await.text().await.unwrap();
    assert!(streamed_text(&text).starts_with('x'));
    let last = events(&text).pop().unwrap();
    assert_eq!(last["error"]["code"], "timeout", "{text}");
    assert!(message(&last).starts_with("Lockgate: "), "{text}");
    assert!(!text.contains("data: [DONE]"), "{text}");
    assert!(gateway.fake.cancelled().await);
    gateway.is_well();
}

#[tokio::test]
async fn white_space_keeps_a_slow_whole_response_alive() {
    let gateway = Gateway::start_as(|it| it.env("BUFFERED_HEARTBEAT_SECONDS", "0.1")).await;
    let latch = Latch::new();
    gateway.fake.respond_with([late(&latch, &whole("Hello!"))]);
    let mut response = gateway.ask().await;
    assert_eq!(
        (response.status.as_u16(), response.header("content-type")),
        (200, "application/json")
    );
    for _ in 0..2 {
        assert_eq!(response.chunk().await.unwrap().unwrap(), "\n");
    }
    latch.open();
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["choices"][0]["message"]["content"], "Hello!");
    assert_eq!(body["x_gateway"]["provider"], "first");
    gateway.is_well();
}

#[tokio::test]
async fn white_space_stops_at_the_distributions_limit() {
    let gateway = Gateway::start_as(|it| it.env("ORIGIN_READ_TIMEOUT_SECONDS", "0.2")).await;
    let latch = Latch::new();
    gateway.fake.respond_with([late(&latch, &whole("Hello!"))]);
    let mut response = gateway.ask().await;
    assert_eq!(response.chunk().await.unwrap().unwrap(), "\n");
    latch.open();
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["choices"][0]["message"]["content"], "Hello!");
    gateway.is_well();
}

#[tokio::test]
async fn a_failure_after_white_space_is_in_the_body() {
    let gateway = Gateway::start_as(|it| it.env("BUFFERED_HEARTBEAT_SECONDS", "0.1")).await;
    let latch = Latch::new();
    let broken = openai::error(500, "server_error", "we broke");
    gateway.fake.respond_with([late(&latch, "not json"), broken]);
    let mut response = gateway.ask().await;
    assert_eq!(response.chunk().await.unwrap().unwrap(), "\n");
    latch.open();
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["attempts"].as_array().unwrap().len(), 2, "{body}");
    gateway.is_well();
}

/// A whole response that is sent once the latch is open.
fn late(latch: &Latch, body: &str) -> ScriptedResponse {
    ScriptedResponse::stream([Step::Latch(latch.clone()), Step::text(body)])
        .header("content-type", "application/json")
}

fn whole(text: &str) -> String {
    format!(
        r#"{{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}]}}"#
    )
}
