//! The real binary as Lambda runs it, behind a URL that does not stream.
#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

use bytes::Bytes;
use http::{Method, Request, header};
use testkit::{
    aws::stack::AwsStack,
    client::{self, ClientResponse},
    lambda::{Emulator, Function, Mode},
    provider::{FakeProvider, ScriptedResponse},
};

#[path = "../../../shared/testkit/deployed/apply.rs"]
mod apply;

const YAML: &str = "
api_key: ${GATEWAY_KEY}
providers:
  - { name: parrot, type: mock }
routes:
  - name: dynamic/n8n
    steps: [{ provider: parrot, model: a }]
models:
  - { name: gpt-4o, provider: parrot, description: A good one }
";

async fn emulate(cloud: &AwsStack) -> Emulator {
    let function = cloud.function("models", env!("CARGO_BIN_EXE_models"));
    let function = Function { mode: Mode::Buffered, ..function };
    Emulator::builder()
        .function(function.env("ORIGIN_SECRET", "s"))
        .origin_secret("s")
        .start()
        .await
}

/// Writes the configuration as `lockgate apply` does, each variable holding "key".
async fn apply(cloud: &AwsStack) {
    apply::apply(cloud, YAML, &|_| Some("key".to_owned())).await;
}

async fn ask(emulator: &Emulator, method: Method, path: &str, key: &str) -> ClientResponse {
    let request = Request::builder().method(method).uri(format!("{}{path}", emulator.url()));
    let request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
    client::send(request.body(Bytes::new()).unwrap()).await.unwrap()
}

async fn get(emulator: &Emulator, path: &str) -> ClientResponse {
    ask(emulator, Method::GET, path, "key").await
}

fn is_well(emulator: &Emulator) {
    let warnings = emulator.report().warnings;
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[tokio::test]
async fn routes_and_models_are_listed() {
    let cloud = AwsStack::new().await;
    apply(&cloud).await;
    let emulator = emulate(&cloud).await;
    let response = get(&emulator, "/v1/models").await;
    assert_eq!(
        (response.status.as_u16(), response.header("content-type")),
        (200, "application/json")
    );
    let list = response.json().await.unwrap();
    let models = list["data"].as_array().unwrap();
    let ids: Vec<_> = models.iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!((list["object"].as_str(), ids), (Some("list"), vec!["dynamic/n8n", "gpt-4o"]));
    is_well(&emulator);
}

#[tokio::test]
async fn each_api_gets_the_list_in_its_own_format() {
    let cloud = AwsStack::new().await;
    apply(&cloud).await;
    let emulator = emulate(&cloud).await;
    let list = get(&emulator, "/anthropic/v1/models?limit=1").await.json().await.unwrap();
    assert_eq!((&list["first_id"], &list["has_more"]), (&"dynamic/n8n".into(), &true.into()));
    for path in ["/v1beta/models", "/gemini/v1/models"] {
        let list = get(&emulator, path).await.json().await.unwrap();
        assert_eq!(list["models"][1]["name"], "models/gpt-4o", "{path}");
    }
    is_well(&emulator);
}

#[tokio::test]
async fn a_model_is_returned_by_a_name_with_slashes() {
    let cloud = AwsStack::new().await;
    apply(&cloud).await;
    let emulator = emulate(&cloud).await;
    for path in ["/v1/models/dynamic/n8n", "/v1/models/dynamic%2Fn8n"] {
        let model = get(&emulator, path).await.json().await.unwrap();
        assert_eq!(model["id"], "dynamic/n8n", "{path}");
    }
    let response = get(&emulator, "/v1/models/another").await;
    assert_eq!(response.status, 404);
    assert_eq!(response.json().await.unwrap()["error"]["code"], "unknown_model");
    is_well(&emulator);
}

#[tokio::test]
async fn an_error_is_json_with_its_status() {
    let cloud = AwsStack::new().await;
    apply(&cloud).await;
    let emulator = emulate(&cloud).await;
    for (method, path, key, status) in [
        (Method::GET, "/v1/models", "wrong", 401),
        (Method::POST, "/v1/models", "key", 405),
        (Method::OPTIONS, "/v1/models", "key", 405),
        (Method::GET, "/v1/nothing", "key", 404),
        (Method::GET, "/_raw/models/v1/models", "key", 403),
    ] {
        let response = ask(&emulator, method, path, key).await;
        assert_eq!(response.status, status, "{path}");
        assert_eq!(response.header("x-amzn-remapped-content-length"), "", "{path}");
        assert!(response.json().await.unwrap()["error"]["message"].is_string(), "{path}");
    }
    is_well(&emulator);
}

/// Asks until a model is listed: the first request waits for a provider only shortly.
async fn until_listed(emulator: &Emulator, id: &str) {
    for _ in 0..200 {
        if get(emulator, &format!("/v1/models/{id}")).await.status == 200 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{id} was never listed");
}

#[tokio::test]
async fn a_cold_environment_takes_what_a_provider_lists_from_the_store() {
    let provider = FakeProvider::start().await;
    let list = r#"{"data":[{"id":"listed"}]}"#;
    provider.respond_with([ScriptedResponse::raw(200, "application/json", list)]);
    let cloud = AwsStack::new().await;
    let yaml = format!(
        "api_key: ${{GATEWAY_KEY}}\nproviders: [{{ name: first, base_url: \"{}\" }}]\n\
         default_provider: first\n",
        provider.url()
    );
    apply::apply(&cloud, &yaml, &|_| Some("key".to_owned())).await;
    for _ in 0..2 {
        let emulator = emulate(&cloud).await;
        until_listed(&emulator, "listed").await;
        is_well(&emulator);
    }
    assert_eq!(provider.requests().len(), 1);
}

#[tokio::test]
async fn a_warm_call_reads_nothing_from_aws() {
    let cloud = AwsStack::new().await;
    apply(&cloud).await;
    let emulator = emulate(&cloud).await;
    assert_eq!(get(&emulator, "/v1/models").await.status, 200);
    cloud.forget();
    for _ in 0..3 {
        assert_eq!(get(&emulator, "/v1/models").await.status, 200);
    }
    assert!(cloud.requests_for_calls().is_empty(), "{:?}", cloud.requests_for_calls());
}

#[tokio::test]
async fn without_a_store_the_response_has_a_retry_after() {
    let cloud = AwsStack::new().await;
    apply(&cloud).await;
    let emulator = emulate(&cloud).await;
    cloud.shut("");
    let response = get(&emulator, "/v1/models").await;
    assert_eq!((response.status.as_u16(), response.header("retry-after")), (503, "5"));
    cloud.open();
    assert_eq!(get(&emulator, "/v1/models").await.status, 200);
    is_well(&emulator);
}
