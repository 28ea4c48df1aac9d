//! The emulator treats functions and clients as Lambda does.
#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

use std::path::PathBuf;
use std::time::Duration;

use http::Request;
use serde_json::{Value, json};
use testkit::client::{self, ClientResponse, get};
use testkit::lambda::{Emulator, Function, Mode, Outcome};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

/// The example function, which a test run builds beside the tests.
fn echo() -> Function {
    let tests = std::env::current_exe().unwrap();
    let binary: PathBuf = tests.parent().unwrap().parent().unwrap().join("examples/echo-function");
    assert!(binary.exists(), "build it first: cargo build -p testkit --examples");
    Function::new("echo", binary).path("*")
}

fn buffered() -> Function {
    Function { mode: Mode::Buffered, ..echo().env("MODE", "buffered") }
}

async fn emulate(function: Function) -> Emulator {
    Emulator::builder().function(function).start().await
}

/// A source that the function relays from, so that the test decides when each chunk comes.
struct Source(TcpListener);

impl Source {
    async fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn url(&self, emulator: &Emulator) -> String {
        format!("{}/relay/{}", emulator.url(), self.0.local_addr().unwrap().port())
    }

    async fn accept_request(&self) -> TcpStream {
        self.0.accept().await.unwrap().0
    }

    /// Starts a call, and gives it with the function's connection once it works on it.
    async fn call(&self, emulator: &Emulator) -> (ClientResponse, TcpStream) {
        let url = self.url(emulator);
        let call = tokio::spawn(async move { get(&url).await.unwrap() });
        let mut function = self.accept_request().await;
        function.write_all(b"first").await.unwrap();
        (call.await.unwrap(), function)
    }
}

fn warnings(emulator: &Emulator) -> Vec<String> {
    emulator.report().warnings.into_iter().map(|warning| warning.text).collect()
}

#[tokio::test]
async fn a_streamed_response_arrives_chunk_by_chunk() {
    let (emulator, source) = (emulate(echo()).await, Source::new().await);
    let (mut response, mut function) = source.call(&emulator).await;
    assert_eq!(response.chunk().await.unwrap().unwrap(), "first");
    function.write_all(b"second").await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "second");
    drop(function);
    assert_eq!(response.chunk().await.unwrap(), None);
    assert_eq!(emulator.report().outcomes_of("echo"), [&Outcome::Answered]);
    assert_eq!(warnings(&emulator), [] as [String; 0]);
}

#[tokio::test]
async fn a_function_gets_the_event_of_a_function_url() {
    let emulator = Emulator::builder().origin_secret("hush").function(echo()).start().await;
    let request = Request::patch(format!("{}/v1/echo?a=%20b&a=c", emulator.url()))
        .header("content-type", "application/json")
        .header("x-many", "1")
        .header("x-many", "2")
        .header("cookie", "one=1; two=2")
        .body("{\"text\": \"héllo\"}".into());
    let response = client::send(request.unwrap()).await.unwrap();
    assert_eq!(response.header("set-cookie"), "a=1");
    assert_ne!(response.header("x-amzn-requestid"), "");
    let seen = response.json().await.unwrap();
    assert_eq!(seen["method"], "PATCH");
    assert!(seen["target"].as_str().unwrap().ends_with("/v1/echo?a=%20b&a=c"));
    assert_eq!(seen["body"], "{\"text\": \"héllo\"}");
    for expected in [
        json!(["host", "echo.lambda-url.eu-west-1.on.aws"]),
        json!(["x-forwarded-proto", "https"]),
        json!(["x-forwarded-for", "127.0.0.1"]),
        json!(["x-many", "1,2"]),
        json!(["cookie", "one=1; two=2"]),
        json!(["x-origin-secret", "hush"]),
    ] {
        assert!(seen["headers"].as_array().unwrap().contains(&expected), "{expected} in {seen}");
    }
}

#[tokio::test]
async fn the_bare_url_has_no_origin_secret() {
    let emulator = Emulator::builder().origin_secret("hush").function(echo()).start().await;
    let url = format!("{}/_raw/echo/v1/echo", emulator.url());
    let text = get(&url).await.unwrap().text().await.unwrap();
    assert!(text.contains("x-forwarded-for") && !text.contains("x-origin-secret"));
}

