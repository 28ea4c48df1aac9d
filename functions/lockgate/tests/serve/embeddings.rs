//! `POST /v1/embeddings`: the numbers of texts.

use serde_json::{Value, json};
use testkit::client;
use testkit::lockgate::Lockgate;
use testkit::openai;
use testkit::provider::{FakeProvider, ScriptedResponse};

use crate::support::{BOTH, KEY, error_of, gateway_for, gateway_for_both, only, send, serve, yaml};

const ANSWER: &str = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":"AACAPwAAIMA="}],"model":"text-embedding-3-small","usage":{"prompt_tokens":8,"total_tokens":8}}"#;
const MOCK: &str = "
api_key: gateway-key
providers: [{ name: parrot, type: mock }]
models: [{ name: m, provider: parrot }]
";

/// A provider that embeds well.
async fn embedder() -> FakeProvider {
    let fake = FakeProvider::start().await;
    fake.respond_with([ScriptedResponse::raw(200, "application/json", ANSWER)]);
    fake
}

async fn embed(gateway: &Lockgate, question: &str) -> client::ClientResponse {
    send(gateway, "POST", "/v1/embeddings", &[("x-api-key", KEY)], question.to_owned()).await
}

#[tokio::test]
async fn embeddings_pass_through_unchanged() {
    let first = embedder().await;
    let gateway = gateway_for(&first, "").await;
    let question = r#"{ "input" : ["a", "Gr\u00fc\u00dfe"], "model":"first/m" , "vendor": 1e400, "encoding_format":"base64" }"#;
    let response = embed(&gateway, question).await;
    assert_eq!((response.status.as_u16(), response.header("x-gateway-provider")), (200, "first"));
    assert_eq!(response.header("x-gateway-dropped"), "");
    assert_eq!(response.text().await.unwrap(), ANSWER, "nothing is added");
    let seen = only(&first);
    assert_eq!(seen.target, "/v1/embeddings");
    assert_eq!(&seen.body[..], question.replace("first/m", "m").as_bytes());
}

