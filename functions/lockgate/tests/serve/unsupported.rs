//! A model that does not take a field, or its value, which its API has.

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

async fn gateway_for(provider: Format, fake: &FakeProvider) -> Lockgate {
    let (kind, url) = (provider.kind(), fake.url());
    serve(&format!(
        "api_key: {KEY}
providers: [{{ name: p, type: {kind}, base_url: \"{url}\", api_key: secret }}]
routes: [{{ name: r, steps: [{{ provider: p, model: m }}] }}]"
    ))
    .await
}

fn question(client: Format) -> Value {
    let mut question = client.request("r", false);
    match client {
        Format::Gemini => {
            question["generationConfig"] = json!({"temperature": 0.2, "topP": 0.5});
        }
        _ => {
            question["temperature"] = 0.2.into();
            question["top_p"] = 0.5.into();
        }
    }
    question
}

fn refusal(field: &str) -> ScriptedResponse {
    let message = format!("Unsupported value: '{field}' does not support 0.2 with this model.");
    let error = json!({"message": message, "type": "invalid_request_error", "code": 400});
    ScriptedResponse::json(400, &json!({"type": "error", "error": error}))
}

async fn post(gateway: &Lockgate, client: Format, strict: &str) -> ClientResponse {
    let headers = [("x-api-key", KEY), ("x-gateway-strict", strict)];
    let body = question(client).to_string();
    send(gateway, "POST", &client.path("r", false), &headers, body).await
}

#[tokio::test]
async fn each_rejected_field_is_dropped() {
    for client in wire_formats::ALL {
        for provider in wire_formats::ALL {
            let fake = FakeProvider::start().await;
            fake.respond_with([refusal("temperature"), refusal("top_p"), provider.whole("Hi")]);
            let gateway = gateway_for(provider, &fake).await;
            let response = post(&gateway, client, "false").await;
            assert_eq!(response.header("x-gateway-attempts"), "3", "{client:?} {provider:?}");
            let dropped = response.header("x-gateway-dropped").to_lowercase();
            assert!(dropped.contains("temperature") && dropped.contains("top"), "{dropped}");
            assert_eq!(client.response_text(&response.json().await.unwrap()), "Hi");
            let [first, second, third] = &fake.requests()[..] else {
                panic!("{:?}", fake.requests())
            };
            let holds = |request: &testkit::provider::ReceivedRequest| {
                ["\"temperature\":", "\"top"].map(|it| request.json().to_string().contains(it))
            };
            let held = [first, second, third].map(holds);
            assert_eq!(
                held,
                [[true, true], [false, true], [false, false]],
                "{client:?} {provider:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_strict_request_gets_the_rejection() {
    for client in wire_formats::ALL {
        let fake = FakeProvider::start().await;
        fake.respond_with([refusal("temperature")]);
        let gateway = gateway_for(client, &fake).await;
        let response = post(&gateway, client, "true").await;
        assert_eq!((response.status.as_u16(), fake.requests().len()), (400, 1));
    }
}

#[tokio::test]
async fn a_repeated_rejection_ends_the_retries() {
    let fake = FakeProvider::start().await;
    fake.respond_with([refusal("temperature"), refusal("temperature")]);
    let gateway = gateway_for(Format::Chat, &fake).await;
    let response = post(&gateway, Format::Chat, "false").await;
    assert_eq!((response.status.as_u16(), fake.requests().len()), (400, 2));
}

/// The same request, with a JSON Schema as response format.
fn with_schema(client: Format) -> Value {
    let schema = json!({
        "type": "object", "properties": {"a": {"type": "string"}},
        "required": ["a"], "additionalProperties": false,
    });
    let mut question = client.request("r", false);
    let named = json!({"type": "json_schema", "name": "n", "schema": schema});
    match client {
        Format::Chat => {
            question["response_format"] =
                json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
        }
        Format::Responses => question["text"] = json!({"format": named}),
        Format::Messages => {
            question["output_config"] =
                json!({"format": {"type": "json_schema", "schema": schema}});
        }
        Format::Gemini => {
            question["generationConfig"] =
                json!({"responseMimeType": "application/json", "responseJsonSchema": schema});
        }
    }
    question
}

#[tokio::test]
async fn a_rejected_schema_is_sent_as_an_instruction() {
    for client in wire_formats::ALL {
        for strict in ["false", "true"] {
            let fake = FakeProvider::start().await;
            let message = "This response_format type is unavailable now";
            let error = json!({"message": message, "type": "invalid_request_error"});
            fake.respond_with([
                ScriptedResponse::json(400, &json!({"error": error})),
                Format::Chat.whole("Hi"),
            ]);
            let gateway = gateway_for(Format::Chat, &fake).await;
            let headers = [("x-api-key", KEY), ("x-gateway-strict", strict)];
            let (path, body) = (client.path("r", false), with_schema(client).to_string());
            let response = send(&gateway, "POST", &path, &headers, body).await;
            if strict == "true" {
                assert_eq!(
                    (response.status.as_u16(), fake.requests().len()),
                    (400, 1),
                    "{client:?}"
                );
                continue;
            }
            assert_eq!(response.status.as_u16(), 200, "{client:?}");
            assert!(response.header("x-gateway-dropped").to_lowercase().contains("schema"));
            let [first, second] = [0, 1].map(|at| fake.requests()[at].json());
            assert_eq!(first["response_format"]["type"], "json_schema");
            assert_eq!(second["response_format"], json!({"type": "json_object"}));
            let (was, is) = (first["messages"].as_array(), second["messages"].as_array());
            let (was, is) = (was.unwrap(), is.unwrap());
            assert_eq!(was.len() + 1, is.len(), "{client:?}");
            let instruction = is[0]["content"].as_str().unwrap();
            assert!(
                instruction.contains("JSON Schema") && instruction.contains("\"properties\""),
                "{instruction}"
            );
            assert_eq!(was[..], is[1..]);
        }
    }
}
