//! The emulator treats functions and clients as Lambda does.
#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

use std::path::PathBuf;
use std::time::Duration;

use http::Request;
use serde_json::{Value, json};
use testkit::client::{self, Answer, get};
use testkit::runtime::{Emulator, Function, Mode, Outcome};
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

    async fn asked(&self) -> TcpStream {
        self.0.accept().await.unwrap().0
    }

    /// Starts a call, and gives it with the function's connection once it works on it.
    async fn call(&self, emulator: &Emulator) -> (Answer, TcpStream) {
        let url = self.url(emulator);
        let call = tokio::spawn(async move { get(&url).await.unwrap() });
        let mut function = self.asked().await;
        function.write_all(b"first").await.unwrap();
        (call.await.unwrap(), function)
    }
}

fn warnings(emulator: &Emulator) -> Vec<String> {
    emulator.report().warnings.into_iter().map(|warning| warning.text).collect()
}

#[tokio::test]
async fn a_streamed_answer_arrives_chunk_by_chunk() {
    let (emulator, source) = (emulate(echo()).await, Source::new().await);
    let (mut answer, mut function) = source.call(&emulator).await;
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "first");
    function.write_all(b"second").await.unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "second");
    drop(function);
    assert_eq!(answer.chunk().await.unwrap(), None);
    assert_eq!(emulator.report().outcomes_of("echo"), [&Outcome::Answered]);
    assert_eq!(warnings(&emulator), [] as [String; 0]);
}

#[tokio::test]
async fn a_function_sees_the_request_as_its_url_would_tell_it() {
    let emulator = Emulator::builder().origin_secret("hush").function(echo()).start().await;
    let request = Request::patch(format!("{}/v1/echo?a=%20b&a=c", emulator.url()))
        .header("content-type", "application/json")
        .header("x-many", "1")
        .header("x-many", "2")
        .header("cookie", "one=1; two=2")
        .body("{\"text\": \"héllo\"}".into());
    let answer = client::send(request.unwrap()).await.unwrap();
    assert_eq!(answer.header("set-cookie"), "a=1");
    assert_ne!(answer.header("x-amzn-requestid"), "");
    let seen = answer.json().await.unwrap();
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
async fn the_first_pattern_that_fits_chooses_the_function() {
    let narrow = Function { name: "narrow".into(), paths: vec!["/v1/*".into()], ..echo() };
    let emulator = Emulator::builder().function(narrow).start().await;
    assert_eq!(get(&format!("{}/v1/echo", emulator.url())).await.unwrap().status, 200);
    assert_eq!(get(&format!("{}/v2/echo", emulator.url())).await.unwrap().status, 404);
    assert_eq!(emulator.report().starts_of("narrow"), 1);
}

#[tokio::test]
async fn a_buffered_answer_is_unwrapped() {
    let emulator = emulate(buffered()).await;
    let answer = get(&format!("{}/v1/echo", emulator.url())).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.header("set-cookie")), (200, "a=1"));
    assert_eq!(answer.json().await.unwrap()["method"], "GET");
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
        let answer = client::send(request.unwrap()).await.unwrap();
        assert_eq!(answer.bytes().await.unwrap(), all);
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
    let answer = client::post_json(&url, "", &text).await.unwrap();
    assert_eq!(answer.json().await.unwrap(), text);
}

#[tokio::test]
async fn a_crash_is_a_502_and_the_next_call_starts_anew() {
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
async fn a_crash_in_a_stream_cuts_it() {
    let (emulator, source) = (emulate(echo()).await, Source::new().await);
    let port = source.0.local_addr().unwrap().port();
    let mut answer = get(&format!("{}/crash-in-stream?{port}", emulator.url())).await.unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "first");
    drop(source.asked().await);
    assert!(answer.chunk().await.is_err());
    assert!(matches!(emulator.report().outcomes_of("echo")[..], [Outcome::Crashed(_)]));
}

#[tokio::test]
async fn a_call_that_takes_too_long_kills_the_environment() {
    let function = Function { timeout: Duration::from_secs(1), ..echo() };
    let (emulator, source) = (emulate(function).await, Source::new().await);
    let (mut answer, _function) = source.call(&emulator).await;
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "first");
    assert!(answer.chunk().await.is_err());
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
    let (answer, function) = source.call(&emulator).await;
    assert_eq!(get(&format!("{}/v1/echo", emulator.url())).await.unwrap().status, 429);
    drop(function);
    answer.text().await.unwrap();
    assert_eq!(get(&format!("{}/v1/echo", emulator.url())).await.unwrap().status, 200);
    let report = emulator.report();
    assert_eq!((report.throttled, report.starts_of("echo")), (1, 1));
}

#[tokio::test]
async fn environments_are_started_for_calls_at_once_and_used_again_in_turn() {
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
async fn a_client_that_leaves_does_not_stop_the_function() {
    let (emulator, source) = (emulate(echo()).await, Source::new().await);
    let (answer, mut function) = source.call(&emulator).await;
    drop(answer);
    function.write_all(b"for nobody").await.unwrap();
    drop(function);
    emulator.printed("relayed to the end").await;
    let report = emulator.until(|report| !report.invocations.is_empty()).await;
    assert_eq!(report.outcomes_of("echo"), [&Outcome::Answered]);
}

#[tokio::test]
async fn an_empty_streamed_body_is_flagged() {
    let emulator = emulate(echo()).await;
    assert_eq!(get(&format!("{}/empty", emulator.url())).await.unwrap().status, 502);
    assert_eq!(warnings(&emulator), ["it streamed an answer with an empty body"]);
}

#[tokio::test]
async fn an_error_in_a_stream_is_passed_on_as_text_and_flagged() {
    let emulator = emulate(echo()).await;
    let answer = get(&format!("{}/error-in-stream", emulator.url())).await.unwrap();
    let text = answer.text().await.unwrap();
    assert!(text.starts_with("goodLambda-Runtime-Function-Error-Type: Runtime.StreamError"));
    assert_eq!(warnings(&emulator), ["its stream yielded an error"]);
}

#[tokio::test]
async fn a_stream_for_a_url_that_buffers_is_flagged() {
    let emulator = emulate(Function { mode: Mode::Buffered, ..echo() }).await;
    assert_eq!(get(&format!("{}/v1/echo", emulator.url())).await.unwrap().status, 502);
    assert_eq!(warnings(&emulator), ["it streamed an answer, and its URL is declared to buffer"]);
}

#[tokio::test]
async fn a_buffered_answer_for_a_url_that_streams_is_flagged() {
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
async fn a_binary_that_cannot_start_is_a_502_and_flagged() {
    let emulator = emulate(Function::new("none", "/nowhere/none").path("*")).await;
    assert_eq!(get(&emulator.url()).await.unwrap().status, 502);
    assert!(warnings(&emulator)[0].starts_with("/nowhere/none does not start"));
}
