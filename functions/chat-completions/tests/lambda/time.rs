//! Answers that take long: what fills the wait, and what is said when the platform's time runs out.

use std::time::Duration;

use serde_json::Value;
use testkit::{
    openai,
    provider::{Answer as Scripted, Gate, Step},
    runtime::Function,
};

use crate::{Gateway, events, message, said};

/// A function that has four seconds, of which the last two are kept for saying so.
fn short(function: Function) -> Function {
    Function { timeout: Duration::from_secs(4), ..function }
}

#[tokio::test]
async fn a_whole_answer_that_comes_too_late_is_an_error() {
    let gateway = Gateway::start_as(short).await;
    gateway.fake.answers([Scripted::hang()]);
    let answer = gateway.ask().await;
    assert_eq!(answer.status, 504);
    let body = answer.json().await.unwrap();
    assert_eq!(body["error"]["code"], "timeout");
    assert_eq!(body["error"]["attempts"].as_array().unwrap().len(), 1);
    gateway.is_well();
}

#[tokio::test]
async fn a_stream_that_does_not_begin_in_time_is_an_error() {
    let gateway = Gateway::start_as(short).await;
    gateway.fake.answers([Scripted::stream([openai::role(), Step::Hang])]);
    let answer = gateway.stream().await;
    assert_eq!(answer.status, 504);
    assert_eq!(answer.json().await.unwrap()["error"]["code"], "timeout");
    gateway.is_well();
}

#[tokio::test]
async fn a_stream_that_goes_on_too_long_ends_with_an_error() {
    let gateway = Gateway::start_as(short).await;
    let mut steps = vec![openai::role()];
    for _ in 0..100 {
        steps.extend([openai::chunk("x"), Step::Wait(Duration::from_millis(100))]);
    }
    gateway.fake.answers([Scripted::stream(steps)]);
    let text = gateway.stream().await.text().await.unwrap();
    assert!(said(&text).starts_with('x'));
    let last = events(&text).pop().unwrap();
    assert_eq!(last["error"]["code"], "timeout", "{text}");
    assert!(message(&last).starts_with("Lockgate: "), "{text}");
    assert!(!text.contains("data: [DONE]"), "{text}");
    assert!(gateway.fake.cancelled().await);
    gateway.is_well();
}

#[tokio::test]
async fn white_space_goes_before_a_whole_answer_that_takes_long() {
    let gateway = Gateway::start_as(|it| it.env("BUFFERED_HEARTBEAT_SECONDS", "0.1")).await;
    let gate = Gate::new();
    gateway.fake.answers([late(&gate, &whole("Hello!"))]);
    let mut answer = gateway.ask().await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"));
    for _ in 0..2 {
        assert_eq!(answer.chunk().await.unwrap().unwrap(), "\n");
    }
    gate.open();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["choices"][0]["message"]["content"], "Hello!");
    assert_eq!(body["x_gateway"]["provider"], "first");
    gateway.is_well();
}

#[tokio::test]
async fn white_space_keeps_within_what_the_front_door_bears() {
    let gateway = Gateway::start_as(|it| it.env("ORIGIN_READ_TIMEOUT_SECONDS", "0.2")).await;
    let gate = Gate::new();
    gateway.fake.answers([late(&gate, &whole("Hello!"))]);
    let mut answer = gateway.ask().await;
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "\n");
    gate.open();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["choices"][0]["message"]["content"], "Hello!");
    gateway.is_well();
}

#[tokio::test]
async fn a_failure_after_white_space_comes_in_the_body() {
    let gateway = Gateway::start_as(|it| it.env("BUFFERED_HEARTBEAT_SECONDS", "0.1")).await;
    let gate = Gate::new();
    let broken = openai::error(500, "server_error", "we broke");
    gateway.fake.answers([late(&gate, "not json"), broken]);
    let mut answer = gateway.ask().await;
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "\n");
    gate.open();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["error"]["attempts"].as_array().unwrap().len(), 2, "{body}");
    gateway.is_well();
}

/// A whole answer that is sent once the gate is open.
fn late(gate: &Gate, body: &str) -> Scripted {
    Scripted::stream([Step::Gate(gate.clone()), Step::text(body)])
        .header("content-type", "application/json")
}

fn whole(text: &str) -> String {
    format!(
        r#"{{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}]}}"#
    )
}
