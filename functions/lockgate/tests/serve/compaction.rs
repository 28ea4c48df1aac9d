//! `POST /v1/responses/compact` and the item `compaction_trigger`: a conversation becomes one item.

use serde_json::{Value, json};
use testkit::client::ClientResponse;
use testkit::lockgate::Lockgate;
use testkit::openai;
use testkit::provider::{FakeProvider, ScriptedResponse};

use crate::support::{KEY, error_of, only, send, serve};
use crate::wire_formats::{self, Format, events};

const COMPACT: &str = "/v1/responses/compact";

/// A gateway before one provider of a type.
async fn gateway_of(kind: &str, fake: &FakeProvider) -> Lockgate {
    let url = fake.url();
    serve(&format!(
        "api_key: {KEY}\nproviders:\n  - {{ name: first, type: {kind}, base_url: \"{url}\", api_key: k }}\n"
    ))
    .await
}

async fn post(gateway: &Lockgate, path: &str, body: &Value) -> ClientResponse {
    send(gateway, "POST", path, &[("x-api-key", KEY)], body.to_string()).await
}

/// A conversation with tools, as Codex sends it.
fn conversation() -> Value {
    let tool = json!({"type": "function", "name": "read_file", "parameters": {"type": "object"}});
    json!({
        "model": "first/m",
        "instructions": "You are a coding agent.",
        "tools": [tool],
        "input": [
            {"type": "additional_tools", "tools": [{"type": "function", "name": "late"}]},
            {"type": "message", "role": "user", "content": "Mend the parser."},
            {"type": "function_call", "call_id": "c1", "name": "read_file", "arguments": "{\"path\":\"a.rs\"}"},
            {"type": "function_call_output", "call_id": "c1", "output": "fn parse() {}"},
            {"type": "message", "role": "assistant", "content": "I read a.rs."},
        ],
    })
}

fn triggered(stream: bool) -> Value {
    let mut request = conversation();
    let input = request["input"].as_array_mut().unwrap();
    input.push(json!({"type": "compaction_trigger"}));
    request["stream"] = stream.into();
    request["store"] = false.into();
    request
}

fn is_compaction(output: &Value) -> bool {
    let items = output.as_array().unwrap();
    let has_content =
        |it: &Value| it["encrypted_content"].as_str().is_some_and(|it| !it.is_empty());
    items.len() == 1 && items[0]["type"] == "compaction" && has_content(&items[0])
}

#[tokio::test]
async fn a_provider_with_compaction_gets_the_request() {
    let compacted = json!({
        "id": "resp_1", "object": "response.compaction", "created_at": 1,
        "output": [{"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAAA"}],
        "usage": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7,
            "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}},
    });
    let fake = FakeProvider::start().await;
    fake.respond_with([ScriptedResponse::json(200, &compacted)]);
    let gateway = gateway_of("openai-responses", &fake).await;
    let response = post(&gateway, COMPACT, &conversation()).await;
    assert_eq!(response.json().await.unwrap(), compacted);
    let seen = only(&fake);
    assert_eq!(seen.target, COMPACT);
    let mut expected = conversation();
    expected["model"] = "m".into();
    assert_eq!(seen.json(), expected);
}

#[tokio::test]
async fn a_provider_without_compaction_writes_a_summary_without_tools() {
    for format in wire_formats::ALL {
        let fake = FakeProvider::responding_with(move |seen| {
            if seen.target.ends_with("/compact") {
                return openai::error(404, "invalid_request_error", "no such path");
            }
            format.whole("The parser was read.")
        })
        .await;
        let gateway = gateway_of(format.kind(), &fake).await;
        let response = post(&gateway, COMPACT, &conversation()).await;
        let (status, body) = (response.status, response.json().await.unwrap());
        assert_eq!(status, 200, "{format:?} {body}");
        assert_eq!(body["object"], "response.compaction");
        assert!(is_compaction(&body["output"]), "{format:?} {body}");
        assert!(body["usage"]["total_tokens"].is_u64(), "{body}");

        let sent = fake.requests().last().unwrap().json();
        assert!(sent["tools"].as_array().is_none_or(Vec::is_empty), "{format:?} {sent}");
        let sent = sent.to_string();
        assert!(!sent.contains("\"late\"") && sent.contains("Summarize"), "{sent}");
        assert!(sent.contains("Mend the parser.") && sent.contains("fn parse() {}"), "{sent}");
    }
}

