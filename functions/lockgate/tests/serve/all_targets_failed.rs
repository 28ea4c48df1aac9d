//! The client's error when every target failed.

use serde_json::{Value, json};
use testkit::openai;
use testkit::provider::{FakeProvider, ScriptedResponse};

use crate::support::{BOTH, ask, attempts_of, error_of, gateway_for, gateway_for_both, hello};

/// The status, `Retry-After` and error of a call whose providers respond with these.
async fn all_failed(
    one: ScriptedResponse,
    other: ScriptedResponse,
    rest: &str,
) -> (u16, String, Value) {
    let (first, second) = (FakeProvider::start().await, FakeProvider::start().await);
    first.respond_with([one]);
    second.respond_with([other]);
    let gateway = gateway_for_both(&first, &second, rest).await;
    let response = ask(&gateway, &hello("both")).await;
    assert_eq!(response.header("x-gateway-attempts"), "2");
    let wait = response.header("retry-after").to_owned();
    let (status, error) = error_of(response).await;
    (status, wait, error)
}

fn limited(seconds: &str) -> ScriptedResponse {
    openai::error(429, "rate_limit_error", "slow down").header("retry-after", seconds)
}

#[tokio::test]
async fn all_rate_limited_is_429_with_the_shortest_retry_after() {
    let (status, wait, error) = all_failed(limited("70"), limited("30"), BOTH).await;
    assert_eq!((status, wait.as_str()), (429, "30"));
    assert_eq!(
        (&error["code"], &error["type"]),
        (&json!("rate_limit"), &json!("rate_limit_error"))
    );
    assert_eq!(attempts_of(&error), ["first rate_limit 429", "second rate_limit 429"]);
}

#[tokio::test]
async fn all_rate_limited_without_retry_after_gets_a_default() {
    let limited = || openai::error(429, "rate_limit_error", "slow down");
    let (status, wait, _) = all_failed(limited(), limited(), BOTH).await;
    assert_eq!(status, 429);
    // The usual cooldown, of which a little may be over.
    assert!((1..=60).contains(&wait.parse::<u32>().unwrap()), "{wait}");
    let without = format!("{BOTH}    cooldown: 0s\n");
    let (_, wait, _) = all_failed(limited(), limited(), &without).await;
    assert_eq!(wait, "1");
}

#[tokio::test]
async fn all_timed_out_is_504() {
    let short = BOTH.replace("model: small", "model: small, timeout: 200ms");
    let late = openai::error(504, "x", "late");
    let (status, wait, error) = all_failed(ScriptedResponse::hang(), late, &short).await;
    assert_eq!((status, wait.as_str(), &error["code"]), (504, "", &json!("timeout")));
    assert_eq!(attempts_of(&error), ["first timeout null", "second timeout 504"]);
}

#[tokio::test]
async fn other_failures_are_502() {
    let down = || openai::error(503, "x", "down");
    for (one, other) in [
        (down(), down()),
        (limited("7"), down()),
        (openai::error(404, "x", "no model"), limited("7")),
        (openai::error(401, "x", "no key"), openai::error(403, "x", "no")),
    ] {
        let (status, wait, error) = all_failed(one, other, BOTH).await;
        assert_eq!((status, wait.as_str(), &error["code"]), (502, "", &json!("server_error")));
    }
}

#[tokio::test]
async fn all_connections_broken_is_502_network() {
    let (status, _, error) =
        all_failed(ScriptedResponse::close(), ScriptedResponse::close(), BOTH).await;
    assert_eq!((status, &error["code"]), (502, &json!("network")));
}

#[tokio::test]
async fn the_error_lists_each_attempt() {
    let (_, _, mut error) = all_failed(
        openai::error(404, "x", "no such model"),
        openai::error(503, "x", "down for a while"),
        BOTH,
    )
    .await;
    for attempt in error["attempts"].as_array_mut().unwrap() {
        assert!(attempt["duration_ms"].take().is_u64());
    }
    assert_eq!(
        error["attempts"],
        json!([
            {"provider": "first", "model": "small", "outcome": "server_error", "status": 404,
                "duration_ms": null, "message": "no such model"},
            {"provider": "second", "model": "large", "outcome": "server_error", "status": 503,
                "duration_ms": null, "message": "down for a while"},
        ])
    );
    assert_eq!(
        error["message"],
        "Lockgate: Every step of `both` failed. first (small): no such model; \
         second (large): down for a while"
    );
}

#[tokio::test]
async fn a_single_targets_error_is_returned_directly() {
    let first = FakeProvider::start().await;
    first.respond_with([limited("7")]);
    let gateway = gateway_for(&first, "").await;
    let response = ask(&gateway, &hello("first/m")).await;
    assert_eq!(response.header("retry-after"), "7");
    let (status, error) = error_of(response).await;
    assert_eq!((status, &error["message"]), (429, &json!("Provider first: slow down")));
    assert_eq!(attempts_of(&error), ["first rate_limit 429"]);
}

#[tokio::test]
async fn a_failed_call_is_logged_once_with_its_attempts() {
    let (first, second) = (FakeProvider::start().await, FakeProvider::start().await);
    first.respond_with([limited("7")]);
    second.respond_with([openai::error(503, "x", "down")]);
    let gateway = gateway_for_both(&first, &second, BOTH).await;
    ask(&gateway, &hello("both")).await.text().await.unwrap();
    let log = gateway.logged("call ended").await;
    assert_eq!(log.matches("call ended").count(), 1);
    for fact in [
        "outcome=\"server_error\"",
        "status=502",
        "first/small rate_limit 429",
        "second/large server_error 503",
    ] {
        assert!(log.contains(fact), "{fact} in {log}");
    }
}
