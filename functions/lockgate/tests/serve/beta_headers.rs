//! Beta features, with a provider that does not support them: Claude Code with Bedrock.

use serde_json::{Value, json};
use testkit::{
    client::ClientResponse,
    lockgate::Lockgate,
    provider::{FakeProvider, ScriptedResponse},
};

use crate::{
    support::{KEY, send, serve},
    wire_formats::Format,
};

async fn gateway_for(fake: &FakeProvider) -> Lockgate {
    serve(&format!(
        "api_key: {KEY}
providers:
  - {{ name: p, type: bedrock-anthropic, base_url: \"{}/anthropic/v1\", region: eu-west-1, api_key: secret }}
routes: [{{ name: r, steps: [{{ provider: p, model: eu.anthropic.claude-sonnet-5-5 }}] }}]",
        fake.url()
    ))
    .await
}

fn refusal(message: &str) -> ScriptedResponse {
    let error = json!({"type": "invalid_request_error", "message": message});
    ScriptedResponse::json(400, &json!({"type": "error", "error": error}))
}

/// What Claude Code sends.
fn request() -> Value {
    json!({
        "model": "r", "max_tokens": 1000, "messages": [{"role": "user", "content": "Hello"}],
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "tools": [{"name": "f", "input_schema": {"type": "object"}, "defer_loading": true}],
        "context_management": {"edits": [{"type": "clear_thinking_20251015"}]},
    })
}

async fn post(gateway: &Lockgate, more: &[(&str, &str)]) -> ClientResponse {
    let headers = [&[("x-api-key", KEY), ("anthropic-version", "2023-06-01")], more].concat();
    send(gateway, "POST", "/v1/messages?beta=true", &headers, request().to_string()).await
}

const BETAS: (&str, &str) = ("anthropic-beta", "claude-code-20250219,fast-mode-2026-02-01");

#[tokio::test]
async fn an_unsupported_beta_is_removed_and_retried() {
    for message in
        ["invalid beta flag", "tools.0.custom.defer_loading: Extra inputs are not permitted"]
    {
        let fake = FakeProvider::start().await;
        fake.respond_with([refusal(message), Format::Messages.whole("Hi")]);
        let gateway = gateway_for(&fake).await;
        let response = post(&gateway, &[BETAS]).await;
        assert_eq!(response.header("x-gateway-attempts"), "2", "{message}");
        let dropped = response.header("x-gateway-dropped").to_owned();
        for name in ["anthropic-beta", "context_management", "defer_loading"] {
            assert!(dropped.contains(name), "{dropped}");
        }
        assert_eq!(Format::Messages.response_text(&response.json().await.unwrap()), "Hi");
        let [first, second] = &fake.requests()[..] else { panic!("{:?}", fake.requests()) };
        assert_eq!(
            (first.header("anthropic-beta"), second.header("anthropic-beta")),
            (BETAS.1, "")
        );
        assert_eq!(first.json()["tools"], request()["tools"]);
        let sent = second.json();
        assert_eq!(sent["system"], request()["system"], "{sent}");
        assert_eq!(
            sent["tools"],
            json!([{"name": "f", "input_schema": {"type": "object", "properties": {}}}])
        );
        assert_eq!(sent.get("context_management"), None);
    }
}

#[tokio::test]
async fn another_bad_request_is_the_clients_error() {
    let fake = FakeProvider::start().await;
    fake.respond_with([refusal("tools.0.custom.defer_loading: Extra inputs are not permitted")]);
    let gateway = gateway_for(&fake).await;
    let response = post(&gateway, &[]).await;
    assert_eq!((response.status.as_u16(), fake.requests().len()), (400, 1));
}
