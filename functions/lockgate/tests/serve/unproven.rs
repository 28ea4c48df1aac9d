//! What proves an earlier thought, before providers who do not take it: another model made it, or
//! another account, or it was lost.

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

/// What a provider made to prove a thought, in base64 as Gemini wants it.
const PROOF: &str = "c2VjcmV0IHByb29m";

async fn before(speech: Speech, fake: &Fake) -> Lockgate {
    let (kind, url) = (speech.kind(), fake.url());
    serve(&format!(
        "api_key: {KEY}
providers: [{{ name: p, type: {kind}, base_url: \"{url}\", api_key: secret }}]
routes: [{{ name: r, steps: [{{ provider: p, model: m }}] }}]"
    ))
    .await
}

/// A second turn whose first had a thought, as a client of this format keeps it.
fn second_turn(client: Speech) -> Value {
    match client {
        Speech::Chat => json!({"model": "r", "messages": [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hi", "reasoning_details": [
                {"type": "reasoning.encrypted", "data": PROOF, "id": "1", "format": "x", "index": 0},
            ]},
            {"role": "user", "content": "And now?"},
        ]}),
        Speech::Responses => json!({"model": "r", "store": false, "input": [
            {"role": "user", "content": "Hello"},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": PROOF},
            {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "done"},
        ]}),
        Speech::Messages => json!({
            "model": "r", "max_tokens": 2048, "thinking": {"type": "enabled", "budget_tokens": 1024},
            "messages": [
                {"role": "user", "content": "Hello"},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "hm", "signature": PROOF},
                    {"type": "tool_use", "id": "t1", "name": "f", "input": {}},
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": "done"},
                ]},
            ],
        }),
        Speech::Gemini => json!({"contents": [
            {"role": "user", "parts": [{"text": "Hello"}]},
            {"role": "model", "parts": [
                {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": PROOF},
            ]},
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"a": 1}}}]},
        ]}),
    }
}

/// How a provider of this format says that it does not take a proof.
fn refusal(provider: Speech) -> Scripted {
    let body = match provider {
        Speech::Chat | Speech::Responses => json!({"error": {
            "message": "The encrypted content c2Vj... could not be verified.",
            "type": "invalid_request_error", "param": null, "code": "invalid_encrypted_content",
        }}),
        Speech::Messages => json!({"type": "error", "error": {
            "type": "invalid_request_error",
            "message": "messages.1.content.0: Invalid `signature` in `thinking` block",
        }}),
        Speech::Gemini => json!({"error": {
            "code": 400, "message": "Corrupted thought signature.", "status": "INVALID_ARGUMENT",
        }}),
    };
    Scripted::json(400, &body)
}

async fn post(gateway: &Lockgate, client: Speech, body: &Value, strict: &str) -> Answer {
    let headers = [("x-api-key", KEY), ("x-gateway-strict", strict)];
    send(gateway, "POST", &client.path("r", false), &headers, body.to_string()).await
}

#[tokio::test]
async fn a_proof_that_is_refused_is_left_out() {
    for speech in speech::ALL {
        let fake = Fake::start().await;
        fake.answers([refusal(speech), speech.whole("Hi")]);
        let gateway = before(speech, &fake).await;
        let answer = post(&gateway, speech, &second_turn(speech), "false").await;
        assert_eq!(answer.header("x-gateway-attempts"), "2", "{speech:?}");
        assert_ne!(answer.header("x-gateway-dropped"), "", "{speech:?}");
        assert_eq!(speech.said(&answer.json().await.unwrap()), "Hi");
        let [first, second] = &fake.seen()[..] else { panic!("{:?}", fake.seen()) };
        let holds = |seen: &testkit::provider::Seen| seen.json().to_string().contains(PROOF);
        assert!(holds(first) && !holds(second), "{speech:?}: {}", second.json());
    }
}

#[tokio::test]
async fn what_needs_the_proof_goes_with_it() {
    let asked = async |speech: Speech| {
        let fake = Fake::start().await;
        fake.answers([refusal(speech), speech.whole("Hi")]);
        let gateway = before(speech, &fake).await;
        assert_eq!(post(&gateway, speech, &second_turn(speech), "false").await.status, 200);
        fake.seen()[1].json()
    };
    // Thinking with a budget has to begin a turn that calls tools.
    let messages = asked(Speech::Messages).await;
    assert_eq!(messages.get("thinking"), None, "{messages}");
    // A call has to say that it has none.
    let gemini = asked(Speech::Gemini).await;
    let skip = &gemini["contents"][1]["parts"][0]["thoughtSignature"];
    assert_eq!(skip, "skip_thought_signature_validator", "{gemini}");
    // What came with a thought does not ask for it.
    let responses = asked(Speech::Responses).await;
    let call = json!({"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"});
    assert_eq!(responses["input"][1], call, "{responses}");
}

