//! The scripted provider does on the wire what its script says.

use std::time::Duration;

use http::Request;
use serde_json::json;
use testkit::client::{self, post_json};
use testkit::openai;
use testkit::provider::{Answer, Fake, Gate, Outcome, Step, parse};

async fn fake(answers: impl IntoIterator<Item = Answer>) -> Fake {
    let fake = Fake::start().await;
    fake.answers(answers);
    fake
}

#[tokio::test]
async fn answers_come_in_order_and_the_last_repeats() {
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
async fn every_request_is_kept_as_it_came() {
    let fake = fake([openai::completion("Hi")]).await;
    let url = format!("{}/v1/chat/completions?a=1", fake.url());
    let request = Request::put(url).header("X-Thing", "7").body("{\"z\":1, \"a\":2}".into());
    client::send(request.unwrap()).await.unwrap().bytes().await.unwrap();
    let seen = fake.seen().remove(0);
    assert_eq!(seen.method, "PUT");
    assert_eq!(seen.target, "/v1/chat/completions?a=1");
    assert_eq!(seen.header("x-thing"), "7");
    assert_eq!(seen.body, "{\"z\":1, \"a\":2}");
    assert_eq!(seen.outcome, Outcome::Complete);
}

#[tokio::test]
async fn a_gate_holds_a_stream_until_it_is_opened() {
    let gate = Gate::new();
    let steps = [openai::chunk("one"), Step::Gate(gate.clone()), openai::chunk("two")];
    let fake = fake([Answer::stream(steps)]).await;
    let mut answer = client::get(&fake.url()).await.unwrap();
    let before = answer.until("\n\n").await.unwrap();
    assert!(before.contains("one") && !before.contains("two"));
    assert_eq!(fake.seen()[0].outcome, Outcome::Open);
    gate.open();
    assert!(answer.text().await.unwrap().contains("two"));
    assert_eq!(fake.seen()[0].outcome, Outcome::Complete);
}

#[tokio::test]
async fn a_cut_is_an_unexpected_end_after_everything_before_it() {
    let fake = fake([Answer::stream([openai::chunk("one"), Step::Cut])]).await;
    let mut answer = client::get(&fake.url()).await.unwrap();
    assert!(answer.until("\n\n").await.unwrap().contains("one"));
    assert!(answer.chunk().await.is_err());
    assert_eq!(fake.seen()[0].outcome, Outcome::Complete);
}

#[tokio::test]
async fn a_large_frame_arrives_whole_before_a_cut() {
    let frame = "x".repeat(3 << 20);
    let fake = fake([Answer::stream([Step::text(frame.clone()), Step::Cut])]).await;
    let mut answer = client::get(&fake.url()).await.unwrap();
    let mut length = 0;
    while let Ok(Some(chunk)) = answer.chunk().await {
        length += chunk.len();
    }
    assert_eq!(length, frame.len());
}

#[tokio::test]
async fn a_closed_connection_has_no_status() {
    let fake = fake([Answer::close(), openai::completion("Hi")]).await;
    assert!(client::get(&fake.url()).await.is_err());
    assert_eq!(client::get(&fake.url()).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_caller_that_leaves_a_hanging_call_is_noticed() {
    let fake = fake([Answer::hang()]).await;
    let call = tokio::spawn({
        let url = fake.url();
        async move { client::get(&url).await.map(|answer| answer.status) }
    });
    assert_eq!(fake.asked(1).await[0].outcome, Outcome::Open);
    call.abort();
    assert!(fake.cancelled().await);
}

#[tokio::test]
async fn a_caller_that_leaves_a_stream_is_noticed() {
    let fake = fake([Answer::stream([openai::chunk("one"), Step::Hang])]).await;
    let mut answer = client::get(&fake.url()).await.unwrap();
    answer.until("one").await.unwrap();
    drop(answer);
    assert!(fake.cancelled().await);
}

#[tokio::test]
async fn a_caller_that_leaves_a_delayed_answer_is_noticed() {
    let hour = Duration::from_secs(3600);
    let fake = fake([Answer::delay(hour, openai::completion("Hi"))]).await;
    let call = tokio::spawn({
        let url = fake.url();
        async move { client::get(&url).await.map(|answer| answer.status) }
    });
    fake.asked(1).await;
    call.abort();
    assert!(fake.cancelled().await);
}

#[tokio::test]
async fn a_wrong_key_is_refused_outside_the_script() {
    let fake = fake([openai::completion("Hi")]).await;
    fake.require_bearer("right");
    let wrong = post_json(&fake.url(), "wrong", &json!({})).await.unwrap();
    assert_eq!(wrong.status, 401);
    assert_eq!(wrong.json().await.unwrap()["error"]["code"], "invalid_api_key");
    assert_eq!(post_json(&fake.url(), "right", &json!({})).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_stream_has_the_chunks_of_openai() {
    let fake = fake([openai::stream(["Hel", "lo"])]).await;
    let answer = client::get(&fake.url()).await.unwrap();
    assert_eq!(answer.header("content-type"), "text/event-stream");
    let text = answer.text().await.unwrap();
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
async fn a_script_in_json_says_the_same() {
    let script = json!([
        {"error": {"type": "t", "message": "m"}, "status": 503, "headers": {"retry-after": "9"}},
        {"stream": ["role", {"text": "Hi"}, {"tool_call": ["call_1", "weather"]}, {"gate": "g"},
                    {"tool_arguments": "{}"}, {"finish": "stop"}, {"usage": [9, 12]}, "done"]},
    ]);
    let (answers, gates) = parse(script.to_string().as_bytes()).unwrap();
    let fake = fake(answers).await;
    let first = client::get(&fake.url()).await.unwrap();
    assert_eq!((first.status.as_u16(), first.header("retry-after")), (503, "9"));
    gates["g"].open();
    let text = client::get(&fake.url()).await.unwrap().text().await.unwrap();
    assert!(text.contains("\"content\":\"Hi\"") && text.contains("\"total_tokens\":21"));
    assert!(text.ends_with("data: [DONE]\n\n"));
}

#[test]
fn a_script_with_an_unknown_word_is_refused() {
    assert!(parse(br#"[{"completion": "Hi", "satus": 500}]"#).is_err());
    assert!(parse(br#"[{"completion": "Hi", "hang": true}]"#).is_err());
}
