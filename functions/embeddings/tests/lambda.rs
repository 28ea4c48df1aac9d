//! The real binary as Lambda runs it, behind a URL that streams.
#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

use serde_json::{Value, json};
use testkit::{
    aws::stack::AwsStack,
    client::{self, ClientResponse},
    lambda::Emulator,
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

async fn emulate(cloud: &AwsStack) -> Emulator {
    let function = cloud.function("embeddings", env!("CARGO_BIN_EXE_embeddings"));
    Emulator::builder().function(function).origin_secret("s").start().await
}

/// Writes the configuration as `lockgate apply` does, each variable holding "key".
async fn apply(cloud: &AwsStack) {
    apply::apply(cloud, YAML, &|_| Some("key".to_owned())).await;
}

async fn embed(emulator: &Emulator, key: &str, request: &Value) -> ClientResponse {
    client::post_json(&format!("{}/v1/embeddings", emulator.url()), key, request).await.unwrap()
}

#[tokio::test]
async fn a_streamed_response_may_exceed_the_buffered_limit() {
    let cloud = AwsStack::new().await;
    apply(&cloud).await;
    let emulator = emulate(&cloud).await;
    let request = json!({"model": "m", "input": vec!["a text"; 200], "dimensions": 4096});
    let response = embed(&emulator, "key", &request).await;
    assert_eq!(
        (response.status.as_u16(), response.header("content-type")),
        (200, "application/json")
    );
    let text = response.text().await.unwrap();
    assert!(6 * 1024 * 1024 < text.len(), "{}", text.len());
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body["data"].as_array().unwrap().len(), 200);
    let warnings = emulator.report().warnings;
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[tokio::test]
async fn an_error_is_json_with_its_status() {
    let cloud = AwsStack::new().await;
    apply(&cloud).await;
    let emulator = emulate(&cloud).await;
    for (key, request, status) in [
        ("wrong", json!({"model": "m", "input": "a"}), 401),
        ("key", json!({"model": "nothing", "input": "a"}), 404),
        ("key", json!({"model": "m"}), 400),
    ] {
        let response = embed(&emulator, key, &request).await;
        assert_eq!(response.status, status, "{request}");
        assert!(response.json().await.unwrap()["error"]["message"].is_string(), "{request}");
    }
}
