//! Which bodies are refused, how, and what a provider is spared of.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};
use testkit::lockgate::Lockgate;
use testkit::provider::Fake;

use crate::support::{
    KEY, ask, ask_with, before, before_both, hello, only, post, provider, refused, send, text_of,
};

const MEGABYTE: usize = 1024 * 1024;

/// How a body is refused: status, code and parameter. The provider must not hear of it.
async fn refusal(body: &str) -> (u16, Value, Value) {
    let first = provider().await;
    let gateway = before(&first, "").await;
    let (status, error) = refused(post(&gateway, body.to_owned(), &[]).await).await;
    assert_eq!(error["type"], "invalid_request_error", "{error}");
    assert!(error["message"].as_str().unwrap().starts_with("Lockgate: "), "{error}");
    assert!(first.seen().is_empty());
    (status, error["code"].clone(), error["param"].clone())
}

fn wrong(param: &str) -> (u16, Value, Value) {
    (400, json!("invalid_request"), json!(param))
}

#[tokio::test]
async fn what_is_not_a_json_object_is_refused() {
    let none = (400, json!("invalid_request"), Value::Null);
    for body in ["", "hello", "[]", "null", "{", "{\"model\": \"first/m\",}", "{} {}", "\u{feff}{}"]
    {
        assert_eq!(refusal(body).await, none, "{body}");
    }
}

#[tokio::test]
async fn what_is_not_utf_8_is_refused() {
    let first = provider().await;
    let gateway = before(&first, "").await;
    let answer = post(&gateway, &b"{\"model\": \"first/m\xff\"}"[..], &[]).await;
    assert_eq!(refused(answer).await.0, 400);
}

