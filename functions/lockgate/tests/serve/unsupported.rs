//! A model that does not take a field, or its value, which its API has.

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

async fn before(provider: Speech, fake: &Fake) -> Lockgate {
    let (kind, url) = (provider.kind(), fake.url());
    serve(&format!(
        "api_key: {KEY}
providers: [{{ name: p, type: {kind}, base_url: \"{url}\", api_key: secret }}]
routes: [{{ name: r, steps: [{{ provider: p, model: m }}] }}]"
    ))
    .await
}

fn question(client: Speech) -> Value {
    let mut question = client.question("r", false);
    match client {
        Speech::Gemini => {
            question["generationConfig"] = json!({"temperature": 0.2, "topP": 0.5});
        }
        _ => {
            question["temperature"] = 0.2.into();
            question["top_p"] = 0.5.into();
        }
    }
    question
}

fn refusal(field: &str) -> Scripted {
    let message = format!("Unsupported value: '{field}' does not support 0.2 with this model.");
    let error = json!({"message": message, "type": "invalid_request_error", "code": 400});
    Scripted::json(400, &json!({"type": "error", "error": error}))
}

async fn post(gateway: &Lockgate, client: Speech, strict: &str) -> Answer {
    let headers = [("x-api-key", KEY), ("x-gateway-strict", strict)];
    let body = question(client).to_string();
    send(gateway, "POST", &client.path("r", false), &headers, body).await
}

#[tokio::test]
async fn each_field_that_is_refused_is_left_out() {
    for client in speech::ALL {
        for provider in speech::ALL {
            let fake = Fake::start().await;
            fake.answers([refusal("temperature"), refusal("top_p"), provider.whole("Hi")]);
            let gateway = before(provider, &fake).await;
            let answer = post(&gateway, client, "false").await;
            assert_eq!(answer.header("x-gateway-attempts"), "3", "{client:?} {provider:?}");
            let dropped = answer.header("x-gateway-dropped").to_lowercase();
            assert!(dropped.contains("temperature") && dropped.contains("top"), "{dropped}");
            assert_eq!(client.said(&answer.json().await.unwrap()), "Hi");
            let [first, second, third] = &fake.seen()[..] else { panic!("{:?}", fake.seen()) };
            let holds = |request: &testkit::provider::Seen| {
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
async fn a_strict_client_hears_of_it() {
    for client in speech::ALL {
        let fake = Fake::start().await;
        fake.answers([refusal("temperature")]);
        let gateway = before(client, &fake).await;
        let answer = post(&gateway, client, "true").await;
        assert_eq!((answer.status.as_u16(), fake.seen().len()), (400, 1));
    }
}

#[tokio::test]
async fn who_refuses_the_same_again_is_not_asked_for_ever() {
    let fake = Fake::start().await;
    fake.answers([refusal("temperature"), refusal("temperature")]);
    let gateway = before(Speech::Chat, &fake).await;
    let answer = post(&gateway, Speech::Chat, "false").await;
    assert_eq!((answer.status.as_u16(), fake.seen().len()), (400, 2));
}

/// The same question, whose answer is to follow a schema.
fn with_schema(client: Speech) -> Value {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let mut question = client.question("r", false);
    let named = json!({"type": "json_schema", "name": "n", "schema": schema});
    match client {
        Speech::Chat => {
            question["response_format"] =
                json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
        }
        Speech::Responses => question["text"] = json!({"format": named}),
        Speech::Messages => {
            question["output_config"] =
                json!({"format": {"type": "json_schema", "schema": schema}});
        }
        Speech::Gemini => {
            question["generationConfig"] =
                json!({"responseMimeType": "application/json", "responseJsonSchema": schema});
        }
    }
    question
}

#[tokio::test]
async fn a_schema_that_is_refused_is_told_in_words() {
    for client in speech::ALL {
        for strict in ["false", "true"] {
            let fake = Fake::start().await;
            let message = "This response_format type is unavailable now";
            let error = json!({"message": message, "type": "invalid_request_error"});
            fake.answers([Scripted::json(400, &json!({"error": error})), Speech::Chat.whole("Hi")]);
            let gateway = before(Speech::Chat, &fake).await;
            let headers = [("x-api-key", KEY), ("x-gateway-strict", strict)];
            let (path, body) = (client.path("r", false), with_schema(client).to_string());
            let answer = send(&gateway, "POST", &path, &headers, body).await;
            if strict == "true" {
                assert_eq!((answer.status.as_u16(), fake.seen().len()), (400, 1), "{client:?}");
                continue;
            }
            assert_eq!(answer.status.as_u16(), 200, "{client:?}");
            assert!(answer.header("x-gateway-dropped").to_lowercase().contains("schema"));
            let [first, second] = [0, 1].map(|at| fake.seen()[at].json());
            assert_eq!(first["response_format"]["type"], "json_schema");
            assert_eq!(second["response_format"], json!({"type": "json_object"}));
            let (was, is) = (first["messages"].as_array(), second["messages"].as_array());
            let (was, is) = (was.unwrap(), is.unwrap());
            assert_eq!(was.len() + 1, is.len(), "{client:?}");
            let told = is[0]["content"].as_str().unwrap();
            assert!(told.contains("JSON Schema") && told.contains("\"properties\""), "{told}");
            assert_eq!(was[..], is[1..]);
        }
    }
}
