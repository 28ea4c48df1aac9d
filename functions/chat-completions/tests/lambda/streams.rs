//! Streamed responses, and the ways in which they break.

use serde_json::json;
use testkit::{
    client::ClientResponse,
    openai,
    provider::{Latch, ScriptedResponse, Step},
    sockets::connections,
};

use crate::{Gateway, events, message, question, streamed_text, two_steps};

#[tokio::test]
async fn each_chunk_is_delivered_when_the_provider_sends_it() {
    let gateway = Gateway::start().await;
    let (first, second) = (Latch::new(), Latch::new());
    gateway.fake.respond_with([ScriptedResponse::stream([
        openai::role(),
        openai::chunk("one"),
        Step::Latch(first.clone()),
        openai::chunk("two"),
        Step::Latch(second.clone()),
        openai::finish("stop"),
        openai::done(),
    ])]);
    let mut response = gateway.stream().await;
    assert_eq!(response.header("content-type"), "text/event-stream");
    assert_eq!(response.header("x-gateway-provider"), "first");
    assert_eq!(streamed_text(&response.until("one").await.unwrap()), "one");
    first.open();
    assert_eq!(streamed_text(&response.until("two").await.unwrap()), "two");
    second.open();
    let rest = response.text().await.unwrap();
    assert!(rest.ends_with("data: [DONE]\n\n"), "{rest}");
    assert_eq!(events(&rest)[0]["x_gateway"]["attempts"][0]["provider"], "first");
    gateway.is_well();
}

/// The runtime's own client would let every first token wait for an acknowledgement.
#[tokio::test]
async fn every_connection_sets_tcp_nodelay() {
    let gateway = Gateway::start().await;
    gateway.fake.respond_with([ScriptedResponse::stream([openai::chunk("one"), Step::Hang])]);
    let mut response = gateway.stream().await;
    response.until("one").await.unwrap();
    let found = connections(gateway.emulator.report().cold_starts[0].pid);
    // One to the Runtime API, one to the provider, and those to AWS.
    assert!(2 < found.len(), "{found:?}");
    assert!(found.iter().all(|it| it.nodelay), "{found:?}");
}

#[tokio::test]
async fn a_rate_limited_target_is_failed_over_before_the_first_byte() {
    let gateway = Gateway::start().await;
    let busy = openai::error(429, "rate_limit_error", "slow down");
    gateway.fake.respond_with([busy, openai::stream(["Hel", "lo!"])]);
    let response = gateway.stream().await;
    assert_eq!(response.header("x-gateway-attempts"), "2");
    assert_eq!(streamed_text(&response.text().await.unwrap()), "Hello!");
    assert_eq!(gateway.requests(), ["first", "second"]);
    gateway.is_well();
}

#[tokio::test]
async fn a_role_delta_alone_does_not_commit_the_response() {
    let gateway = Gateway::start().await;
    let cut = ScriptedResponse::stream([openai::role(), Step::Cut]);
    gateway.fake.respond_with([cut, openai::stream(["Hello!"])]);
    let response = gateway.stream().await;
    assert_eq!(response.header("x-gateway-provider"), "second");
    assert_eq!(streamed_text(&response.text().await.unwrap()), "Hello!");
    gateway.is_well();
}

#[tokio::test]
async fn a_failure_before_the_first_byte_has_a_status() {
    let gateway = Gateway::start().await;
    gateway.fake.respond_with([openai::error(500, "server_error", "we broke")]);
    let response = gateway.stream().await;
    assert_eq!(
        (response.status.as_u16(), response.header("content-type")),
        (502, "application/json")
    );
    assert_eq!(response.json().await.unwrap()["error"]["attempts"].as_array().unwrap().len(), 2);
    gateway.is_well();
}

#[tokio::test]
async fn a_broken_connection_becomes_an_error_event() {
    breaks_off([Step::Cut], "network").await;
}

#[tokio::test]
async fn an_idle_timeout_becomes_an_error_event() {
    breaks_off([Step::Hang], "timeout").await;
}

#[tokio::test]
async fn a_missing_terminator_becomes_an_error_event() {
    breaks_off([], "server_error").await;
}

#[tokio::test]
async fn a_providers_error_event_is_translated() {
    breaks_off([openai::error_event("server_error", "we broke")], "server_error").await;
}

