//! Client disconnects, and the shutdown of the server.

use std::time::Duration;

use serde_json::Value;
use testkit::client;
use testkit::lockgate::Lockgate;
use testkit::openai;
use testkit::provider::{FakeProvider, Latch, Outcome, ScriptedResponse, Step};

use crate::store_faults::{lock, rows_of};
use crate::support::{
    KEY, ask, gateway_for, gateway_for_both, hello, hello_streamed, provider, text_in,
};

/// Sends a request, and disconnects once the provider has received it.
async fn ask_and_leave(gateway: &Lockgate, provider: &FakeProvider, request: Value) {
    let url = format!("{}/v1/chat/completions", gateway.url());
    let call = tokio::spawn(async move {
        client::post_json(&url, KEY, &request).await.map(|response| response.status)
    });
    provider.wait_for_requests(1).await;
    call.abort();
}

#[tokio::test]
async fn a_disconnect_before_the_response_cancels_the_providers_call() {
    for request in [hello("first/m"), hello_streamed("first/m")] {
        let first = FakeProvider::start().await;
        first.respond_with([ScriptedResponse::hang()]);
        let gateway = gateway_for(&first, "").await;
        ask_and_leave(&gateway, &first, request).await;
        assert!(first.cancelled().await);
        gateway.logged("outcome=\"canceled\"").await;
    }
}

#[tokio::test]
async fn a_disconnect_during_a_stream_cancels_the_providers_call() {
    let first = FakeProvider::start().await;
    first.respond_with([ScriptedResponse::stream([
        openai::role(),
        openai::chunk("Once"),
        Step::Hang,
    ])]);
    let gateway = gateway_for(&first, "").await;
    let mut response = ask(&gateway, &hello_streamed("first/m")).await;
    response.until("Once").await.unwrap();
    drop(response);
    assert!(first.cancelled().await);
    let log = gateway.logged("outcome=\"canceled\"").await;
    assert_eq!(log.matches("call ended").count(), 1);
}

#[tokio::test]
async fn an_abandoned_stream_is_logged_with_usage_and_cost() {
    let first = FakeProvider::start().await;
    let text = "Once upon a time";
    first.respond_with([ScriptedResponse::stream([
        openai::role(),
        openai::chunk(text),
        Step::Hang,
    ])]);
    let prices = "prices: [{ provider: first, model: m, input: 0, output: 1000000 }]";
    let gateway = gateway_for(&first, prices).await;
    let mut response = ask(&gateway, &hello_streamed("first/m")).await;
    response.until("Once").await.unwrap();
    drop(response);
    let log = gateway.logged("outcome=\"canceled\"").await;
    for field in ["tokens_output=4", "tokens_estimated=true", "cost_usd=\"4.000000\""] {
        assert!(log.contains(field), "{field}: {log}");
    }
}

#[tokio::test]
async fn a_disconnect_does_not_advance_to_the_next_target() {
    let (first, second) = (FakeProvider::start().await, provider().await);
    first.respond_with([ScriptedResponse::hang()]);
    let gateway = gateway_for_both(&first, &second, crate::support::BOTH).await;
    ask_and_leave(&gateway, &first, hello("both")).await;
    gateway.logged("outcome=\"canceled\"").await;
    assert!(second.requests().is_empty());
}

