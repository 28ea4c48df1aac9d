//! `POST /v1/embeddings`: the numbers of texts.

use serde_json::{Value, json};
use testkit::client;
use testkit::lockgate::Lockgate;
use testkit::openai;
use testkit::provider::{Answer, Fake};

use crate::support::{BOTH, KEY, before, before_both, only, refused, send, serve, yaml};

const ANSWER: &str = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":"AACAPwAAIMA="}],"model":"text-embedding-3-small","usage":{"prompt_tokens":8,"total_tokens":8}}"#;
const MOCK: &str = "
api_key: gateway-key
providers: [{ name: parrot, type: mock }]
models: [{ name: m, provider: parrot }]
";

/// A provider that embeds well.
async fn embedder() -> Fake {
    let fake = Fake::start().await;
    fake.answers([Answer::raw(200, "application/json", ANSWER)]);
    fake
}

async fn embed(gateway: &Lockgate, question: &str) -> client::Answer {
    send(gateway, "POST", "/v1/embeddings", &[("x-api-key", KEY)], question.to_owned()).await
}

#[tokio::test]
async fn a_question_and_its_answer_pass_as_they_are() {
    let first = embedder().await;
    let gateway = before(&first, "").await;
    let question = r#"{ "input" : ["a", "Gr\u00fc\u00dfe"], "model":"first/m" , "vendor": 1e400 }"#;
    let answer = embed(&gateway, question).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-gateway-provider")), (200, "first"));
    assert_eq!(answer.header("x-gateway-dropped"), "");
    assert_eq!(answer.text().await.unwrap(), ANSWER, "nothing is added");
    let seen = only(&first);
    assert_eq!(seen.target, "/v1/embeddings");
    assert_eq!(&seen.body[..], question.replace("first/m", "m").as_bytes());
}

#[tokio::test]
async fn both_paths_lead_to_it_and_neither_without_a_key() {
    let first = embedder().await;
    let gateway = before(&first, "").await;
    let question = json!({"model": "first/m", "input": "a"}).to_string();
    for path in ["/v1/embeddings", "/openai/v1/embeddings"] {
        let key = [("x-api-key", KEY)];
        assert_eq!(send(&gateway, "POST", path, &key, question.clone()).await.status, 200);
        assert_eq!(send(&gateway, "POST", path, &[], question.clone()).await.status, 401);
        assert_eq!(send(&gateway, "GET", path, &key, "").await.status, 405);
    }
}

