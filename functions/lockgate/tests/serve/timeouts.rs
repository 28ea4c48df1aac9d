//! How long a step may take, how often it is tried again, and what bounds it all.

use std::time::{Duration, Instant};

use testkit::lockgate::Lockgate;
use testkit::openai;
use testkit::provider::{Answer, Fake, Step};

use crate::support::{
    ask, before, before_both, hello, hello_streamed, provider, refused, streamer, text_in, text_of,
    trail,
};

/// A route whose first step ends with these words.
fn first_step(words: &str) -> String {
    format!(
        "routes:\n  - name: both\n    cooldown: 0s\n    steps:\n      \
         - {{ provider: first, model: small{words} }}\n      \
         - {{ provider: second, model: large }}\n"
    )
}

async fn gateway(first: &Fake, second: &Fake, words: &str) -> Lockgate {
    before_both(first, second, &first_step(words)).await
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_step_that_takes_too_long_is_passed_over_and_cancelled() {
    for slow in [Answer::hang(), Answer::delay(MINUTE, openai::completion("late"))] {
        let (first, second) = (Fake::start().await, provider().await);
        first.answers([slow]);
        let gateway = gateway(&first, &second, ", timeout: 200ms").await;
        let body = ask(&gateway, &hello("both")).await.json().await.unwrap();
        assert_eq!(trail(&body["x_gateway"]), ["first timeout null", "second success 200"]);
        assert!(first.cancelled().await);
    }
}

#[tokio::test]
async fn a_body_that_stops_halfway_counts_too() {
    let (first, second) = (Fake::start().await, provider().await);
    let half = Answer::stream([Step::text("{\"choices\":"), Step::Hang]);
    first.answers([half.header("content-type", "application/json")]);
    let gateway = gateway(&first, &second, ", timeout: 200ms").await;
    assert_eq!(text_of(ask(&gateway, &hello("both")).await).await, "Hi");
}

#[tokio::test]
async fn the_first_token_of_a_stream_has_a_time_of_its_own() {
    let (first, second) = (Fake::start().await, streamer().await);
    first.answers([Answer::stream([openai::role(), Step::Hang])]);
    let gateway = gateway(&first, &second, ", first_token_timeout: 200ms").await;
    let answer = ask(&gateway, &hello_streamed("both")).await;
    assert_eq!(answer.header("x-gateway-provider"), "second");
}

#[tokio::test]
async fn that_time_does_not_bound_a_whole_answer() {
    let (first, second) = (Fake::start().await, provider().await);
    let slow = Answer::delay(Duration::from_millis(400), openai::completion("slow"));
    first.answers([slow]);
    let gateway = gateway(&first, &second, ", first_token_timeout: 100ms").await;
    assert_eq!(text_of(ask(&gateway, &hello("both")).await).await, "slow");
}

#[tokio::test]
async fn a_steps_time_does_not_bound_the_rest_of_its_stream() {
    let (first, second) = (Fake::start().await, streamer().await);
    let steps =
        [openai::chunk("one"), Step::Wait(Duration::from_millis(900)), openai::chunk("two")];
    first.answers([Answer::stream(
        steps.into_iter().chain([openai::finish("stop"), openai::done()]),
    )]);
    let gateway = gateway(&first, &second, ", timeout: 600ms").await;
    let stream = ask(&gateway, &hello_streamed("both")).await.text().await.unwrap();
    assert_eq!(text_in(&stream), "onetwo");
    assert!(stream.ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn a_step_is_tried_again_as_often_as_it_says() {
    let (first, second) = (Fake::start().await, provider().await);
    first.answers([openai::error(503, "x", "down")]);
    let gateway = gateway(&first, &second, ", retries: 2").await;
    let body = ask(&gateway, &hello("both")).await.json().await.unwrap();
    let down = "first server_error 503";
    assert_eq!(trail(&body["x_gateway"]), [down, down, down, "second success 200"]);
    assert_eq!((first.seen().len(), second.seen().len()), (3, 1));
}

#[tokio::test]
async fn a_retry_that_succeeds_is_the_end() {
    let (first, second) = (Fake::start().await, provider().await);
    first.answers([openai::error(500, "x", "no"), openai::completion("again")]);
    let gateway = gateway(&first, &second, ", retries: 3").await;
    assert_eq!(text_of(ask(&gateway, &hello("both")).await).await, "again");
    assert_eq!((first.seen().len(), second.seen().len()), (2, 0));
}

#[tokio::test]
async fn a_retry_does_not_come_before_the_provider_allows_it() {
    let (first, second) = (Fake::start().await, provider().await);
    let limited = openai::error(429, "x", "slow down").header("retry-after", "1");
    first.answers([limited, openai::completion("again")]);
    let gateway = gateway(&first, &second, ", retries: 1").await;
    let start = Instant::now();
    assert_eq!(text_of(ask(&gateway, &hello("both")).await).await, "again");
    assert!(Duration::from_secs(1) <= start.elapsed());
    assert_eq!(first.seen().len(), 2);
}

#[tokio::test]
async fn a_wait_that_is_too_long_is_not_worth_it() {
    let (first, second) = (Fake::start().await, provider().await);
    first.answers([openai::error(429, "x", "slow down").header("retry-after", "3600")]);
    let gateway = gateway(&first, &second, ", retries: 5").await;
    assert_eq!(text_of(ask(&gateway, &hello("both")).await).await, "Hi");
    assert_eq!(first.seen().len(), 1);
}

#[tokio::test]
async fn what_cannot_pass_is_not_tried_again() {
    for status in [400, 401, 404] {
        let (first, second) = (Fake::start().await, provider().await);
        first.answers([openai::error(status, "x", "no")]);
        let gateway = gateway(&first, &second, ", retries: 5").await;
        ask(&gateway, &hello("both")).await;
        assert_eq!(first.seen().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn the_routes_time_bounds_all_steps_and_retries() {
    let (first, second) = (Fake::start().await, Fake::start().await);
    first.answers([openai::error(503, "x", "down")]);
    second.answers([Answer::hang()]);
    let rest = format!("route_timeout: 900ms\n{}", first_step(", retries: 1"));
    let gateway = before_both(&first, &second, &rest).await;
    let (status, error) = refused(ask(&gateway, &hello("both")).await).await;
    assert_eq!(status, 502, "{error}");
    let down = "first server_error 503";
    assert_eq!(trail(&error), [down, down, "second timeout null"]);
}

#[tokio::test]
async fn a_route_that_only_waited_is_504_with_its_attempts() {
    let (first, second) = (Fake::start().await, provider().await);
    first.answers([Answer::hang()]);
    let rest = format!("route_timeout: 300ms\n{}", first_step(""));
    let gateway = before_both(&first, &second, &rest).await;
    for question in [hello("both"), hello_streamed("both")] {
        let (status, error) = refused(ask(&gateway, &question).await).await;
        assert_eq!((status, error["code"].as_str()), (504, Some("timeout")));
        assert_eq!(trail(&error), ["first timeout null"]);
    }
    assert!(second.seen().is_empty());
}

#[tokio::test]
async fn a_stream_that_flows_outlives_the_routes_time() {
    let first = Fake::start().await;
    let pauses = (0..6).flat_map(|_| [openai::chunk("x"), Step::Wait(Duration::from_millis(200))]);
    first.answers([Answer::stream(pauses.chain([openai::finish("stop"), openai::done()]))]);
    let gateway = before(&first, "route_timeout: 700ms").await;
    let stream = ask(&gateway, &hello_streamed("first/m")).await.text().await.unwrap();
    assert_eq!(text_in(&stream), "xxxxxx");
    assert!(stream.ends_with("data: [DONE]\n\n"));
}
