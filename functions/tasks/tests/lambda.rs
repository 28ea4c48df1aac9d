//! The real binary as Lambda runs it, behind a URL that streams.
#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

use serde_json::{Value, json};
use testkit::{
    aws::stack::AwsStack,
    client,
    lambda::Emulator,
    provider::{FakeProvider, ScriptedResponse},
};

#[path = "../../../shared/testkit/deployed/apply.rs"]
mod apply;

/// A deployed function before one provider.
async fn emulate(cloud: &AwsStack, provider: &FakeProvider) -> Emulator {
    let yaml = format!(
        "api_key: ${{GATEWAY_KEY}}\nproviders: [{{ name: p, base_url: \"{}\" }}]\n\
         models: [{{ name: m, provider: p }}]",
        provider.url()
    );
    apply::apply(cloud, &yaml, &|_| Some("key".to_owned())).await;
    let function = cloud.function("tasks", env!("CARGO_BIN_EXE_tasks"));
    Emulator::builder().function(function).origin_secret("s").start().await
}

#[tokio::test]
async fn audio_keeps_its_bytes_and_its_media_type() {
    let (cloud, provider) = (AwsStack::new().await, FakeProvider::start().await);
    let audio: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    provider.respond_with([ScriptedResponse::raw(200, "audio/mpeg", audio.clone())]);
    let emulator = emulate(&cloud, &provider).await;
    let url = format!("{}/v1/audio/speech", emulator.url());
    let request = json!({"model": "m", "input": "Hello", "voice": "alloy"});
    let response = client::post_json(&url, "key", &request).await.unwrap();
    assert_eq!((response.status.as_u16(), response.header("content-type")), (200, "audio/mpeg"));
    assert_eq!(response.bytes().await.unwrap(), audio);
    let warnings = emulator.report().warnings;
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[tokio::test]
async fn an_error_is_json_with_its_status() {
    let (cloud, provider) = (AwsStack::new().await, FakeProvider::start().await);
    let emulator = emulate(&cloud, &provider).await;
    for (key, request, status) in [
        ("wrong", json!({"model": "m", "input": "a"}), 401),
        ("key", json!({"model": "nothing", "input": "a"}), 404),
        ("key", json!({"model": 5}), 400),
    ] {
        let url = format!("{}/v1/moderations", emulator.url());
        let response = client::post_json(&url, key, &request).await.unwrap();
        assert_eq!(response.status, status, "{request}");
        let body: Value = response.json().await.unwrap();
        assert!(body["error"]["message"].is_string(), "{body}");
    }
}
