//! Limits on client connections: idle ones are closed, and the oldest makes room at the limit.

use std::io::{Read, Write};
use std::net::TcpStream;

use testkit::lockgate::Lockgate;
use testkit::openai;
use testkit::provider::{FakeProvider, ScriptedResponse, Step};

use crate::support::{KEY, ask, gateway_for, hello, hello_streamed, provider};

fn connect(gateway: &Lockgate) -> TcpStream {
    TcpStream::connect(gateway.url().trim_start_matches("http://")).unwrap()
}

/// Sends bytes on a connection of their own, and reads until the gateway closes it.
async fn exchange(gateway: &Lockgate, bytes: impl Into<Vec<u8>>) -> String {
    let mut socket = connect(gateway);
    let bytes = bytes.into();
    let read = tokio::task::spawn_blocking(move || {
        socket.write_all(&bytes).unwrap();
        read_to_end(&mut socket)
    });
    read.await.unwrap()
}

/// Everything until the end, whether the connection was closed or reset.
fn read_to_end(socket: &mut TcpStream) -> String {
    let mut read = vec![];
    drop(socket.read_to_end(&mut read));
    String::from_utf8_lossy(&read).into_owned()
}

/// A request up to its body, of which this many bytes are announced.
fn head(length: usize) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\nx-api-key: {KEY}\r\n\
         content-length: {length}\r\n\r\n"
    )
}

fn request(body: &str) -> String {
    head(body.len()) + body
}

