//! What only betas have, before a provider who does not know them: Bedrock before Claude Code.

use serde_json::{Value, json};
use testkit::{
    client::Answer,
    lockgate::Lockgate,
    provider::{Answer as Scripted, Fake},
};

use crate::{
    speech::Speech,
    support::{KEY, send, serve},
};

async fn before(fake: &Fake) -> Lockgate {
    serve(&format!(
        "api_key: {KEY}
providers:
  - {{ name: p, type: bedrock-anthropic, base_url: \"{}/anthropic/v1\", region: eu-west-1, api_key: secret }}
routes: [{{ name: r, steps: [{{ provider: p, model: eu.anthropic.claude-sonnet-5-5 }}] }}]",
        fake.url()
    ))
    .await
}

fn refusal(message: &str) -> Scripted {
    let error = json!({"type": "invalid_request_error", "message": message});
    Scripted::json(400, &json!({"type": "error", "error": error}))
}

/// What Claude Code sends.
fn question() -> Value {
    json!({
        "model": "r", "max_tokens": 1000, "messages": [{"role": "user", "content": "Hello"}],
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "tools": [{"name": "f", "input_schema": {"type": "object"}, "defer_loading": true}],
        "context_management": {"edits": [{"type": "clear_thinking_20251015"}]},
    })
}

async fn post(gateway: &Lockgate, more: &[(&str, &str)]) -> Answer {
    let headers = [&[("x-api-key", KEY), ("anthropic-version", "2023-06-01")], more].concat();
    send(gateway, "POST", "/v1/messages?beta=true", &headers, question().to_string()).await
}

const BETAS: (&str, &str) = ("anthropic-beta", "claude-code-20250219,fast-mode-2026-02-01");

#[tokio::test]
async fn a_beta_that_a_provider_does_not_know_is_left_out() {
    for message in
        ["invalid beta flag", "tools.0.custom.defer_loading: Extra inputs are not permitted"]
    {
        let fake = Fake::start().await;
        fake.answers([refusal(message), Speech::Messages.whole("Hi")]);
        let gateway = before(&fake).await;
        let answer = post(&gateway, &[BETAS]).await;
        assert_eq!(answer.header("x-gateway-attempts"), "2", "{message}");
        let dropped = answer.header("x-gateway-dropped").to_owned();
        for name in ["anthropic-beta", "context_management", "defer_loading"] {
            assert!(dropped.contains(name), "{dropped}");
        }
        assert_eq!(Speech::Messages.said(&answer.json().await.unwrap()), "Hi");
        let [first, second] = &fake.seen()[..] else { panic!("{:?}", fake.seen()) };
        assert_eq!(
            (first.header("anthropic-beta"), second.header("anthropic-beta")),
            (BETAS.1, "")
        );
        assert_eq!(first.json()["tools"], question()["tools"]);
        let sent = second.json();
        assert_eq!(sent["system"], question()["system"], "{sent}");
        assert_eq!(sent["tools"], json!([{"name": "f", "input_schema": {"type": "object"}}]));
        assert_eq!(sent.get("context_management"), None);
    }
}

#[tokio::test]
async fn what_is_no_beta_is_the_clients_own_fault() {
    let fake = Fake::start().await;
    fake.answers([refusal("tools.0.custom.defer_loading: Extra inputs are not permitted")]);
    let gateway = before(&fake).await;
    let answer = post(&gateway, &[]).await;
    assert_eq!((answer.status.as_u16(), fake.seen().len()), (400, 1));
}
