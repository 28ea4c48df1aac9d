//! What each key of the configuration does that no other file shows.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::lockgate::Lockgate;
use testkit::openai;
use testkit::provider::{FakeProvider, ScriptedResponse, Step};

use crate::support::{
    ask, attempts_of, chunks_of, error_of, gateway_for, hello, hello_streamed, only, program,
    provider, serve, streaming_provider, text_in, text_of,
};

/// A gateway whose only provider, `first`, ends with these words. `URL` stands for its address.
async fn with(first: &FakeProvider, words: &str) -> Lockgate {
    let words = words.replace("URL", &first.url());
    serve(&format!("api_key: gateway-key\nproviders: [{{ name: first, {words} }}]")).await
}

/// The path and query of the request to a provider with these settings.
async fn target(words: &str) -> String {
    let first = provider().await;
    let gateway = with(&first, words).await;
    assert_eq!(text_of(ask(&gateway, &hello("first/m")).await).await, "Hi", "{words}");
    only(&first).target
}

#[tokio::test]
async fn the_port_setting_sets_the_listen_address() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let yaml = format!("port: {free}\nproviders: [{{ name: first, type: mock }}]");
    let gateway = program().config(&yaml).start_as_it_is().await;
    assert_eq!(gateway.url(), format!("http://127.0.0.1:{free}"));
}

#[tokio::test]
async fn a_base_url_without_a_path_gets_the_version() {
    let wanted = "/v1/chat/completions";
    assert_eq!(target("base_url: \"URL\"").await, wanted);
    assert_eq!(target("base_url: \"URL/\"").await, wanted);
}

#[tokio::test]
async fn a_base_url_with_a_path_is_used_as_it_is() {
    assert_eq!(target("base_url: \"URL/v1\"").await, "/v1/chat/completions");
    assert_eq!(target("base_url: \"URL/deep/er/\"").await, "/deep/er/chat/completions");
}

#[tokio::test]
async fn a_preset_brings_its_own_path_to_another_address() {
    for (kind, wanted) in [
        ("cerebras", "/v1/chat/completions"),
        ("cohere", "/compatibility/v1/chat/completions"),
        ("deepseek", "/chat/completions"),
        ("fireworks", "/inference/v1/chat/completions"),
        ("github", "/inference/chat/completions"),
        ("groq", "/openai/v1/chat/completions"),
        ("lmstudio", "/v1/chat/completions"),
        ("mistral", "/v1/chat/completions"),
        ("nvidia", "/v1/chat/completions"),
        ("ollama", "/v1/chat/completions"),
        ("openai", "/v1/chat/completions"),
        ("openrouter", "/api/v1/chat/completions"),
        ("perplexity", "/chat/completions"),
        ("together", "/v1/chat/completions"),
        ("vllm", "/v1/chat/completions"),
        ("xai", "/v1/chat/completions"),
    ] {
        let words = format!("type: {kind}, api_key: k, base_url: \"URL\"");
        assert_eq!(target(&words).await, wanted, "{kind}");
    }
}

#[tokio::test]
async fn azure_requests_name_deployment_version_and_key_header() {
    let first = provider().await;
    let words = "type: azure-openai, api_key: theirs, base_url: \"URL\", api_version: 2026-01-01";
    let gateway = with(&first, words).await;
    assert_eq!(text_of(ask(&gateway, &hello("first/gpt 4/o")).await).await, "Hi");
    let seen = only(&first);
    let path = "/openai/deployments/gpt%204%2Fo/chat/completions?api-version=2026-01-01";
    assert_eq!(seen.target, path);
    assert_eq!((seen.header("api-key"), seen.header("authorization")), ("theirs", ""));
}

#[tokio::test]
async fn azure_has_a_default_api_version() {
    let path = target("type: azure-openai, api_key: theirs, base_url: \"URL\"").await;
    assert_eq!(path, "/openai/deployments/m/chat/completions?api-version=2024-10-21");
}