#[tokio::test]
async fn a_trigger_gives_one_item_whole_and_streamed() {
    for format in [Format::Chat, Format::Messages, Format::Gemini] {
        for stream in [false, true] {
            let fake = FakeProvider::start().await;
            fake.respond_with([if stream { format.stream("Read") } else { format.whole("Read") }]);
            let gateway = gateway_of(format.kind(), &fake).await;
            let response = post(&gateway, "/v1/responses", &triggered(stream)).await;
            assert_eq!(response.status, 200, "{format:?}");
            if !stream {
                let body = response.json().await.unwrap();
                assert_eq!(
                    (&body["object"], &body["status"]),
                    (&json!("response"), &json!("completed"))
                );
                assert!(is_compaction(&body["output"]), "{body}");
                continue;
            }
            let text = response.text().await.unwrap();
            let events = events(&text);
            let of = |kind: &str| events.iter().filter(|it| it["type"] == kind).collect::<Vec<_>>();
            let done = of("response.output_item.done");
            assert_eq!(done.len(), 1, "{text}");
            assert!(is_compaction(&json!([done[0]["item"]])), "{text}");
            assert!(is_compaction(&of("response.completed")[0]["response"]["output"]), "{text}");
            assert!(of("response.output_text.delta").is_empty(), "{text}");
        }
    }
}

#[tokio::test]
async fn a_trigger_passes_to_a_provider_that_knows_it_and_no_other() {
    let item = json!({"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAAA"});
    let native = json!({"id": "resp_1", "object": "response", "status": "completed", "model": "m", "output": [item]});
    for is_known in [true, false] {
        let known = native.clone();
        let fake = FakeProvider::responding_with(move |seen| {
            let has_trigger = seen.json().to_string().contains("compaction_trigger");
            match (has_trigger, is_known) {
                (true, true) => ScriptedResponse::json(200, &known),
                (true, false) => openai::error(
                    400,
                    "invalid_request_error",
                    "Invalid value: 'compaction_trigger'.",
                ),
                (false, _) => Format::Responses.whole("Read."),
            }
        })
        .await;
        let gateway = gateway_of("openai-responses", &fake).await;
        let response = post(&gateway, "/v1/responses", &triggered(false)).await;
        let body = response.json().await.unwrap();
        assert!(is_compaction(&body["output"]), "{body}");
        assert_eq!(body["output"][0]["encrypted_content"] == "gAAAA", is_known);
        assert_eq!(fake.requests().len(), if is_known { 1 } else { 2 });
    }
}

#[tokio::test]
async fn a_summary_comes_back_as_text_to_any_provider() {
    let fake = FakeProvider::start().await;
    fake.respond_with([openai::completion("Grüße: the parser was read.")]);
    let gateway = gateway_of("openai", &fake).await;
    let body = post(&gateway, COMPACT, &conversation()).await.json().await.unwrap();
    let item = body["output"][0].clone();
    for format in wire_formats::ALL {
        let fake = FakeProvider::start().await;
        fake.respond_with([format.whole("Hi")]);
        let gateway = gateway_of(format.kind(), &fake).await;
        let request =
            json!({"model": "first/m", "input": [item, {"role": "user", "content": "Go on."}]});
        let response = post(&gateway, "/v1/responses", &request).await;
        assert_eq!(
            (response.status.as_u16(), response.header("x-gateway-dropped")),
            (200, ""),
            "{format:?}"
        );
        let sent = only(&fake).json().to_string();
        assert!(sent.contains("Grüße: the parser was read.") && !sent.contains("lgsig"), "{sent}");
    }
}

#[tokio::test]
async fn a_foreign_item_is_left_out_and_named() {
    let foreign = json!({"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAAA"});
    let request =
        json!({"model": "first/m", "input": [foreign, {"role": "user", "content": "Go on."}]});
    for format in wire_formats::ALL {
        let fake = FakeProvider::responding_with(move |seen| {
            if seen.json().to_string().contains("gAAAA") {
                let message = "The encrypted content gAAA... could not be verified.";
                return openai::error(400, "invalid_request_error", message);
            }
            format.whole("Hi")
        })
        .await;
        let gateway = gateway_of(format.kind(), &fake).await;
        let response = post(&gateway, "/v1/responses", &request).await;
        let named = response.header("x-gateway-dropped").to_owned();
        let (status, body) = (response.status, response.json().await.unwrap());
        assert_eq!(status, 200, "{format:?}: {body}");
        assert_eq!(named, "input[].type=compaction", "{format:?}");
    }
}

#[tokio::test]
async fn a_summary_that_says_nothing_loses_no_conversation() {
    let fake = FakeProvider::start().await;
    fake.respond_with([openai::completion("  ")]);
    let gateway = gateway_of("openai", &fake).await;
    let (status, error) = error_of(post(&gateway, COMPACT, &conversation()).await).await;
    assert_eq!(status, 502, "{error}");
}
