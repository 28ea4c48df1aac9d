//! Cooldowns: what begins one, how long it lasts, and which key it is about.

use std::time::Duration;

use testkit::lockgate::Lockgate;
use testkit::openai;
use testkit::provider::{FakeProvider, ScriptedResponse};

use crate::support::{
    BOTH, ask, error_of, gateway_for_both, hello, program, provider, serve, text_of, yaml,
};

/// A route with so short a cooldown that only a provider's `Retry-After` can make it longer.
fn brief() -> String {
    format!("{BOTH}    cooldown: 1ms\n")
}

fn limited() -> ScriptedResponse {
    openai::error(429, "rate_limit_error", "slow down")
}

/// The number of requests to the first provider in two calls when this is its response.
async fn requests_of_two_calls(first_answer: ScriptedResponse, rest: &str) -> usize {
    let (first, second) = (FakeProvider::start().await, provider().await);
    first.respond_with([first_answer]);
    let gateway = gateway_for_both(&first, &second, rest).await;
    for _ in 0..2 {
        ask(&gateway, &hello("both")).await.text().await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    first.requests().len()
}

#[tokio::test]
async fn a_failed_target_is_skipped_by_the_next_call() {
    for status in [429, 500, 503, 504, 529] {
        let failure = openai::error(status, "x", "no");
        assert_eq!(requests_of_two_calls(failure, BOTH).await, 1, "{status}");
    }
}

#[tokio::test]
async fn other_failures_start_no_cooldown() {
    for failure in [
        openai::error(400, "x", "no"),
        openai::error(401, "x", "no"),
        openai::error(404, "x", "no"),
        openai::error(408, "x", "no"),
        openai::error(422, "x", "no"),
        ScriptedResponse::close(),
        ScriptedResponse::raw(200, "application/json", "nonsense"),
    ] {
        let printed = format!("{failure:?}");
        assert_eq!(requests_of_two_calls(failure, BOTH).await, 2, "{printed}");
    }
}

#[tokio::test]
async fn a_zero_cooldown_excludes_no_target() {
    let none = format!("{BOTH}    cooldown: 0s\n");
    assert_eq!(requests_of_two_calls(limited().header("retry-after", "60"), &none).await, 2);
}

#[tokio::test]
async fn the_routes_cooldown_sets_the_duration() {
    assert_eq!(requests_of_two_calls(limited(), &brief()).await, 2);
}

#[tokio::test]
async fn a_providers_retry_after_precedes_the_routes_cooldown() {
    for (name, value) in [
        ("retry-after", "60"),
        ("retry-after", "Thu, 31 Dec 2099 23:59:59 GMT"),
        ("retry-after-ms", "60000"),
        ("x-ratelimit-reset-requests", "1m0s"),
    ] {
        let response = limited().header(name, value);
        assert_eq!(requests_of_two_calls(response, &brief()).await, 1, "{name}: {value}");
    }
    let in_words = openai::error(429, "x", "Rate limit reached. Please try again in 1m30s.");
    assert_eq!(requests_of_two_calls(in_words, &brief()).await, 1);
    assert_eq!(requests_of_two_calls(limited().header("retry-after-ms", "1"), BOTH).await, 2);
}

#[tokio::test]
async fn a_cooldown_excludes_only_its_model() {
    let (first, second) = (FakeProvider::start().await, provider().await);
    first.respond_with([limited().header("retry-after", "60"), openai::completion("Hi")]);
    let gateway = gateway_for_both(&first, &second, BOTH).await;
    ask(&gateway, &hello("both")).await;
    let response = ask(&gateway, &hello("first/other")).await;
    assert_eq!(response.header("x-gateway-provider"), "first");
}

#[tokio::test]
async fn when_every_target_cools_down_the_first_to_be_available_is_attempted() {
    let (first, second) = (FakeProvider::start().await, FakeProvider::start().await);
    first.respond_with([limited().header("retry-after", "600"), openai::completion("one")]);
    second.respond_with([limited().header("retry-after", "60"), openai::completion("two")]);
    let gateway = gateway_for_both(&first, &second, BOTH).await;
    assert_eq!(error_of(ask(&gateway, &hello("both")).await).await.0, 429);
    assert_eq!(text_of(ask(&gateway, &hello("both")).await).await, "two");
    assert_eq!((first.requests().len(), second.requests().len()), (1, 2));
}

#[tokio::test]
async fn a_success_ends_the_cooldown() {
    let (first, second) = (FakeProvider::start().await, FakeProvider::start().await);
    first.respond_with([limited().header("retry-after", "60"), openai::completion("one")]);
    second.respond_with([limited().header("retry-after", "600"), openai::completion("two")]);
    let gateway = gateway_for_both(&first, &second, BOTH).await;
    assert_eq!(error_of(ask(&gateway, &hello("both")).await).await.0, 429);
    for _ in 0..2 {
        assert_eq!(text_of(ask(&gateway, &hello("both")).await).await, "one");
    }
}

#[tokio::test]
async fn an_error_event_before_the_first_token_starts_a_cooldown() {
    let limited = openai::error_event("rate_limit_error", "slow down");
    let (first, second) = (FakeProvider::start().await, crate::support::streaming_provider().await);
    first.respond_with([ScriptedResponse::stream([openai::role(), limited])]);
    let gateway = gateway_for_both(&first, &second, BOTH).await;
    for _ in 0..2 {
        ask(&gateway, &crate::support::hello_streamed("both")).await.text().await.unwrap();
    }
    assert_eq!(first.requests().len(), 1);
}

/// Waits until a gateway's cooldowns are in its database.
async fn shared(gateway: &Lockgate) {
    let config = gateway.folder().join("config.yaml");
    let data = gateway.folder().join("lockgate.db");
    let arguments =
        ["explain", "both", "--config", config.to_str().unwrap(), "--data", data.to_str().unwrap()];
    let explain = program().arguments(arguments);
    for _ in 0..200 {
        let printed = String::from_utf8(explain.run().await.stdout).unwrap();
        if printed.contains("cooling down") {
            return;
        }
    }
    panic!("no cooldown is in the database");
}

#[tokio::test]
async fn a_cooldown_is_shared_through_the_database() {
    let (first, second) = (FakeProvider::start().await, provider().await);
    first.respond_with([limited().header("retry-after", "60")]);
    let one = gateway_for_both(&first, &second, BOTH).await;
    assert_eq!(text_of(ask(&one, &hello("both")).await).await, "Hi");
    shared(&one).await;
    let data = one.folder().join("lockgate.db");
    let config = yaml(&[("first", &first.url()), ("second", &second.url())], BOTH);
    let other =
        program().config(&config).arguments(["--data", data.to_str().unwrap()]).start().await;
    let response = ask(&other, &hello("both")).await;
    assert_eq!(response.header("x-gateway-attempts"), "1");
    assert_eq!((first.requests().len(), second.requests().len()), (1, 2));
}

/// A gateway whose only provider has these keys; and the keys it was called under, in order.
async fn pool(responses: Vec<ScriptedResponse>) -> (Lockgate, FakeProvider) {
    let first = FakeProvider::start().await;
    first.respond_with(responses);
    let keys = "api_key: gateway-key\nproviders: [{ name: first, base_url: \"URL\", api_keys: [one, two, three] }]";
    (serve(&keys.replace("URL", &first.url())).await, first)
}

fn keys(fake: &FakeProvider) -> Vec<String> {
    fake.requests().iter().map(|it| it.header("authorization").replace("Bearer ", "")).collect()
}

#[tokio::test]
async fn the_next_key_is_attempted_when_one_is_rejected_or_rate_limited() {
    for status in [401, 403, 429] {
        let (gateway, first) =
            pool(vec![openai::error(status, "x", "no"), openai::completion("Hi")]).await;
        assert_eq!(text_of(ask(&gateway, &hello("first/m")).await).await, "Hi", "{status}");
        assert_eq!(keys(&first), ["one", "two"]);
        // The next call begins with a key that is good.
        assert_eq!(text_of(ask(&gateway, &hello("first/m")).await).await, "Hi", "{status}");
        assert_eq!(keys(&first), ["one", "two", "two"]);
    }
}

#[tokio::test]
async fn other_failures_do_not_advance_to_the_next_key() {
    for status in [400, 404, 500, 503] {
        let (gateway, first) = pool(vec![openai::error(status, "x", "no")]).await;
        ask(&gateway, &hello("first/m")).await;
        assert_eq!(keys(&first), ["one"], "{status}");
    }
}

#[tokio::test]
async fn when_every_key_is_rate_limited_the_client_gets_429() {
    let (gateway, first) = pool(vec![limited().header("retry-after", "9")]).await;
    let response = ask(&gateway, &hello("first/m")).await;
    assert_eq!(response.header("retry-after"), "9");
    assert_eq!(error_of(response).await.0, 429);
    assert_eq!(keys(&first), ["one", "two", "three"]);
}
