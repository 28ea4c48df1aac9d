//! `POST /v1/chat/completions` with whole responses.

use serde_json::{Value, json};
use testkit::openai;
use testkit::provider::{FakeProvider, ScriptedResponse};

use crate::support::{
    BOTH, ask, ask_with, gateway_for, gateway_for_both, hello, only, post, provider, text_of,
};

/// A whole response in an unusual but valid encoding.
const ODD_ANSWER: &str = "{ \"z\": 1e400, \"id\": 12345678901234567890,\n\t\"choices\": [ {\"index\":0, \
    \"message\": {\"content\": \"caf\\u00e9 \\ud83d\\ude00\", \"role\":\"assistant\"}, \"vendor\": {} } ],\
    \"usage\": {\"prompt_tokens\": 9, \"completion_tokens\": 12} }\n";

async fn x_gateway(rest: &str, model: &str) -> Value {
    let first = provider().await;
    let gateway = gateway_for(&first, rest).await;
    ask(&gateway, &hello(model)).await.json().await.unwrap()["x_gateway"].take()
}

#[tokio::test]
async fn a_passthrough_request_changes_only_the_model() {
    let first = provider().await;
    let gateway = gateway_for(&first, "").await;
    let request = "{ \"zeta\" : 1e400,\n \"model\":\"first/m\" , \"n\": 12345678901234567890, \
        \"messages\": [ {\"role\":\"user\",\"content\":\"caf\\u00e9 \\ud83d\\ude00 \u{e9}\"} ],\
        \t\"unknown\":{\"b\":[1.0, 1.10],\"a\":null}, \"temperature\":-0.0 }\n";
    assert_eq!(post(&gateway, request, &[]).await.status, 200);
    let sent = request.replace("\"first/m\"", "\"m\"");
    assert_eq!(only(&first).body, sent);
}

