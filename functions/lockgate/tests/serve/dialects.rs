//! Providers of one format that have other words for the same thing.

use serde_json::{Value, json};
use testkit::provider::Fake;

use crate::{
    speech::Speech,
    support::{KEY, send, serve},
};

/// What a provider of this type is sent, when OpenAI chat's client asks this beside its question.
async fn sent(kind: &str, asked: Value) -> Value {
    let fake = Fake::start().await;
    fake.answers([Speech::Chat.whole("Hi")]);
    let gateway = serve(&format!(
        "api_key: {KEY}
providers: [{{ name: p, type: {kind}, base_url: \"{}\", api_key: secret }}]
routes: [{{ name: r, steps: [{{ provider: p, model: m }}] }}]",
        fake.url()
    ))
    .await;
    let mut question = Speech::Chat.question("r", false);
    question.as_object_mut().unwrap().extend(asked.as_object().unwrap().clone());
    let headers = [("x-api-key", KEY), ("x-gateway-strict", "true")];
    let path = Speech::Chat.path("r", false);
    let answer = send(&gateway, "POST", &path, &headers, question.to_string()).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-gateway-dropped")), (200, ""));
    fake.seen()[0].json()
}

#[tokio::test]
async fn a_limit_has_the_name_that_a_provider_knows() {
    let (old, new) = ("max_tokens", "max_completion_tokens");
    for (kind, asked, told) in [
        ("mistral", json!({new: 7}), json!([7, null])),
        ("mistral", json!({old: 7}), json!([7, null])),
        ("deepseek", json!({old: 7, new: 8}), json!([7, null])),
        ("ollama", json!({old: null, new: 8}), json!([8, null])),
        ("cohere", json!({new: 7}), json!([7, null])),
        ("azure-openai", json!({old: 7}), json!([null, 7])),
        ("azure-openai", json!({old: 7, new: 8}), json!([null, 8])),
        // Nobody knows who answers there, so the client does.
        ("openai", json!({old: 7}), json!([7, null])),
        ("openai", json!({new: 7}), json!([null, 7])),
        ("vllm", json!({new: 7}), json!([null, 7])),
    ] {
        let sent = sent(kind, asked.clone()).await;
        assert_eq!(json!([sent[old], sent[new]]), told, "{kind} {asked}");
    }
}

#[tokio::test]
async fn the_role_developer_is_told_as_system_where_it_is_not_known() {
    let messages = json!([
        {"role": "system", "content": "a"},
        {"role": "developer", "name": "d", "content": [{"type": "text", "text": "\"developer\""}]},
        {"role": "user", "content": "who is a \"developer\"?"},
    ]);
    for (kind, role) in [
        ("azure-openai", "developer"),
        ("deepseek", "system"),
        ("mistral", "system"),
        ("openai", "system"),
        ("vllm", "system"),
    ] {
        let mut told = messages.clone();
        told[1]["role"] = role.into();
        assert_eq!(sent(kind, json!({"messages": messages})).await["messages"], told, "{kind}");
    }
}