#[tokio::test]
async fn a_proof_that_rode_in_another_format_is_left_out_too() {
    let fake = Fake::start().await;
    let thought = json!({"type": "thinking", "thinking": "hm", "signature": PROOF});
    let text = json!({"type": "text", "text": "Hi"});
    let message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
        "content": [thought, text], "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 9, "output_tokens": 12},
    });
    let messages = Speech::Messages;
    fake.answers([Scripted::json(200, &message), refusal(messages), messages.whole("Later")]);
    let gateway = before(messages, &fake).await;
    let mut question = Speech::Chat.question("r", false);
    let first = post(&gateway, Speech::Chat, &question, "false").await.json().await.unwrap();
    let turns = question["messages"].as_array_mut().unwrap();
    turns.push(first["choices"][0]["message"].clone());
    turns.push(json!({"role": "user", "content": "And now?"}));
    let answer = post(&gateway, Speech::Chat, &question, "false").await;
    assert_eq!(answer.header("x-gateway-attempts"), "2");
    assert_eq!(Speech::Chat.said(&answer.json().await.unwrap()), "Later");
    let proofs: Vec<_> =
        fake.seen().iter().map(|it| it.json().to_string().contains(PROOF)).collect();
    assert_eq!(proofs, [false, true, false]);
}

#[tokio::test]
async fn a_strict_client_hears_of_it_instead() {
    let fake = Fake::start().await;
    fake.answers([refusal(Speech::Messages)]);
    let gateway = before(Speech::Messages, &fake).await;
    let answer = post(&gateway, Speech::Messages, &second_turn(Speech::Messages), "true").await;
    assert_eq!((answer.status.as_u16(), fake.seen().len()), (400, 1));
}

/// A thought and a call of the first turn, as Claude Code keeps what a model told in the open.
fn told_in_the_open() -> Value {
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

async fn deepseek(fake: &Fake) -> Lockgate {
    serve(&format!(
        "api_key: {KEY}
providers: [{{ name: p, type: deepseek, base_url: \"{}\", api_key: secret }}]
routes: [{{ name: r, steps: [{{ provider: p, model: deepseek-v4-pro }}] }}]",
        fake.url()
    ))
    .await
}

#[tokio::test]
async fn a_model_that_thinks_aloud_gets_its_thought_back_from_any_client() {
    for client in [Speech::Messages, Speech::Responses, Speech::Gemini] {
        let fake = Fake::start().await;
        fake.answers([Scripted::json(200, &told_in_the_open()), Speech::Chat.whole("Done")]);
        let gateway = deepseek(&fake).await;
        let mut question = client.question("r", false);
        let first = post(&gateway, client, &question, "false").await.json().await.unwrap();
        match client {
            Speech::Messages => {
                let call = first["content"][1]["id"].clone();
                let result = json!({"type": "tool_result", "tool_use_id": call, "content": "x"});
                let turns = question["messages"].as_array_mut().unwrap();
                turns.push(json!({"role": "assistant", "content": first["content"]}));
                turns.push(json!({"role": "user", "content": [result]}));
            }
            Speech::Responses => {
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
        let answer = post(&gateway, client, &question, "false").await;
        assert_eq!(answer.header("x-gateway-attempts"), "1", "{client:?}");
        let second = fake.seen()[1].json();
        let called = &second["messages"][1];
        assert_eq!(called["reasoning_content"], "I look it up.", "{client:?}: {second}");
        assert_eq!(called["tool_calls"][0]["function"]["name"], "f");
    }
}

#[tokio::test]
async fn a_thought_that_the_client_did_not_keep_is_made_up_for() {
    let fake = Fake::start().await;
    let demand = "The `reasoning_content` in the thinking mode must be passed back to the API.";
    let demand = json!({"error": {"message": demand, "type": "invalid_request_error"}});
    fake.answers([Scripted::json(400, &demand), Speech::Chat.whole("Done")]);
    let gateway = deepseek(&fake).await;
    let call =
        json!({"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let question = json!({"model": "r", "messages": [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "I look.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "x"},
    ]});
    let answer = post(&gateway, Speech::Chat, &question, "false").await;
    assert_eq!(answer.header("x-gateway-attempts"), "2");
    let [first, second] = &fake.seen()[..] else { panic!("{:?}", fake.seen()) };
    assert_eq!(first.json()["messages"], question["messages"]);
    let called = &second.json()["messages"][1];
    assert_eq!(
        (&called["reasoning_content"], &called["content"]),
        (&json!("."), &json!("I look."))
    );
    assert_eq!(second.json()["messages"][2], question["messages"][2]);
}