#[tokio::test]
async fn a_provider_that_always_reports_usage_gets_no_stream_options() {
    for kind in ["mistral", "cohere", "perplexity"] {
        let first = streaming_provider().await;
        let words = format!("type: {kind}, api_key: k, base_url: \"URL\"");
        let gateway = with(&first, &words).await;
        let mut request = hello_streamed("first/m");
        request["stream_options"] = json!({"include_usage": true});
        ask(&gateway, &request).await.text().await.unwrap();
        assert_eq!(only(&first).json(), hello_streamed("m"), "{kind}");
    }
}

#[tokio::test]
async fn a_local_server_needs_no_key() {
    let first = provider().await;
    let gateway = gateway_for(&first, "").await;
    assert_eq!(text_of(ask(&gateway, &hello("first/m")).await).await, "Hi");
    assert_eq!(only(&first).header("authorization"), "");
}

#[tokio::test]
async fn api_key_is_sent_to_the_provider() {
    let first = provider().await;
    first.require_bearer("theirs");
    let gateway = with(&first, "base_url: \"URL\", api_key: theirs").await;
    assert_eq!(text_of(ask(&gateway, &hello("first/m")).await).await, "Hi");
}

#[tokio::test]
async fn configured_headers_are_sent_with_every_request() {
    let first = provider().await;
    let words = "base_url: \"URL\", headers: { HTTP-Referer: https://x.example, X-Title: A b }";
    let gateway = with(&first, words).await;
    ask(&gateway, &hello("first/m")).await;
    let seen = only(&first);
    assert_eq!(seen.header("http-referer"), "https://x.example");
    assert_eq!(seen.header("x-title"), "A b");
}

#[tokio::test]
async fn a_configured_authorization_header_is_kept() {
    let first = provider().await;
    let words = "base_url: \"URL\", api_key: k, headers: { Authorization: Basic abc }";
    let gateway = with(&first, words).await;
    ask(&gateway, &hello("first/m")).await;
    assert_eq!(only(&first).header("authorization"), "Basic abc");
}

#[tokio::test]
async fn default_timeout_applies_to_steps_without_a_timeout() {
    let first = FakeProvider::start().await;
    first.respond_with([ScriptedResponse::hang()]);
    let gateway = gateway_for(&first, "default_timeout: 200ms").await;
    assert_eq!(error_of(ask(&gateway, &hello("first/m")).await).await.0, 504);
}

#[tokio::test]
async fn a_providers_timeout_precedes_the_default() {
    let first = FakeProvider::start().await;
    first.respond_with([ScriptedResponse::hang()]);
    let gateway = with(&first, "base_url: \"URL\", timeout: 200ms").await;
    let (status, error) = error_of(ask(&gateway, &hello("first/m")).await).await;
    assert_eq!((status, attempts_of(&error)), (504, vec!["first timeout null".to_owned()]));
    assert!(error["message"].as_str().unwrap().contains("0.2 s"), "{error}");
}

#[tokio::test]
async fn idle_timeout_limits_silence_and_not_duration() {
    let first = FakeProvider::start().await;
    let pauses = (0..4).flat_map(|_| [openai::chunk("x"), Step::Wait(Duration::from_millis(300))]);
    first.respond_with([ScriptedResponse::stream(pauses.chain([Step::Hang]))]);
    let gateway = gateway_for(&first, "idle_timeout: 900ms").await;
    let stream = ask(&gateway, &hello_streamed("first/m")).await.text().await.unwrap();
    assert_eq!(text_in(&stream), "xxxx");
    assert_eq!(chunks_of(&stream).pop().unwrap()["error"]["code"], "timeout");
}

#[tokio::test]
async fn idle_timeout_does_not_limit_the_time_to_the_first_token() {
    let first = FakeProvider::start().await;
    for prelude in [vec![], vec![openai::role()]] {
        let pause = Step::Wait(Duration::from_millis(900));
        let words = [pause, openai::chunk("x"), openai::finish("stop"), openai::done()];
        first.respond_with([ScriptedResponse::stream(prelude.into_iter().chain(words))]);
        let gateway = gateway_for(&first, "idle_timeout: 300ms").await;
        let stream = ask(&gateway, &hello_streamed("first/m")).await.text().await.unwrap();
        assert_eq!(text_in(&stream), "x", "{stream}");
    }
}

