//! The real binary as Lambda runs it, behind a URL that streams.
#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

use serde_json::{Value, json};
use testkit::{
    client::{self, Answer},
    cloud::Cloud,
    runtime::Emulator,
};

#[path = "../../../shared/testkit/deployed/apply.rs"]
mod apply;

const YAML: &str = "
api_key: ${GATEWAY_KEY}
providers:
  - { name: parrot, type: mock }
models:
  - { name: m, provider: parrot }
";

async fn emulate(cloud: &Cloud) -> Emulator {
    let function = cloud.function("embeddings", env!("CARGO_BIN_EXE_embeddings"));
    Emulator::builder().function(function).origin_secret("s").start().await
}

/// Writes the configuration as `lockgate apply` does, each variable holding "key".
async fn apply(cloud: &Cloud) {
    apply::apply(cloud, YAML, &|_| Some("key".to_owned())).await;
}

async fn embed(emulator: &Emulator, key: &str, question: &Value) -> Answer {
    client::post_json(&format!("{}/v1/embeddings", emulator.url()), key, question).await.unwrap()
}

#[tokio::test]
async fn an_answer_may_be_larger_than_one_that_does_not_stream() {
    let cloud = Cloud::new().await;
    apply(&cloud).await;
    let emulator = emulate(&cloud).await;
    let question = json!({"model": "m", "input": vec!["a text"; 200], "dimensions": 4096});
    let answer = embed(&emulator, "key", &question).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"));
    let text = answer.text().await.unwrap();
    assert!(6 * 1024 * 1024 < text.len(), "{}", text.len());
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body["data"].as_array().unwrap().len(), 200);
    let warnings = emulator.report().warnings;
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[tokio::test]
async fn a_refusal_is_json_with_its_status() {
    let cloud = Cloud::new().await;
    apply(&cloud).await;
    let emulator = emulate(&cloud).await;
    for (key, question, status) in [
        ("wrong", json!({"model": "m", "input": "a"}), 401),
        ("key", json!({"model": "nothing", "input": "a"}), 404),
        ("key", json!({"model": "m"}), 400),
    ] {
        let answer = embed(&emulator, key, &question).await;
        assert_eq!(answer.status, status, "{question}");
        assert!(answer.json().await.unwrap()["error"]["message"].is_string(), "{question}");
    }
}