#[tokio::test]
async fn vectors_come_as_requested_from_a_provider_that_knows_one_encoding() {
    let first = embedder().await;
    let gateway = gateway_for(&first, "").await;
    let (float, base64) = both_ways(&gateway, "first/m").await;
    assert_eq!(float["data"][0]["embedding"], json!([1.0, -2.5]));
    assert_eq!(base64.to_string(), serde_json::from_str::<Value>(ANSWER).unwrap().to_string());

    let numbers = ANSWER.replace(r#""AACAPwAAIMA=""#, "[1.0,-2.5]");
    first.respond_with([ScriptedResponse::raw(200, "application/json", numbers)]);
    let (float, base64) = both_ways(&gateway, "first/m").await;
    assert_eq!(float["data"][0]["embedding"], json!([1.0, -2.5]));
    assert_eq!(base64["data"][0]["embedding"], "AACAPwAAIMA=");
}

#[tokio::test]
async fn both_paths_serve_embeddings_and_need_a_key() {
    let first = embedder().await;
    let gateway = gateway_for(&first, "").await;
    let question = json!({"model": "first/m", "input": "a"}).to_string();
    for path in ["/v1/embeddings", "/openai/v1/embeddings"] {
        let key = [("x-api-key", KEY)];
        assert_eq!(send(&gateway, "POST", path, &key, question.clone()).await.status, 200);
        assert_eq!(send(&gateway, "POST", path, &[], question.clone()).await.status, 401);
        assert_eq!(send(&gateway, "GET", path, &key, "").await.status, 405);
    }
}

#[tokio::test]
async fn a_failure_advances_to_the_next_target() {
    for failure in [
        openai::error(500, "server_error", "no"),
        openai::error(429, "rate_limit_error", "slow down"),
        openai::error(404, "invalid_request_error", "no such model"),
        ScriptedResponse::json(200, &json!({"object": "list", "data": []})),
        ScriptedResponse::json(200, &json!({"error": {"message": "no", "code": 500}})),
        ScriptedResponse::raw(200, "text/html", "<html>"),
    ] {
        let (first, second) = (FakeProvider::start().await, embedder().await);
        first.respond_with([failure]);
        let gateway = gateway_for_both(&first, &second, BOTH).await;
        let response =
            embed(&gateway, r#"{"model":"both","input":"a","encoding_format":"base64"}"#).await;
        assert_eq!(response.header("x-gateway-attempts"), "2");
        assert_eq!(response.text().await.unwrap(), ANSWER);
        assert_eq!(only(&second).json()["model"], "large");
    }
}

#[tokio::test]
async fn a_provider_without_embeddings_is_skipped() {
    let (first, second) = (FakeProvider::start().await, embedder().await);
    let config = yaml(&[("first", &first.url()), ("second", &second.url())], BOTH)
        .replace("name: first,", "name: first, type: groq, api_key: k,");
    let gateway = serve(&config).await;
    assert_eq!(embed(&gateway, r#"{"model":"both","input":"a"}"#).await.status, 200);
    assert_eq!((first.requests().len(), second.requests().len()), (0, 1));
    let (status, error) =
        error_of(embed(&gateway, r#"{"model":"first/m","input":"a"}"#).await).await;
    assert_eq!(
        (status, &error["message"]),
        (400, &json!("Provider first: has no endpoint for this"))
    );
}

#[tokio::test]
async fn an_invalid_field_is_rejected_before_any_attempt() {
    let first = embedder().await;
    let gateway = gateway_for(&first, "").await;
    for (fields, param) in [
        (r#""x":1"#, "input"),
        (r#""input":5"#, "input"),
        (r#""input":[]"#, "input"),
        (r#""input":["a",7]"#, "input[1]"),
        (r#""input":"a","dimensions":0"#, "dimensions"),
        (r#""input":"a","encoding_format":"int8""#, "encoding_format"),
    ] {
        let question = format!("{{\"model\":\"first/m\",{fields}}}");
        let (status, error) = error_of(embed(&gateway, &question).await).await;
        assert_eq!((status, &error["param"]), (400, &json!(param)), "{fields}");
    }
    assert!(first.requests().is_empty());
}

#[tokio::test]
async fn a_providers_error_is_returned_in_openais_format() {
    let first = FakeProvider::start().await;
    first.respond_with([openai::error(400, "invalid_request_error", "no dimensions here")]);
    let gateway = gateway_for(&first, "").await;
    let question = r#"{"model":"first/m","input":"a","dimensions":7}"#;
    let (status, error) = error_of(embed(&gateway, question).await).await;
    assert_eq!((status, &error["type"]), (400, &json!("invalid_request_error")));
    assert_eq!(error["message"], "Provider first: no dimensions here");
}

#[tokio::test]
async fn usage_and_cost_are_recorded() {
    let first = embedder().await;
    let prices = "prices: [{ provider: first, model: m, input: 0.5, output: 0 }]";
    let gateway = gateway_for(&first, prices).await;
    embed(&gateway, r#"{"model":"first/m","input":"a"}"#).await.text().await.unwrap();
    let log = gateway.logged("call ended").await;
    assert!(log.contains("tokens_input=8") && log.contains("cost_usd=\"0.000004\""), "{log}");
}

#[tokio::test]
async fn a_mock_provider_serves_embeddings() {
    let gateway = serve(MOCK).await;
    let question = json!({"model": "m", "input": ["a b", "a b", "c"], "dimensions": 3});
    let body = embed(&gateway, &question.to_string()).await.json().await.unwrap();
    let vector = |at: usize| body["data"][at]["embedding"].as_array().unwrap();
    assert_eq!(vector(0).len(), 3);
    assert_eq!(vector(0), vector(1));
    assert_ne!(vector(0), vector(2));
    assert_eq!(body["usage"], json!({"prompt_tokens": 5, "total_tokens": 5}));
}

#[tokio::test]
async fn base64_is_returned_when_requested() {
    let gateway = serve(MOCK).await;
    let ask = async |format: &str| -> Value {
        let question =
            json!({"model": "m", "input": "a", "dimensions": 2, "encoding_format": format});
        embed(&gateway, &question.to_string()).await.json().await.unwrap()
    };
    // Two floats are eight bytes.
    assert_eq!(ask("base64").await["data"][0]["embedding"].as_str().unwrap().len(), 12);
    assert_eq!(ask("float").await["data"][0]["embedding"].as_array().unwrap().len(), 2);
}

/// Both numbers of the first text, as floats and as the base64 of their bytes.
async fn both_ways(gateway: &Lockgate, model: &str) -> (Value, Value) {
    let mut bodies = vec![];
    for format in ["float", "base64"] {
        let question = json!({"model": model, "input": "a", "encoding_format": format});
        let response = embed(gateway, &question.to_string()).await;
        assert_eq!(response.status, 200, "{model}");
        bodies.push(response.json().await.unwrap());
    }
    (bodies.remove(0), bodies.remove(0))
}

#[tokio::test]
async fn gemini_embeddings_are_sent_as_a_batch() {
    let first = FakeProvider::start().await;
    first.respond_with([ScriptedResponse::json(
        200,
        &json!({"embeddings": [{"values": [1.0, -2.5]}], "usageMetadata": {"promptTokenCount": 6}}),
    )]);
    let price =
        "prices: [{ provider: first, model: gemini-embedding-001, input: 0.15, output: 0 }]";
    let config = yaml(&[("first", &first.url())], price)
        .replace("name: first,", "name: first, type: gemini, api_key: k,");
    let gateway = serve(&config).await;
    let (float, base64) = both_ways(&gateway, "first/gemini-embedding-001").await;
    assert_eq!(
        float,
        json!({
            "object": "list", "model": "gemini-embedding-001",
            "data": [{"object": "embedding", "index": 0, "embedding": [1.0, -2.5]}],
            "usage": {"prompt_tokens": 6, "total_tokens": 6},
        })
    );
    assert_eq!(base64["data"][0]["embedding"], "AACAPwAAIMA=");
    let seen = first.requests();
    assert_eq!(seen[0].target, "/v1beta/models/gemini-embedding-001:batchEmbedContents");
    assert_eq!(seen[0].header("x-goog-api-key"), "k");
    let request =
        json!({"model": "models/gemini-embedding-001", "content": {"parts": [{"text": "a"}]}});
    assert_eq!(seen[0].json(), json!({"requests": [request]}));
    // Six tokens are 0.9 micro-dollars.
    let log = gateway.logged("call ended").await;
    assert!(log.contains("tokens_input=6") && log.contains("cost_usd=\"0.000001\""), "{log}");
}

#[tokio::test]
async fn a_missing_vector_is_the_providers_failure() {
    let (first, second) = (FakeProvider::start().await, embedder().await);
    first.respond_with([ScriptedResponse::json(200, &json!({"embeddings": [{"values": [1.0]}]}))]);
    let config = yaml(&[("first", &first.url()), ("second", &second.url())], BOTH)
        .replace("name: first,", "name: first, type: gemini, api_key: k,");
    let gateway = serve(&config).await;
    let response = embed(&gateway, r#"{"model":"both","input":["a","b"]}"#).await;
    assert_eq!((response.status.as_u16(), response.header("x-gateway-attempts")), (200, "2"));
}

#[tokio::test]
async fn unsupported_fields_are_reported_or_rejected() {
    let first = FakeProvider::start().await;
    first.respond_with([ScriptedResponse::json(200, &json!({"embeddings": [{"values": [1.0]}]}))]);
    let config = yaml(&[("first", &first.url())], "")
        .replace("name: first,", "name: first, type: gemini, api_key: k,");
    let gateway = serve(&config).await;
    let question = r#"{"model":"first/m","input":"a","user":"u","truncate":"END"}"#;
    let response = embed(&gateway, question).await;
    assert_eq!(response.header("x-gateway-dropped"), "user, truncate");
    let headers = [("x-api-key", KEY), ("x-gateway-strict", "true")];
    let response = send(&gateway, "POST", "/v1/embeddings", &headers, question).await;
    let (status, error) = error_of(response).await;
    assert_eq!((status, &error["param"]), (400, &json!("user")));
    let tokens = embed(&gateway, r#"{"model":"first/m","input":[1,2]}"#).await;
    let (status, error) = error_of(tokens).await;
    assert_eq!((status, &error["param"]), (400, &json!("input")));
    assert_eq!(first.requests().len(), 1);
}

#[tokio::test]
async fn bedrock_embeddings_use_each_models_format() {
    let first = FakeProvider::start().await;
    let cohere = json!({"response_type": "embeddings_by_type", "embeddings": {"float": [[0.5]]}});
    first.respond_with([
        ScriptedResponse::json(200, &json!({"embedding": [1.0, -2.5], "inputTextTokenCount": 6})),
        ScriptedResponse::json(200, &cohere).header("x-amzn-bedrock-input-token-count", "9"),
    ]);
    let config = yaml(&[("first", &first.url())], "")
        .replace("name: first,", "name: first, type: bedrock, api_key: k,");
    let gateway = serve(&config).await;
    for (model, path, sent, usage) in [
        (
            "amazon.titan-embed-text-v2:0",
            "/model/amazon.titan-embed-text-v2%3A0/invoke",
            json!({"inputText": "a"}),
            6,
        ),
        (
            "us.cohere.embed-v4:0",
            "/model/us.cohere.embed-v4%3A0/invoke",
            json!({"texts": ["a"], "input_type": "search_document", "embedding_types": ["float"]}),
            9,
        ),
    ] {
        let question = json!({"model": format!("first/{model}"), "input": "a"});
        let body = embed(&gateway, &question.to_string()).await.json().await.unwrap();
        assert_eq!(body["usage"]["prompt_tokens"], usage, "{body}");
        let seen = first.requests().pop().unwrap();
        assert_eq!((seen.target.as_str(), seen.json()), (path, sent));
        assert_eq!(seen.header("authorization"), "Bearer k");
    }
}
