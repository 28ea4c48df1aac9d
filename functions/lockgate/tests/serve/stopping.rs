//! Clients that go away, and a server that is asked to.

use std::time::Duration;

use serde_json::Value;
use testkit::client;
use testkit::lockgate::Lockgate;
use testkit::openai;
use testkit::provider::{Answer, Fake, Gate, Outcome, Step};

use crate::support::{KEY, ask, before, before_both, hello, hello_streamed, provider, text_in};

/// Asks, and goes away once the provider was asked.
async fn ask_and_leave(gateway: &Lockgate, provider: &Fake, question: Value) {
    let url = format!("{}/v1/chat/completions", gateway.url());
    let call = tokio::spawn(async move {
        client::post_json(&url, KEY, &question).await.map(|answer| answer.status)
    });
    provider.asked(1).await;
    call.abort();
}

#[tokio::test]
async fn who_leaves_before_an_answer_cancels_the_providers_call() {
    for question in [hello("first/m"), hello_streamed("first/m")] {
        let first = Fake::start().await;
        first.answers([Answer::hang()]);
        let gateway = before(&first, "").await;
        ask_and_leave(&gateway, &first, question).await;
        assert!(first.cancelled().await);
        gateway.logged("outcome=\"canceled\"").await;
    }
}

#[tokio::test]
async fn who_leaves_a_stream_cancels_the_providers_call() {
    let first = Fake::start().await;
    first.answers([Answer::stream([openai::role(), openai::chunk("Once"), Step::Hang])]);
    let gateway = before(&first, "").await;
    let mut answer = ask(&gateway, &hello_streamed("first/m")).await;
    answer.until("Once").await.unwrap();
    drop(answer);
    assert!(first.cancelled().await);
    let log = gateway.logged("outcome=\"canceled\"").await;
    assert_eq!(log.matches("call ended").count(), 1);
}

#[tokio::test]
async fn a_stream_that_its_client_leaves_is_logged_with_usage_and_cost() {
    let first = Fake::start().await;
    let text = "Once upon a time";
    first.answers([Answer::stream([openai::role(), openai::chunk(text), Step::Hang])]);
    let prices = "prices: [{ provider: first, model: m, input: 0, output: 1000000 }]";
    let gateway = before(&first, prices).await;
    let mut answer = ask(&gateway, &hello_streamed("first/m")).await;
    answer.until("Once").await.unwrap();
    drop(answer);
    let log = gateway.logged("outcome=\"canceled\"").await;
    for field in ["tokens_output=4", "tokens_estimated=true", "cost_usd=\"4.000000\""] {
        assert!(log.contains(field), "{field}: {log}");
    }
}

#[tokio::test]
async fn who_left_is_not_replaced_by_a_call_to_the_next_provider() {
    let (first, second) = (Fake::start().await, provider().await);
    first.answers([Answer::hang()]);
    let gateway = before_both(&first, &second, crate::support::BOTH).await;
    ask_and_leave(&gateway, &first, hello("both")).await;
    gateway.logged("outcome=\"canceled\"").await;
    assert!(second.seen().is_empty());
}

