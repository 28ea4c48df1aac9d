//! Hedging: the next target starts when the first is silent, and the first to answer wins.

use serde_json::Value;
use testkit::lockgate::Lockgate;
use testkit::openai;
use testkit::provider::{FakeProvider, ScriptedResponse, Step};

use crate::support::{
    ask, attempts_of, chunks_of, gateway_for_both, hello, hello_streamed, provider,
    streaming_provider, text_in,
};

/// A route that hedges after a moment, within this budget.
fn hedged(budget: u32) -> String {
    format!(
        "routes:\n  - name: both\n    hedge: 100ms\n    hedge_budget: {budget}\n    steps:\n      \
         - {{ provider: first, model: small }}\n      - {{ provider: second, model: large }}\n\
         prices:\n  - {{ provider: first, model: small, input: 1000, output: 1 }}\n  \
         - {{ provider: second, model: large, input: 1, output: 1 }}\n"
    )
}

async fn gateway_with_silent_first(budget: u32) -> (Lockgate, FakeProvider, FakeProvider) {
    let (first, second) = (FakeProvider::start().await, streaming_provider().await);
    first.respond_with([ScriptedResponse::stream([openai::role(), Step::Hang])]);
    let gateway = gateway_for_both(&first, &second, &hedged(budget)).await;
    (gateway, first, second)
}

/// The metadata at the end of a stream.
fn metadata(stream: &str) -> Value {
    let with = chunks_of(stream).into_iter().find(|it| it["x_gateway"].is_object());
    with.unwrap()["x_gateway"].take()
}

#[tokio::test]
async fn the_next_target_answers_for_a_silent_one() {
    let (gateway, first, second) = gateway_with_silent_first(100).await;
    let response = ask(&gateway, &hello_streamed("both")).await;
    assert_eq!(response.header("x-gateway-provider"), "second");
    let stream = response.text().await.unwrap();
    assert_eq!(text_in(&stream), "Hello");
    assert_eq!(attempts_of(&metadata(&stream)), ["first canceled null", "second success 200"]);
    assert!(first.cancelled().await, "the loser is cancelled");
    assert_eq!((first.requests().len(), second.requests().len()), (1, 1));
}

#[tokio::test]
async fn the_loser_is_paid_for() {
    let (gateway, _first, _second) = gateway_with_silent_first(100).await;
    ask(&gateway, &hello_streamed("both")).await.text().await.unwrap();
    let log = gateway.logged("call ended").await;
    let cost = log.split("cost_usd=\"").nth(1).and_then(|it| it.split('"').next());
    let cost: f64 = cost.unwrap_or_else(|| panic!("no cost in {log}")).parse().unwrap();
    // The input alone costs about a cent at the loser, and next to nothing at the winner.
    assert!(0.004 < cost, "{cost}");
}

#[tokio::test]
async fn a_target_that_answers_in_time_is_not_hedged() {
    let (first, second) = (streaming_provider().await, streaming_provider().await);
    let gateway = gateway_for_both(&first, &second, &hedged(100)).await;
    for _ in 0..3 {
        ask(&gateway, &hello_streamed("both")).await.text().await.unwrap();
    }
    assert_eq!((first.requests().len(), second.requests().len()), (3, 0));
}

#[tokio::test]
async fn the_first_target_may_still_win() {
    let (first, second) = (FakeProvider::start().await, FakeProvider::start().await);
    let slow = [Step::Wait(std::time::Duration::from_millis(400)), openai::chunk("Late")];
    first.respond_with([ScriptedResponse::stream(
        slow.into_iter().chain([openai::finish("stop"), openai::done()]),
    )]);
    second.respond_with([ScriptedResponse::hang()]);
    let gateway = gateway_for_both(&first, &second, &hedged(100)).await;
    let stream = ask(&gateway, &hello_streamed("both")).await.text().await.unwrap();
    assert_eq!(text_in(&stream), "Late");
    assert!(second.cancelled().await);
}

#[tokio::test]
async fn a_hedge_that_fails_leaves_the_first_to_answer() {
    let (first, second) = (FakeProvider::start().await, FakeProvider::start().await);
    let slow = [Step::Wait(std::time::Duration::from_millis(400)), openai::chunk("Late")];
    first.respond_with([ScriptedResponse::stream(
        slow.into_iter().chain([openai::finish("stop"), openai::done()]),
    )]);
    second.respond_with([openai::error(500, "x", "no")]);
    let gateway = gateway_for_both(&first, &second, &hedged(100)).await;
    let stream = ask(&gateway, &hello_streamed("both")).await.text().await.unwrap();
    assert_eq!(text_in(&stream), "Late");
    assert_eq!(attempts_of(&metadata(&stream)), ["first success 200", "second server_error 500"]);
}

#[tokio::test]
async fn a_whole_response_is_not_hedged() {
    let (first, second) = (FakeProvider::start().await, provider().await);
    let slow = std::time::Duration::from_millis(400);
    first.respond_with([ScriptedResponse::delay(slow, openai::completion("Late"))]);
    let gateway = gateway_for_both(&first, &second, &hedged(100)).await;
    assert_eq!(ask(&gateway, &hello("both")).await.header("x-gateway-provider"), "first");
    assert!(second.requests().is_empty());
}

#[tokio::test]
async fn hedges_are_bounded_by_their_budget() {
    let (first, second) = (FakeProvider::start().await, streaming_provider().await);
    let slow = [Step::Wait(std::time::Duration::from_millis(250)), openai::chunk("Late")];
    first.respond_with([ScriptedResponse::stream(
        slow.into_iter().chain([openai::finish("stop"), openai::done()]),
    )]);
    let gateway = gateway_for_both(&first, &second, &hedged(25)).await;
    for _ in 0..4 {
        ask(&gateway, &hello_streamed("both")).await.text().await.unwrap();
    }
    assert_eq!((first.requests().len(), second.requests().len()), (4, 1));
}