#[tokio::test]
async fn a_disconnect_does_not_affect_other_calls() {
    let latch = Latch::new();
    let first = FakeProvider::start().await;
    let steps =
        [openai::chunk("Once"), Step::Latch(latch.clone()), openai::finish("stop"), openai::done()];
    first.respond_with([ScriptedResponse::stream(steps)]);
    let gateway = gateway_for(&first, "").await;
    let mut stays = ask(&gateway, &hello_streamed("first/m")).await;
    let mut leaves = ask(&gateway, &hello_streamed("first/m")).await;
    stays.until("Once").await.unwrap();
    leaves.until("Once").await.unwrap();
    drop(leaves);
    assert!(first.cancelled().await);
    latch.open();
    assert!(stays.text().await.unwrap().ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn shutdown_finishes_open_streams() {
    let latch = Latch::new();
    let first = FakeProvider::start().await;
    let begun = [openai::chunk("Once"), Step::Latch(latch.clone()), openai::chunk(" upon")];
    let steps = begun.into_iter().chain([openai::finish("stop"), openai::done()]);
    first.respond_with([ScriptedResponse::stream(steps)]);
    let gateway = gateway_for(&first, "").await;
    let mut response = ask(&gateway, &hello_streamed("first/m")).await;
    let mut stream = response.until("Once").await.unwrap();
    gateway.terminate().unwrap();
    until_closed(&gateway).await;
    latch.open();
    stream += &response.text().await.unwrap();
    assert_eq!(text_in(&stream), "Once upon");
    assert!(stream.ends_with("data: [DONE]\n\n"));
    let (status, log) = gateway.ended().await;
    assert!(status.success(), "{log}");
    assert!(log.contains("outcome=\"success\""));
}

#[tokio::test]
async fn shutdown_finishes_pending_responses() {
    let first = FakeProvider::start().await;
    let latch = Latch::new();
    let whole = ScriptedResponse::stream([
        Step::Latch(latch.clone()),
        Step::text("{\"choices\":[{\"message\":{}}]}"),
    ]);
    first.respond_with([whole.header("content-type", "application/json")]);
    let gateway = gateway_for(&first, "").await;
    let url = format!("{}/v1/chat/completions", gateway.url());
    let call = tokio::spawn(async move { client::post_json(&url, KEY, &hello("first/m")).await });
    first.wait_for_requests(1).await;
    gateway.terminate().unwrap();
    until_closed(&gateway).await;
    latch.open();
    assert_eq!(call.await.unwrap().unwrap().status, 200);
    assert!(gateway.ended().await.0.success());
    assert_eq!(first.requests()[0].outcome, Outcome::Complete);
}

#[tokio::test]
async fn an_idle_server_stops_at_once() {
    let first = provider().await;
    let gateway = gateway_for(&first, "").await;
    // A connection that is kept for the next call is no reason to stay.
    let idle =
        tokio::net::TcpStream::connect(gateway.url().trim_start_matches("http://")).await.unwrap();
    gateway.terminate().unwrap();
    assert!(gateway.ended().await.0.success());
    drop(idle);
}

#[tokio::test]
async fn a_stream_that_exceeds_the_drain_timeout_ends_with_an_error() {
    let first = FakeProvider::start().await;
    first.respond_with([ScriptedResponse::stream([openai::chunk("Once"), Step::Hang])]);
    let gateway = gateway_for(&first, "server: { drain_timeout: 200ms }").await;
    let mut response = ask(&gateway, &hello_streamed("first/m")).await;
    response.until("Once").await.unwrap();
    gateway.terminate().unwrap();
    let rest = response.text().await.unwrap();
    assert!(rest.contains("\"code\":\"unavailable\""), "{rest}");
    assert!(rest.contains("The gateway is stopping"), "{rest}");
    assert!(!rest.contains("[DONE]"), "{rest}");
    let (status, log) = gateway.ended().await;
    assert!(status.success(), "{log}");
    assert!(log.contains("outcome=\"unavailable\""), "{log}");
}

#[tokio::test]
async fn a_call_that_exceeds_the_drain_timeout_is_rejected() {
    let first = FakeProvider::start().await;
    first.respond_with([ScriptedResponse::hang()]);
    let gateway = gateway_for(&first, "server: { drain_timeout: 200ms }").await;
    let url = format!("{}/v1/chat/completions", gateway.url());
    let call = tokio::spawn(async move { client::post_json(&url, KEY, &hello("first/m")).await });
    first.wait_for_requests(1).await;
    gateway.terminate().unwrap();
    assert_eq!(call.await.unwrap().unwrap().status, 503);
    assert!(gateway.ended().await.0.success());
}

#[tokio::test]
async fn a_second_signal_ends_the_server_at_once() {
    let first = FakeProvider::start().await;
    first.respond_with([ScriptedResponse::hang()]);
    let gateway = gateway_for(&first, "server: { drain_timeout: 1h }").await;
    let url = format!("{}/v1/chat/completions", gateway.url());
    let call = tokio::spawn(async move { client::post_json(&url, KEY, &hello("first/m")).await });
    first.wait_for_requests(1).await;
    gateway.terminate().unwrap();
    until_closed(&gateway).await;
    gateway.terminate().unwrap();
    let (_, log) = gateway.ended().await;
    assert!(log.contains("second signal"), "{log}");
    // The process may end between the call's end and its error response.
    if let Ok(response) = call.await.unwrap() {
        assert_eq!(response.status, 503);
    }
}

#[tokio::test]
async fn a_connection_without_a_call_does_not_hold_the_exit() {
    let first = provider().await;
    let rest = "server: { drain_timeout: 1h, head_timeout: 1h, keep_alive_timeout: 1h }";
    let gateway = gateway_for(&first, rest).await;
    let address = gateway.url().trim_start_matches("http://").to_owned();
    let mut sockets = vec![];
    for bytes in ["GET /health HT", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ""] {
        let mut socket = std::net::TcpStream::connect(&address).unwrap();
        std::io::Write::write_all(&mut socket, bytes.as_bytes()).unwrap();
        sockets.push(socket);
    }
    assert_eq!(ask(&gateway, &hello("first/m")).await.status, 200);
    gateway.terminate().unwrap();
    assert!(gateway.ended().await.0.success());
}

/// A call of a gateway whose data file is locked, after which the gateway is asked to stop.
async fn stop_with_a_locked_file(shutdown_timeout: &str) -> (Lockgate, rusqlite::Connection) {
    let first = provider().await;
    let server = format!("server: {{ shutdown_timeout: {shutdown_timeout} }}");
    let gateway = gateway_for(&first, &server).await;
    let lock = lock(&gateway.folder().join("lockgate.db"));
    assert_eq!(ask(&gateway, &hello("first/m")).await.status, 200);
    gateway.terminate().unwrap();
    until_closed(&gateway).await;
    (gateway, lock)
}

#[tokio::test]
async fn records_are_written_within_the_shutdown_timeout() {
    let (gateway, lock) = stop_with_a_locked_file("20s").await;
    drop(lock);
    let folder = gateway.left_behind().await;
    assert_eq!(rows_of(&folder.path().join("lockgate.db"), "calls#"), 1);
}

#[tokio::test]
async fn a_store_that_takes_no_records_does_not_hold_the_exit() {
    let (gateway, _lock) = stop_with_a_locked_file("200ms").await;
    let (status, log) = gateway.ended().await;
    assert!(status.success(), "{log}");
    assert!(log.contains("records were not written within 200ms"), "{log}");
}

#[tokio::test]
async fn a_second_signal_ends_the_writing_of_records() {
    let (gateway, _lock) = stop_with_a_locked_file("1h").await;
    gateway.terminate().unwrap();
    let (_, log) = gateway.ended().await;
    assert!(log.contains("second signal"), "{log}");
}

/// Waits until new connections are refused.
async fn until_closed(gateway: &Lockgate) {
    for _ in 0..1000 {
        if client::get(&format!("{}/health", gateway.url())).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it still lets clients in");
}
