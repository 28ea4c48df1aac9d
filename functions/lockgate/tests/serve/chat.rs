//! `POST /v1/chat/completions`, answered whole.

use serde_json::{Value, json};
use testkit::openai;
use testkit::provider::{Answer, Fake};

use crate::support::{
    BOTH, ask, ask_with, before, before_both, hello, only, post, provider, text_of,
};

/// A whole answer as few providers write it, but may.
const ODD_ANSWER: &str = "{ \"z\": 1e400, \"id\": 12345678901234567890,\n\t\"choices\": [ {\"index\":0, \
    \"message\": {\"content\": \"caf\\u00e9 \\ud83d\\ude00\", \"role\":\"assistant\"}, \"vendor\": {} } ],\
    \"usage\": {\"prompt_tokens\": 9, \"completion_tokens\": 12} }\n";

async fn x_gateway(rest: &str, model: &str) -> Value {
    let first = provider().await;
    let gateway = before(&first, rest).await;
    ask(&gateway, &hello(model)).await.json().await.unwrap()["x_gateway"].take()
}

#[tokio::test]
async fn only_the_model_is_changed_in_what_a_provider_gets() {
    let first = provider().await;
    let gateway = before(&first, "").await;
    let question = "{ \"zeta\" : 1e400,\n \"model\":\"first/m\" , \"n\": 12345678901234567890, \
        \"messages\": [ {\"role\":\"user\",\"content\":\"caf\\u00e9 \\ud83d\\ude00 \u{e9}\"} ],\
        \t\"unknown\":{\"b\":[1.0, 1.10],\"a\":null}, \"temperature\":-0.0 }\n";
    assert_eq!(post(&gateway, question, &[]).await.status, 200);
    let sent = question.replace("\"first/m\"", "\"m\"");
    assert_eq!(only(&first).body, sent);
}

#[tokio::test]
async fn a_provider_is_called_under_its_own_key_and_without_the_clients_headers() {
    let first = provider().await;
    let yaml = format!(
        "api_key: gateway-key\nproviders: [{{ name: first, base_url: \"{}\", api_key: theirs }}]",
        first.url()
    );
    let gateway = crate::support::serve(&yaml).await;
    let headers = [("x-api-key", "also-mine"), ("cookie", "c=1"), ("x-forwarded-for", "10.0.0.1")];
    assert_eq!(ask_with(&gateway, &hello("first/m"), &headers).await.status, 200);
    let seen = only(&first);
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/v1/chat/completions"));
    assert_eq!(seen.header("authorization"), "Bearer theirs");
    assert_eq!(seen.header("content-type"), "application/json");
    assert!(["x-api-key", "cookie", "x-forwarded-for"].iter().all(|it| seen.header(it).is_empty()));
}

#[tokio::test]
async fn a_providers_answer_comes_back_as_it_was_with_x_gateway_behind_it() {
    let first = Fake::start().await;
    first.answers([Answer::raw(200, "application/json", ODD_ANSWER)]);
    let gateway = before(&first, "").await;
    let answer = ask(&gateway, &hello("first/m")).await;
    assert_eq!(answer.header("content-type"), "application/json");
    let text = answer.text().await.unwrap();
    let (body, metadata) = text.split_once(",\"x_gateway\":").unwrap();
    assert_eq!(body, ODD_ANSWER.strip_suffix("}\n").unwrap());
    assert!(metadata.ends_with("}}\n") || metadata.ends_with("}]}}\n"), "{metadata}");
}

