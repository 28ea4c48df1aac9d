//! The real binary as Lambda runs it, behind a URL that does not stream.
#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

use bytes::Bytes;
use http::{Method, Request};
use testkit::{
    aws::stack::AwsStack,
    client::{self, ClientResponse},
    lambda::{Emulator, Function, Mode},
};

async fn emulate(cloud: &AwsStack) -> Emulator {
    let function = cloud.function("health", env!("CARGO_BIN_EXE_health"));
    let function = Function { mode: Mode::Buffered, ..function };
    Emulator::builder()
        .function(function.env("ORIGIN_SECRET", "s"))
        .origin_secret("s")
        .start()
        .await
}

async fn ask(emulator: &Emulator, method: Method, path: &str) -> ClientResponse {
    let request = Request::builder().method(method).uri(format!("{}{path}", emulator.url()));
    client::send(request.body(Bytes::new()).unwrap()).await.unwrap()
}

fn is_well(emulator: &Emulator) {
    let warnings = emulator.report().warnings;
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[tokio::test]
async fn liveness_needs_no_key_and_no_store() {
    let cloud = AwsStack::new().await;
    cloud.shut("");
    let emulator = emulate(&cloud).await;
    for path in ["/health", "/health/live"] {
        let response = ask(&emulator, Method::GET, path).await;
        assert_eq!(response.status, 200, "{path}");
        assert_eq!(response.json().await.unwrap()["status"], "healthy", "{path}");
    }
    assert!(cloud.requests().is_empty());
    // The first page tells whether calls can be made, so that it asks the store; it comes without it too.
    assert_eq!(ask(&emulator, Method::HEAD, "/").await.status, 200);
    is_well(&emulator);
}

#[tokio::test]
async fn readiness_needs_a_config() {
    let cloud = AwsStack::new().await;
    let emulator = emulate(&cloud).await;
    let response = ask(&emulator, Method::GET, "/health/ready").await;
    assert_eq!((response.status.as_u16(), response.header("retry-after")), (503, "5"));
    assert_eq!(response.json().await.unwrap()["error"]["code"], "unavailable");
    cloud.shut("");
    assert_eq!(ask(&emulator, Method::GET, "/health/ready").await.status, 503);
    is_well(&emulator);
}

/// What the front door finds no other function for comes here.
#[tokio::test]
async fn an_unknown_path_returns_a_json_error() {
    let cloud = AwsStack::new().await;
    let emulator = emulate(&cloud).await;
    for (method, path, status) in [
        (Method::POST, "/", 405),
        (Method::POST, "/v1/nothing", 404),
        (Method::OPTIONS, "/v1/nothing", 404),
        (Method::POST, "/health", 405),
        (Method::GET, "/_raw/health/health", 403),
    ] {
        let response = ask(&emulator, method, path).await;
        assert_eq!(response.status, status, "{path}");
        assert!(response.json().await.unwrap()["error"]["message"].is_string(), "{path}");
    }
    is_well(&emulator);
}