#[tokio::test]
async fn a_provider_gets_its_own_key_and_no_client_headers() {
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
async fn a_passthrough_response_is_unchanged_and_adds_x_gateway() {
    let first = FakeProvider::start().await;
    first.respond_with([ScriptedResponse::raw(200, "application/json", ODD_ANSWER)]);
    let gateway = gateway_for(&first, "").await;
    let response = ask(&gateway, &hello("first/m")).await;
    assert_eq!(response.header("content-type"), "application/json");
    let text = response.text().await.unwrap();
    let (body, metadata) = text.split_once(",\"x_gateway\":").unwrap();
    assert_eq!(body, ODD_ANSWER.strip_suffix("}\n").unwrap());
    assert!(metadata.ends_with("}}\n") || metadata.ends_with("}]}}\n"), "{metadata}");
}

#[tokio::test]
async fn a_tool_call_is_returned() {
    let first = FakeProvider::start().await;
    first.respond_with([openai::completion_with_tool("call_1", "weather", r#"{"city":"Riga"}"#)]);
    let gateway = gateway_for(&first, "").await;
    let mut request = hello("first/m");
    request["tools"] = json!([{"type": "function", "function": {"name": "weather"}}]);
    let body = ask(&gateway, &request).await.json().await.unwrap();
    let call = &body["choices"][0]["message"]["tool_calls"][0]["function"];
    assert_eq!(call["arguments"], r#"{"city":"Riga"}"#);
    assert_eq!(only(&first).json()["tools"], request["tools"]);
}

#[tokio::test]
async fn x_gateway_describes_the_call() {
    let (first, second) = (FakeProvider::start().await, provider().await);
    first.respond_with([openai::error(429, "rate_limit_error", "slow down")]);
    let gateway = gateway_for_both(&first, &second, BOTH).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let headers = [("x-request-id", "job-7"), ("traceparent", parent.as_str())];
    let body = ask_with(&gateway, &hello("both"), &headers).await.json().await.unwrap();
    let mut record = body["x_gateway"].clone();
    assert!(record["latency_ms"].take().is_u64());
    for attempt in record["attempts"].as_array_mut().unwrap() {
        assert!(attempt["duration_ms"].take().is_u64());
    }
    let failed = json!({"provider": "first", "model": "small", "outcome": "rate_limit",
        "status": 429, "duration_ms": null, "message": "slow down"});
    let answered = json!({"provider": "second", "model": "large", "outcome": "success",
        "status": 200, "duration_ms": null});
    assert_eq!(
        record,
        json!({
            "provider": "second", "model": "large", "route": "both", "latency_ms": null,
            "cost_usd": null, "cache_hit": false, "request_id": "job-7", "trace_id": trace,
            "attempts": [failed, answered],
        })
    );
}

#[tokio::test]
async fn a_direct_model_has_no_route_in_x_gateway() {
    let record = x_gateway("", "first/m").await;
    assert_eq!((&record["route"], &record["model"]), (&Value::Null, &json!("m")));
}

#[tokio::test]
async fn the_cost_is_computed_from_a_configured_price() {
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
    let first = FakeProvider::start().await;
    first.respond_with([ScriptedResponse::json(
        200,
        &json!({"choices": [{"message": {"content": "Hi"}}]}),
    )]);
    let prices = "prices: [{ provider: first, model: m, input: 1, output: 1 }]";
    let gateway = gateway_for(&first, prices).await;
    let body = ask(&gateway, &hello("first/m")).await.json().await.unwrap();
    assert_eq!(body["x_gateway"]["cost_usd"], Value::Null);
}

#[tokio::test]
async fn headers_name_the_provider_and_the_attempts() {
    let (first, second) = (FakeProvider::start().await, provider().await);
    first.respond_with([openai::error(503, "server_error", "down")]);
    let gateway = gateway_for_both(&first, &second, BOTH).await;
    let response = ask(&gateway, &hello("both")).await;
    assert_eq!(response.header("x-gateway-provider"), "second");
    assert_eq!(response.header("x-gateway-model"), "large");
    assert_eq!(response.header("x-gateway-attempts"), "2");
    assert_eq!(response.header("x-gateway-cache"), "bypass");
    assert!(!response.headers.contains_key("x-gateway-dropped"));
}

#[tokio::test]
async fn a_header_has_the_providers_request_id() {
    let first = FakeProvider::start().await;
    first.respond_with([openai::completion("Hi").header("x-request-id", "req_abc")]);
    let gateway = gateway_for(&first, "").await;
    let response = ask(&gateway, &hello("first/m")).await;
    assert_eq!(response.header("x-gateway-provider-request-id"), "req_abc");
    assert_ne!(response.header("x-request-id"), "req_abc");
}

#[tokio::test]
async fn responses_forbid_caching() {
    let first = provider().await;
    let gateway = gateway_for(&first, "").await;
    let good = ask(&gateway, &hello("first/m")).await;
    let bad = ask(&gateway, &hello("nothing")).await;
    for response in [good, bad] {
        assert!(response.header("cache-control").starts_with("private, no-store"));
        assert_eq!(response.header("x-content-type-options"), "nosniff");
    }
}

#[tokio::test]
async fn a_providers_headers_do_not_reach_the_client() {
    let first = FakeProvider::start().await;
    let theirs = openai::completion("Hi").header("set-cookie", "a=1").header("x-internal", "1");
    first.respond_with([theirs.header("openai-organization", "acme")]);
    let gateway = gateway_for(&first, "").await;
    let response = ask(&gateway, &hello("first/m")).await;
    for name in ["set-cookie", "x-internal", "openai-organization"] {
        assert!(!response.headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn a_clients_request_id_is_kept() {
    let first = provider().await;
    let gateway = gateway_for(&first, "").await;
    let max_name = "x".repeat(128);
    for name in ["job 7/a", max_name.as_str()] {
        let response = ask_with(&gateway, &hello("first/m"), &[("x-request-id", name)]).await;
        assert_eq!(response.header("x-request-id"), name);
    }
}

#[tokio::test]
async fn an_invalid_request_id_is_replaced() {
    let first = provider().await;
    let gateway = gateway_for(&first, "").await;
    let too_long = "x".repeat(129);
    for name in ["", "caf\u{e9}", "a\tb", too_long.as_str()] {
        let response = ask_with(&gateway, &hello("first/m"), &[("x-request-id", name)]).await;
        let given = response.header("x-request-id").to_owned();
        assert!(given.starts_with("req_") && given.len() == 30, "{name:?} became {given:?}");
        let body = response.json().await.unwrap();
        assert_eq!(body["x_gateway"]["request_id"], given);
    }
}

#[tokio::test]
async fn an_empty_list_of_choices_is_a_failure() {
    let (first, second) = (FakeProvider::start().await, provider().await);
    first.respond_with([ScriptedResponse::json(200, &json!({"choices": []}))]);
    let gateway = gateway_for_both(&first, &second, BOTH).await;
    assert_eq!(text_of(ask(&gateway, &hello("both")).await).await, "Hi");
}

#[tokio::test]
async fn a_large_response_is_returned_whole() {
    let first = FakeProvider::start().await;
    let long = "word ".repeat(1 << 20);
    first.respond_with([openai::completion(&long)]);
    let gateway = gateway_for(&first, "").await;
    assert_eq!(text_of(ask(&gateway, &hello("first/m")).await).await, long);
}
