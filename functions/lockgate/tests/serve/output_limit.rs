//! More is to be written at most than a model can write.

use serde_json::{Value, json};
use testkit::{
    client::ClientResponse,
    lockgate::Lockgate,
    provider::{FakeProvider, ScriptedResponse},
};

use crate::{
    support::{KEY, send, serve},
    wire_formats::{self, Format},
};

async fn gateway_for(kind: &str, model: &str, fake: &FakeProvider) -> Lockgate {
    serve(&format!(
        "api_key: {KEY}
providers: [{{ name: p, type: {kind}, base_url: \"{}\", api_key: secret }}]
routes: [{{ name: r, steps: [{{ provider: p, model: {model} }}] }}]",
        fake.url()
    ))
    .await
}

/// A request with this output limit.
fn question(client: Format, limit: u64) -> Value {
    let mut question = client.request("r", false);
    match client {
        Format::Chat | Format::Messages => question["max_tokens"] = limit.into(),
        Format::Responses => question["max_output_tokens"] = limit.into(),
        Format::Gemini => {
            question["generationConfig"] = json!({"maxOutputTokens": limit, "topK": 3});
        }
    }
    question
}

/// Where a request has its limit.
fn limit(provider: Format, request: &Value) -> Option<u64> {
    let at = match provider {
        Format::Chat | Format::Messages => "/max_tokens",
        Format::Responses => "/max_output_tokens",
        Format::Gemini => "/generationConfig/maxOutputTokens",
    };
    request.pointer(at).and_then(Value::as_u64)
}

fn too_large() -> ScriptedResponse {
    let message =
        "max_tokens is too large: 90000. This model supports at most 16384 completion tokens";
    let error = json!({"message": message, "type": "invalid_request_error", "code": 400});
    ScriptedResponse::json(400, &json!({"type": "error", "error": error}))
}

async fn post(gateway: &Lockgate, client: Format, limit: u64, strict: &str) -> ClientResponse {
    let headers = [("x-api-key", KEY), ("x-gateway-strict", strict)];
    let body = question(client, limit).to_string();
    send(gateway, "POST", &client.path("r", false), &headers, body).await
}

#[tokio::test]
async fn a_rejected_output_limit_is_dropped() {
    for client in wire_formats::ALL {
        for provider in wire_formats::ALL {
            let fake = FakeProvider::start().await;
            fake.respond_with([too_large(), provider.whole("Hi")]);
            let gateway = gateway_for(provider.kind(), "m", &fake).await;
            let response = post(&gateway, client, 90_000, "false").await;
            assert_eq!(response.header("x-gateway-attempts"), "2", "{client:?} {provider:?}");
            assert!(response.header("x-gateway-dropped").to_lowercase().contains("max"));
            assert_eq!(client.response_text(&response.json().await.unwrap()), "Hi");
            let limits: Vec<_> =
                fake.requests().iter().map(|it| limit(provider, &it.json())).collect();
            // Anthropic's API wants one.
            let second = (provider == Format::Messages).then_some(8192);
            assert_eq!(limits, [Some(90_000), second], "{client:?} {provider:?}");
        }
    }
}

#[tokio::test]
async fn a_rejected_output_limit_drops_nothing_else() {
    let fake = FakeProvider::start().await;
    fake.respond_with([too_large(), Format::Gemini.whole("Hi")]);
    let gateway = gateway_for("gemini", "m", &fake).await;
    post(&gateway, Format::Gemini, 90_000, "false").await;
    assert_eq!(fake.requests()[1].json()["generationConfig"], json!({"topK": 3}));
}

#[tokio::test]
async fn a_strict_request_keeps_its_output_limit() {
    let fake = FakeProvider::start().await;
    fake.respond_with([too_large()]);
    let gateway = gateway_for("openai", "m", &fake).await;
    let response = post(&gateway, Format::Messages, 90_000, "true").await;
    assert_eq!((response.status.as_u16(), fake.requests().len()), (400, 1));
}

#[tokio::test]
async fn a_limit_above_a_known_models_maximum_is_lowered() {
    for (requested, sent) in [(90_000, 16_384), (16_384, 16_384), (100, 100)] {
        let fake = FakeProvider::start().await;
        fake.respond_with([Format::Chat.whole("Hi")]);
        let gateway = gateway_for("azure-openai", "gpt-4o", &fake).await;
        let response = post(&gateway, Format::Messages, requested, "true").await;
        assert_eq!((response.status.as_u16(), response.header("x-gateway-dropped")), (200, ""));
        assert_eq!(fake.requests()[0].json()["max_completion_tokens"], sent);
    }
}