/// What a response cost by these prices, in dollars.
async fn cost(usage: Value, prices: &str) -> Value {
    let first = FakeProvider::start().await;
    first.respond_with([ScriptedResponse::json(
        200,
        &json!({"choices": [{"message": {}}], "usage": usage}),
    )]);
    let prices = format!("prices: [{{ provider: first, model: m, {prices} }}]");
    let gateway = gateway_for(&first, &prices).await;
    let mut body = ask(&gateway, &hello("first/m")).await.json().await.unwrap();
    body["x_gateway"]["cost_usd"].take()
}

#[tokio::test]
async fn cached_tokens_have_their_own_price() {
    let usage = json!({
        "prompt_tokens": 3_000_000, "completion_tokens": 1_000_000, "total_tokens": 4_000_000,
        "prompt_tokens_details": {"cached_tokens": 1_000_000, "cache_write_tokens": 1_000_000},
    });
    let all = "input: 1, output: 10, cached_input: 0.25, cache_write: 2";
    assert_eq!(cost(usage.clone(), all).await, 13.25);
    assert_eq!(cost(usage, "input: 1, output: 10").await, 13.0);
}

#[tokio::test]
async fn a_zero_price_gives_a_zero_cost() {
    let usage = json!({"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10});
    assert_eq!(cost(usage, "input: 0, output: 0").await, 0.0);
}

/// A gateway whose only provider plays this script.
async fn scripted(script: &str) -> Lockgate {
    let first = format!("{{ name: first, type: mock, timeout: 10s, script: {{ {script} }} }}");
    serve(&format!("api_key: gateway-key\nproviders: [{first}]")).await
}

#[tokio::test]
async fn a_mock_responds_with_the_configured_text() {
    let gateway = scripted("answer: One two three").await;
    assert_eq!(text_of(ask(&gateway, &hello("first/m")).await).await, "One two three");
    let stream = ask(&gateway, &hello_streamed("first/m")).await.text().await.unwrap();
    assert_eq!(text_in(&stream), "One two three");
    assert!(stream.matches("\"content\"").count() > 3, "word by word: {stream}");
}

#[tokio::test]
async fn a_mock_without_a_script_responds() {
    let gateway = serve("api_key: gateway-key\nproviders: [{ name: first, type: mock }]").await;
    assert!(!text_of(ask(&gateway, &hello("first/m")).await).await.is_empty());
}

#[tokio::test]
async fn a_mock_fails_with_the_configured_status() {
    let gateway = scripted("status: 429, retry_after: 7").await;
    let response = ask(&gateway, &hello("first/m")).await;
    assert_eq!((response.status.as_u16(), response.header("retry-after")), (429, "7"));
}

#[tokio::test]
async fn a_mock_fails_the_configured_number_of_calls() {
    let gateway = scripted("status: 503, fail_first: 2").await;
    let mut statuses = vec![];
    for _ in 0..3 {
        statuses.push(ask(&gateway, &hello("first/m")).await.status.as_u16());
    }
    assert_eq!(statuses, [502, 502, 200]);
}

#[tokio::test]
async fn a_mock_waits_the_configured_delay() {
    let script = "script: { delay: 60s }";
    let slow = format!("{{ name: first, type: mock, timeout: 200ms, {script} }}");
    let gateway = serve(&format!("api_key: gateway-key\nproviders: [{slow}]")).await;
    assert_eq!(ask(&gateway, &hello("first/m")).await.status, 504);
}

#[tokio::test]
async fn a_mock_waits_the_configured_time_between_words() {
    let gateway = serve(
        "api_key: gateway-key\nproviders: \
         [{ name: first, type: mock, timeout: 300ms, script: { answer: One two, pause: 60s } }]",
    )
    .await;
    // The role comes at once, and the first word too late.
    let (status, error) = error_of(ask(&gateway, &hello_streamed("first/m")).await).await;
    assert_eq!((status, &error["code"]), (504, &json!("timeout")));
}
