//! More is to be written at most than a model can write.

use serde_json::{Value, json};
use testkit::{
    client::Answer,
    lockgate::Lockgate,
    provider::{Answer as Scripted, Fake},
};

use crate::{
    speech::{self, Speech},
    support::{KEY, send, serve},
};

async fn before(kind: &str, model: &str, fake: &Fake) -> Lockgate {
    serve(&format!(
        "api_key: {KEY}
providers: [{{ name: p, type: {kind}, base_url: \"{}\", api_key: secret }}]
routes: [{{ name: r, steps: [{{ provider: p, model: {model} }}] }}]",
        fake.url()
    ))
    .await
}

/// A question whose answer may be this long.
fn question(client: Speech, limit: u64) -> Value {
    let mut question = client.question("r", false);
    match client {
        Speech::Chat | Speech::Messages => question["max_tokens"] = limit.into(),
        Speech::Responses => question["max_output_tokens"] = limit.into(),
        Speech::Gemini => {
            question["generationConfig"] = json!({"maxOutputTokens": limit, "topK": 3});
        }
    }
    question
}

/// Where a request has its limit.
fn limit(provider: Speech, request: &Value) -> Option<u64> {
    let at = match provider {
        Speech::Chat | Speech::Messages => "/max_tokens",
        Speech::Responses => "/max_output_tokens",
        Speech::Gemini => "/generationConfig/maxOutputTokens",
    };
    request.pointer(at).and_then(Value::as_u64)
}

fn too_large() -> Scripted {
    let message =
        "max_tokens is too large: 90000. This model supports at most 16384 completion tokens";
    let error = json!({"message": message, "type": "invalid_request_error", "code": 400});
    Scripted::json(400, &json!({"type": "error", "error": error}))
}

async fn post(gateway: &Lockgate, client: Speech, limit: u64, strict: &str) -> Answer {
    let headers = [("x-api-key", KEY), ("x-gateway-strict", strict)];
    let body = question(client, limit).to_string();
    send(gateway, "POST", &client.path("r", false), &headers, body).await
}

#[tokio::test]
async fn a_limit_that_is_refused_is_left_out() {
    for client in speech::ALL {
        for provider in speech::ALL {
            let fake = Fake::start().await;
            fake.answers([too_large(), provider.whole("Hi")]);
            let gateway = before(provider.kind(), "m", &fake).await;
            let answer = post(&gateway, client, 90_000, "false").await;
            assert_eq!(answer.header("x-gateway-attempts"), "2", "{client:?} {provider:?}");
            assert!(answer.header("x-gateway-dropped").to_lowercase().contains("max"));
            assert_eq!(client.said(&answer.json().await.unwrap()), "Hi");
            let limits: Vec<_> = fake.seen().iter().map(|it| limit(provider, &it.json())).collect();
            // Anthropic's API wants one.
            let second = (provider == Speech::Messages).then_some(8192);
            assert_eq!(limits, [Some(90_000), second], "{client:?} {provider:?}");
        }
    }
}

#[tokio::test]
async fn nothing_else_goes_with_it() {
    let fake = Fake::start().await;
    fake.answers([too_large(), Speech::Gemini.whole("Hi")]);
    let gateway = before("gemini", "m", &fake).await;
    post(&gateway, Speech::Gemini, 90_000, "false").await;
    assert_eq!(fake.seen()[1].json()["generationConfig"], json!({"topK": 3}));
}

#[tokio::test]
async fn a_strict_client_keeps_its_limit() {
    let fake = Fake::start().await;
    fake.answers([too_large()]);
    let gateway = before("openai", "m", &fake).await;
    let answer = post(&gateway, Speech::Messages, 90_000, "true").await;
    assert_eq!((answer.status.as_u16(), fake.seen().len()), (400, 1));
}

#[tokio::test]
async fn a_limit_above_what_a_known_model_can_is_lowered() {
    for (asked, sent) in [(90_000, 16_384), (16_384, 16_384), (100, 100)] {
        let fake = Fake::start().await;
        fake.answers([Speech::Chat.whole("Hi")]);
        let gateway = before("azure-openai", "gpt-4o", &fake).await;
        let answer = post(&gateway, Speech::Messages, asked, "true").await;
        assert_eq!((answer.status.as_u16(), answer.header("x-gateway-dropped")), (200, ""));
        assert_eq!(fake.seen()[0].json()["max_completion_tokens"], sent);
    }
}