#[tokio::test]
async fn a_connection_that_sends_no_request_is_closed() {
    let first = provider().await;
    let gateway = gateway_for(&first, "server: { head_timeout: 200ms }").await;
    for bytes in
        ["", "PRI * HT", "GET /health HTTP/1.1\r\nhost: ", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
    {
        let read = exchange(&gateway, bytes).await;
        assert!(!read.starts_with("HTTP/1.1 2"), "{bytes:?}: {read}");
    }
}

#[tokio::test]
async fn an_idle_client_connection_is_closed_after_its_timeout() {
    let first = provider().await;
    let gateway = gateway_for(&first, "server: { keep_alive_timeout: 200ms }").await;
    let read = exchange(&gateway, request(&hello("first/m").to_string())).await;
    assert!(read.starts_with("HTTP/1.1 200"), "{read}");
}

#[tokio::test]
async fn an_incomplete_head_after_a_call_closes_the_connection() {
    let first = provider().await;
    let gateway =
        gateway_for(&first, "server: { head_timeout: 300ms, keep_alive_timeout: 1h }").await;
    let mut socket = connect(&gateway);
    let read = tokio::task::spawn_blocking(move || {
        socket.write_all(b"GET /health HTTP/1.1\r\nhost: h\r\n\r\n").unwrap();
        let mut read = [0; 1024];
        let length = socket.read(&mut read).unwrap();
        assert!(read[..length].starts_with(b"HTTP/1.1 200"));
        socket.write_all(b"GET /health HT").unwrap();
        read_to_end(&mut socket)
    });
    assert!(!read.await.unwrap().contains("200"));
}

#[tokio::test]
async fn a_stalled_request_body_is_rejected() {
    let first = provider().await;
    let limits = "server: { body_timeout: 200ms, keep_alive_timeout: 200ms }";
    let gateway = gateway_for(&first, limits).await;
    let read = exchange(&gateway, head(1000) + "{\"model\":").await;
    assert!(read.starts_with("HTTP/1.1 400"), "{read}");
    assert!(read.contains("No byte of the request body came for 200ms"), "{read}");
    assert!(first.requests().is_empty());
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_disconnected() {
    let first = FakeProvider::start().await;
    let text = "x".repeat(100_000);
    first.respond_with([ScriptedResponse::stream(
        (0..400).map(|_| openai::chunk(&text)).chain([Step::Hang]),
    )]);
    let gateway = gateway_for(&first, "server: { write_timeout: 300ms }").await;
    let mut socket = connect(&gateway);
    socket.write_all(request(&hello_streamed("first/m").to_string()).as_bytes()).unwrap();
    assert!(first.cancelled().await);
    gateway.logged("outcome=\"canceled\"").await;
}

#[tokio::test]
async fn as_many_workers_serve_as_are_configured() {
    let first = provider().await;
    for count in [1, 3] {
        let gateway = gateway_for(&first, &format!("server: {{ workers: {count} }}")).await;
        assert_eq!(ask(&gateway, &hello("first/m")).await.status, 200);
        let threads = gateway.threads();
        assert_eq!(threads.iter().filter(|it| it.starts_with("worker-")).count(), count);
    }
}

#[tokio::test]
async fn the_most_idle_connection_is_closed_at_the_limit() {
    for limit in ["max_connections: 2", "max_connections_per_address: 2"] {
        let first = provider().await;
        let gateway =
            gateway_for(&first, &format!("server: {{ {limit}, head_timeout: 1h }}")).await;
        let mut idlest = connect(&gateway);
        let closed = tokio::task::spawn_blocking(move || read_to_end(&mut idlest));
        let _other = connect(&gateway);
        assert_eq!(ask(&gateway, &hello("first/m")).await.status, 200);
        assert_eq!(closed.await.unwrap(), "");
    }
}

#[tokio::test]
async fn an_http2_connection_has_bounded_streams_and_header_table() {
    let first = provider().await;
    let gateway = gateway_for(&first, "server: { head_timeout: 300ms }").await;
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    let mut socket = connect(&gateway);
    let settings = tokio::task::spawn_blocking(move || {
        socket.write_all(&bytes).unwrap();
        let mut header = [0; 9];
        socket.read_exact(&mut header).unwrap();
        assert_eq!(header[3], 4, "{header:?}");
        let mut payload = vec![0; usize::from(header[2])];
        socket.read_exact(&mut payload).unwrap();
        payload
    });
    let settings = settings.await.unwrap();
    let setting = |wanted: u8| {
        let found = settings.chunks(6).find(|setting| setting[1] == wanted).unwrap();
        u32::from_be_bytes([found[2], found[3], found[4], found[5]])
    };
    // SETTINGS_HEADER_TABLE_SIZE, MAX_CONCURRENT_STREAMS and MAX_HEADER_LIST_SIZE of RFC 9113.
    assert_eq!((setting(1), setting(3), setting(6)), (1024, 32, 65_536));
}

#[tokio::test]
async fn a_request_must_name_one_host() {
    let first = provider().await;
    let gateway = gateway_for(&first, "server: { keep_alive_timeout: 100ms }").await;
    for hosts in ["", "host: a\r\nhost: b\r\n"] {
        let read = exchange(&gateway, format!("GET /health HTTP/1.1\r\n{hosts}\r\n")).await;
        assert!(read.starts_with("HTTP/1.1 400"), "{read}");
    }
    let read = exchange(&gateway, "GET /health HTTP/1.0\r\n\r\n").await;
    assert!(read.starts_with("HTTP/1.0 200"), "{read}");
}

#[tokio::test]
async fn a_disconnect_with_unread_bytes_cancels_the_call() {
    let first = FakeProvider::start().await;
    first.respond_with([ScriptedResponse::hang()]);
    let gateway = gateway_for(&first, "server: { keep_alive_timeout: 400ms }").await;
    let mut socket = connect(&gateway);
    let one = request(&hello("first/m").to_string());
    socket.write_all((one.clone() + &one).as_bytes()).unwrap();
    first.wait_for_requests(1).await;
    drop(socket);
    assert!(first.cancelled().await);
}

#[tokio::test]
async fn bodies_that_are_only_announced_leave_their_memory_to_others() {
    let first = provider().await;
    let gateway = gateway_for(&first, "server: { max_body_bytes: 33554432 }").await;
    // Eight times the memory for bodies, of which a byte each comes.
    let announce = |_| {
        let mut socket = connect(&gateway);
        socket.write_all((head(33_554_432) + "{").as_bytes()).unwrap();
        socket
    };
    let quiet: Vec<TcpStream> = (0..60).map(announce).collect();
    // Calls that come behind them on the same workers, so that the heads are read.
    for _ in 0..20 {
        assert_eq!(ask(&gateway, &hello("first/m")).await.status, 200);
    }
    drop(quiet);
}

#[tokio::test]
async fn memory_for_bodies_is_limited() {
    let (first, held) = (FakeProvider::start().await, testkit::provider::Latch::new());
    let response = [Step::Latch(held.clone()), Step::text("{\"choices\":[{\"message\":{}}]}")];
    let response = ScriptedResponse::stream(response).header("content-type", "application/json");
    first.respond_with([response, openai::completion("Hi")]);
    let gateway = gateway_for(&first, "server: { max_memory_bytes: 1000000 }").await;
    let mut question = hello("first/m");
    question["messages"][0]["content"] = "x".repeat(600_000).into();

    let url = format!("{}/v1/chat/completions", gateway.url());
    let held_question = question.clone();
    let call = tokio::spawn(async move {
        let response = testkit::client::post_json(&url, KEY, &held_question).await.unwrap();
        (response.status, response.bytes().await.unwrap())
    });
    first.wait_for_requests(1).await;
    let error_of = ask(&gateway, &question).await;
    assert_eq!((error_of.status.as_u16(), error_of.header("retry-after")), (503, "1"));
    held.open();
    assert_eq!(call.await.unwrap().0, 200);
    // The connection of the first call may take a moment to end.
    for _ in 0..200 {
        if ask(&gateway, &question).await.status == 200 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the memory of a call that is over did not come back");
}
