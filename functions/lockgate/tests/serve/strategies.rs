//! Strategies, conditions, sessions and the breaker: which target a call takes first.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::lockgate::Lockgate;
use testkit::openai;
use testkit::provider::{FakeProvider, ScriptedResponse};

use crate::admin::{USERS, basic};
use crate::support::{
    ask, ask_with, error_of, gateway_for_both, hello, hello_streamed, program, provider, send, yaml,
};

/// A route through both providers with these settings and these settings of its steps.
fn route(settings: &str, first: &str, second: &str) -> String {
    format!(
        "routes:\n  - name: both\n    {settings}\n    steps:\n      \
         - {{ provider: first, model: small{first} }}\n      \
         - {{ provider: second, model: large{second} }}\n"
    )
}

/// A gateway with this route before two providers that respond properly.
async fn gateway(route: &str) -> (Lockgate, FakeProvider, FakeProvider) {
    let (first, second) = (provider().await, provider().await);
    let gateway = gateway_for_both(&first, &second, route).await;
    (gateway, first, second)
}

/// The providers that respond to these calls, in order.
async fn providers_of(gateway: &Lockgate, calls: usize, question: &Value) -> Vec<String> {
    let mut providers = vec![];
    for _ in 0..calls {
        let response = ask(gateway, question).await;
        assert_eq!(response.status, 200);
        providers.push(response.header("x-gateway-provider").to_owned());
    }
    providers
}

#[tokio::test]
async fn round_robin_begins_one_step_later_with_each_call() {
    let (gateway, _first, _second) = gateway(&route("strategy: round_robin", "", "")).await;
    let providers = providers_of(&gateway, 4, &hello("both")).await;
    assert_eq!(providers, ["first", "second", "first", "second"]);
}

#[tokio::test]
async fn weights_share_the_calls() {
    let (gateway, first, second) =
        gateway(&route("strategy: weighted", ", weight: 0", ", weight: 5")).await;
    providers_of(&gateway, 6, &hello("both")).await;
    assert_eq!((first.requests().len(), second.requests().len()), (0, 6));
}

#[tokio::test]
async fn a_step_of_weight_nothing_is_still_a_fallback() {
    let (gateway, _first, second) =
        gateway(&route("strategy: weighted", ", weight: 0", ", weight: 5")).await;
    second.respond_with([openai::error(500, "x", "no")]);
    assert_eq!(providers_of(&gateway, 1, &hello("both")).await, ["first"]);
}

#[tokio::test]
async fn the_cheapest_step_comes_first() {
    let prices = "prices:\n  - { provider: first, model: small, input: 5, output: 20 }\n  \
                  - { provider: second, model: large, input: 1, output: 2 }\n";
    let (gateway, _first, _second) =
        gateway(&format!("{}{prices}", route("strategy: cheapest", "", ""))).await;
    assert_eq!(providers_of(&gateway, 2, &hello("both")).await, ["second", "second"]);
}

#[tokio::test]
async fn what_is_cheapest_depends_on_the_tokens_of_the_request() {
    let prices = "prices:\n  - { provider: first, model: small, input: 1, output: 900 }\n  \
                  - { provider: second, model: large, input: 9, output: 90 }\n";
    let (gateway, _first, _second) =
        gateway(&format!("{}{prices}", route("strategy: cheapest", "", ""))).await;
    let mut long = hello("both");
    long["max_tokens"] = 1.into();
    long["messages"][0]["content"] = "word ".repeat(20_000).into();
    assert_eq!(providers_of(&gateway, 1, &hello("both")).await, ["second"]);
    assert_eq!(providers_of(&gateway, 1, &long).await, ["first"]);
}

#[tokio::test]
async fn the_fastest_step_comes_first_once_both_are_known() {
    let (gateway, first, _second) = gateway(&route("strategy: fastest", "", "")).await;
    let slow = ScriptedResponse::delay(Duration::from_millis(400), openai::completion("Hi"));
    first.respond_with([slow]);
    let providers = providers_of(&gateway, 22, &hello("both")).await;
    let fast = providers.iter().filter(|it| *it == "second").count();
    // Each is tried once; then the slow one comes first only where it is explored.
    assert!((12..=21).contains(&fast), "{providers:?}");
}

#[tokio::test]
async fn the_least_busy_step_comes_first() {
    let (gateway, first, second) = gateway(&route("strategy: least_busy", "", "")).await;
    first.respond_with([ScriptedResponse::hang()]);
    let question = hello("both");
    let silent = ask(&gateway, &question);
    tokio::pin!(silent);
    tokio::select! {
        _ = &mut silent => panic!("the first provider is silent"),
        _ = first.wait_for_requests(1) => {}
    }
    assert_eq!(providers_of(&gateway, 2, &question).await, ["second", "second"]);
    assert_eq!(second.requests().len(), 2);
}

