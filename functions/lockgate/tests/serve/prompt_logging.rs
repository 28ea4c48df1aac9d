//! Prompts and answers: kept and logged only where the configuration says so, and never where the
//! client forbids it.

use serde_json::{Value, json};
use testkit::lockgate::Lockgate;
use testkit::openai;
use testkit::provider::{FakeProvider, ScriptedResponse, Step};

use crate::admin::{USERS, ask as administer};
use crate::request_log::kept;
use crate::support::{ask, ask_with, error_of, gateway_for, provider, send, text_of};

/// What stands nowhere unless prompts are kept.
const PROMPT: &str = "the-secret-plan-of-the-client";
/// What stands nowhere unless answers are kept.
const ANSWER: &str = "the-secret-answer-of-the-model";
/// Prompts are kept, for an hour.
const PROMPTS: &str = "requests: { prompts: { enabled: true, retention: 1h } }\n";

fn secret(model: &str, stream: bool) -> Value {
    let messages = json!([{ "role": "user", "content": format!("Tell me {PROMPT}") }]);
    json!({ "model": model, "stream": stream, "messages": messages })
}

async fn answering() -> FakeProvider {
    let first = FakeProvider::start().await;
    first.respond_with([openai::completion(ANSWER)]);
    first
}

/// The newest call of a gateway, with its contents, as operators read it.
async fn newest(gateway: &Lockgate, calls: usize) -> Value {
    let row = kept(gateway, calls, &[]).await.pop().unwrap();
    let path = format!("/admin/requests/{}", row["id"].as_str().unwrap());
    let (status, call) = administer(gateway, "GET", &path, "").await;
    assert_eq!(status, 200, "{call}");
    call
}

/// Whether a text stands in any file of the database.
fn stores(gateway: &Lockgate, text: &str) -> bool {
    let files = ["lockgate.db", "lockgate.db-wal"].map(|name| gateway.folder().join(name));
    let contents = files.iter().filter_map(|file| std::fs::read(file).ok());
    contents.into_iter().any(|it| it.windows(text.len()).any(|part| part == text.as_bytes()))
}

#[tokio::test]
async fn nothing_of_prompts_and_answers_is_stored_or_logged_by_itself() {
    let first = answering().await;
    let gateway = gateway_for(&first, &format!("log: {{ level: trace }}{USERS}")).await;
    text_of(ask(&gateway, &secret("first/m", false)).await).await;
    let call = newest(&gateway, 1).await;
    assert_eq!((&call["has_content"], &call["content"]), (&json!(false), &Value::Null));
    for text in [PROMPT, ANSWER] {
        assert!(!stores(&gateway, text), "{text} is stored");
        assert!(!gateway.log().contains(text), "{text} is logged");
    }
    assert!(!gateway.log().contains("excerpt"), "{}", gateway.log());
}

#[tokio::test]
async fn prompts_and_answers_are_kept_where_that_is_switched_on() {
    let first = answering().await;
    let gateway = gateway_for(&first, &format!("{PROMPTS}{USERS}")).await;
    text_of(ask(&gateway, &secret("first/m", false)).await).await;
    let call = newest(&gateway, 1).await;
    let request: Value =
        serde_json::from_str(call["content"]["request"].as_str().unwrap()).unwrap();
    assert_eq!(request, secret("first/m", false));
    assert_eq!(call["content"]["response"], ANSWER);
    let ended = call["ended_ms"].as_u64().unwrap();
    let expires = call["content"]["expires_ms"].as_u64().unwrap();
    assert_eq!(expires, (ended / 1_000 + 3_600) * 1_000);
    assert!(!gateway.log().contains(PROMPT) && !gateway.log().contains(ANSWER));

    let (_, page) = page(&gateway, call["id"].as_str().unwrap()).await;
    assert!(page.contains(PROMPT) && page.contains(ANSWER), "{page}");
}

/// A page of one call.
async fn page(gateway: &Lockgate, id: &str) -> (u16, String) {
    let form = "name=root&password=root-password";
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("sec-fetch-site", "same-origin"),
        ("accept", "text/html"),
    ];
    let signed_in = send(gateway, "POST", "/admin/sign-in", &headers, form).await;
    let cookie = signed_in.header("set-cookie").split(';').next().unwrap().to_owned();
    let headers = [("cookie", cookie.as_str()), ("accept", "text/html")];
    let page = send(gateway, "GET", &format!("/admin/requests/{id}"), &headers, "").await;
    (page.status.as_u16(), page.text().await.unwrap())
}

#[tokio::test]
async fn the_text_of_a_stream_is_kept_as_far_as_the_client_got_it() {
    let first = FakeProvider::start().await;
    let half = [openai::role(), openai::chunk("Half "), openai::chunk("way"), Step::Hang];
    first.respond_with([
        ScriptedResponse::stream([
            openai::role(),
            openai::chunk("I look. "),
            openai::tool_call(0, "call_1", "weather"),
            openai::tool_arguments(0, "{\"city\":"),
            openai::tool_arguments(0, "\"Bern\"}"),
            openai::finish("tool_calls"),
            openai::done(),
        ]),
        ScriptedResponse::stream(half),
    ]);
    let gateway = gateway_for(&first, &format!("{PROMPTS}{USERS}")).await;
    ask(&gateway, &secret("first/m", true)).await.until("[DONE]").await.unwrap();
    let call = newest(&gateway, 1).await;
    assert_eq!(call["content"]["response"], "I look. \n\nweather {\"city\":\"Bern\"}");
    assert_eq!(call["answered_model"], "gpt-4o-2024-08-06");

    let mut left = ask(&gateway, &secret("first/m", true)).await;
    left.until("way").await.unwrap();
    drop(left);
    let call = newest(&gateway, 2).await;
    assert_eq!(
        (&call["outcome"], &call["content"]["response"]),
        (&json!("canceled"), &json!("Half way"))
    );
}

