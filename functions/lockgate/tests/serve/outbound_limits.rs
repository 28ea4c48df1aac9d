//! What a provider allows us: a limit is kept before the provider has to refuse.

use std::time::Duration;

use testkit::lockgate::Lockgate;
use testkit::openai;
use testkit::provider::{FakeProvider, ScriptedResponse};

use crate::support::{KEY, ask, error_of, hello, program, provider, serve, text_of};

/// A configuration whose first provider has these limits and keys.
fn limited(first: &str, second: &str, limits: &str) -> String {
    format!(
        "api_key: {KEY}\nproviders:\n  - {{ name: first, base_url: \"{first}\", {limits} }}\n  \
         - {{ name: second, base_url: \"{second}\" }}\nroutes:\n  - name: both\n    steps:\n      \
         - {{ provider: first, model: small }}\n      - {{ provider: second, model: large }}\n"
    )
}

async fn gateway(limits: &str) -> (Lockgate, FakeProvider, FakeProvider) {
    let (first, second) = (provider().await, provider().await);
    let gateway = serve(&limited(&first.url(), &second.url(), limits)).await;
    (gateway, first, second)
}

#[tokio::test]
async fn a_provider_is_left_when_its_requests_are_used_up() {
    for limit in ["requests_per_minute", "requests_per_day"] {
        let (gateway, first, second) = gateway(&format!("limits: {{ {limit}: 2 }}")).await;
        for _ in 0..5 {
            assert_eq!(text_of(ask(&gateway, &hello("both")).await).await, "Hi");
        }
        assert_eq!((first.requests().len(), second.requests().len()), (2, 3), "{limit}");
    }
}

#[tokio::test]
async fn a_provider_is_left_when_its_tokens_are_used_up() {
    let (gateway, first, second) = gateway("limits: { tokens_per_minute: 30 }").await;
    for _ in 0..6 {
        assert_eq!(text_of(ask(&gateway, &hello("both")).await).await, "Hi");
    }
    let (at_first, at_second) = (first.requests().len(), second.requests().len());
    assert!((1..=3).contains(&at_first) && at_first + at_second == 6, "{at_first} {at_second}");
}

#[tokio::test]
async fn each_key_of_a_pool_has_the_limit() {
    let limits = "api_keys: [one, two], limits: { requests_per_minute: 1 }";
    let (gateway, first, second) = gateway(limits).await;
    for _ in 0..4 {
        assert_eq!(text_of(ask(&gateway, &hello("both")).await).await, "Hi");
    }
    let keys: Vec<_> =
        first.requests().iter().map(|it| it.header("authorization").to_owned()).collect();
    assert_eq!(keys, ["Bearer one", "Bearer two"]);
    assert_eq!(second.requests().len(), 2);
}

#[tokio::test]
async fn so_many_calls_run_at_once_and_a_place_is_given_back() {
    let (gateway, first, second) = gateway("limits: { concurrent: 1 }").await;
    let slow = ScriptedResponse::delay(Duration::from_millis(500), openai::completion("slow"));
    first.respond_with([slow, openai::completion("fast")]);
    let question = hello("both");
    let running = ask(&gateway, &question);
    tokio::pin!(running);
    tokio::select! {
        _ = &mut running => panic!("the first provider takes its time"),
        _ = first.wait_for_requests(1) => {}
    }
    assert_eq!(text_of(ask(&gateway, &question).await).await, "Hi");
    assert_eq!(text_of(running.await).await, "slow");
    for _ in 0..100 {
        if text_of(ask(&gateway, &question).await).await == "fast" {
            assert!(2 <= second.requests().len() + 1);
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the place was not given back");
}

#[tokio::test]
async fn instances_share_the_limits() {
    let (first, second) = (provider().await, provider().await);
    let config = limited(&first.url(), &second.url(), "limits: { requests_per_minute: 3 }");
    let one = serve(&config).await;
    let data = one.folder().join("lockgate.db");
    let other =
        program().config(&config).arguments(["--data", data.to_str().unwrap()]).start().await;
    for _ in 0..3 {
        ask(&one, &hello("both")).await;
        ask(&other, &hello("both")).await;
    }
    assert_eq!((first.requests().len(), second.requests().len()), (3, 3));
}

#[tokio::test]
async fn a_limit_without_another_target_is_a_429_that_says_whose() {
    let (gateway, _first, _second) = gateway("limits: { requests_per_minute: 1 }").await;
    ask(&gateway, &hello("first/m")).await;
    let response = ask(&gateway, &hello("first/m")).await;
    let wait: u64 = response.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    let (status, error) = error_of(response).await;
    assert_eq!((status, error["code"].as_str()), (429, Some("rate_limit")));
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("1 requests a minute, which the configuration sets"), "{message}");
}

#[tokio::test]
async fn a_providers_own_headers_say_when_a_limit_is_used_up() {
    let (gateway, first, second) = gateway("headers: { x-none: a }").await;
    let last = openai::completion("last")
        .header("x-ratelimit-remaining-requests", "0")
        .header("x-ratelimit-reset-requests", "1m0s");
    first.respond_with([last]);
    assert_eq!(text_of(ask(&gateway, &hello("both")).await).await, "last");
    for _ in 0..2 {
        assert_eq!(text_of(ask(&gateway, &hello("both")).await).await, "Hi");
    }
    assert_eq!((first.requests().len(), second.requests().len()), (1, 2));
}