#[tokio::test]
async fn the_first_matching_pattern_selects_the_function() {
    let narrow = Function { name: "narrow".into(), paths: vec!["/v1/*".into()], ..echo() };
    let emulator = Emulator::builder().function(narrow).start().await;
    assert_eq!(get(&format!("{}/v1/echo", emulator.url())).await.unwrap().status, 200);
    assert_eq!(get(&format!("{}/v2/echo", emulator.url())).await.unwrap().status, 404);
    assert_eq!(emulator.report().starts_of("narrow"), 1);
}

#[tokio::test]
async fn a_buffered_response_is_unwrapped() {
    let emulator = emulate(buffered()).await;
    let response = get(&format!("{}/v1/echo", emulator.url())).await.unwrap();
    assert_eq!((response.status.as_u16(), response.header("set-cookie")), (200, "a=1"));
    assert_eq!(response.json().await.unwrap()["method"], "GET");
    assert_eq!(warnings(&emulator), [] as [String; 0]);
}

#[tokio::test]
async fn bytes_survive_base64_both_ways() {
    let all: Vec<u8> = (0..=255).collect();
    for function in [echo(), buffered()] {
        let emulator = emulate(function).await;
        let request = Request::post(format!("{}/v1/bytes", emulator.url()))
            .header("content-type", "application/octet-stream")
            .body(all.clone().into());
        let response = client::send(request.unwrap()).await.unwrap();
        assert_eq!(response.bytes().await.unwrap(), all);
    }
}

#[tokio::test]
async fn a_request_over_6_mb_never_reaches_the_function() {
    let emulator = emulate(echo()).await;
    let url = format!("{}/v1/bytes", emulator.url());
    let text = Value::from("x".repeat(6 * 1024 * 1024));
    assert_eq!(client::post_json(&url, "", &text).await.unwrap().status, 413);
    assert_eq!(emulator.report().starts_of("echo"), 0);
    let text = Value::from("x".repeat(5 * 1024 * 1024));
    let response = client::post_json(&url, "", &text).await.unwrap();
    assert_eq!(response.json().await.unwrap(), text);
}

#[tokio::test]
async fn a_crash_is_a_502_and_the_next_call_is_a_cold_start() {
    let emulator = emulate(echo()).await;
    let crashed = get(&format!("{}/crash", emulator.url())).await.unwrap();
    assert_eq!(crashed.status, 502);
    assert_eq!(crashed.text().await.unwrap(), "Internal Server Error");
    assert!(matches!(emulator.report().outcomes_of("echo")[..], [Outcome::Crashed(_)]));
    emulator.printed("about to crash").await;
    assert_eq!(get(&format!("{}/v1/echo", emulator.url())).await.unwrap().status, 200);
    assert_eq!(emulator.report().starts_of("echo"), 2);
}

#[tokio::test]
async fn a_crash_during_a_stream_breaks_the_connection() {
    let (emulator, source) = (emulate(echo()).await, Source::new().await);
    let port = source.0.local_addr().unwrap().port();
    let mut response = get(&format!("{}/crash-in-stream?{port}", emulator.url())).await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "first");
    drop(source.accept_request().await);
    assert!(response.chunk().await.is_err());
    assert!(matches!(emulator.report().outcomes_of("echo")[..], [Outcome::Crashed(_)]));
}

#[tokio::test]
async fn a_timed_out_call_kills_the_environment() {
    let function = Function { timeout: Duration::from_secs(1), ..echo() };
    let (emulator, source) = (emulate(function).await, Source::new().await);
    let (mut response, _function) = source.call(&emulator).await;
    assert_eq!(response.chunk().await.unwrap().unwrap(), "first");
    assert!(response.chunk().await.is_err());
    let silent = get(&source.url(&emulator)).await.unwrap();
    assert_eq!(silent.status, 502);
    let report = emulator.report();
    assert_eq!(report.outcomes_of("echo"), [&Outcome::TimedOut, &Outcome::TimedOut]);
    assert_eq!(report.starts_of("echo"), 2);
}

