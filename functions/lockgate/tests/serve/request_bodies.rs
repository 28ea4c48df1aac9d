//! Which request bodies are rejected and how, before any provider is called.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};
use testkit::lockgate::Lockgate;
use testkit::provider::FakeProvider;

use crate::support::{
    KEY, ask, ask_with, error_of, gateway_for, gateway_for_both, hello, only, post, provider, send,
    text_of,
};

const MEGABYTE: usize = 1024 * 1024;

/// The rejection of a body: status, code and parameter. The provider must get no request.
async fn refusal(body: &str) -> (u16, Value, Value) {
    let first = provider().await;
    let gateway = gateway_for(&first, "").await;
    let (status, error) = error_of(post(&gateway, body.to_owned(), &[]).await).await;
    assert_eq!(error["type"], "invalid_request_error", "{error}");
    assert!(error["message"].as_str().unwrap().starts_with("Lockgate: "), "{error}");
    assert!(first.requests().is_empty());
    (status, error["code"].clone(), error["param"].clone())
}

fn wrong(param: &str) -> (u16, Value, Value) {
    (400, json!("invalid_request"), json!(param))
}

#[tokio::test]
async fn a_body_that_is_not_a_json_object_is_rejected() {
    let none = (400, json!("invalid_request"), Value::Null);
    for body in ["", "hello", "[]", "null", "{", "{\"model\": \"first/m\",}", "{} {}", "\u{feff}{}"]
    {
        assert_eq!(refusal(body).await, none, "{body}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_utf_8_is_rejected() {
    let first = provider().await;
    let gateway = gateway_for(&first, "").await;
    let response = post(&gateway, &b"{\"model\": \"first/m\xff\"}"[..], &[]).await;
    assert_eq!(error_of(response).await.0, 400);
}

#[tokio::test]
async fn missing_or_empty_messages_are_rejected() {
    assert_eq!(refusal(r#"{"model": "first/m"}"#).await, wrong("messages"));
    assert_eq!(refusal(r#"{"model": "first/m", "messages": null}"#).await, wrong("messages"));
    assert_eq!(refusal(r#"{"model": "first/m", "messages": []}"#).await, wrong("messages"));
}

#[tokio::test]
async fn a_field_of_a_wrong_type_is_named_in_the_error() {
    for (field, value) in [
        ("messages", json!("Hello")),
        ("model", json!(7)),
        ("stream", json!("yes")),
        ("tools", json!({})),
        ("stream_options", json!(true)),
        ("response_format", json!("json")),
    ] {
        let mut request = hello("first/m");
        request[field] = value;
        assert_eq!(refusal(&request.to_string()).await, wrong(field));
    }
}

#[tokio::test]
async fn a_duplicate_field_is_rejected() {
    let messages = r#""messages": [{"role": "user", "content": "Hello"}]"#;
    let twice = format!(r#"{{"model": "first/m", "mod\u0065l": "second/m", {messages}}}"#);
    assert_eq!(refusal(&twice).await, wrong("model"));
    let twice = format!(r#"{{"model": "first/m", {messages}, {messages}}}"#);
    assert_eq!(refusal(&twice).await, wrong("messages"));
}

#[tokio::test]
async fn too_deep_nesting_is_rejected() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let request = |levels: usize| {
        hello("first/m").to_string().replacen('{', &format!("{{\"x\": {},", nested(levels)), 1)
    };
    assert_eq!(refusal(&request(100_000)).await.0, 400);
    let first = provider().await;
    let gateway = gateway_for(&first, "").await;
    assert_eq!(post(&gateway, request(100), &[]).await.status, 200);
}

/// A request of exactly this many bytes.
fn question_of(bytes: usize) -> String {
    let empty = hello("first/m").to_string().replace("Hello", "");
    empty.replace("\"\"", &format!("\"{}\"", "x".repeat(bytes - empty.len())))
}

#[tokio::test]
async fn a_body_of_ten_megabytes_is_accepted() {
    let first = provider().await;
    let gateway = gateway_for(&first, "").await;
    let request = question_of(10 * MEGABYTE);
    assert_eq!(post(&gateway, request.clone(), &[]).await.status, 200);
    assert_eq!(only(&first).body.len(), request.len() - "first/".len());
}

#[tokio::test]
async fn a_body_over_the_limit_is_rejected_with_a_response() {
    let first = provider().await;
    let gateway = gateway_for(&first, "").await;
    for bytes in [10 * MEGABYTE + 1, 40 * MEGABYTE] {
        let (status, error) = error_of(post(&gateway, question_of(bytes), &[]).await).await;
        assert_eq!((status, &error["code"]), (413, &json!("request_too_large")));
    }
    assert!(first.requests().is_empty());
}

#[tokio::test]
async fn a_large_body_rejected_unread_still_gets_the_error() {
    let first = provider().await;
    let gateway = gateway_for(&first, "").await;
    let large = "x".repeat(33 * 1024);
    for (status, path, headers) in [
        (401, "/v1/chat/completions", &[("x-api-key", "wrong")][..]),
        (404, "/nothing", &[]),
        (405, "/v1/models", &[]),
        (431, "/v1/chat/completions", &[("x-large", large.as_str())]),
    ] {
        let response = send(&gateway, "POST", path, headers, question_of(9 * MEGABYTE)).await;
        assert_eq!(error_of(response).await.0, status);
    }
}

#[tokio::test]
async fn a_client_that_expects_to_go_on_is_refused_before_it_sends() {
    let first = provider().await;
    let gateway = gateway_for(&first, "").await;
    for (key, length, status) in [
        ("wrong", 9_000_000, "HTTP/1.1 401"),
        (KEY, 900_000_000, "HTTP/1.1 413"),
        (KEY, 9_000_000, "HTTP/1.1 100"),
    ] {
        let address = gateway.url().trim_start_matches("http://").to_owned();
        let start = tokio::task::spawn_blocking(move || {
            let mut socket = TcpStream::connect(address).unwrap();
            let head = format!(
                "POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\nx-api-key: {key}\r\n\
                 content-length: {length}\r\nexpect: 100-continue\r\n\r\n"
            );
            socket.write_all(head.as_bytes()).unwrap();
            let mut start = [0; 12];
            socket.read_exact(&mut start).unwrap();
            String::from_utf8(start.to_vec()).unwrap()
        });
        assert_eq!(start.await.unwrap(), status);
    }
}

#[tokio::test]
async fn too_large_headers_are_rejected() {
    let first = provider().await;
    let gateway = gateway_for(&first, "").await;
    let large = "x".repeat(33 * 1024);
    let response = ask_with(&gateway, &hello("first/m"), &[("x-large", &large)]).await;
    assert_eq!(error_of(response).await.0, 431);
    let names: Vec<String> = (0..101).map(|it| format!("x-{it}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|it| (it.as_str(), "1")).collect();
    let response = ask_with(&gateway, &hello("first/m"), &many).await;
    assert_eq!(error_of(response).await.0, 431);
}

#[tokio::test]
async fn a_compressed_body_is_decompressed() {
    let first = provider().await;
    let gateway = gateway_for(&first, "models: [{ name: m, provider: first }]").await;
    for (coding, body) in [
        ("gzip", &include_bytes!("../../../../shared/edge/src/compression/hello.gz")[..]),
        ("br", include_bytes!("../../../../shared/edge/src/compression/hello.br")),
        ("zstd", include_bytes!("../../../../shared/edge/src/compression/hello.zst")),
        ("identity", hello("m").to_string().as_bytes()),
    ] {
        let response = post(&gateway, body.to_vec(), &[("content-encoding", coding)]).await;
        assert_eq!(text_of(response).await, "Hi", "{coding}");
    }
    for seen in first.requests() {
        assert_eq!(seen.json(), hello("m"));
        assert_eq!(seen.header("content-encoding"), "");
    }
}

#[tokio::test]
async fn a_compressed_body_is_limited_by_what_comes_out() {
    let first = provider().await;
    let gateway = gateway_for(&first, "server: { max_body_bytes: 60 }").await;
    let body = include_bytes!("../../../../shared/edge/src/compression/hello.br");
    let response = post(&gateway, body.to_vec(), &[("content-encoding", "br")]).await;
    let (status, error) = error_of(response).await;
    assert_eq!((status, &error["code"]), (413, &json!("request_too_large")));
}

#[tokio::test]
async fn what_is_not_compressed_as_it_says_is_refused() {
    let first = provider().await;
    let gateway = gateway_for(&first, "").await;
    for coding in ["gzip", "deflate", "br", "zstd", "compress"] {
        let response = ask_with(&gateway, &hello("first/m"), &[("content-encoding", coding)]).await;
        assert_eq!(error_of(response).await.0, 400, "{coding}");
    }
}

#[tokio::test]
async fn another_content_type_is_accepted() {
    let first = provider().await;
    let gateway = gateway_for(&first, "").await;
    let response = ask_with(&gateway, &hello("first/m"), &[("content-type", "text/plain")]).await;
    assert_eq!(response.status, 200);
}

const BOTH_WANTED: &str = r#"{"model": "both", "tools": [{"type": "function"}], "tool_choice": "auto", "messages": [{"role": "user", "content": "Hello"}], "response_format": {"type": "json_object"}, "parallel_tool_calls": false}"#;

/// A gateway whose two steps end with these words.
async fn resolving(
    first: &FakeProvider,
    second: &FakeProvider,
    one: &str,
    other: &str,
) -> Lockgate {
    let rest = format!(
        "routes:\n  - name: both\n    steps:\n      \
         - {{ provider: first, model: both{one} }}\n      \
         - {{ provider: second, model: both{other} }}\n"
    );
    gateway_for_both(first, second, &rest).await
}

/// The body that a provider gets under a conflict resolution, and the report to the client.
async fn resolved(resolution: &str, request: &str) -> (String, String) {
    let (first, second) = (provider().await, provider().await);
    let gateway = resolving(&first, &second, resolution, "").await;
    let response = post(&gateway, request.to_owned(), &[]).await;
    let dropped = response.header("x-gateway-dropped").to_owned();
    assert_eq!(text_of(response).await, "Hi");
    (String::from_utf8(only(&first).body.to_vec()).unwrap(), dropped)
}

#[tokio::test]
async fn conflict_resolution_tools_drops_the_response_format() {
    let (body, dropped) = resolved(", conflict_resolution: tools", BOTH_WANTED).await;
    assert_eq!(body, BOTH_WANTED.replace(r#", "response_format": {"type": "json_object"}"#, ""));
    assert_eq!(dropped, "response_format");
}

#[tokio::test]
async fn conflict_resolution_format_drops_the_tools() {
    let (body, dropped) = resolved(", conflict_resolution: format", BOTH_WANTED).await;
    let wanted = r#"{"model": "both", "messages": [{"role": "user", "content": "Hello"}], "response_format": {"type": "json_object"}}"#;
    assert_eq!(body, wanted);
    assert_eq!(dropped, "tools, tool_choice, parallel_tool_calls");
}

#[tokio::test]
async fn tools_and_format_are_both_sent_without_conflict_resolution() {
    assert_eq!(resolved("", BOTH_WANTED).await, (BOTH_WANTED.to_owned(), String::new()));
}

#[tokio::test]
async fn tools_or_a_format_alone_are_no_conflict() {
    let plain = r#"{"model": "both", "messages": [{"role": "user"}]"#;
    for request in [
        format!("{plain}, \"tools\": [{{}}]}}"),
        format!("{plain}, \"response_format\": {{\"type\": \"json_object\"}}}}"),
        format!("{plain}, \"tools\": [], \"response_format\": {{\"type\": \"json_object\"}}}}"),
        format!("{plain}, \"tools\": [{{}}], \"response_format\": {{\"type\": \"text\"}}}}"),
    ] {
        for resolution in [", conflict_resolution: tools", ", conflict_resolution: format"] {
            let sent = resolved(resolution, &request).await;
            assert_eq!(sent, (request.clone(), String::new()));
        }
    }
}

#[tokio::test]
async fn a_strict_request_is_rejected_instead_of_dropping_a_field() {
    let (first, second) = (provider().await, provider().await);
    let tools = ", conflict_resolution: tools";
    let gateway = resolving(&first, &second, tools, tools).await;
    let strict = [("x-gateway-strict", "true")];
    let (status, error) = error_of(post(&gateway, BOTH_WANTED, &strict).await).await;
    assert_eq!((status, &error["param"]), (400, &json!("response_format")));
    assert_eq!(post(&gateway, BOTH_WANTED, &[("x-gateway-strict", "false")]).await.status, 200);
    let (status, error) =
        error_of(post(&gateway, BOTH_WANTED, &[("x-gateway-strict", "perhaps")]).await).await;
    assert_eq!((status, &error["param"]), (400, &json!("x-gateway-strict")));
    assert_eq!((first.requests().len(), second.requests().len()), (1, 0));
}

#[tokio::test]
async fn a_strict_request_without_conflict_is_served() {
    let first = provider().await;
    let gateway = gateway_for(&first, "").await;
    let response = ask_with(&gateway, &hello("first/m"), &[("x-gateway-strict", "true")]).await;
    assert_eq!(text_of(response).await, "Hi");
    assert_eq!(ask(&gateway, &hello("first/m")).await.status, 200);
}
