//! Requests of OpenAI's Codex, with a provider that supports only functions.

use serde_json::{Value, json};
use testkit::{
    client::ClientResponse,
    lockgate::Lockgate,
    openai,
    provider::{FakeProvider, ScriptedResponse},
};

use crate::{
    support::{KEY, send, serve},
    wire_formats::{Format, events},
};

async fn gateway_for(fake: &FakeProvider) -> Lockgate {
    serve(&format!(
        "api_key: {KEY}
providers: [{{ name: p, base_url: \"{}\" }}]
routes: [{{ name: r, steps: [{{ provider: p, model: m }}] }}]",
        fake.url()
    ))
    .await
}

async fn post(gateway: &Lockgate, body: &Value) -> ClientResponse {
    let path = Format::Responses.path("r", false);
    send(gateway, "POST", &path, &[("x-api-key", KEY)], body.to_string()).await
}

/// A call as a provider makes it, whole and streamed.
fn called(name: &str, arguments: &str) -> [ScriptedResponse; 2] {
    let (first, second) = arguments.split_at(arguments.len() / 2);
    [
        openai::completion_with_tool("c1", name, arguments),
        ScriptedResponse::stream([
            openai::tool_call(0, "c1", name),
            openai::tool_arguments(0, first),
            openai::tool_arguments(0, second),
            openai::finish("tool_calls"),
            openai::done(),
        ]),
    ]
}

#[tokio::test]
async fn namespaced_tools_work_on_a_format_without_namespaces() {
    let tool =
        |name: &str| json!({"type": "function", "name": name, "parameters": {"type": "object"}});
    let crm = json!({"type": "namespace", "name": "crm", "tools": [tool("find"), tool("list")]});
    let added = json!({"type": "additional_tools", "role": "developer", "tools": [tool("late")]});
    let user = json!({"role": "user", "content": "Hello"});
    let mut request = json!({
        "model": "r", "store": false, "tools": [tool("plain"), crm], "input": [added, user],
    });
    let fake = FakeProvider::start().await;
    let gateway = gateway_for(&fake).await;
    fake.respond_with([openai::completion("Hi")]);
    post(&gateway, &request).await;
    let sent = fake.requests()[0].json();
    let tools = sent["tools"].as_array().unwrap();
    let mut names: Vec<_> =
        tools.iter().map(|it| it["function"]["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names.len(), 4, "{sent}");
    let find = names.iter().find(|it| it.starts_with("crm_find_")).unwrap().to_string();
    assert!(names.contains(&"late") && names.contains(&"plain"), "{names:?}");

    fake.respond_with(called(&find, "{}"));
    let response = post(&gateway, &request).await.json().await.unwrap();
    let call = response["output"][0].clone();
    assert_eq!((&call["namespace"], &call["name"]), (&json!("crm"), &json!("find")), "{response}");
    request["stream"] = true.into();
    let stream = post(&gateway, &request).await.text().await.unwrap();
    let items = events(&stream).into_iter().filter(|it| it["type"] == "response.output_item.done");
    let items: Vec<_> =
        items.map(|it| [it["item"]["namespace"].clone(), it["item"]["name"].clone()]).collect();
    assert_eq!(items, [[json!("crm"), json!("find")]], "{stream}");

    request["stream"] = false.into();
    let result = json!({"type": "function_call_output", "call_id": "c1", "output": "x"});
    request["input"].as_array_mut().unwrap().extend([call, result]);
    fake.respond_with([openai::completion("Done")]);
    post(&gateway, &request).await;
    let sent = fake.requests().pop().unwrap().json();
    assert_eq!(sent["messages"][1]["tool_calls"][0]["function"]["name"], find, "{sent}");
}

#[tokio::test]
async fn a_custom_tool_takes_free_text() {
    let grammar = json!({"type": "grammar", "syntax": "lark", "definition": "start: \"a\""});
    let mut request = json!({
        "model": "r", "store": false, "input": [{"role": "user", "content": "Hello"}],
        "tools": [{"type": "custom", "name": "apply_patch", "description": "Edits.", "format": grammar}],
        "tool_choice": {"type": "custom", "name": "apply_patch"},
    });
    let fake = FakeProvider::start().await;
    let gateway = gateway_for(&fake).await;
    fake.respond_with([openai::completion("Hi")]);
    post(&gateway, &request).await;
    let sent = fake.requests()[0].json();
    let function = &sent["tools"][0]["function"];
    let name = function["name"].as_str().unwrap().to_owned();
    assert!(name.starts_with("apply_patch_custom_"), "{name}");
    assert_eq!(sent["tool_choice"]["function"]["name"], name);
    assert_eq!(function["parameters"]["required"], json!(["input"]));
    assert!(function["description"].as_str().unwrap().ends_with("grammar (lark):\nstart: \"a\""));

    let patch = "*** Begin Patch\n+\"a\"\n*** End Patch";
    fake.respond_with(called(&name, &json!({"input": patch}).to_string()));
    let response = post(&gateway, &request).await.json().await.unwrap();
    let call = response["output"][0].clone();
    let fields = |it: &Value| ["type", "call_id", "name", "input"].map(|name| it[name].clone());
    let wanted = ["custom_tool_call", "c1", "apply_patch", patch].map(Value::from);
    assert_eq!(fields(&call), wanted, "{response}");
    request["stream"] = true.into();
    let stream = post(&gateway, &request).await.text().await.unwrap();
    let events = events(&stream);
    let of = |kind: &str| events.iter().find(|it| it["type"] == kind).unwrap();
    assert_eq!(of("response.output_item.added")["item"]["input"], "");
    assert_eq!(of("response.custom_tool_call_input.delta")["delta"], patch);
    assert_eq!(of("response.custom_tool_call_input.done")["input"], patch);
    assert_eq!(fields(&of("response.output_item.done")["item"]), wanted);
    assert_eq!(fields(&of("response.completed")["response"]["output"][0]), wanted);
    assert!(!stream.contains("function_call"), "{stream}");

    request["stream"] = false.into();
    let result = json!({"type": "custom_tool_call_output", "call_id": "c1", "output": "Done."});
    request["input"].as_array_mut().unwrap().extend([call, result]);
    fake.respond_with([openai::completion("Done")]);
    post(&gateway, &request).await;
    let sent = fake.requests().pop().unwrap().json();
    let function = &sent["messages"][1]["tool_calls"][0]["function"];
    let arguments: Value = serde_json::from_str(function["arguments"].as_str().unwrap()).unwrap();
    assert_eq!((&function["name"], &arguments["input"]), (&json!(name), &json!(patch)), "{sent}");
    assert_eq!(sent["messages"][2]["content"], "Done.");
}
