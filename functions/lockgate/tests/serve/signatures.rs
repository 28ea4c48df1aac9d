//! Signatures of earlier reasoning, with providers that reject them: another model or another
//! account made them, or they were lost.

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

/// A provider's signature, in base64 as Gemini requires.
const SIGNATURE: &str = "c2VjcmV0IHByb29m";

async fn gateway_for(format: Format, fake: &FakeProvider) -> Lockgate {
    let (kind, url) = (format.kind(), fake.url());
    serve(&format!(
        "api_key: {KEY}
providers: [{{ name: p, type: {kind}, base_url: \"{url}\", api_key: secret }}]
routes: [{{ name: r, steps: [{{ provider: p, model: m }}] }}]"
    ))
    .await
}

/// A second request whose first had reasoning, as a client of this format keeps it.
fn second_turn(client: Format) -> Value {
    match client {
        Format::Chat => json!({"model": "r", "messages": [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hi", "reasoning_details": [
                {"type": "reasoning.encrypted", "data": SIGNATURE, "id": "1", "format": "x", "index": 0},
            ]},
            {"role": "user", "content": "And now?"},
        ]}),
        Format::Responses => json!({"model": "r", "store": false, "input": [
            {"role": "user", "content": "Hello"},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": SIGNATURE},
            {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "done"},
        ]}),
        Format::Messages => json!({
            "model": "r", "max_tokens": 2048, "thinking": {"type": "enabled", "budget_tokens": 1024},
            "messages": [
                {"role": "user", "content": "Hello"},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "hm", "signature": SIGNATURE},
                    {"type": "tool_use", "id": "t1", "name": "f", "input": {}},
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": "done"},
                ]},
            ],
        }),
        Format::Gemini => json!({"contents": [
            {"role": "user", "parts": [{"text": "Hello"}]},
            {"role": "model", "parts": [
                {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": SIGNATURE},
            ]},
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"a": 1}}}]},
        ]}),
    }
}

/// The error of a provider of this format that rejects a signature.
fn refusal(provider: Format) -> ScriptedResponse {
    let body = match provider {
        Format::Chat | Format::Responses => json!({"error": {
            "message": "The encrypted content c2Vj... could not be verified.",
            "type": "invalid_request_error", "param": null, "code": "invalid_encrypted_content",
        }}),
        Format::Messages => json!({"type": "error", "error": {
            "type": "invalid_request_error",
            "message": "messages.1.content.0: Invalid `signature` in `thinking` block",
        }}),
        Format::Gemini => json!({"error": {
            "code": 400, "message": "Corrupted thought signature.", "status": "INVALID_ARGUMENT",
        }}),
    };
    ScriptedResponse::json(400, &body)
}

async fn post(gateway: &Lockgate, client: Format, body: &Value, strict: &str) -> ClientResponse {
    let headers = [("x-api-key", KEY), ("x-gateway-strict", strict)];
    send(gateway, "POST", &client.path("r", false), &headers, body.to_string()).await
}

#[tokio::test]
async fn an_invalid_signature_is_dropped() {
    for format in wire_formats::ALL {
        let fake = FakeProvider::start().await;
        fake.respond_with([refusal(format), format.whole("Hi")]);
        let gateway = gateway_for(format, &fake).await;
        let response = post(&gateway, format, &second_turn(format), "false").await;
        assert_eq!(response.header("x-gateway-attempts"), "2", "{format:?}");
        assert_ne!(response.header("x-gateway-dropped"), "", "{format:?}");
        assert_eq!(format.response_text(&response.json().await.unwrap()), "Hi");
        let [first, second] = &fake.requests()[..] else { panic!("{:?}", fake.requests()) };
        let holds =
            |seen: &testkit::provider::ReceivedRequest| seen.json().to_string().contains(SIGNATURE);
        assert!(holds(first) && !holds(second), "{format:?}: {}", second.json());
    }
}

#[tokio::test]
async fn what_depends_on_an_invalid_signature_is_dropped_with_it() {
    let second_request = async |format: Format| {
        let fake = FakeProvider::start().await;
        fake.respond_with([refusal(format), format.whole("Hi")]);
        let gateway = gateway_for(format, &fake).await;
        assert_eq!(post(&gateway, format, &second_turn(format), "false").await.status, 200);
        fake.requests()[1].json()
    };
    // Thinking with a budget has to begin a turn that calls tools.
    let messages = second_request(Format::Messages).await;
    assert_eq!(messages.get("thinking"), None, "{messages}");
    // A tool call must be marked as unsigned.
    let gemini = second_request(Format::Gemini).await;
    let skip = &gemini["contents"][1]["parts"][0]["thoughtSignature"];
    assert_eq!(skip, "skip_thought_signature_validator", "{gemini}");
    // A tool call does not need its reasoning.
    let responses = second_request(Format::Responses).await;
    let call = json!({"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"});
    assert_eq!(responses["input"][1], call, "{responses}");
}

