//! Providers of one format that have other words for the same thing.

use serde_json::{Value, json};
use testkit::{
    lockgate::Lockgate,
    provider::{FakeProvider, ScriptedResponse},
};

use crate::{
    support::{KEY, send, serve},
    wire_formats::Format,
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

/// The request to a provider of this type, when an OpenAI chat client adds these members.
async fn sent(kind: &str, extra: Value) -> Value {
    expected(Format::Chat, kind, "m", extra, "").await
}

/// What is sent for a model, and that this is left out.
async fn expected(client: Format, kind: &str, model: &str, extra: Value, dropped: &str) -> Value {
    let fake = FakeProvider::start().await;
    let provider = if kind == "anthropic" { Format::Messages } else { Format::Chat };
    fake.respond_with([provider.whole("Hi")]);
    let gateway = gateway_for(kind, model, &fake).await;
    let mut question = client.request("r", false);
    question.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let path = client.path("r", false);
    let response = send(&gateway, "POST", &path, &[("x-api-key", KEY)], question.to_string()).await;
    assert_eq!((response.status.as_u16(), response.header("x-gateway-dropped")), (200, dropped));
    fake.requests()[0].json()
}

#[tokio::test]
async fn the_token_limit_uses_the_providers_field_name() {
    let (old, new) = ("max_tokens", "max_completion_tokens");
    for (kind, extra, expected) in [
        ("mistral", json!({new: 7}), json!([7, null])),
        ("mistral", json!({old: 7}), json!([7, null])),
        ("deepseek", json!({old: 7, new: 8}), json!([7, null])),
        ("ollama", json!({old: null, new: 8}), json!([8, null])),
        ("cohere", json!({new: 7}), json!([7, null])),
        // There it depends on the model.
        ("azure-openai", json!({old: 7}), json!([7, null])),
        // The server there is unknown, so the client's choice is kept.
        ("openai", json!({old: 7}), json!([7, null])),
        ("openai", json!({new: 7}), json!([null, 7])),
        ("vllm", json!({new: 7}), json!([null, 7])),
    ] {
        let sent = sent(kind, extra.clone()).await;
        assert_eq!(json!([sent[old], sent[new]]), expected, "{kind} {extra}");
    }
}

#[tokio::test]
async fn a_rejected_token_limit_name_is_replaced() {
    let (old, new) = ("max_tokens", "max_completion_tokens");
    let older = "Unrecognized request argument supplied: max_completion_tokens";
    let newer = "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
                 'max_completion_tokens' instead.";
    for (client, kind, extra, refusal, expected) in [
        (Format::Chat, "azure-openai", old, newer, [json!([9, null]), json!([null, 9])]),
        (Format::Chat, "azure-openai", new, older, [json!([null, 9]), json!([9, null])]),
        (Format::Chat, "openai", old, newer, [json!([9, null]), json!([null, 9])]),
        (Format::Chat, "openai", new, older, [json!([null, 9]), json!([9, null])]),
        (Format::Messages, "azure-openai", old, older, [json!([null, 9]), json!([9, null])]),
        (Format::Messages, "openai", old, newer, [json!([9, null]), json!([null, 9])]),
    ] {
        let fake = FakeProvider::start().await;
        let error = json!({"error": {"message": refusal, "type": "invalid_request_error"}});
        fake.respond_with([ScriptedResponse::json(400, &error), Format::Chat.whole("Hi")]);
        let gateway = gateway_for(kind, "m", &fake).await;
        let mut question = client.request("r", false);
        question[extra] = 9.into();
        // Nothing is lost, so a strict client is served too.
        let headers = [("x-api-key", KEY), ("x-gateway-strict", "true")];
        let path = client.path("r", false);
        let response = send(&gateway, "POST", &path, &headers, question.to_string()).await;
        assert_eq!((response.status.as_u16(), response.header("x-gateway-dropped")), (200, ""));
        let sent = [0, 1].map(|at| fake.requests()[at].json());
        assert_eq!(sent.map(|it| json!([it[old], it[new]])), expected, "{client:?} {kind} {extra}");
    }
}

#[tokio::test]
async fn the_developer_role_becomes_system_where_unsupported() {
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
        let mut expected = messages.clone();
        expected[1]["role"] = role.into();
        assert_eq!(sent(kind, json!({"messages": messages})).await["messages"], expected, "{kind}");
    }
}

