//! The real binary as Lambda runs it, behind a URL that streams, before a provider of another format.
#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

use serde_json::{Value, json};
use testkit::{
    openai,
    provider::{Latch, ScriptedResponse, Step},
};

#[path = "../../../shared/testkit/deployed/conversation.rs"]
mod conversation;

fn case() -> conversation::Case {
    let request = json!({"contents": [{"role": "user", "parts": [{"text": "Hello?"}]}]});
    conversation::Case {
        function: "generate-content",
        binary: env!("CARGO_BIN_EXE_generate-content"),
        path: "/v1beta/models/r:generateContent",
        stream_path: "/gemini/v1/models/r:streamGenerateContent?alt=sse",
        requests: [request.clone(), request],
        text: "/candidates/0/content/parts/0/text",
        end: "\"finishReason\":\"STOP\"",
        comment: None,
        word: "/error/status",
        words: ["UNAUTHENTICATED", "PERMISSION_DENIED"],
    }
}

conversation::tests!(case);

#[tokio::test]
async fn white_space_keeps_a_json_array_alive() {
    let case = case();
    let gateway = conversation::Gateway::start(&case).await;
    let (first, second) = (Latch::new(), Latch::new());
    let late = ScriptedResponse::stream([
        Step::Latch(first.clone()),
        openai::chunk("one"),
        Step::Latch(second.clone()),
        Step::Cut,
    ]);
    gateway.fake.respond_with([late]);
    let path = "/v1beta/models/r:streamGenerateContent";
    let mut response = gateway.ask(path, "key", &case.requests[1]).await;
    assert_eq!(response.header("content-type"), "application/json");
    let mut text = response.until("\n").await.unwrap();
    assert_eq!(text.trim(), "");
    first.open();
    text += &response.until("one").await.unwrap();
    text += &response.until("\n").await.unwrap();
    second.open();
    text += &response.text().await.unwrap();
    let array: Value = serde_json::from_str(&text).unwrap();
    let last = array.as_array().unwrap().last().unwrap();
    assert_eq!(last["error"]["status"], "UNAVAILABLE", "{text}");
    gateway.is_well();
}