#[tokio::test]
async fn a_tool_call_comes_back() {
    let first = Fake::start().await;
    first.answers([openai::completion_with_tool("call_1", "weather", r#"{"city":"Riga"}"#)]);
    let gateway = before(&first, "").await;
    let mut question = hello("first/m");
    question["tools"] = json!([{"type": "function", "function": {"name": "weather"}}]);
    let body = ask(&gateway, &question).await.json().await.unwrap();
    let call = &body["choices"][0]["message"]["tool_calls"][0]["function"];
    assert_eq!(call["arguments"], r#"{"city":"Riga"}"#);
    assert_eq!(only(&first).json()["tools"], question["tools"]);
}

#[tokio::test]
async fn x_gateway_tells_how_the_call_went() {
    let (first, second) = (Fake::start().await, provider().await);
    first.answers([openai::error(429, "rate_limit_error", "slow down")]);
    let gateway = before_both(&first, &second, BOTH).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let headers = [("x-request-id", "job-7"), ("traceparent", parent.as_str())];
    let body = ask_with(&gateway, &hello("both"), &headers).await.json().await.unwrap();
    let mut told = body["x_gateway"].clone();
    assert!(told["latency_ms"].take().is_u64());
    for attempt in told["attempts"].as_array_mut().unwrap() {
        assert!(attempt["duration_ms"].take().is_u64());
    }
    let failed = json!({"provider": "first", "model": "small", "outcome": "rate_limit",
        "status": 429, "duration_ms": null, "message": "slow down"});
    let answered = json!({"provider": "second", "model": "large", "outcome": "success",
        "status": 200, "duration_ms": null});
    assert_eq!(
        told,
        json!({
            "provider": "second", "model": "large", "route": "both", "latency_ms": null,
            "cost_usd": null, "cache_hit": false, "request_id": "job-7", "trace_id": trace,
            "attempts": [failed, answered],
        })
    );
}

#[tokio::test]
async fn a_name_that_is_no_route_has_none() {
    let told = x_gateway("", "first/m").await;
    assert_eq!((&told["route"], &told["model"]), (&Value::Null, &json!("m")));
}

#[tokio::test]
async fn the_cost_follows_from_a_configured_price() {
    let prices = "prices: [{ provider: first, model: m, input: 0.35, output: 0.75 }]";
    // Nine tokens in and twelve out, per million: 3.15 and 9 micro-dollars.
    let cost = x_gateway(prices, "first/m").await["cost_usd"].as_f64().unwrap();
    assert!((0.000_012..=0.000_013).contains(&cost), "{cost}");
}

#[tokio::test]
async fn the_cost_is_null_when_the_price_is_unknown() {
    assert_eq!(x_gateway("", "first/gpt-4o").await["cost_usd"], Value::Null);
}

#[tokio::test]
async fn the_cost_is_null_when_the_provider_reports_no_usage() {
    let first = Fake::start().await;
    first.answers([Answer::json(200, &json!({"choices": [{"message": {"content": "Hi"}}]}))]);
    let prices = "prices: [{ provider: first, model: m, input: 1, output: 1 }]";
    let gateway = before(&first, prices).await;
    let body = ask(&gateway, &hello("first/m")).await.json().await.unwrap();
    assert_eq!(body["x_gateway"]["cost_usd"], Value::Null);
}

#[tokio::test]
async fn headers_tell_who_answered() {
    let (first, second) = (Fake::start().await, provider().await);
    first.answers([openai::error(503, "server_error", "down")]);
    let gateway = before_both(&first, &second, BOTH).await;
    let answer = ask(&gateway, &hello("both")).await;
    assert_eq!(answer.header("x-gateway-provider"), "second");
    assert_eq!(answer.header("x-gateway-model"), "large");
    assert_eq!(answer.header("x-gateway-attempts"), "2");
    assert_eq!(answer.header("x-gateway-cache"), "bypass");
    assert!(!answer.headers.contains_key("x-gateway-dropped"));
}

#[tokio::test]
async fn a_header_tells_the_providers_own_name_for_the_request() {
    let first = Fake::start().await;
    first.answers([openai::completion("Hi").header("x-request-id", "req_abc")]);
    let gateway = before(&first, "").await;
    let answer = ask(&gateway, &hello("first/m")).await;
    assert_eq!(answer.header("x-gateway-provider-request-id"), "req_abc");
    assert_ne!(answer.header("x-request-id"), "req_abc");
}

#[tokio::test]
async fn no_cache_on_the_way_may_keep_an_answer() {
    let first = provider().await;
    let gateway = before(&first, "").await;
    let good = ask(&gateway, &hello("first/m")).await;
    let bad = ask(&gateway, &hello("nothing")).await;
    for answer in [good, bad] {
        assert!(answer.header("cache-control").starts_with("private, no-store"));
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
}

#[tokio::test]
async fn a_providers_headers_do_not_reach_the_client() {
    let first = Fake::start().await;
    let theirs = openai::completion("Hi").header("set-cookie", "a=1").header("x-internal", "1");
    first.answers([theirs.header("openai-organization", "acme")]);
    let gateway = before(&first, "").await;
    let answer = ask(&gateway, &hello("first/m")).await;
    for name in ["set-cookie", "x-internal", "openai-organization"] {
        assert!(!answer.headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn a_request_keeps_the_name_its_client_gave_it() {
    let first = provider().await;
    let gateway = before(&first, "").await;
    let longest = "x".repeat(128);
    for name in ["job 7/a", longest.as_str()] {
        let answer = ask_with(&gateway, &hello("first/m"), &[("x-request-id", name)]).await;
        assert_eq!(answer.header("x-request-id"), name);
    }
}

#[tokio::test]
async fn a_name_that_is_too_long_or_cannot_be_printed_is_replaced() {
    let first = provider().await;
    let gateway = before(&first, "").await;
    let too_long = "x".repeat(129);
    for name in ["", "caf\u{e9}", "a\tb", too_long.as_str()] {
        let answer = ask_with(&gateway, &hello("first/m"), &[("x-request-id", name)]).await;
        let given = answer.header("x-request-id").to_owned();
        assert!(given.starts_with("req_") && given.len() == 36, "{name:?} became {given:?}");
        let body = answer.json().await.unwrap();
        assert_eq!(body["x_gateway"]["request_id"], given);
    }
}

#[tokio::test]
async fn an_empty_list_of_choices_is_no_answer() {
    let (first, second) = (Fake::start().await, provider().await);
    first.answers([Answer::json(200, &json!({"choices": []}))]);
    let gateway = before_both(&first, &second, BOTH).await;
    assert_eq!(text_of(ask(&gateway, &hello("both")).await).await, "Hi");
}

#[tokio::test]
async fn a_large_answer_comes_back_whole() {
    let first = Fake::start().await;
    let long = "word ".repeat(1 << 20);
    first.answers([openai::completion(&long)]);
    let gateway = before(&first, "").await;
    assert_eq!(text_of(ask(&gateway, &hello("first/m")).await).await, long);
}
