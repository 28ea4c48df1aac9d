//! Faults of clients on real sockets: slow, silent, impatient and many of them. Each costs its own
//! call at most, and the gateway serves the next one.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use http::Request;
use serde_json::{Value, json};
use testkit::client;
use testkit::lockgate::{Lockgate, Resource};
use testkit::openai;
use testkit::provider::{FakeProvider, Outcome, ReceivedRequest, ScriptedResponse, Step};

use crate::support::{
    KEY, ask, gateway_for, gateway_for_both, hello, hello_streamed, logged_call, provider,
};

/// How much memory a client that reads nothing may hold, in KiB: the buffers of two sockets.
const MAX_SLOW_READER_KIB: u64 = 2 * 1024;
/// How much memory an idle connection may hold, in KiB.
const MAX_IDLE_CONNECTION_KIB: u64 = 32;

fn connect(gateway: &Lockgate) -> TcpStream {
    TcpStream::connect(gateway.url().trim_start_matches("http://")).unwrap()
}

/// A chat request as it is on the wire.
fn wire(question: &Value, more: &str) -> String {
    let body = question.to_string();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\nx-api-key: {KEY}\r\n{more}\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Sends bytes in these parts, with a pause between them, then does `after`; reads to the end.
async fn exchange(
    gateway: &Lockgate,
    parts: Vec<String>,
    pause: Duration,
    after: impl FnOnce(&TcpStream) + Send + 'static,
) -> String {
    let mut socket = connect(gateway);
    let read = tokio::task::spawn_blocking(move || {
        for part in parts {
            // A connection that the gateway has closed meanwhile takes no more.
            if socket.write_all(part.as_bytes()).is_err() {
                break;
            }
            std::thread::sleep(pause);
        }
        after(&socket);
        let mut read = vec![];
        drop(socket.read_to_end(&mut read));
        String::from_utf8_lossy(&read).into_owned()
    });
    read.await.unwrap()
}

/// The letters of a text, each for itself.
fn letters(text: &str) -> Vec<String> {
    text.chars().map(String::from).collect()
}

async fn assert_serves(gateway: &Lockgate) {
    assert_eq!(ask(gateway, &hello("first/m")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_readers_do_not_fill_memory() {
    const READERS: u64 = 16;
    let text = openai::chunk(&"x".repeat(100_000));
    // 60 MB for each, of which no more is read than fits the buffers.
    let steps: Vec<Step> = std::iter::repeat_n(text, 600).chain([openai::done()]).collect();
    let first = FakeProvider::responding_with(move |seen: &ReceivedRequest| {
        if seen.json()["stream"] == true {
            ScriptedResponse::stream(steps.clone())
        } else {
            openai::completion("Hi")
        }
    })
    .await;
    let gateway = gateway_for(&first, "server: { write_timeout: 1s }").await;
    assert_serves(&gateway).await;
    first.forget();
    let before = gateway.memory_kib("VmHWM");

    let mut readers = vec![];
    for _ in 0..READERS {
        let mut socket = connect(&gateway);
        socket.write_all(wire(&hello_streamed("first/m"), "").as_bytes()).unwrap();
        readers.push(socket);
    }
    let all_left = |seen: &[ReceivedRequest]| {
        seen.iter().filter(|it| it.outcome == Outcome::Cancelled).count() == readers.len()
    };
    until(|| all_left(&first.requests())).await;
    let peak = gateway.memory_kib("VmHWM") - before;
    assert!(peak < READERS * MAX_SLOW_READER_KIB, "{peak} KiB for {READERS} readers");
    assert_serves(&gateway).await;
}

/// Waits until something holds.
pub(crate) async fn until(holds: impl Fn() -> bool) {
    for _ in 0..2000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come to that");
}

/// A streamed request in each format: its name, path and body.
fn streamed_requests() -> [(&'static str, &'static str, Value); 4] {
    let messages = json!([{"role": "user", "content": "Hello"}]);
    let contents = json!([{"role": "user", "parts": [{"text": "Hello"}]}]);
    [
        ("chat", "/v1/chat/completions", hello_streamed("both")),
        ("responses", "/v1/responses", json!({"model": "both", "stream": true, "input": "Hello"})),
        (
            "messages",
            "/v1/messages",
            json!({"model": "both", "stream": true, "max_tokens": 99, "messages": messages}),
        ),
        (
            "gemini",
            "/v1beta/models/both:streamGenerateContent?alt=sse",
            json!({"contents": contents}),
        ),
    ]
}

/// Calls, and hangs up once this text is there; none: once the provider has the request.
async fn hang_up_at(gateway: &Lockgate, first: &FakeProvider, request: HangUp<'_>) {
    let (path, body, id) = request.call;
    let before = first.requests().len();
    let request_bytes = Request::post(format!("{}{path}", gateway.url()))
        .header("authorization", format!("Bearer {KEY}"))
        .header("x-request-id", id)
        .body(body.to_string().into())
        .unwrap();
    let text = request.text.map(str::to_owned);
    let call = tokio::spawn(async move {
        let mut response = client::send(request_bytes).await.unwrap();
        response.until(&text.unwrap_or_else(|| "what never comes".to_owned())).await.unwrap();
    });
    if request.text.is_some() {
        call.await.unwrap();
    } else {
        first.wait_for_requests(before + 1).await;
        call.abort();
    }
}

/// Which call is left, and when.
struct HangUp<'a> {
    call: (&'a str, &'a Value, &'a str),
    text: Option<&'a str>,
}

#[tokio::test]
async fn a_hang_up_at_any_event_ends_one_attempt_in_every_format() {
    const TEXTS: [&str; 4] = ["One ", "two ", "three ", "four "];
    let (first, second) = (FakeProvider::start().await, provider().await);
    let gateway = gateway_for_both(&first, &second, crate::support::BOTH).await;
    for (name, path, body) in streamed_requests() {
        for events in 0..=TEXTS.len() + 1 {
            // Nothing, a role, and then one text more each time; and no end.
            let steps = [openai::role()].into_iter().chain(TEXTS.map(openai::chunk));
            let steps = steps.take(events).chain([Step::Hang]);
            first.respond_with([ScriptedResponse::stream(steps)]);
            let id = format!("{name}-{events}");
            let text = events.checked_sub(2).map(|last| TEXTS[last]);
            let call = (path, &body, id.as_str());
            hang_up_at(&gateway, &first, HangUp { call, text }).await;
            let record = logged_call(&gateway, &id).await;
            assert!(record.contains("outcome=\"canceled\""), "{id}: {record}");
            assert!(record.contains("attempts=\"first/small canceled "), "{id}: {record}");
        }
    }
    until(|| first.requests().iter().all(|seen| seen.outcome == Outcome::Cancelled)).await;
    assert!(second.requests().is_empty());
}

#[tokio::test]
async fn a_client_that_closes_its_side_has_left() {
    let first = FakeProvider::start().await;
    first.respond_with([ScriptedResponse::hang()]);
    let gateway = gateway_for(&first, "server: { keep_alive_timeout: 200ms }").await;
    let close = |socket: &TcpStream| socket.shutdown(Shutdown::Write).unwrap();
    let whole = wire(&hello("first/m"), "x-request-id: half-closed\r\n");
    exchange(&gateway, vec![whole], Duration::ZERO, close).await;
    // It may have left before its request was read.
    if !first.requests().is_empty() {
        assert!(first.cancelled().await);
        let record = logged_call(&gateway, "half-closed").await;
        assert!(record.contains("outcome=\"canceled\""), "{record}");
    }

    first.forget();
    let mut part = wire(&hello("first/m"), "");
    part.truncate(part.len() - 5);
    let read = exchange(&gateway, vec![part], Duration::ZERO, close).await;
    assert!(!read.contains(" 200 "), "{read}");
    assert!(first.requests().is_empty());
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let first = FakeProvider::start().await;
    first.respond_with([openai::stream(["Hel", "lo"]), openai::completion("Hi")]);
    let gateway = gateway_for(&first, "").await;
    let requests =
        [wire(&hello_streamed("first/m"), ""), wire(&hello("first/m"), "connection: close\r\n")];
    let read = exchange(&gateway, vec![requests.concat()], Duration::ZERO, |_| {}).await;
    let (streamed, whole) = read.split_once("[DONE]").unwrap();
    assert!(streamed.contains("\"Hel\"") && streamed.contains("\"lo\""), "{read}");
    assert!(whole.contains("\"content\":\"Hi\""), "{read}");
    assert_eq!(read.matches("HTTP/1.1 200").count(), 2, "{read}");
}

#[tokio::test]
async fn a_slow_request_is_served_and_an_endless_head_is_cut() {
    let first = provider().await;
    let gateway = gateway_for(&first, "").await;
    let slow = letters(&wire(&hello("first/m"), "connection: close\r\n"));
    let read = exchange(&gateway, slow, Duration::from_millis(2), |_| {}).await;
    assert!(read.starts_with("HTTP/1.1 200"), "{read}");

    // Never silent for as long as the limit, and yet never complete.
    let gateway = gateway_for(&first, "server: { head_timeout: 300ms }").await;
    let endless = std::iter::once("GET /health HTTP/1.1\r\nx: ".to_owned());
    let endless = endless.chain(std::iter::repeat_n("x".to_owned(), 5_000)).collect();
    let read = exchange(&gateway, endless, Duration::from_millis(5), |_| {}).await;
    assert!(!read.starts_with("HTTP/1.1 2"), "{read}");
    assert_serves(&gateway).await;
}

#[tokio::test]
async fn a_body_that_is_never_silent_for_long_is_served() {
    let first = provider().await;
    let gateway = gateway_for(&first, "server: { body_timeout: 5s }").await;
    let request = wire(&hello("first/m"), "connection: close\r\n");
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut parts = vec![format!("{head}\r\n\r\n")];
    parts.extend(letters(body));
    let read = exchange(&gateway, parts, Duration::from_millis(100), |_| {}).await;
    assert!(read.starts_with("HTTP/1.1 200"), "{read}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_connections_hold_little_memory() {
    let first = provider().await;
    let limits = "max_connections: 20000, max_connections_per_address: 20000";
    let server = format!(
        "server: {{ {limits}, head_timeout: 1h, keep_alive_timeout: 1h, drain_timeout: 1s }}"
    );
    let gateway = gateway_for(&first, &server).await;
    assert_serves(&gateway).await;
    let (before, descriptors) = (gateway.memory_kib("VmRSS"), gateway.descriptors());

    // Half of the descriptors are for calls to providers; the test needs as many as the gateway.
    let most = testkit::sockets::raise_descriptor_limit() / 2;
    let count = usize::try_from(most).unwrap().saturating_sub(100).min(10_000);
    let mut idle = vec![];
    for _ in 0..count {
        let address = gateway.url().trim_start_matches("http://");
        idle.push(tokio::net::TcpStream::connect(address).await.unwrap());
    }
    // Those of the first call may be closed meanwhile.
    until(|| descriptors + count <= gateway.descriptors() + 10).await;
    assert_serves(&gateway).await;
    let each = gateway.memory_kib("VmRSS").saturating_sub(before) / u64::try_from(count).unwrap();
    assert!(each < MAX_IDLE_CONNECTION_KIB, "{each} KiB for each of {count} connections");

    drop(idle);
    until(|| gateway.descriptors() < descriptors + 50).await;
}

#[tokio::test]
async fn used_up_descriptors_fail_calls_and_not_the_server() {
    let first = provider().await;
    let gateway = gateway_for(&first, "pool: { max_idle_per_host: 0 }").await;
    assert_serves(&gateway).await;
    // More than the calls below can have closed, so that none of their own is ever the idlest.
    let before = gateway.descriptors();
    let idle: Vec<TcpStream> = (0..64).map(|_| connect(&gateway)).collect();
    // Those of the first call may be closed meanwhile.
    until(|| before + idle.len() <= gateway.descriptors() + 10).await;
    let descriptors = u64::try_from(gateway.descriptors()).unwrap();
    gateway.limit(Resource::Descriptors, Some(descriptors));

    // The longest idle connections make room for the client's; whether one is left for the provider
    // is a matter of luck.
    let mut statuses = vec![];
    for _ in 0..4 {
        statuses.push(ask(&gateway, &hello("first/m")).await.status.as_u16());
    }
    assert!(statuses.iter().all(|it| [200, 502, 503].contains(it)), "{statuses:?}");
    gateway.logged("failed to accept a connection").await;

    gateway.limit(Resource::Descriptors, None);
    assert_serves(&gateway).await;
    drop(idle);
}
