//! The fake provider executes its script on the wire.

use std::time::Duration;

use http::Request;
use serde_json::json;
use testkit::client::{self, post_json};
use testkit::openai;
use testkit::provider::{FakeProvider, Latch, Outcome, ScriptedResponse, Step, parse};

async fn fake(responses: impl IntoIterator<Item = ScriptedResponse>) -> FakeProvider {
    let fake = FakeProvider::start().await;
    fake.respond_with(responses);
    fake
}

#[tokio::test]
async fn responses_are_sent_in_order_and_the_last_repeats() {
    let fake = fake([
        openai::error(429, "rate_limit_error", "slow down").header("Retry-After", "2"),
        openai::completion("Hi"),
    ])
    .await;
    let first = client::get(&fake.url()).await.unwrap();
    assert_eq!((first.status.as_u16(), first.header("retry-after")), (429, "2"));
    assert_eq!(first.json().await.unwrap()["error"]["type"], "rate_limit_error");
    for _ in 0..2 {
        let next = client::get(&fake.url()).await.unwrap().json().await.unwrap();
        assert_eq!(next["choices"][0]["message"]["content"], "Hi");
        assert_eq!(next["usage"]["total_tokens"], 21);
    }
}

#[tokio::test]
async fn every_request_is_recorded_unchanged() {
    let fake = fake([openai::completion("Hi")]).await;
    let url = format!("{}/v1/chat/completions?a=1", fake.url());
    let request = Request::put(url).header("X-Thing", "7").body("{\"z\":1, \"a\":2}".into());
    client::send(request.unwrap()).await.unwrap().bytes().await.unwrap();
    let seen = fake.requests().remove(0);
    assert_eq!(seen.method, "PUT");
    assert_eq!(seen.target, "/v1/chat/completions?a=1");
    assert_eq!(seen.header("x-thing"), "7");
    assert_eq!(seen.body, "{\"z\":1, \"a\":2}");
    assert_eq!(seen.outcome, Outcome::Complete);
}

#[tokio::test]
async fn a_latch_holds_a_stream_until_it_is_opened() {
    let latch = Latch::new();
    let steps = [openai::chunk("one"), Step::Latch(latch.clone()), openai::chunk("two")];
    let fake = fake([ScriptedResponse::stream(steps)]).await;
    let mut response = client::get(&fake.url()).await.unwrap();
    let before = response.until("\n\n").await.unwrap();
    assert!(before.contains("one") && !before.contains("two"));
    assert_eq!(fake.requests()[0].outcome, Outcome::Open);
    latch.open();
    assert!(response.text().await.unwrap().contains("two"));
    assert_eq!(fake.requests()[0].outcome, Outcome::Complete);
}

#[tokio::test]
async fn a_cut_breaks_the_connection_after_everything_before_it() {
    let fake = fake([ScriptedResponse::stream([openai::chunk("one"), Step::Cut])]).await;
    let mut response = client::get(&fake.url()).await.unwrap();
    assert!(response.until("\n\n").await.unwrap().contains("one"));
    assert!(response.chunk().await.is_err());
    assert_eq!(fake.requests()[0].outcome, Outcome::Complete);
}

#[tokio::test]
async fn a_large_frame_is_delivered_before_a_cut() {
    let frame = "x".repeat(3 << 20);
    let fake = fake([ScriptedResponse::stream([Step::text(frame.clone()), Step::Cut])]).await;
    let mut response = client::get(&fake.url()).await.unwrap();
    let mut length = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        length += chunk.len();
    }
    assert_eq!(length, frame.len());
}

#[tokio::test]
async fn a_closed_connection_has_no_status() {
    let fake = fake([ScriptedResponse::close(), openai::completion("Hi")]).await;
    assert!(client::get(&fake.url()).await.is_err());
    assert_eq!(client::get(&fake.url()).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_disconnect_during_a_hanging_call_is_recorded() {
    let fake = fake([ScriptedResponse::hang()]).await;
    let call = tokio::spawn({
        let url = fake.url();
        async move { client::get(&url).await.map(|response| response.status) }
    });
    assert_eq!(fake.wait_for_requests(1).await[0].outcome, Outcome::Open);
    call.abort();
    assert!(fake.cancelled().await);
}

#[tokio::test]
async fn a_disconnect_during_a_stream_is_recorded() {
    let fake = fake([ScriptedResponse::stream([openai::chunk("one"), Step::Hang])]).await;
    let mut response = client::get(&fake.url()).await.unwrap();
    response.until("one").await.unwrap();
    drop(response);
    assert!(fake.cancelled().await);
}

#[tokio::test]
async fn a_disconnect_during_a_delayed_response_is_recorded() {
    let hour = Duration::from_secs(3600);
    let fake = fake([ScriptedResponse::delay(hour, openai::completion("Hi"))]).await;
    let call = tokio::spawn({
        let url = fake.url();
        async move { client::get(&url).await.map(|response| response.status) }
    });
    fake.wait_for_requests(1).await;
    call.abort();
    assert!(fake.cancelled().await);
}

#[tokio::test]
async fn a_wrong_key_is_rejected_outside_the_script() {
    let fake = fake([openai::completion("Hi")]).await;
    fake.require_bearer("right");
    let wrong = post_json(&fake.url(), "wrong", &json!({})).await.unwrap();
    assert_eq!(wrong.status, 401);
    assert_eq!(wrong.json().await.unwrap()["error"]["code"], "invalid_api_key");
    assert_eq!(post_json(&fake.url(), "right", &json!({})).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_stream_has_openais_chunks() {
    let fake = fake([openai::stream(["Hel", "lo"])]).await;
    let response = client::get(&fake.url()).await.unwrap();
    assert_eq!(response.header("content-type"), "text/event-stream");
    let text = response.text().await.unwrap();
    let frames: Vec<_> = text.split_terminator("\n\n").collect();
    let content: String = frames[..frames.len() - 1]
        .iter()
        .map(|frame| serde_json::from_str(frame.strip_prefix("data: ").unwrap()).unwrap())
        .map(|chunk: serde_json::Value| chunk["choices"][0]["delta"]["content"].clone())
        .filter_map(|content| content.as_str().map(str::to_owned))
        .collect();
    assert_eq!(content, "Hello");
    assert_eq!(frames.last(), Some(&"data: [DONE]"));
}

#[tokio::test]
async fn a_json_script_gives_the_same_responses() {
    let script = json!([
        {"error": {"type": "t", "message": "m"}, "status": 503, "headers": {"retry-after": "9"}},
        {"stream": ["role", {"text": "Hi"}, {"tool_call": ["call_1", "weather"]}, {"latch": "g"},
                    {"tool_arguments": "{}"}, {"finish": "stop"}, {"usage": [9, 12]}, "done"]},
    ]);
    let (responses, latches) = parse(script.to_string().as_bytes()).unwrap();
    let fake = fake(responses).await;
    let first = client::get(&fake.url()).await.unwrap();
    assert_eq!((first.status.as_u16(), first.header("retry-after")), (503, "9"));
    latches["g"].open();
    let text = client::get(&fake.url()).await.unwrap().text().await.unwrap();
    assert!(text.contains("\"content\":\"Hi\"") && text.contains("\"total_tokens\":21"));
    assert!(text.ends_with("data: [DONE]\n\n"));
}

#[test]
fn a_script_with_an_unknown_step_is_rejected() {
    assert!(parse(br#"[{"completion": "Hi", "satus": 500}]"#).is_err());
    assert!(parse(br#"[{"completion": "Hi", "hang": true}]"#).is_err());
}