#[tokio::test]
async fn one_who_leaves_does_not_disturb_others() {
    let gate = Gate::new();
    let first = Fake::start().await;
    let steps =
        [openai::chunk("Once"), Step::Gate(gate.clone()), openai::finish("stop"), openai::done()];
    first.answers([Answer::stream(steps)]);
    let gateway = before(&first, "").await;
    let mut stays = ask(&gateway, &hello_streamed("first/m")).await;
    let mut leaves = ask(&gateway, &hello_streamed("first/m")).await;
    stays.until("Once").await.unwrap();
    leaves.until("Once").await.unwrap();
    drop(leaves);
    assert!(first.cancelled().await);
    gate.open();
    assert!(stays.text().await.unwrap().ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn a_server_that_is_asked_to_stop_finishes_its_streams() {
    let gate = Gate::new();
    let first = Fake::start().await;
    let begun = [openai::chunk("Once"), Step::Gate(gate.clone()), openai::chunk(" upon")];
    let steps = begun.into_iter().chain([openai::finish("stop"), openai::done()]);
    first.answers([Answer::stream(steps)]);
    let gateway = before(&first, "").await;
    let mut answer = ask(&gateway, &hello_streamed("first/m")).await;
    let mut stream = answer.until("Once").await.unwrap();
    gateway.terminate().unwrap();
    until_closed(&gateway).await;
    gate.open();
    stream += &answer.text().await.unwrap();
    assert_eq!(text_in(&stream), "Once upon");
    assert!(stream.ends_with("data: [DONE]\n\n"));
    let (status, log) = gateway.ended().await;
    assert!(status.success(), "{log}");
    assert!(log.contains("outcome=\"success\""));
}

#[tokio::test]
async fn a_server_that_is_asked_to_stop_finishes_its_answers() {
    let first = Fake::start().await;
    let gate = Gate::new();
    let whole =
        Answer::stream([Step::Gate(gate.clone()), Step::text("{\"choices\":[{\"message\":{}}]}")]);
    first.answers([whole.header("content-type", "application/json")]);
    let gateway = before(&first, "").await;
    let url = format!("{}/v1/chat/completions", gateway.url());
    let call = tokio::spawn(async move { client::post_json(&url, KEY, &hello("first/m")).await });
    first.asked(1).await;
    gateway.terminate().unwrap();
    until_closed(&gateway).await;
    gate.open();
    assert_eq!(call.await.unwrap().unwrap().status, 200);
    assert!(gateway.ended().await.0.success());
    assert_eq!(first.seen()[0].outcome, Outcome::Complete);
}

#[tokio::test]
async fn a_server_with_nothing_to_do_stops_at_once() {
    let first = provider().await;
    let gateway = before(&first, "").await;
    // A connection that is kept for the next call is no reason to stay.
    let idle =
        tokio::net::TcpStream::connect(gateway.url().trim_start_matches("http://")).await.unwrap();
    gateway.terminate().unwrap();
    assert!(gateway.ended().await.0.success());
    drop(idle);
}

#[tokio::test]
async fn a_stream_that_outlasts_the_drain_ends_with_an_error_of_its_format() {
    let first = Fake::start().await;
    first.answers([Answer::stream([openai::chunk("Once"), Step::Hang])]);
    let gateway = before(&first, "server: { drain_timeout: 200ms }").await;
    let mut answer = ask(&gateway, &hello_streamed("first/m")).await;
    answer.until("Once").await.unwrap();
    gateway.terminate().unwrap();
    let rest = answer.text().await.unwrap();
    assert!(rest.contains("\"code\":\"unavailable\""), "{rest}");
    assert!(rest.contains("The gateway is stopping"), "{rest}");
    assert!(!rest.contains("[DONE]"), "{rest}");
    let (status, log) = gateway.ended().await;
    assert!(status.success(), "{log}");
    assert!(log.contains("outcome=\"unavailable\""), "{log}");
}

#[tokio::test]
async fn a_call_that_outlasts_the_drain_is_refused() {
    let first = Fake::start().await;
    first.answers([Answer::hang()]);
    let gateway = before(&first, "server: { drain_timeout: 200ms }").await;
    let url = format!("{}/v1/chat/completions", gateway.url());
    let call = tokio::spawn(async move { client::post_json(&url, KEY, &hello("first/m")).await });
    first.asked(1).await;
    gateway.terminate().unwrap();
    assert_eq!(call.await.unwrap().unwrap().status, 503);
    assert!(gateway.ended().await.0.success());
}

#[tokio::test]
async fn a_second_signal_ends_the_server_at_once() {
    let first = Fake::start().await;
    first.answers([Answer::hang()]);
    let gateway = before(&first, "server: { drain_timeout: 1h }").await;
    let url = format!("{}/v1/chat/completions", gateway.url());
    let call = tokio::spawn(async move { client::post_json(&url, KEY, &hello("first/m")).await });
    first.asked(1).await;
    gateway.terminate().unwrap();
    until_closed(&gateway).await;
    gateway.terminate().unwrap();
    let (_, log) = gateway.ended().await;
    assert!(log.contains("second signal"), "{log}");
    assert!(call.await.unwrap().is_err());
}

#[tokio::test]
async fn a_connection_without_a_call_does_not_hold_the_exit() {
    let first = provider().await;
    let rest = "server: { drain_timeout: 1h, head_timeout: 1h, keep_alive_timeout: 1h }";
    let gateway = before(&first, rest).await;
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

/// Waits until nobody new is let in.
async fn until_closed(gateway: &Lockgate) {
    for _ in 0..1000 {
        if client::get(&format!("{}/health", gateway.url())).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it still lets clients in");
}
