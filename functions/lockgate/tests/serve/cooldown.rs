//! Cooldowns: what begins one, how long it lasts, and which key it is about.

use std::time::Duration;

use testkit::lockgate::Lockgate;
use testkit::openai;
use testkit::provider::{Answer, Fake};

use crate::support::{
    BOTH, ask, before_both, hello, program, provider, refused, serve, text_of, yaml,
};

/// A route whose failures rest so briefly that only a provider's own word can make it longer.
fn brief() -> String {
    format!("{BOTH}    cooldown: 1ms\n")
}

fn limited() -> Answer {
    openai::error(429, "rate_limit_error", "slow down")
}

/// How often the first provider is asked in two calls when this is its answer.
async fn asked_in_two_calls(first_answer: Answer, rest: &str) -> usize {
    let (first, second) = (Fake::start().await, provider().await);
    first.answers([first_answer]);
    let gateway = before_both(&first, &second, rest).await;
    for _ in 0..2 {
        ask(&gateway, &hello("both")).await.text().await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    first.seen().len()
}

#[tokio::test]
async fn who_failed_is_skipped_by_the_next_call() {
    for status in [429, 500, 503, 504, 529] {
        let failure = openai::error(status, "x", "no");
        assert_eq!(asked_in_two_calls(failure, BOTH).await, 1, "{status}");
    }
}

#[tokio::test]
async fn other_failures_do_not_rest() {
    for failure in [
        openai::error(400, "x", "no"),
        openai::error(401, "x", "no"),
        openai::error(404, "x", "no"),
        openai::error(408, "x", "no"),
        openai::error(422, "x", "no"),
        Answer::close(),
        Answer::raw(200, "application/json", "nonsense"),
    ] {
        let told = format!("{failure:?}");
        assert_eq!(asked_in_two_calls(failure, BOTH).await, 2, "{told}");
    }
}

#[tokio::test]
async fn without_a_cooldown_nobody_rests() {
    let none = format!("{BOTH}    cooldown: 0s\n");
    assert_eq!(asked_in_two_calls(limited().header("retry-after", "60"), &none).await, 2);
}

#[tokio::test]
async fn the_routes_cooldown_is_as_long_as_it_says() {
    assert_eq!(asked_in_two_calls(limited(), &brief()).await, 2);
}

#[tokio::test]
async fn a_providers_word_counts_more_than_the_routes() {
    for (name, value) in [
        ("retry-after", "60"),
        ("retry-after", "Thu, 31 Dec 2099 23:59:59 GMT"),
        ("retry-after-ms", "60000"),
        ("x-ratelimit-reset-requests", "1m0s"),
    ] {
        let answer = limited().header(name, value);
        assert_eq!(asked_in_two_calls(answer, &brief()).await, 1, "{name}: {value}");
    }
    let in_words = openai::error(429, "x", "Rate limit reached. Please try again in 1m30s.");
    assert_eq!(asked_in_two_calls(in_words, &brief()).await, 1);
    assert_eq!(asked_in_two_calls(limited().header("retry-after-ms", "1"), BOTH).await, 2);
}

#[tokio::test]
async fn another_model_of_the_same_provider_does_not_rest() {
    let (first, second) = (Fake::start().await, provider().await);
    first.answers([limited().header("retry-after", "60"), openai::completion("Hi")]);
    let gateway = before_both(&first, &second, BOTH).await;
    ask(&gateway, &hello("both")).await;
    let answer = ask(&gateway, &hello("first/other")).await;
    assert_eq!(answer.header("x-gateway-provider"), "first");
}

#[tokio::test]
async fn when_all_rest_the_one_that_is_free_soonest_is_tried() {
    let (first, second) = (Fake::start().await, Fake::start().await);
    first.answers([limited().header("retry-after", "600"), openai::completion("one")]);
    second.answers([limited().header("retry-after", "60"), openai::completion("two")]);
    let gateway = before_both(&first, &second, BOTH).await;
    assert_eq!(refused(ask(&gateway, &hello("both")).await).await.0, 429);
    assert_eq!(text_of(ask(&gateway, &hello("both")).await).await, "two");
    assert_eq!((first.seen().len(), second.seen().len()), (1, 2));
}

#[tokio::test]
async fn a_success_ends_a_rest() {
    let (first, second) = (Fake::start().await, Fake::start().await);
    first.answers([limited().header("retry-after", "60"), openai::completion("one")]);
    second.answers([limited().header("retry-after", "600"), openai::completion("two")]);
    let gateway = before_both(&first, &second, BOTH).await;
    assert_eq!(refused(ask(&gateway, &hello("both")).await).await.0, 429);
    for _ in 0..2 {
        assert_eq!(text_of(ask(&gateway, &hello("both")).await).await, "one");
    }
}

#[tokio::test]
async fn an_error_event_before_the_first_token_rests_as_a_status_would() {
    let limited = openai::error_event("rate_limit_error", "slow down");
    let (first, second) = (Fake::start().await, crate::support::streamer().await);
    first.answers([Answer::stream([openai::role(), limited])]);
    let gateway = before_both(&first, &second, BOTH).await;
    for _ in 0..2 {
        ask(&gateway, &crate::support::hello_streamed("both")).await.text().await.unwrap();
    }
    assert_eq!(first.seen().len(), 1);
}

/// Waits until a gateway's cooldowns are in its database.
async fn shared(gateway: &Lockgate) {
    let config = gateway.folder().join("config.yaml");
    let data = gateway.folder().join("lockgate.db");
    let arguments =
        ["explain", "both", "--config", config.to_str().unwrap(), "--data", data.to_str().unwrap()];
    let explain = program().arguments(arguments);
    for _ in 0..200 {
        let told = String::from_utf8(explain.run().await.stdout).unwrap();
        if told.contains("cooling down") {
            return;
        }
    }
    panic!("no cooldown is in the database");
}

#[tokio::test]
async fn a_rest_is_shared_through_the_database() {
    let (first, second) = (Fake::start().await, provider().await);
    first.answers([limited().header("retry-after", "60")]);
    let one = before_both(&first, &second, BOTH).await;
    assert_eq!(text_of(ask(&one, &hello("both")).await).await, "Hi");
    shared(&one).await;
    let data = one.folder().join("lockgate.db");
    let config = yaml(&[("first", &first.url()), ("second", &second.url())], BOTH);
    let other =
        program().config(&config).arguments(["--data", data.to_str().unwrap()]).start().await;
    let answer = ask(&other, &hello("both")).await;
    assert_eq!(answer.header("x-gateway-attempts"), "1");
    assert_eq!((first.seen().len(), second.seen().len()), (1, 2));
}

/// A gateway whose only provider has these keys; and the keys it was called under, in order.
async fn pool(answers: Vec<Answer>) -> (Lockgate, Fake) {
    let first = Fake::start().await;
    first.answers(answers);
    let keys = "api_key: gateway-key\nproviders: [{ name: first, base_url: \"URL\", api_keys: [one, two, three] }]";
    (serve(&keys.replace("URL", &first.url())).await, first)
}

fn keys(fake: &Fake) -> Vec<String> {
    fake.seen().iter().map(|it| it.header("authorization").replace("Bearer ", "")).collect()
}

#[tokio::test]
async fn the_next_key_is_tried_when_one_is_refused_or_used_up() {
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
async fn another_key_does_not_help_against_other_failures() {
    for status in [400, 404, 500, 503] {
        let (gateway, first) = pool(vec![openai::error(status, "x", "no")]).await;
        ask(&gateway, &hello("first/m")).await;
        assert_eq!(keys(&first), ["one"], "{status}");
    }
}

#[tokio::test]
async fn when_every_key_is_used_up_the_client_hears_429() {
    let (gateway, first) = pool(vec![limited().header("retry-after", "9")]).await;
    let answer = ask(&gateway, &hello("first/m")).await;
    assert_eq!(answer.header("retry-after"), "9");
    assert_eq!(refused(answer).await.0, 429);
    assert_eq!(keys(&first), ["one", "two", "three"]);
}
