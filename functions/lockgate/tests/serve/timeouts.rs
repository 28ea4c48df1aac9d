//! How long a step may take, how often it is tried again, and what bounds it all.

use std::time::{Duration, Instant};

use testkit::lockgate::Lockgate;
use testkit::openai;
use testkit::provider::{FakeProvider, ScriptedResponse, Step};

use crate::support::{
    ask, attempts_of, error_of, gateway_for, gateway_for_both, hello, hello_streamed, provider,
    streaming_provider, text_in, text_of,
};

/// A route whose first step ends with these words.
fn first_step(words: &str) -> String {
    format!(
        "routes:\n  - name: both\n    cooldown: 0s\n    steps:\n      \
         - {{ provider: first, model: small{words} }}\n      \
         - {{ provider: second, model: large }}\n"
    )
}

async fn gateway(first: &FakeProvider, second: &FakeProvider, words: &str) -> Lockgate {
    gateway_for_both(first, second, &first_step(words)).await
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_target_that_times_out_is_failed_over_and_cancelled() {
    for slow in
        [ScriptedResponse::hang(), ScriptedResponse::delay(MINUTE, openai::completion("late"))]
    {
        let (first, second) = (FakeProvider::start().await, provider().await);
        first.respond_with([slow]);
        let gateway = gateway(&first, &second, ", timeout: 200ms").await;
        let body = ask(&gateway, &hello("both")).await.json().await.unwrap();
        assert_eq!(attempts_of(&body["x_gateway"]), ["first timeout null", "second success 200"]);
        assert!(first.cancelled().await);
    }
}

#[tokio::test]
async fn the_timeout_covers_a_stalled_body() {
    let (first, second) = (FakeProvider::start().await, provider().await);
    let half = ScriptedResponse::stream([Step::text("{\"choices\":"), Step::Hang]);
    first.respond_with([half.header("content-type", "application/json")]);
    let gateway = gateway(&first, &second, ", timeout: 200ms").await;
    assert_eq!(text_of(ask(&gateway, &hello("both")).await).await, "Hi");
}

#[tokio::test]
async fn the_first_token_timeout_applies_to_a_stream() {
    let (first, second) = (FakeProvider::start().await, streaming_provider().await);
    first.respond_with([ScriptedResponse::stream([openai::role(), Step::Hang])]);
    let gateway = gateway(&first, &second, ", first_token_timeout: 200ms").await;
    let response = ask(&gateway, &hello_streamed("both")).await;
    assert_eq!(response.header("x-gateway-provider"), "second");
}

#[tokio::test]
async fn the_first_token_timeout_does_not_apply_to_a_whole_response() {
    let (first, second) = (FakeProvider::start().await, provider().await);
    let slow = ScriptedResponse::delay(Duration::from_millis(400), openai::completion("slow"));
    first.respond_with([slow]);
    let gateway = gateway(&first, &second, ", first_token_timeout: 100ms").await;
    assert_eq!(text_of(ask(&gateway, &hello("both")).await).await, "slow");
}

#[tokio::test]
async fn the_step_timeout_does_not_apply_after_the_first_token() {
    let (first, second) = (FakeProvider::start().await, streaming_provider().await);
    let steps =
        [openai::chunk("one"), Step::Wait(Duration::from_millis(900)), openai::chunk("two")];
    first.respond_with([ScriptedResponse::stream(
        steps.into_iter().chain([openai::finish("stop"), openai::done()]),
    )]);
    let gateway = gateway(&first, &second, ", timeout: 600ms").await;
    let stream = ask(&gateway, &hello_streamed("both")).await.text().await.unwrap();
    assert_eq!(text_in(&stream), "onetwo");
    assert!(stream.ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn a_target_is_retried_as_configured() {
    let (first, second) = (FakeProvider::start().await, provider().await);
    first.respond_with([openai::error(503, "x", "down")]);
    let gateway = gateway(&first, &second, ", retries: 2").await;
    let body = ask(&gateway, &hello("both")).await.json().await.unwrap();
    let down = "first server_error 503";
    assert_eq!(attempts_of(&body["x_gateway"]), [down, down, down, "second success 200"]);
    assert_eq!((first.requests().len(), second.requests().len()), (3, 1));
}

#[tokio::test]
async fn a_successful_retry_ends_the_call() {
    let (first, second) = (FakeProvider::start().await, provider().await);
    first.respond_with([openai::error(500, "x", "no"), openai::completion("again")]);
    let gateway = gateway(&first, &second, ", retries: 3").await;
    assert_eq!(text_of(ask(&gateway, &hello("both")).await).await, "again");
    assert_eq!((first.requests().len(), second.requests().len()), (2, 0));
}

#[tokio::test]
async fn a_retry_waits_for_the_providers_retry_after() {
    let (first, second) = (FakeProvider::start().await, provider().await);
    let limited = openai::error(429, "x", "slow down").header("retry-after", "1");
    first.respond_with([limited, openai::completion("again")]);
    let gateway = gateway(&first, &second, ", retries: 1").await;
    let start = Instant::now();
    assert_eq!(text_of(ask(&gateway, &hello("both")).await).await, "again");
    assert!(Duration::from_secs(1) <= start.elapsed());
    assert_eq!(first.requests().len(), 2);
}

#[tokio::test]
async fn a_too_long_retry_after_is_not_waited_for() {
    let (first, second) = (FakeProvider::start().await, provider().await);
    first.respond_with([openai::error(429, "x", "slow down").header("retry-after", "3600")]);
    let gateway = gateway(&first, &second, ", retries: 5").await;
    assert_eq!(text_of(ask(&gateway, &hello("both")).await).await, "Hi");
    assert_eq!(first.requests().len(), 1);
}

#[tokio::test]
async fn permanent_failures_are_not_retried() {
    for status in [400, 401, 404] {
        let (first, second) = (FakeProvider::start().await, provider().await);
        first.respond_with([openai::error(status, "x", "no")]);
        let gateway = gateway(&first, &second, ", retries: 5").await;
        ask(&gateway, &hello("both")).await;
        assert_eq!(first.requests().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn the_route_timeout_covers_all_attempts_and_retries() {
    let (first, second) = (FakeProvider::start().await, FakeProvider::start().await);
    first.respond_with([openai::error(503, "x", "down")]);
    second.respond_with([ScriptedResponse::hang()]);
    let rest = format!("route_timeout: 900ms\n{}", first_step(", retries: 1"));
    let gateway = gateway_for_both(&first, &second, &rest).await;
    let (status, error) = error_of(ask(&gateway, &hello("both")).await).await;
    assert_eq!(status, 502, "{error}");
    let down = "first server_error 503";
    assert_eq!(attempts_of(&error), [down, down, "second timeout null"]);
}

#[tokio::test]
async fn a_route_timeout_is_504_with_its_attempts() {
    let (first, second) = (FakeProvider::start().await, provider().await);
    first.respond_with([ScriptedResponse::hang()]);
    let rest = format!("route_timeout: 300ms\n{}", first_step(""));
    let gateway = gateway_for_both(&first, &second, &rest).await;
    for request in [hello("both"), hello_streamed("both")] {
        let (status, error) = error_of(ask(&gateway, &request).await).await;
        assert_eq!((status, error["code"].as_str()), (504, Some("timeout")));
        assert_eq!(attempts_of(&error), ["first timeout null"]);
    }
    assert!(second.requests().is_empty());
}

#[tokio::test]
async fn a_flowing_stream_outlives_the_route_timeout() {
    let first = FakeProvider::start().await;
    let pauses = (0..6).flat_map(|_| [openai::chunk("x"), Step::Wait(Duration::from_millis(200))]);
    first.respond_with([ScriptedResponse::stream(
        pauses.chain([openai::finish("stop"), openai::done()]),
    )]);
    let gateway = gateway_for(&first, "route_timeout: 700ms").await;
    let stream = ask(&gateway, &hello_streamed("first/m")).await.text().await.unwrap();
    assert_eq!(text_in(&stream), "xxxxxx");
    assert!(stream.ends_with("data: [DONE]\n\n"));
}
