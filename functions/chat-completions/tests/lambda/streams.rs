//! Answers that come piece by piece, and the ways in which they break.

use serde_json::json;
use testkit::{
    client::Answer,
    openai,
    provider::{Answer as Scripted, Gate, Step},
    sockets::connections,
};

use crate::{Gateway, events, message, question, said, two_steps};

#[tokio::test]
async fn each_piece_arrives_when_the_provider_sends_it() {
    let gateway = Gateway::start().await;
    let (first, second) = (Gate::new(), Gate::new());
    gateway.fake.answers([Scripted::stream([
        openai::role(),
        openai::chunk("one"),
        Step::Gate(first.clone()),
        openai::chunk("two"),
        Step::Gate(second.clone()),
        openai::finish("stop"),
        openai::done(),
    ])]);
    let mut answer = gateway.stream().await;
    assert_eq!(answer.header("content-type"), "text/event-stream");
    assert_eq!(answer.header("x-gateway-provider"), "first");
    assert_eq!(said(&answer.until("one").await.unwrap()), "one");
    first.open();
    assert_eq!(said(&answer.until("two").await.unwrap()), "two");
    second.open();
    let rest = answer.text().await.unwrap();
    assert!(rest.ends_with("data: [DONE]\n\n"), "{rest}");
    assert_eq!(events(&rest)[0]["x_gateway"]["attempts"][0]["provider"], "first");
    gateway.is_well();
}

/// The runtime's own client would let every first token wait for an acknowledgement.
#[tokio::test]
async fn no_connection_holds_small_writes_back() {
    let gateway = Gateway::start().await;
    gateway.fake.answers([Scripted::stream([openai::chunk("one"), Step::Hang])]);
    let mut answer = gateway.stream().await;
    answer.until("one").await.unwrap();
    let found = connections(gateway.emulator.report().cold_starts[0].pid);
    // One to the Runtime API, one to the provider, and those to AWS.
    assert!(2 < found.len(), "{found:?}");
    assert!(found.iter().all(|it| it.nodelay), "{found:?}");
}

#[tokio::test]
async fn a_rate_limited_step_is_passed_over_before_the_first_byte() {
    let gateway = Gateway::start().await;
    let busy = openai::error(429, "rate_limit_error", "slow down");
    gateway.fake.answers([busy, openai::stream(["Hel", "lo!"])]);
    let answer = gateway.stream().await;
    assert_eq!(answer.header("x-gateway-attempts"), "2");
    assert_eq!(said(&answer.text().await.unwrap()), "Hello!");
    assert_eq!(gateway.asked(), ["first", "second"]);
    gateway.is_well();
}

#[tokio::test]
async fn a_role_without_a_word_is_no_answer_yet() {
    let gateway = Gateway::start().await;
    let cut = Scripted::stream([openai::role(), Step::Cut]);
    gateway.fake.answers([cut, openai::stream(["Hello!"])]);
    let answer = gateway.stream().await;
    assert_eq!(answer.header("x-gateway-provider"), "second");
    assert_eq!(said(&answer.text().await.unwrap()), "Hello!");
    gateway.is_well();
}

#[tokio::test]
async fn a_failure_before_the_first_byte_has_a_status() {
    let gateway = Gateway::start().await;
    gateway.fake.answers([openai::error(500, "server_error", "we broke")]);
    let answer = gateway.stream().await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (502, "application/json"));
    assert_eq!(answer.json().await.unwrap()["error"]["attempts"].as_array().unwrap().len(), 2);
    gateway.is_well();
}

#[tokio::test]
async fn a_cut_becomes_an_error_in_the_stream() {
    breaks_off([Step::Cut], "network").await;
}

#[tokio::test]
async fn silence_becomes_an_error_in_the_stream() {
    breaks_off([Step::Hang], "timeout").await;
}

#[tokio::test]
async fn a_missing_terminator_becomes_an_error_in_the_stream() {
    breaks_off([], "server_error").await;
}

#[tokio::test]
async fn an_error_of_the_provider_becomes_ours() {
    breaks_off([openai::error_event("server_error", "we broke")], "server_error").await;
}

