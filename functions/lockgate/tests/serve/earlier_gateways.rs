//! What the gateway does as an earlier gateway did: base paths, words of errors, flags.

use serde_json::{Value, json};
use testkit::{
    lockgate::Lockgate,
    openai,
    provider::{FakeProvider, ScriptedResponse},
};

use crate::support::{
    KEY, ask, chunks_of, gateway_for, hello, hello_streamed, post, program, provider, send,
    streaming_provider, text_of, yaml,
};

const MODEL: &str = "models: [{ name: m, provider: first }]\n";

async fn with_base_paths(first: &FakeProvider) -> Lockgate {
    let paths = "compatibility: { base_paths: [/ai, /ai/router/prod] }\n";
    gateway_for(first, &format!("{MODEL}{paths}")).await
}

/// The status of a request with the key.
async fn status(gateway: &Lockgate, method: &str, path: &str) -> u16 {
    send(gateway, method, path, &[("x-api-key", KEY)], "").await.status.as_u16()
}

#[tokio::test]
async fn every_endpoint_is_served_below_a_base_path() {
    let first = provider().await;
    let gateway = with_base_paths(&first).await;
    for path in [
        "/ai/v1/chat/completions",
        "/ai/chat/completions",
        "/ai//v1/chat/completions/",
        "/ai/router/prod/v1/chat/completions",
        "/ai/openai/v1/chat/completions",
        "/v1/chat/completions",
    ] {
        first.respond_with([openai::completion("Hi")]);
        let body = hello("m").to_string();
        let response = send(&gateway, "POST", path, &[("x-api-key", KEY)], body).await;
        assert_eq!(text_of(response).await, "Hi", "{path}");
    }
    for path in ["/ai/v1/models", "/ai/health", "/ai/router/prod/models/m", "/ai"] {
        assert_eq!(status(&gateway, "GET", path).await, 200, "{path}");
    }
    assert_eq!(status(&gateway, "HEAD", "/ai/").await, 200);
}

#[tokio::test]
async fn a_base_path_opens_nothing_else() {
    let gateway = with_base_paths(&provider().await).await;
    for path in ["/air/v1/models", "/ai/ai/v1/models", "/other/v1/models", "/ai/nothing"] {
        assert_eq!(status(&gateway, "GET", path).await, 404, "{path}");
    }
    assert_eq!(status(&gateway, "DELETE", "/ai/v1/models").await, 405);
    let stranger = send(&gateway, "GET", "/ai/v1/models", &[], "").await;
    assert_eq!(stranger.status, 401);
    assert_eq!(status(&gateway, "GET", "/ai/admin/tenants").await, 401);
}

#[tokio::test]
async fn an_error_below_a_base_path_has_the_format_of_the_rest_of_the_path() {
    let gateway = with_base_paths(&provider().await).await;
    for (path, pointer, value) in [
        ("/ai/anthropic/v1/messages", "/type", json!("error")),
        ("/ai/v1beta/models/m:generateContent", "/error/status", json!("INVALID_ARGUMENT")),
        ("/ai/v1/chat/completions", "/error/code", json!("invalid_request")),
    ] {
        let response = send(&gateway, "POST", path, &[("x-api-key", KEY)], "[]").await;
        assert_eq!(response.status, 400, "{path}");
        let body = response.json().await.unwrap();
        assert_eq!(body.pointer(pointer), Some(&value), "{path}: {body}");
    }
}

/// The `type` and `code` of the error in a response.
async fn words(response: testkit::client::ClientResponse) -> Value {
    let body = response.json().await.unwrap();
    json!([body["error"]["type"], body["error"]["code"]])
}

/// What four kinds of failures are called: a wrong key, no JSON, an unknown model, a provider that
/// fails.
async fn words_of(whose: &str) -> [Value; 4] {
    let first = FakeProvider::start().await;
    first.respond_with([openai::error(500, "server_error", "broken")]);
    let rest = format!("{MODEL}compatibility: {{ error_words: {whose} }}\n");
    let gateway = gateway_for(&first, &rest).await;
    let body = hello("m").to_string();
    let stranger = send(&gateway, "POST", "/v1/chat/completions", &[("x-api-key", "no")], body);
    [
        words(stranger.await).await,
        words(post(&gateway, "no JSON", &[]).await).await,
        words(ask(&gateway, &hello("nothing")).await).await,
        words(ask(&gateway, &hello("m")).await).await,
    ]
}

#[tokio::test]
async fn errors_have_the_words_of_an_earlier_gateway() {
    for (whose, expected) in [
        (
            "a",
            json!([
                ["authentication_error", "auth"],
                ["parsing_error", "INVALID_JSON"],
                ["route_error", "ROUTE_NOT_FOUND"],
                ["execution_error", "ROUTE_EXECUTION_FAILED"],
            ]),
        ),
        ("b", json!([["error", 401], ["error", 400], ["error", 404], ["error", 502]])),
        (
            "c",
            json!([
                ["authentication_error", null],
                ["invalid_request_error", null],
                ["api_error", null],
                ["api_error", null],
            ]),
        ),
        (
            "d",
            json!([
                ["auth", "auth"],
                ["decode_error", "invalid_request"],
                ["unknown_model", "unknown_model"],
                ["server_error", "server_error"],
            ]),
        ),
    ] {
        assert_eq!(json!(words_of(whose).await), expected, "{whose}");
    }
}

#[tokio::test]
async fn an_error_within_a_stream_has_the_same_words() {
    let first = FakeProvider::start().await;
    let steps = [openai::role(), openai::chunk("Once")];
    first.respond_with([ScriptedResponse::stream(steps)]);
    let gateway =
        gateway_for(&first, &format!("{MODEL}compatibility: {{ error_words: b }}\n")).await;
    let stream = ask(&gateway, &hello_streamed("m")).await.text().await.unwrap();
    let last = chunks_of(&stream).pop().unwrap();
    assert_eq!((&last["error"]["type"], &last["error"]["code"]), (&json!("error"), &json!(502)));
}

#[tokio::test]
async fn other_apis_keep_their_own_words() {
    let rest = format!("{MODEL}compatibility: {{ error_words: b }}\n");
    let gateway = gateway_for(&provider().await, &rest).await;
    let response = send(&gateway, "POST", "/v1/messages", &[("x-api-key", KEY)], "no JSON").await;
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["type"], "invalid_request_error", "{body}");
}

#[tokio::test]
async fn flags_may_have_one_dash() {
    let first = streaming_provider().await;
    let gateway = program()
        .file("proxy.yaml", &yaml(&[("first", &first.url())], MODEL))
        .file("variables", "SOMETHING=else\n")
        .arguments(["-config", "proxy.yaml", "-env-file=variables", "-verbose"])
        .arguments(["-listen", "127.0.0.1:0"])
        .start_as_it_is()
        .await;
    let stream = ask(&gateway, &hello_streamed("m")).await.text().await.unwrap();
    assert!(stream.ends_with("data: [DONE]\n\n"), "{stream}");
}
