//! `Idempotency-Key`: one request is made once, however often its client sends it.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{
    client::ClientResponse,
    lockgate::Lockgate,
    openai,
    provider::{FakeProvider, Latch, ScriptedResponse, Step},
};

use crate::support::{
    KEY, ask_with, error_of, gateway_for, hello, hello_streamed, provider, send, text_in, text_of,
};

const REST: &str = "
default_provider: first
prices: [{ provider: first, model: m, input: 1000, output: 1000 }]
tenants: [{ name: other, api_key: key-of-other, budget_usd: 10 }]
";
const KEYED: [(&str, &str); 1] = [("idempotency-key", "order-66")];

/// A stream that stops in its middle until the latch opens.
fn halting(latch: &Latch) -> ScriptedResponse {
    let steps = [openai::role(), openai::chunk("Hel"), Step::Latch(latch.clone())];
    let end = [openai::chunk("lo"), openai::finish("stop"), openai::usage(9, 12), openai::done()];
    ScriptedResponse::stream(steps.into_iter().chain(end))
}

async fn halted(latch: &Latch) -> FakeProvider {
    let first = FakeProvider::start().await;
    first.respond_with([halting(latch), openai::completion("again")]);
    first
}

/// Asks until the first request is over.
async fn when_done(gateway: &Lockgate, question: &Value) -> ClientResponse {
    loop {
        let response = ask_with(gateway, question, &KEYED).await;
        if response.status != 409 {
            return response;
        }
        response.text().await.unwrap();
    }
}

async fn spent_by_other(gateway: &Lockgate) -> f64 {
    let headers = [("x-api-key", "key-of-other")];
    let usage = send(gateway, "GET", "/v1/usage", &headers, "").await;
    let usage: Value = usage.json().await.unwrap();
    usage["total_cost_usd"].as_f64().unwrap()
}

#[tokio::test]
async fn while_the_first_runs_a_second_waits_and_another_body_is_refused() {
    let latch = Latch::new();
    let first = halted(&latch).await;
    let gateway = gateway_for(&first, REST).await;
    let mut running = ask_with(&gateway, &hello_streamed("m"), &KEYED).await;
    running.until("Hel").await.unwrap();

    let second = ask_with(&gateway, &hello_streamed("m"), &KEYED).await;
    assert_eq!(second.header("retry-after"), "2");
    let (status, error) = error_of(second).await;
    assert_eq!(status, 409, "{error}");
    let other_body = ask_with(&gateway, &hello_streamed("n"), &KEYED).await;
    assert_eq!(other_body.header("retry-after"), "");
    assert_eq!(error_of(other_body).await.0, 422);
    let other_key = [("idempotency-key", "\"order-67\"")];
    assert_eq!(text_of(ask_with(&gateway, &hello("m"), &other_key).await).await, "again");

    latch.open();
    let rest = running.text().await.unwrap();
    assert!(rest.contains("lo"), "{rest}");
    let again = when_done(&gateway, &hello_streamed("m")).await;
    assert_eq!(again.header("x-gateway-cache"), "hit");
    assert_eq!(text_in(&again.text().await.unwrap()), "Hello");
    assert_eq!(first.requests().len(), 2);
}

#[tokio::test]
async fn a_stream_that_broke_off_is_taken_up_again_and_paid_once() {
    let latch = Latch::new();
    let first = halted(&latch).await;
    let gateway = gateway_for(&first, REST).await;
    let (path, question) = ("/v1/chat/completions", hello_streamed("m").to_string());
    let headers = [("x-api-key", "key-of-other"), KEYED[0]];
    let mut broken = send(&gateway, "POST", path, &headers, question.clone()).await;
    broken.until("Hel").await.unwrap();
    drop(broken);
    latch.open();

    let again = loop {
        let response = send(&gateway, "POST", path, &headers, question.clone()).await;
        if response.status == 200 {
            break response;
        }
        assert_eq!(response.status, 409);
        response.text().await.unwrap();
    };
    assert_eq!(text_in(&again.text().await.unwrap()), "Hello");
    assert_eq!(first.requests().len(), 1);
    let mut spent = spent_by_other(&gateway).await;
    while spent < 0.02 {
        spent = spent_by_other(&gateway).await;
    }
    assert!((spent - 0.021).abs() < 1e-9, "{spent}");
}

#[tokio::test]
async fn a_call_that_was_left_before_its_response_is_made_and_paid_once() {
    for question in [hello("m"), hello_streamed("m")] {
        let first = FakeProvider::start().await;
        let slow = match question["stream"] == true {
            true => openai::stream(["Hello"]),
            false => openai::completion("Hello"),
        };
        first.respond_with([
            ScriptedResponse::delay(Duration::from_millis(300), slow),
            openai::completion("again"),
        ]);
        let gateway = gateway_for(&first, REST).await;
        let mut left = Box::pin(ask_with(&gateway, &question, &KEYED));
        while first.requests().is_empty() {
            let response = tokio::time::timeout(Duration::from_millis(5), &mut left).await;
            assert!(response.is_err(), "{response:?}");
        }
        drop(left);

        let again = when_done(&gateway, &question).await;
        assert_eq!((again.status.as_u16(), again.header("x-gateway-cache")), (200, "hit"));
        assert!(again.text().await.unwrap().contains("Hello"));
        assert_eq!(first.requests().len(), 1);
    }
}

#[tokio::test]
async fn the_stored_answer_is_that_of_one_path_key_and_tenant() {
    let first = provider().await;
    let gateway = gateway_for(&first, REST).await;
    assert_eq!(text_of(ask_with(&gateway, &hello("m"), &KEYED).await).await, "Hi");
    let again = when_done(&gateway, &hello("m")).await;
    assert_eq!(again.header("x-gateway-cache"), "hit");
    let again: Value = again.json().await.unwrap();
    assert_eq!(again["x_gateway"]["cost_usd"], 0.0, "{again}");
    assert_eq!(first.requests().len(), 1);

    let headers = [("x-api-key", "key-of-other"), KEYED[0]];
    let path = "/v1/chat/completions";
    let other = send(&gateway, "POST", path, &headers, hello("m").to_string()).await;
    assert_eq!(text_of(other).await, "Hi");
    let messages = json!({ "model": "m", "max_tokens": 9,
                           "messages": [{ "role": "user", "content": "Hello" }] });
    let headers = [("x-api-key", KEY), KEYED[0]];
    let other = send(&gateway, "POST", "/v1/messages", &headers, messages.to_string()).await;
    let status = other.status;
    assert_eq!(status, 200, "{}", other.text().await.unwrap());
    assert_eq!(first.requests().len(), 3);
}

#[tokio::test]
async fn a_request_that_failed_may_be_sent_again() {
    let first = FakeProvider::start().await;
    first.respond_with([openai::error(400, "x", "no"), openai::completion("Hi")]);
    let gateway = gateway_for(&first, REST).await;
    assert_eq!(error_of(ask_with(&gateway, &hello("m"), &KEYED).await).await.0, 400);
    assert_eq!(text_of(when_done(&gateway, &hello("m")).await).await, "Hi");
    let long = "k".repeat(256);
    let wrong = ask_with(&gateway, &hello("m"), &[("idempotency-key", &long)]).await;
    assert_eq!(error_of(wrong).await.0, 400);
}