#[tokio::test]
async fn an_unreadable_event_becomes_an_error_in_the_stream() {
    breaks_off([Step::text("data: {oops\n\n")], "server_error").await;
}

/// A stream that says "Hel" and then breaks ends with an error of this code, and not as if it were
/// whole; nobody else is asked.
async fn breaks_off<const N: usize>(end: [Step; N], code: &str) {
    let gateway = Gateway::empty(|it| it).await;
    gateway.apply(&format!("idle_timeout: 1s\n{}", two_steps(&gateway.fake))).await;
    let steps = [openai::role(), openai::chunk("Hel")].into_iter().chain(end);
    gateway.fake.answers([Scripted::stream(steps)]);
    let answer = gateway.stream().await;
    assert_eq!(answer.status, 200);
    let text = answer.text().await.unwrap();
    assert_eq!(said(&text), "Hel");
    let last = events(&text).pop().unwrap();
    assert_eq!(last["error"]["code"], code, "{text}");
    assert!(message(&last).starts_with("Provider first: "), "{text}");
    assert!(!text.contains("data: [DONE]") && !text.contains("Lambda-Runtime"), "{text}");
    assert_eq!(gateway.asked(), ["first"]);
    gateway.is_well();
}

#[tokio::test]
async fn silence_before_and_inside_a_stream_is_filled() {
    let gateway = Gateway::start_as(|it| it.env("STREAM_HEARTBEAT_SECONDS", "0.1")).await;
    let (first, second) = (Gate::new(), Gate::new());
    gateway.fake.answers([Scripted::stream([
        Step::Gate(first.clone()),
        openai::role(),
        openai::chunk("one"),
        Step::Gate(second.clone()),
        openai::finish("stop"),
        openai::done(),
    ])]);
    let mut answer = gateway.stream().await;
    assert_eq!(beats(&mut answer).await, ": keep-alive\n\n");
    first.open();
    answer.until("one").await.unwrap();
    assert_eq!(beats(&mut answer).await, ": keep-alive\n\n");
    second.open();
    assert!(answer.text().await.unwrap().ends_with("data: [DONE]\n\n"));
    gateway.is_well();
}

/// The next piece, which is all there is to read now.
async fn beats(answer: &mut Answer) -> String {
    String::from_utf8(answer.chunk().await.unwrap().unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn a_failure_after_a_heartbeat_comes_inside_the_stream() {
    let gateway = Gateway::start_as(|it| it.env("STREAM_HEARTBEAT_SECONDS", "0.1")).await;
    let gate = Gate::new();
    let late = Scripted::stream([Step::Gate(gate.clone()), Step::Cut]);
    gateway.fake.answers([late, openai::error(500, "server_error", "we broke")]);
    let mut answer = gateway.stream().await;
    assert_eq!(answer.status, 200);
    answer.until(": keep-alive").await.unwrap();
    gate.open();
    let text = answer.text().await.unwrap();
    let last = events(&text).pop().unwrap();
    assert_eq!(last["error"]["attempts"].as_array().unwrap().len(), 2, "{text}");
    assert!(!text.contains("data: [DONE]"), "{text}");
    gateway.is_well();
}

#[tokio::test]
async fn usage_is_asked_for_and_shown_to_who_wants_it() {
    let gateway = Gateway::start().await;
    let script = || {
        let (text, end) = (openai::chunk("Hi"), openai::finish("stop"));
        Scripted::stream([openai::role(), text, end, openai::usage(9, 12), openai::done()])
    };
    gateway.fake.answers([script(), script()]);
    let plain = gateway.stream().await.text().await.unwrap();
    let mut body = question();
    body["stream"] = true.into();
    body["stream_options"] = json!({"include_usage": true});
    let with_usage = gateway.send(&body).await.text().await.unwrap();
    let usage = |text: &str| events(text).iter().any(|it| it["usage"]["prompt_tokens"] == 9);
    assert!(!usage(&plain) && usage(&with_usage), "{plain}\n{with_usage}");
    for seen in gateway.fake.seen() {
        assert_eq!(seen.json()["stream_options"]["include_usage"], true);
    }
}