#[tokio::test]
async fn missing_or_empty_messages_are_refused() {
    assert_eq!(refusal(r#"{"model": "first/m"}"#).await, wrong("messages"));
    assert_eq!(refusal(r#"{"model": "first/m", "messages": null}"#).await, wrong("messages"));
    assert_eq!(refusal(r#"{"model": "first/m", "messages": []}"#).await, wrong("messages"));
}

#[tokio::test]
async fn a_field_of_a_wrong_type_is_named() {
    for (field, value) in [
        ("messages", json!("Hello")),
        ("model", json!(7)),
        ("stream", json!("yes")),
        ("tools", json!({})),
        ("stream_options", json!(true)),
        ("response_format", json!("json")),
    ] {
        let mut question = hello("first/m");
        question[field] = value;
        assert_eq!(refusal(&question.to_string()).await, wrong(field));
    }
}

#[tokio::test]
async fn a_field_given_twice_is_refused() {
    let messages = r#""messages": [{"role": "user", "content": "Hello"}]"#;
    let twice = format!(r#"{{"model": "first/m", "mod\u0065l": "second/m", {messages}}}"#);
    assert_eq!(refusal(&twice).await, wrong("model"));
    let twice = format!(r#"{{"model": "first/m", {messages}, {messages}}}"#);
    assert_eq!(refusal(&twice).await, wrong("messages"));
}

#[tokio::test]
async fn what_nests_too_deep_is_refused() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let question = |levels: usize| {
        hello("first/m").to_string().replacen('{', &format!("{{\"x\": {},", nested(levels)), 1)
    };
    assert_eq!(refusal(&question(100_000)).await.0, 400);
    let first = provider().await;
    let gateway = before(&first, "").await;
    assert_eq!(post(&gateway, question(100), &[]).await.status, 200);
}

/// A question of exactly this many bytes.
fn question_of(bytes: usize) -> String {
    let empty = hello("first/m").to_string().replace("Hello", "");
    empty.replace("\"\"", &format!("\"{}\"", "x".repeat(bytes - empty.len())))
}

#[tokio::test]
async fn ten_megabytes_are_taken() {
    let first = provider().await;
    let gateway = before(&first, "").await;
    let question = question_of(10 * MEGABYTE);
    assert_eq!(post(&gateway, question.clone(), &[]).await.status, 200);
    assert_eq!(only(&first).body.len(), question.len() - "first/".len());
}

#[tokio::test]
async fn a_byte_more_is_refused_and_the_client_hears_so() {
    let first = provider().await;
    let gateway = before(&first, "").await;
    for bytes in [10 * MEGABYTE + 1, 40 * MEGABYTE] {
        let (status, error) = refused(post(&gateway, question_of(bytes), &[]).await).await;
        assert_eq!((status, &error["code"]), (413, &json!("request_too_large")));
    }
    assert!(first.seen().is_empty());
}

#[tokio::test]
async fn a_large_body_that_is_refused_unread_still_hears_why() {
    let first = provider().await;
    let gateway = before(&first, "").await;
    let large = "x".repeat(33 * 1024);
    for (status, path, headers) in [
        (401, "/v1/chat/completions", &[("x-api-key", "wrong")][..]),
        (404, "/nothing", &[]),
        (405, "/v1/models", &[]),
        (431, "/v1/chat/completions", &[("x-large", large.as_str())]),
    ] {
        let answer = send(&gateway, "POST", path, headers, question_of(9 * MEGABYTE)).await;
        assert_eq!(refused(answer).await.0, status);
    }
}

#[tokio::test]
async fn a_client_that_expects_to_go_on_is_refused_before_it_sends() {
    let first = provider().await;
    let gateway = before(&first, "").await;
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
async fn headers_that_are_too_large_are_refused() {
    let first = provider().await;
    let gateway = before(&first, "").await;
    let large = "x".repeat(33 * 1024);
    let answer = ask_with(&gateway, &hello("first/m"), &[("x-large", &large)]).await;
    assert_eq!(refused(answer).await.0, 431);
    let names: Vec<String> = (0..101).map(|it| format!("x-{it}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|it| (it.as_str(), "1")).collect();
    let answer = ask_with(&gateway, &hello("first/m"), &many).await;
    assert_eq!(refused(answer).await.0, 431);
}

#[tokio::test]
async fn a_compressed_body_is_decompressed() {
    let first = provider().await;
    let gateway = before(&first, "models: [{ name: m, provider: first }]").await;
    for (coding, body) in [
        ("gzip", &include_bytes!("../../../../shared/edge/src/compression/hello.gz")[..]),
        ("br", include_bytes!("../../../../shared/edge/src/compression/hello.br")),
        ("zstd", include_bytes!("../../../../shared/edge/src/compression/hello.zst")),
        ("identity", hello("m").to_string().as_bytes()),
    ] {
        let answer = post(&gateway, body.to_vec(), &[("content-encoding", coding)]).await;
        assert_eq!(text_of(answer).await, "Hi", "{coding}");
    }
    for seen in first.seen() {
        assert_eq!(seen.json(), hello("m"));
        assert_eq!(seen.header("content-encoding"), "");
    }
}

#[tokio::test]
async fn a_compressed_body_is_limited_by_what_comes_out() {
    let first = provider().await;
    let gateway = before(&first, "server: { max_body_bytes: 60 }").await;
    let body = include_bytes!("../../../../shared/edge/src/compression/hello.br");
    let answer = post(&gateway, body.to_vec(), &[("content-encoding", "br")]).await;
    let (status, error) = refused(answer).await;
    assert_eq!((status, &error["code"]), (413, &json!("request_too_large")));
}

#[tokio::test]
async fn what_is_not_compressed_as_it_says_is_refused() {
    let first = provider().await;
    let gateway = before(&first, "").await;
    for coding in ["gzip", "deflate", "br", "zstd", "compress"] {
        let answer = ask_with(&gateway, &hello("first/m"), &[("content-encoding", coding)]).await;
        assert_eq!(refused(answer).await.0, 400, "{coding}");
    }
}

#[tokio::test]
async fn a_body_may_say_that_it_is_of_another_type() {
    let first = provider().await;
    let gateway = before(&first, "").await;
    let answer = ask_with(&gateway, &hello("first/m"), &[("content-type", "text/plain")]).await;
    assert_eq!(answer.status, 200);
}

const BOTH_WANTED: &str = r#"{"model": "both", "tools": [{"type": "function"}], "tool_choice": "auto", "messages": [{"role": "user", "content": "Hello"}], "response_format": {"type": "json_object"}, "parallel_tool_calls": false}"#;

/// A gateway whose two steps end with these words.
async fn resolving(first: &Fake, second: &Fake, one: &str, other: &str) -> Lockgate {
    let rest = format!(
        "routes:\n  - name: both\n    steps:\n      \
         - {{ provider: first, model: both{one} }}\n      \
         - {{ provider: second, model: both{other} }}\n"
    );
    before_both(first, second, &rest).await
}

/// The body that a provider gets under a conflict resolution, and what the client hears of it.
async fn resolved(resolution: &str, question: &str) -> (String, String) {
    let (first, second) = (provider().await, provider().await);
    let gateway = resolving(&first, &second, resolution, "").await;
    let answer = post(&gateway, question.to_owned(), &[]).await;
    let dropped = answer.header("x-gateway-dropped").to_owned();
    assert_eq!(text_of(answer).await, "Hi");
    (String::from_utf8(only(&first).body.to_vec()).unwrap(), dropped)
}

#[tokio::test]
async fn tools_win_over_a_format_where_the_step_says_so() {
    let (body, dropped) = resolved(", conflict_resolution: tools", BOTH_WANTED).await;
    assert_eq!(body, BOTH_WANTED.replace(r#", "response_format": {"type": "json_object"}"#, ""));
    assert_eq!(dropped, "response_format");
}

#[tokio::test]
async fn a_format_wins_over_tools_where_the_step_says_so() {
    let (body, dropped) = resolved(", conflict_resolution: format", BOTH_WANTED).await;
    let wanted = r#"{"model": "both", "messages": [{"role": "user", "content": "Hello"}], "response_format": {"type": "json_object"}}"#;
    assert_eq!(body, wanted);
    assert_eq!(dropped, "tools, tool_choice, parallel_tool_calls");
}

#[tokio::test]
async fn both_are_sent_where_the_step_says_nothing() {
    assert_eq!(resolved("", BOTH_WANTED).await, (BOTH_WANTED.to_owned(), String::new()));
}

#[tokio::test]
async fn there_is_no_conflict_with_tools_or_a_format_alone() {
    let plain = r#"{"model": "both", "messages": [{"role": "user"}]"#;
    for question in [
        format!("{plain}, \"tools\": [{{}}]}}"),
        format!("{plain}, \"response_format\": {{\"type\": \"json_object\"}}}}"),
        format!("{plain}, \"tools\": [], \"response_format\": {{\"type\": \"json_object\"}}}}"),
        format!("{plain}, \"tools\": [{{}}], \"response_format\": {{\"type\": \"text\"}}}}"),
    ] {
        for resolution in [", conflict_resolution: tools", ", conflict_resolution: format"] {
            let sent = resolved(resolution, &question).await;
            assert_eq!(sent, (question.clone(), String::new()));
        }
    }
}

#[tokio::test]
async fn a_strict_client_is_refused_rather_than_cut_short() {
    let (first, second) = (provider().await, provider().await);
    let tools = ", conflict_resolution: tools";
    let gateway = resolving(&first, &second, tools, tools).await;
    let strict = [("x-gateway-strict", "true")];
    let (status, error) = refused(post(&gateway, BOTH_WANTED, &strict).await).await;
    assert_eq!((status, &error["param"]), (400, &json!("response_format")));
    assert_eq!(post(&gateway, BOTH_WANTED, &[("x-gateway-strict", "false")]).await.status, 200);
    let (status, error) =
        refused(post(&gateway, BOTH_WANTED, &[("x-gateway-strict", "perhaps")]).await).await;
    assert_eq!((status, &error["param"]), (400, &json!("x-gateway-strict")));
    assert_eq!((first.seen().len(), second.seen().len()), (1, 0));
}

#[tokio::test]
async fn a_strict_client_with_nothing_to_lose_is_served() {
    let first = provider().await;
    let gateway = before(&first, "").await;
    let answer = ask_with(&gateway, &hello("first/m"), &[("x-gateway-strict", "true")]).await;
    assert_eq!(text_of(answer).await, "Hi");
    assert_eq!(ask(&gateway, &hello("first/m")).await.status, 200);
}