#[tokio::test]
async fn an_invalid_signature_carried_in_another_format_is_dropped() {
    let fake = FakeProvider::start().await;
    let reasoning = json!({"type": "thinking", "thinking": "hm", "signature": SIGNATURE});
    let text = json!({"type": "text", "text": "Hi"});
    let message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
        "content": [reasoning, text], "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 9, "output_tokens": 12},
    });
    let messages = Format::Messages;
    fake.respond_with([
        ScriptedResponse::json(200, &message),
        refusal(messages),
        messages.whole("Later"),
    ]);
    let gateway = gateway_for(messages, &fake).await;
    let mut question = Format::Chat.request("r", false);
    let first = post(&gateway, Format::Chat, &question, "false").await.json().await.unwrap();
    let turns = question["messages"].as_array_mut().unwrap();
    turns.push(first["choices"][0]["message"].clone());
    turns.push(json!({"role": "user", "content": "And now?"}));
    let response = post(&gateway, Format::Chat, &question, "false").await;
    assert_eq!(response.header("x-gateway-attempts"), "2");
    assert_eq!(Format::Chat.response_text(&response.json().await.unwrap()), "Later");
    let signatures: Vec<_> =
        fake.requests().iter().map(|it| it.json().to_string().contains(SIGNATURE)).collect();
    assert_eq!(signatures, [false, true, false]);
}

#[tokio::test]
async fn a_strict_request_gets_the_invalid_signature_error() {
    let fake = FakeProvider::start().await;
    fake.respond_with([refusal(Format::Messages)]);
    let gateway = gateway_for(Format::Messages, &fake).await;
    let response = post(&gateway, Format::Messages, &second_turn(Format::Messages), "true").await;
    assert_eq!((response.status.as_u16(), fake.requests().len()), (400, 1));
}

/// Reasoning and a tool call of the first response, as Claude Code keeps plain-text reasoning.
fn plain_text_reasoning() -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "deepseek-v4-pro",
        "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
            "role": "assistant", "content": null, "reasoning_content": "I look it up.",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            ],
        }}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21},
    })
}

async fn deepseek(fake: &FakeProvider) -> Lockgate {
    serve(&format!(
        "api_key: {KEY}
providers: [{{ name: p, type: deepseek, base_url: \"{}\", api_key: secret }}]
routes: [{{ name: r, steps: [{{ provider: p, model: deepseek-v4-pro }}] }}]",
        fake.url()
    ))
    .await
}

#[tokio::test]
async fn reasoning_text_returns_to_its_model_from_any_client() {
    for client in [Format::Messages, Format::Responses, Format::Gemini] {
        let fake = FakeProvider::start().await;
        fake.respond_with([
            ScriptedResponse::json(200, &plain_text_reasoning()),
            Format::Chat.whole("Done"),
        ]);
        let gateway = deepseek(&fake).await;
        let mut question = client.request("r", false);
        let first = post(&gateway, client, &question, "false").await.json().await.unwrap();
        match client {
            Format::Messages => {
                let call = first["content"][1]["id"].clone();
                let result = json!({"type": "tool_result", "tool_use_id": call, "content": "x"});
                let turns = question["messages"].as_array_mut().unwrap();
                turns.push(json!({"role": "assistant", "content": first["content"]}));
                turns.push(json!({"role": "user", "content": [result]}));
            }
            Format::Responses => {
                let items = first["output"].as_array().unwrap();
                let call = items.last().unwrap()["call_id"].clone();
                let result =
                    json!({"type": "function_call_output", "call_id": call, "output": "x"});
                let user = json!({"role": "user", "content": "Hello"});
                question["input"] = [&[user], &items[..], &[result]].concat().into();
            }
            _ => {
                let result = json!({"functionResponse": {"name": "f", "response": {"a": "x"}}});
                let turns = question["contents"].as_array_mut().unwrap();
                turns.push(first["candidates"][0]["content"].clone());
                turns.push(json!({"role": "user", "parts": [result]}));
            }
        }
        let response = post(&gateway, client, &question, "false").await;
        assert_eq!(response.header("x-gateway-attempts"), "1", "{client:?}");
        let second = fake.requests()[1].json();
        let called = &second["messages"][1];
        assert_eq!(called["reasoning_content"], "I look it up.", "{client:?}: {second}");
        assert_eq!(called["tool_calls"][0]["function"]["name"], "f");
    }
}

#[tokio::test]
async fn reasoning_lost_by_the_client_is_compensated() {
    let fake = FakeProvider::start().await;
    let demand = "The `reasoning_content` in the thinking mode must be passed back to the API.";
    let demand = json!({"error": {"message": demand, "type": "invalid_request_error"}});
    fake.respond_with([ScriptedResponse::json(400, &demand), Format::Chat.whole("Done")]);
    let gateway = deepseek(&fake).await;
    let call =
        json!({"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let question = json!({"model": "r", "messages": [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "I look.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "x"},
    ]});
    let response = post(&gateway, Format::Chat, &question, "false").await;
    assert_eq!(response.header("x-gateway-attempts"), "2");
    let [first, second] = &fake.requests()[..] else { panic!("{:?}", fake.requests()) };
    assert_eq!(first.json()["messages"], question["messages"]);
    let called = &second.json()["messages"][1];
    assert_eq!(
        (&called["reasoning_content"], &called["content"]),
        (&json!("."), &json!("I look."))
    );
    assert_eq!(second.json()["messages"][2], question["messages"][2]);
}