#[tokio::test]
async fn a_failure_leads_to_the_next_step() {
    for failure in [
        openai::error(500, "server_error", "no"),
        openai::error(429, "rate_limit_error", "slow down"),
        openai::error(404, "invalid_request_error", "no such model"),
        Answer::json(200, &json!({"object": "list", "data": []})),
        Answer::json(200, &json!({"error": {"message": "no", "code": 500}})),
        Answer::raw(200, "text/html", "<html>"),
    ] {
        let (first, second) = (Fake::start().await, embedder().await);
        first.answers([failure]);
        let gateway = before_both(&first, &second, BOTH).await;
        let answer = embed(&gateway, r#"{"model":"both","input":"a"}"#).await;
        assert_eq!(answer.header("x-gateway-attempts"), "2");
        assert_eq!(answer.text().await.unwrap(), ANSWER);
        assert_eq!(only(&second).json()["model"], "large");
    }
}

#[tokio::test]
async fn who_does_not_embed_is_passed_over() {
    let (first, second) = (Fake::start().await, embedder().await);
    let config = yaml(&[("first", &first.url()), ("second", &second.url())], BOTH)
        .replace("name: first,", "name: first, type: groq, api_key: k,");
    let gateway = serve(&config).await;
    assert_eq!(embed(&gateway, r#"{"model":"both","input":"a"}"#).await.status, 200);
    assert_eq!((first.seen().len(), second.seen().len()), (0, 1));
    let (status, error) =
        refused(embed(&gateway, r#"{"model":"first/m","input":"a"}"#).await).await;
    assert_eq!(
        (status, &error["message"]),
        (400, &json!("Provider first: has no endpoint for this"))
    );
}

#[tokio::test]
async fn a_wrong_field_is_named_and_nobody_is_asked() {
    let first = embedder().await;
    let gateway = before(&first, "").await;
    for (fields, param) in [
        (r#""x":1"#, "input"),
        (r#""input":5"#, "input"),
        (r#""input":[]"#, "input"),
        (r#""input":["a",7]"#, "input[1]"),
        (r#""input":"a","dimensions":0"#, "dimensions"),
        (r#""input":"a","encoding_format":"int8""#, "encoding_format"),
    ] {
        let question = format!("{{\"model\":\"first/m\",{fields}}}");
        let (status, error) = refused(embed(&gateway, &question).await).await;
        assert_eq!((status, &error["param"]), (400, &json!(param)), "{fields}");
    }
    assert!(first.seen().is_empty());
}

#[tokio::test]
async fn a_providers_refusal_is_passed_on_in_openais_shape() {
    let first = Fake::start().await;
    first.answers([openai::error(400, "invalid_request_error", "no dimensions here")]);
    let gateway = before(&first, "").await;
    let question = r#"{"model":"first/m","input":"a","dimensions":7}"#;
    let (status, error) = refused(embed(&gateway, question).await).await;
    assert_eq!((status, &error["type"]), (400, &json!("invalid_request_error")));
    assert_eq!(error["message"], "Provider first: no dimensions here");
}

#[tokio::test]
async fn usage_and_cost_are_recorded() {
    let first = embedder().await;
    let prices = "prices: [{ provider: first, model: m, input: 0.5, output: 0 }]";
    let gateway = before(&first, prices).await;
    embed(&gateway, r#"{"model":"first/m","input":"a"}"#).await.text().await.unwrap();
    let log = gateway.logged("call ended").await;
    assert!(log.contains("tokens_input=8") && log.contains("cost_usd=\"0.000004\""), "{log}");
}

#[tokio::test]
async fn a_scripted_provider_embeds_too() {
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
async fn base64_is_written_where_it_is_asked_for() {
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
        let answer = embed(gateway, &question.to_string()).await;
        assert_eq!(answer.status, 200, "{model}");
        bodies.push(answer.json().await.unwrap());
    }
    (bodies.remove(0), bodies.remove(0))
}

#[tokio::test]
async fn gemini_is_asked_for_a_batch() {
    let first = Fake::start().await;
    first.answers([Answer::json(
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
    let seen = first.seen();
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
async fn one_vector_too_few_is_a_fault_of_the_provider() {
    let (first, second) = (Fake::start().await, embedder().await);
    first.answers([Answer::json(200, &json!({"embeddings": [{"values": [1.0]}]}))]);
    let config = yaml(&[("first", &first.url()), ("second", &second.url())], BOTH)
        .replace("name: first,", "name: first, type: gemini, api_key: k,");
    let gateway = serve(&config).await;
    let answer = embed(&gateway, r#"{"model":"both","input":["a","b"]}"#).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-gateway-attempts")), (200, "2"));
}

#[tokio::test]
async fn what_a_provider_is_not_told_is_named_or_refused() {
    let first = Fake::start().await;
    first.answers([Answer::json(200, &json!({"embeddings": [{"values": [1.0]}]}))]);
    let config = yaml(&[("first", &first.url())], "")
        .replace("name: first,", "name: first, type: gemini, api_key: k,");
    let gateway = serve(&config).await;
    let question = r#"{"model":"first/m","input":"a","user":"u","truncate":"END"}"#;
    let answer = embed(&gateway, question).await;
    assert_eq!(answer.header("x-gateway-dropped"), "user, truncate");
    let headers = [("x-api-key", KEY), ("x-gateway-strict", "true")];
    let answer = send(&gateway, "POST", "/v1/embeddings", &headers, question).await;
    let (status, error) = refused(answer).await;
    assert_eq!((status, &error["param"]), (400, &json!("user")));
    let tokens = embed(&gateway, r#"{"model":"first/m","input":[1,2]}"#).await;
    let (status, error) = refused(tokens).await;
    assert_eq!((status, &error["param"]), (400, &json!("input")));
    assert_eq!(first.seen().len(), 1);
}

#[tokio::test]
async fn bedrock_is_asked_in_the_words_of_each_model() {
    let first = Fake::start().await;
    let cohere = json!({"response_type": "embeddings_by_type", "embeddings": {"float": [[0.5]]}});
    first.answers([
        Answer::json(200, &json!({"embedding": [1.0, -2.5], "inputTextTokenCount": 6})),
        Answer::json(200, &cohere).header("x-amzn-bedrock-input-token-count", "9"),
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
        let seen = first.seen().pop().unwrap();
        assert_eq!((seen.target.as_str(), seen.json()), (path, sent));
        assert_eq!(seen.header("authorization"), "Bearer k");
    }
}