#[tokio::test]
async fn a_session_stays_where_its_prompt_is_cached() {
    let (gateway, first, second) =
        gateway(&route("strategy: round_robin\n    sticky: true", "", "")).await;
    let mut question = hello("both");
    question["user"] = "ann".into();
    let providers = providers_of(&gateway, 4, &question).await;
    assert!(providers.iter().all(|it| *it == providers[0]), "{providers:?}");
    let (stuck, other) =
        if providers[0] == "first" { (first, "second") } else { (second, "first") };
    stuck.respond_with([openai::error(500, "x", "no")]);
    assert_eq!(providers_of(&gateway, 2, &question).await, [other, other], "never a veto");
}

#[tokio::test]
async fn a_session_is_named_by_header_user_or_cache_key() {
    let mut by_key = hello("both");
    by_key["prompt_cache_key"] = "k1".into();
    for (question, headers) in [(hello("both"), vec![("x-session-id", "s1")]), (by_key, vec![])] {
        let (gateway, _first, _second) =
            gateway(&route("strategy: round_robin\n    sticky: true", "", "")).await;
        let mut providers = vec![];
        for _ in 0..3 {
            let response = ask_with(&gateway, &question, &headers).await;
            providers.push(response.header("x-gateway-provider").to_owned());
        }
        assert!(providers.iter().all(|it| *it == providers[0]), "{providers:?}");
    }
}

#[tokio::test]
async fn each_condition_keeps_a_step_to_its_requests() {
    let mut tools = hello("both");
    tools["tools"] = json!([{"type": "function", "function": {"name": "f"}}]);
    let mut image = hello("both");
    image["messages"][0]["content"] =
        json!([{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]);
    let mut schema = hello("both");
    schema["response_format"] = json!({"type": "json_object"});
    let mut long = hello("both");
    long["messages"][0]["content"] = "word ".repeat(2_000).into();
    for (condition, question, headers) in [
        ("tools: true", tools, vec![]),
        ("images: true", image, vec![]),
        ("schema: true", schema, vec![]),
        ("min_input_tokens: 1000", long, vec![]),
        ("header: { x-tier: gold }", hello("both"), vec![("x-tier", "gold")]),
    ] {
        let when = format!(", when: {{ {condition} }}");
        let (gateway, _first, _second) = gateway(&route("fallback_on: default", &when, "")).await;
        let response = ask_with(&gateway, &question, &headers).await;
        assert_eq!(response.header("x-gateway-provider"), "first", "{condition}");
        let response = ask(&gateway, &hello("both")).await;
        assert_eq!(response.header("x-gateway-provider"), "second", "{condition}");
    }
}

#[tokio::test]
async fn a_condition_may_ask_for_streams_only() {
    let (first, second) = (crate::support::streaming_provider().await, provider().await);
    let route = route("fallback_on: default", ", when: { stream: true }", "");
    let gateway = gateway_for_both(&first, &second, &route).await;
    let response = ask(&gateway, &hello_streamed("both")).await;
    assert_eq!(response.header("x-gateway-provider"), "first");
    let response = ask(&gateway, &hello("both")).await;
    assert_eq!(response.header("x-gateway-provider"), "second");
}

#[tokio::test]
async fn a_condition_may_ask_for_a_tag_of_the_tenant() {
    let key = "key-of-a-golden-tenant";
    let tenants =
        format!("tenants: [{{ name: gold-co, api_key: \"{key}\", tags: {{ plan: gold }} }}]\n");
    let when = ", when: { tag: { plan: gold } }";
    let route = format!("{}{tenants}", route("fallback_on: default", when, ""));
    let (gateway, _first, _second) = gateway(&route).await;
    let response = ask(&gateway, &hello("both")).await;
    assert_eq!(response.header("x-gateway-provider"), "second");
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str())];
    let body = hello("both").to_string();
    let response = send(&gateway, "POST", "/v1/chat/completions", &headers, body).await;
    assert_eq!(response.header("x-gateway-provider"), "first");
}

#[tokio::test]
async fn a_request_that_no_step_is_for_is_refused() {
    let tools = ", when: { tools: true }";
    let (gateway, first, second) = gateway(&route("fallback_on: default", tools, tools)).await;
    let (status, error) = error_of(ask(&gateway, &hello("both")).await).await;
    assert_eq!(status, 400);
    assert!(error["message"].as_str().unwrap().contains("`when`"), "{error}");
    assert_eq!((first.requests().len(), second.requests().len()), (0, 0));
}

