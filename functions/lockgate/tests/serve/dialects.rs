//! Providers of one format that have other words for the same thing.

use serde_json::{Value, json};
use testkit::{
    lockgate::Lockgate,
    provider::{Answer as Scripted, Fake},
};

use crate::{
    speech::Speech,
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

/// What a provider of this type is sent, when OpenAI chat's client asks this beside its question.
async fn sent(kind: &str, asked: Value) -> Value {
    told(Speech::Chat, kind, "m", asked, "").await
}

/// What is sent for a model, and that this is left out.
async fn told(client: Speech, kind: &str, model: &str, asked: Value, dropped: &str) -> Value {
    let fake = Fake::start().await;
    let provider = if kind == "anthropic" { Speech::Messages } else { Speech::Chat };
    fake.answers([provider.whole("Hi")]);
    let gateway = before(kind, model, &fake).await;
    let mut question = client.question("r", false);
    question.as_object_mut().unwrap().extend(asked.as_object().unwrap().clone());
    let path = client.path("r", false);
    let answer = send(&gateway, "POST", &path, &[("x-api-key", KEY)], question.to_string()).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-gateway-dropped")), (200, dropped));
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
        // There it depends on the model.
        ("azure-openai", json!({old: 7}), json!([7, null])),
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
async fn a_limit_whose_name_is_refused_gets_the_other() {
    let (old, new) = ("max_tokens", "max_completion_tokens");
    let older = "Unrecognized request argument supplied: max_completion_tokens";
    let newer = "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
                 'max_completion_tokens' instead.";
    for (client, kind, asked, refusal, told) in [
        (Speech::Chat, "azure-openai", old, newer, [json!([9, null]), json!([null, 9])]),
        (Speech::Chat, "azure-openai", new, older, [json!([null, 9]), json!([9, null])]),
        (Speech::Chat, "openai", old, newer, [json!([9, null]), json!([null, 9])]),
        (Speech::Chat, "openai", new, older, [json!([null, 9]), json!([9, null])]),
        (Speech::Messages, "azure-openai", old, older, [json!([null, 9]), json!([9, null])]),
        (Speech::Messages, "openai", old, newer, [json!([9, null]), json!([null, 9])]),
    ] {
        let fake = Fake::start().await;
        let error = json!({"error": {"message": refusal, "type": "invalid_request_error"}});
        fake.answers([Scripted::json(400, &error), Speech::Chat.whole("Hi")]);
        let gateway = before(kind, "m", &fake).await;
        let mut question = client.question("r", false);
        question[asked] = 9.into();
        // Nothing is lost, so a strict client is served too.
        let headers = [("x-api-key", KEY), ("x-gateway-strict", "true")];
        let path = client.path("r", false);
        let answer = send(&gateway, "POST", &path, &headers, question.to_string()).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-gateway-dropped")), (200, ""));
        let sent = [0, 1].map(|at| fake.seen()[at].json());
        assert_eq!(sent.map(|it| json!([it[old], it[new]])), told, "{client:?} {kind} {asked}");
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

#[tokio::test]
async fn thoughts_are_not_told_to_who_refuses_them() {
    let said = |role: &str, text: &str| json!({"role": role, "content": text});
    let words = "what is \"reasoning_content\"?";
    let (question, plain, next) = (said("user", words), said("assistant", "b"), said("user", "c"));
    let mut thought = plain.clone();
    thought["reasoning_content"] = "hm".into();
    let asked = json!({"messages": [question, thought, next]});
    for (kind, answer, dropped) in
        [("azure-openai", &plain, "messages[].reasoning_content"), ("vllm", &thought, "")]
    {
        let sent = told(Speech::Chat, kind, "m", asked.clone(), dropped).await;
        assert_eq!(sent["messages"], json!([question, answer, next]), "{kind}");
    }
    for nothing in [json!(""), Value::Null] {
        let mut thought = plain.clone();
        thought["reasoning_content"] = nothing;
        let asked = json!({"messages": [question, thought, next]});
        let sent = sent("azure-openai", asked).await;
        assert_eq!(sent["messages"], json!([question, plain, next]));
    }
    let asked = json!({"messages": [question]});
    assert_eq!(sent("azure-openai", asked.clone()).await["messages"], asked["messages"]);
}

/// Two calls and their results, behind which the user goes on.
fn calls(client: Speech) -> Value {
    let called = |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let returned = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "1"});
    match client {
        Speech::Messages => json!([
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
async fn mistrals_models_get_their_ids_and_their_turns() {
    let tools = |client| match client {
        Speech::Messages => json!([{"name": "f", "input_schema": {"type": "object"}}]),
        _ => json!([{"type": "function", "function": {"name": "f"}}]),
    };
    for client in [Speech::Chat, Speech::Messages] {
        for (model, fits) in [("mistral-large-latest", true), ("gpt-4o", false)] {
            let asked = json!({"messages": calls(client), "tools": tools(client)});
            let sent = told(client, "openai", model, asked, "").await;
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
async fn anthropic_is_not_told_empty_texts() {
    let (empty, text) = (json!({"type": "text", "text": ""}), json!({"type": "text", "text": "a"}));
    let called = json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"b": ""}});
    let result = json!({"type": "tool_result", "tool_use_id": "toolu_1", "content": ""});
    let asked = json!({
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
    let sent = told(Speech::Messages, "anthropic", "m", asked, "").await;
    let messages = json!([
        {"role": "user", "content": [text]},
        {"role": "assistant", "content": [called]},
        {"role": "user", "content": [result]},
        {"role": "user", "content": [text]},
    ]);
    assert_eq!((&sent["messages"], sent.get("system")), (&messages, None));
}