#[tokio::test]
async fn an_invalid_event_becomes_an_error_event() {
    breaks_off([Step::text("data: {oops\n\n")], "server_error").await;
}

/// A stream that sends "Hel" and then breaks ends with an error of this code, and not as if it were
/// complete; no other target is attempted.
async fn breaks_off<const N: usize>(end: [Step; N], code: &str) {
    let gateway = Gateway::empty(|it| it).await;
    gateway.apply(&format!("idle_timeout: 1s\n{}", two_steps(&gateway.fake))).await;
    let steps = [openai::role(), openai::chunk("Hel")].into_iter().chain(end);
    gateway.fake.respond_with([ScriptedResponse::stream(steps)]);
    let response = gateway.stream().await;
    assert_eq!(response.status, 200);
    let text = response.text().await.unwrap();
    assert_eq!(streamed_text(&text), "Hel");
    let last = events(&text).pop().unwrap();
    assert_eq!(last["error"]["code"], code, "{text}");
    assert!(message(&last).starts_with("Provider first: "), "{text}");
    assert!(!text.contains("data: [DONE]") && !text.contains("Lambda-Runtime"), "{text}");
    assert_eq!(gateway.requests(), ["first"]);
    gateway.is_well();
}

#[tokio::test]
async fn keep_alives_fill_silence_before_and_inside_a_stream() {
    let gateway = Gateway::start_as(|it| it.env("STREAM_HEARTBEAT_SECONDS", "0.1")).await;
    let (first, second) = (Latch::new(), Latch::new());
    gateway.fake.respond_with([ScriptedResponse::stream([
        Step::Latch(first.clone()),
        openai::role(),
        openai::chunk("one"),
        Step::Latch(second.clone()),
        openai::finish("stop"),
        openai::done(),
    ])]);
    let mut response = gateway.stream().await;
    assert_eq!(read_keep_alive(&mut response).await, ": keep-alive\n\n");
    first.open();
    response.until("one").await.unwrap();
    assert_eq!(read_keep_alive(&mut response).await, ": keep-alive\n\n");
    second.open();
    assert!(response.text().await.unwrap().ends_with("data: [DONE]\n\n"));
    gateway.is_well();
}

/// The next chunk, which is all there is to read now.
async fn read_keep_alive(response: &mut ClientResponse) -> String {
    String::from_utf8(response.chunk().await.unwrap().unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn a_failure_after_a_keep_alive_is_an_error_event() {
    let gateway = Gateway::start_as(|it| it.env("STREAM_HEARTBEAT_SECONDS", "0.1")).await;
    let latch = Latch::new();
    let late = ScriptedResponse::stream([Step::Latch(latch.clone()), Step::Cut]);
    gateway.fake.respond_with([late, openai::error(500, "server_error", "we broke")]);
    let mut response = gateway.stream().await;
    assert_eq!(response.status, 200);
    response.until(": keep-alive").await.unwrap();
    latch.open();
    let text = response.text().await.unwrap();
    let last = events(&text).pop().unwrap();
    assert_eq!(last["error"]["attempts"].as_array().unwrap().len(), 2, "{text}");
    assert!(!text.contains("data: [DONE]"), "{text}");
    gateway.is_well();
}

#[tokio::test]
async fn usage_is_requested_and_returned_to_clients_that_want_it() {
    let gateway = Gateway::start().await;
    let script = || {
        let (text, end) = (openai::chunk("Hi"), openai::finish("stop"));
        ScriptedResponse::stream([openai::role(), text, end, openai::usage(9, 12), openai::done()])
    };
    gateway.fake.respond_with([script(), script()]);
    let plain = gateway.stream().await.text().await.unwrap();
    let mut body = question();
    body["stream"] = true.into();
    body["stream_options"] = json!({"include_usage": true});
    let with_usage = gateway.send(&body).await.text().await.unwrap();
    let usage = |text: &str| events(text).iter().any(|it| it["usage"]["prompt_tokens"] == 9);
    assert!(!usage(&plain) && usage(&with_usage), "{plain}\n{with_usage}");
    for seen in gateway.fake.requests() {
        assert_eq!(seen.json()["stream_options"]["include_usage"], true);
    }
}
