//! The real binary as Lambda runs it, behind a URL that does not stream.
#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

use bytes::Bytes;
use http::{Method, Request};
use testkit::{
    client::{self, Answer},
    cloud::Cloud,
    runtime::{Emulator, Function, Mode},
};

async fn emulate(cloud: &Cloud) -> Emulator {
    let function = cloud.function("health", env!("CARGO_BIN_EXE_health"));
    let function = Function { mode: Mode::Buffered, ..function };
    Emulator::builder()
        .function(function.env("ORIGIN_SECRET", "s"))
        .origin_secret("s")
        .start()
        .await
}

async fn ask(emulator: &Emulator, method: Method, path: &str) -> Answer {
    let request = Request::builder().method(method).uri(format!("{}{path}", emulator.url()));
    client::send(request.body(Bytes::new()).unwrap()).await.unwrap()
}

fn is_well(emulator: &Emulator) {
    let warnings = emulator.report().warnings;
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[tokio::test]
async fn being_alive_needs_no_key_and_no_store() {
    let cloud = Cloud::new().await;
    cloud.shut("");
    let emulator = emulate(&cloud).await;
    for path in ["/health", "/health/live"] {
        let answer = ask(&emulator, Method::GET, path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.json().await.unwrap()["status"], "healthy", "{path}");
    }
    assert_eq!(ask(&emulator, Method::HEAD, "/").await.status, 200);
    assert!(cloud.asked().is_empty());
    is_well(&emulator);
}

#[tokio::test]
async fn being_ready_needs_a_configuration() {
    let cloud = Cloud::new().await;
    let emulator = emulate(&cloud).await;
    let answer = ask(&emulator, Method::GET, "/health/ready").await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "5"));
    assert_eq!(answer.json().await.unwrap()["error"]["code"], "unavailable");
    cloud.shut("");
    assert_eq!(ask(&emulator, Method::GET, "/health/ready").await.status, 503);
    is_well(&emulator);
}

/// What the front door finds no other function for comes here.
#[tokio::test]
async fn an_unknown_path_is_told_in_json() {
    let cloud = Cloud::new().await;
    let emulator = emulate(&cloud).await;
    for (method, path, status) in [
        (Method::GET, "/", 405),
        (Method::POST, "/v1/nothing", 404),
        (Method::OPTIONS, "/v1/nothing", 404),
        (Method::POST, "/health", 405),
        (Method::GET, "/_raw/health/health", 403),
    ] {
        let answer = ask(&emulator, method, path).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.json().await.unwrap()["error"]["message"].is_string(), "{path}");
    }
    is_well(&emulator);
}