#[tokio::test]
async fn calls_beyond_the_concurrency_are_throttled() {
    let function = Function { concurrency: 1, ..echo() };
    let (emulator, source) = (emulate(function).await, Source::new().await);
    let (response, function) = source.call(&emulator).await;
    assert_eq!(get(&format!("{}/v1/echo", emulator.url())).await.unwrap().status, 429);
    drop(function);
    response.text().await.unwrap();
    assert_eq!(get(&format!("{}/v1/echo", emulator.url())).await.unwrap().status, 200);
    let report = emulator.report();
    assert_eq!((report.throttled, report.starts_of("echo")), (1, 1));
}

#[tokio::test]
async fn concurrent_calls_start_environments_that_are_reused() {
    let (emulator, source) = (emulate(echo()).await, Source::new().await);
    for _ in 0..3 {
        get(&format!("{}/v1/echo", emulator.url())).await.unwrap().text().await.unwrap();
    }
    assert_eq!(emulator.report().starts_of("echo"), 1);
    let first = source.call(&emulator).await;
    let second = source.call(&emulator).await;
    drop((first.1, second.1));
    let report = emulator.report();
    assert_eq!(report.starts_of("echo"), 2);
    let cold: Vec<_> = report.invocations.iter().map(|call| call.cold).collect();
    assert_eq!(cold[..3], [true, false, false]);
    assert!(report.cold_starts.iter().all(|start| start.init_micros.is_some()));
}

#[tokio::test]
async fn a_disconnect_does_not_stop_the_function() {
    let (emulator, source) = (emulate(echo()).await, Source::new().await);
    let (response, mut function) = source.call(&emulator).await;
    drop(response);
    function.write_all(b"for nobody").await.unwrap();
    drop(function);
    emulator.printed("relayed to the end").await;
    let report = emulator.until(|report| !report.invocations.is_empty()).await;
    assert_eq!(report.outcomes_of("echo"), [&Outcome::Answered]);
}

#[tokio::test]
async fn an_empty_streamed_body_is_a_warning() {
    let emulator = emulate(echo()).await;
    assert_eq!(get(&format!("{}/empty", emulator.url())).await.unwrap().status, 502);
    assert_eq!(warnings(&emulator), ["it streamed an answer with an empty body"]);
}

#[tokio::test]
async fn a_stream_error_is_sent_as_text_and_is_a_warning() {
    let emulator = emulate(echo()).await;
    let response = get(&format!("{}/error-in-stream", emulator.url())).await.unwrap();
    let text = response.text().await.unwrap();
    assert!(text.starts_with("goodLambda-Runtime-Function-Error-Type: Runtime.StreamError"));
    assert_eq!(warnings(&emulator), ["its stream yielded an error"]);
}

#[tokio::test]
async fn a_stream_for_a_buffered_url_is_a_warning() {
    let emulator = emulate(Function { mode: Mode::Buffered, ..echo() }).await;
    assert_eq!(get(&format!("{}/v1/echo", emulator.url())).await.unwrap().status, 502);
    assert_eq!(warnings(&emulator), ["it streamed an answer, and its URL is declared to buffer"]);
}

#[tokio::test]
async fn a_buffered_response_for_a_streaming_url_is_a_warning() {
    let emulator = emulate(echo().env("MODE", "buffered")).await;
    assert_eq!(get(&format!("{}/v1/echo", emulator.url())).await.unwrap().status, 200);
    assert_eq!(warnings(&emulator), ["it buffered an answer, and its URL is declared to stream"]);
}

#[tokio::test]
async fn a_function_has_only_the_variables_of_lambda_and_its_own() {
    let emulator = emulate(echo().env("CONFIG_TABLE", "config")).await;
    let text = get(&format!("{}/variables", emulator.url())).await.unwrap().text().await.unwrap();
    for expected in [
        "AWS_LAMBDA_FUNCTION_NAME=echo",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=256",
        "AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
        "AWS_REGION=eu-west-1",
        "CONFIG_TABLE=config",
        "_HANDLER=bootstrap",
    ] {
        assert!(text.lines().any(|line| line == expected), "{expected} in {text}");
    }
    assert!(!text.contains("CARGO"));
}

#[tokio::test]
async fn a_binary_that_cannot_start_is_a_502_and_a_warning() {
    let emulator = emulate(Function::new("none", "/nowhere/none").path("*")).await;
    assert_eq!(get(&emulator.url()).await.unwrap().status, 502);
    assert!(warnings(&emulator)[0].starts_with("/nowhere/none does not start"));
}