#[tokio::test]
async fn prompts_are_kept_up_to_their_limit() {
    let first = answering().await;
    let limited = PROMPTS.replace("retention: 1h", "max_bytes: 24");
    let gateway = gateway_for(&first, &format!("{limited}{USERS}")).await;
    text_of(ask(&gateway, &secret("first/m", false)).await).await;
    let content = newest(&gateway, 1).await["content"].clone();
    let request = content["request"].as_str().unwrap();
    assert_eq!((request.len(), request.ends_with('…')), (24 + '…'.len_utf8(), true));
    assert_eq!(content["response"], "the-secret-answer-of-the…");
}

#[tokio::test]
async fn a_client_can_leave_its_call_out() {
    let first = answering().await;
    let everything = format!("{PROMPTS}log: {{ contents: summary }}\n{USERS}");
    let gateway = gateway_for(&first, &everything).await;
    let headers = [("x-gateway-log", "off")];
    text_of(ask_with(&gateway, &secret("first/m", false), &headers).await).await;
    let call = newest(&gateway, 1).await;
    assert_eq!((&call["outcome"], &call["has_content"]), (&json!("success"), &json!(false)));
    gateway.logged("call ended").await;
    for text in [PROMPT, ANSWER] {
        assert!(!stores(&gateway, text) && !gateway.log().contains(text), "{text}");
    }
    let wrong = [("x-gateway-log", "maybe")];
    let (status, error) =
        error_of(ask_with(&gateway, &secret("first/m", false), &wrong).await).await;
    assert_eq!((status, &error["param"]), (400, &json!("X-Gateway-Log")));
}

#[tokio::test]
async fn the_log_tells_of_requests_and_responses_where_that_is_wanted() {
    let first = FakeProvider::start().await;
    first.respond_with([openai::completion(&format!(
        "Use sk-proj-abcdef123456. {}",
        "x y ".repeat(80)
    ))]);
    let settings = "log: { format: json, contents: summary }\n";
    let gateway = gateway_for(&first, &format!("{settings}{USERS}")).await;
    let image = format!("data:image/png;base64,{}", "QUJD".repeat(50));
    let request = json!({
        "model": "first/m",
        "messages": [{ "role": "user", "content": [
            { "type": "text", "text": format!("Short. {}", "long ".repeat(60)) },
            { "type": "image_url", "image_url": { "url": image } },
        ] }],
    });
    text_of(ask(&gateway, &request).await).await;
    let log = gateway.logged("request_excerpt").await;
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let line = lines.into_iter().find(|line| line["message"] == "call ended").unwrap();
    let excerpt: Value = serde_json::from_str(line["request_excerpt"].as_str().unwrap()).unwrap();
    let content = &excerpt["messages"][0]["content"];
    let text = content[0]["text"].as_str().unwrap();
    assert!(text.starts_with("Short. long") && text.chars().count() == 101, "{text}");
    assert_eq!(content[1]["image_url"]["url"], "[media, 222 bytes]");
    let response = line["response_excerpt"].as_str().unwrap();
    assert!(response.starts_with("Use [removed]. x y") && response.ends_with('…'), "{response}");
    let call = newest(&gateway, 1).await;
    assert_eq!(call["has_content"], false, "what is logged is not stored");
}

#[tokio::test]
async fn the_contents_of_a_failed_call_are_kept_too() {
    let first = FakeProvider::start().await;
    first.respond_with([openai::error(400, "invalid_request_error", "no")]);
    let gateway = gateway_for(&first, &format!("{PROMPTS}{USERS}")).await;
    assert_eq!(ask(&gateway, &secret("first/m", false)).await.status, 400);
    let call = newest(&gateway, 1).await;
    assert!(call["content"]["request"].as_str().unwrap().contains(PROMPT), "{call}");
    assert_eq!(call["content"]["response"], "");
}

#[tokio::test]
async fn a_response_from_the_cache_is_kept_with_what_it_saved() {
    let first = provider().await;
    let settings = "
cache: { enabled: true }
prices: [{ provider: first, model: m, input: 1000000, output: 0 }]
";
    let gateway = gateway_for(&first, &format!("{PROMPTS}{settings}{USERS}")).await;
    let mut request = secret("first/m", false);
    request["temperature"] = json!(0);
    for calls in 1..=2 {
        text_of(ask(&gateway, &request).await).await;
        newest(&gateway, calls).await;
    }
    let call = newest(&gateway, 2).await;
    assert_eq!((&call["cache"], &call["content"]["response"]), (&json!("hit"), &json!("Hi")));
    assert_eq!((&call["cost_usd"], &call["saved_usd"]), (&json!(0.0), &json!(9.0)));
    assert_eq!(call["answered_model"], "gpt-4o-2024-08-06");
    let (_, page) = page(&gateway, call["id"].as_str().unwrap()).await;
    assert!(page.contains("which saved"), "{page}");
}