#[tokio::test]
async fn an_outage_is_so_many_failures_of_the_latest_attempts() {
    let breaker = "breaker: { failures: 3, of: 5 }";
    let (gateway, first, _second) = gateway(&route(breaker, "", "")).await;
    first.respond_with([openai::error(503, "x", "no")]);
    for _ in 0..5 {
        assert_eq!(providers_of(&gateway, 1, &hello("both")).await, ["second"]);
    }
    assert_eq!(first.requests().len(), 3);
}

/// How many seconds the first provider still cools down.
async fn seconds_left(gateway: &Lockgate) -> u64 {
    let authorization = basic("vera", "vera-password");
    let headers = [("authorization", authorization.as_str())];
    let response = send(gateway, "GET", "/health/providers", &headers, "").await;
    let body = response.json().await.unwrap();
    body["providers"][0]["cooldowns"][0]["seconds_left"].as_u64().unwrap_or(0)
}

#[tokio::test]
async fn a_cooldown_grows_while_an_outage_goes_on() {
    let settings = "cooldown: 100ms\n    cooldown_max: 1h";
    let (gateway, first, _second) = gateway(&format!("{}{USERS}", route(settings, "", ""))).await;
    first.respond_with([openai::error(503, "x", "no")]);
    // Each time that the target is asked again it cools down for twice as long: 100 ms at first, and
    // 12.8 s after eight failures.
    for _ in 0..2_000 {
        providers_of(&gateway, 1, &hello("both")).await;
        let left = seconds_left(&gateway).await;
        if 5 <= left {
            assert!((7..=8).contains(&first.requests().len()), "{}", first.requests().len());
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the cooldown does not grow");
}

#[tokio::test]
async fn one_call_probes_an_outage_before_others_follow() {
    let (gateway, first, second) = gateway(&route("cooldown: 50ms", "", "")).await;
    first.respond_with([openai::error(503, "x", "no"), ScriptedResponse::hang()]);
    providers_of(&gateway, 1, &hello("both")).await;
    tokio::time::sleep(Duration::from_millis(80)).await;
    let question = hello("both");
    let probe = ask(&gateway, &question);
    tokio::pin!(probe);
    tokio::select! {
        _ = &mut probe => panic!("the probe is not answered"),
        _ = first.wait_for_requests(2) => {}
    }
    assert_eq!(providers_of(&gateway, 3, &question).await, ["second"; 3]);
    assert_eq!((first.requests().len(), second.requests().len()), (2, 4));
}

/// What `explain` prints of the route `both`.
async fn explained(gateway: &Lockgate) -> String {
    let config = gateway.folder().join("config.yaml");
    let data = gateway.folder().join("lockgate.db");
    let arguments =
        ["explain", "both", "--config", config.to_str().unwrap(), "--data", data.to_str().unwrap()];
    String::from_utf8(program().arguments(arguments).run().await.stdout).unwrap()
}

#[tokio::test]
async fn a_key_without_credit_cools_down_for_hours_and_explain_says_so() {
    let (gateway, first, _second) = gateway(&route("cooldown: 1ms", "", "")).await;
    first.respond_with([ScriptedResponse::json(
        429,
        &json!({"error": {"message": "You exceeded your current quota.", "code": "insufficient_quota"}}),
    )]);
    providers_of(&gateway, 3, &hello("both")).await;
    assert_eq!(first.requests().len(), 1);
    for _ in 0..200 {
        let printed = explained(&gateway).await;
        if printed.contains("its credit or quota is spent") {
            assert!(printed.contains("cooling down for 14"), "{printed}");
            return;
        }
    }
    panic!("the cooldown is not explained");
}

#[tokio::test]
async fn a_quota_of_the_day_cools_down_longer_than_its_hint() {
    let message = "Rate limit reached on requests per day (RPD). Please try again in 1ms.";
    let (gateway, first, _second) = gateway(&route("cooldown: 1ms", "", "")).await;
    first.respond_with([openai::error(429, "rate_limit_error", message)]);
    for _ in 0..2 {
        providers_of(&gateway, 1, &hello("both")).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(first.requests().len(), 1);
}

#[tokio::test]
async fn explain_shows_the_rules_of_a_route() {
    let settings = "strategy: weighted\n    sticky: true\n    hedge: 2s\n    rescue: continue\n    \
                    breaker: { failures: 2, of: 4 }";
    let steps = route(settings, ", weight: 3, when: { tools: true }", ", min_tokens_per_second: 5");
    let config = yaml(&[("first", "http://127.0.0.1:1"), ("second", "http://127.0.0.1:2")], &steps);
    let gateway = crate::support::serve(&config).await;
    let printed = explained(&gateway).await;
    for shown in [
        "strategy: weighted",
        "sticky",
        "hedge: the next step starts after 2 s",
        "rescue:",
        "2 failures of 4 attempts",
        "only with tools",
        "weight 3",
        "at least 5 tokens/s",
    ] {
        assert!(printed.contains(shown), "{shown} is not in {printed}");
    }
}
