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
        (400, &json!("Provider first: it has no endpoint for this"))
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