#[tokio::test]
async fn reasoning_is_dropped_for_providers_that_reject_it() {
    let response_text = |role: &str, text: &str| json!({"role": role, "content": text});
    let words = "what is \"reasoning_content\"?";
    let (question, plain, next) =
        (response_text("user", words), response_text("assistant", "b"), response_text("user", "c"));
    let mut reasoning = plain.clone();
    reasoning["reasoning_content"] = "hm".into();
    let extra = json!({"messages": [question, reasoning, next]});
    for (kind, response, dropped) in
        [("azure-openai", &plain, "messages[].reasoning_content"), ("vllm", &reasoning, "")]
    {
        let sent = expected(Format::Chat, kind, "m", extra.clone(), dropped).await;
        assert_eq!(sent["messages"], json!([question, response, next]), "{kind}");
    }
    for nothing in [json!(""), Value::Null] {
        let mut reasoning = plain.clone();
        reasoning["reasoning_content"] = nothing;
        let extra = json!({"messages": [question, reasoning, next]});
        let sent = sent("azure-openai", extra).await;
        assert_eq!(sent["messages"], json!([question, plain, next]));
    }
    let extra = json!({"messages": [question]});
    assert_eq!(sent("azure-openai", extra.clone()).await["messages"], extra["messages"]);
}

/// Two calls and their results, behind which the user goes on.
fn calls(client: Format) -> Value {
    let called = |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let returned = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "1"});
    match client {
        Format::Messages => json!([
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
                {"type": "tool_use", "id": "D681PevKs", "name": "f", "input": {}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "1"},
                {"type": "tool_result", "tool_use_id": "D681PevKs", "content": "1"},
                {"type": "text", "text": "Remember."},
            ]},
        ]),
        _ => json!([
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": null, "tool_calls": [called("toolu_1"), called("D681PevKs")]},
            returned("toolu_1"),
            returned("D681PevKs"),
            {"role": "user", "content": "Remember."},
        ]),
    }
}

#[tokio::test]
async fn mistral_models_get_valid_call_ids_and_message_order() {
    let tools = |client| match client {
        Format::Messages => json!([{"name": "f", "input_schema": {"type": "object"}}]),
        _ => json!([{"type": "function", "function": {"name": "f"}}]),
    };
    for client in [Format::Chat, Format::Messages] {
        for (model, fits) in [("mistral-large-latest", true), ("gpt-4o", false)] {
            let extra = json!({"messages": calls(client), "tools": tools(client)});
            let sent = expected(client, "openai", model, extra, "").await;
            let messages = sent["messages"].as_array().unwrap();
            let roles: Vec<_> = messages.iter().map(|it| it["role"].as_str().unwrap()).collect();
            let turn: &[&str] = if fits { &["assistant"] } else { &[] };
            let wanted = [&["user", "assistant", "tool", "tool"], turn, &["user"]].concat();
            assert_eq!(roles, wanted, "{client:?} {model}");
            let ids = [0, 1].map(|at| messages[1]["tool_calls"][at]["id"].as_str().unwrap());
            let results = [2, 3].map(|at| messages[at]["tool_call_id"].as_str().unwrap());
            assert_eq!(ids, results);
            assert_eq!(ids[1], "D681PevKs");
            let is_fit = ids[0].len() == 9 && ids[0].bytes().all(|it| it.is_ascii_alphanumeric());
            assert_eq!(is_fit, fits, "{}", ids[0]);
        }
    }
}

#[tokio::test]
async fn empty_texts_are_not_sent_to_anthropic() {
    let (empty, text) = (json!({"type": "text", "text": ""}), json!({"type": "text", "text": "a"}));
    let called = json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"b": ""}});
    let result = json!({"type": "tool_result", "tool_use_id": "toolu_1", "content": ""});
    let extra = json!({
        "system": [empty],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        "messages": [
            {"role": "user", "content": [empty, text]},
            {"role": "assistant", "content": [empty, called]},
            {"role": "user", "content": [result]},
            {"role": "assistant", "content": ""},
            {"role": "user", "content": [text]},
        ],
    });
    let sent = expected(Format::Messages, "anthropic", "m", extra, "").await;
    let messages = json!([
        {"role": "user", "content": [text]},
        {"role": "assistant", "content": [called]},
        {"role": "user", "content": [result]},
        {"role": "user", "content": [text]},
    ]);
    assert_eq!((&sent["messages"], sent.get("system")), (&messages, None));
}
